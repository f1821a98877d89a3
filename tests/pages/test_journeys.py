"""The console's pages in a real browser, all services behind them; steps: `console/journeys`."""

from pathlib import Path

import pytest
from tests.pages.services import operators_link
from tools import console_build


@pytest.mark.timeout(600)
def test_every_journey_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = console_build.need_node()
    console_build.build(node, all_packages=True)
    with operators_link(tmp_path) as link:
        monkeypatch.setenv("LINK", link)
        said = console_build.run(
            node, console_build.VITEST, "run", "--config", console_build.JOURNEYS
        )
    assert "1 passed" in said, "the journeys were not run"
