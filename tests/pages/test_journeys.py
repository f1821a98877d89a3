"""The console's pages in a real browser, all services behind them; steps: `console/journeys`."""

import sys
from pathlib import Path

import pytest
from tests.pages.services import CORRESPONDENT, DEVICE, operators_links
from tools import console_build

from bellwire.ledger.policy import parse_policy
from bellwire.ledger.receipt import parse_receipt, verify_receipt
from bellwire.ledger.tree import leaf_hash


def test_every_journey_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = console_build.need_node()
    console_build.build(node, all_packages=True)
    with operators_links(tmp_path) as (link, other):
        monkeypatch.setenv("LINK", link)
        monkeypatch.setenv("OTHER_LINK", other)
        monkeypatch.setenv("SAID", str(tmp_path / "said"))
        monkeypatch.setenv("RECEIPT", str(tmp_path / "receipt"))
        monkeypatch.setenv("TALKER", "\n".join([sys.executable, "-m", "tests.pages.talker"]))
        monkeypatch.setenv("DEVICE", "\n".join([*DEVICE, str(tmp_path / "s")]))
        monkeypatch.setenv("CORRESPONDENT", "\n".join([*CORRESPONDENT, str(tmp_path / "s")]))
        said = console_build.run(
            node, console_build.VITEST, "run", "--config", console_build.JOURNEYS
        )
    assert "2 passed" in said, "the journeys were not run"
    receipt = parse_receipt((tmp_path / "receipt").read_bytes())
    policy = parse_policy((tmp_path / "s" / "ledger.policy").read_bytes())
    verify_receipt(receipt, leaf_hash(receipt.extra or b""), policy)
