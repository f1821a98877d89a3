"""The examples of the pages on the lab run."""

from pathlib import Path

import pytest
from tests.docs.examples import Example, of_kind, run


@pytest.mark.parametrize("example", of_kind("lab"), ids=str)
def test_an_example_works(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(example, tmp_path, monkeypatch)
