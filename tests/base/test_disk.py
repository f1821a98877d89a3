"""How long a disk takes, whatever else the machine does meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bellwire.base import disk


def test_syncs_that_waited_for_a_processor_do_not_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    took = [0.001 if trial % 3 == 0 else 0.1 for trial in range(disk._TRIALS)]

    def clock() -> Iterator[float]:
        for each in took:
            yield 10.0
            yield 10.0 + each

    with monkeypatch.context() as patched:
        patched.setattr("bellwire.base.disk.time.perf_counter", clock().__next__)
        told = disk.sync_time(tmp_path)
    assert told == pytest.approx(0.001)


def test_a_folder_that_is_not_there_has_no_time(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        disk.sync_time(tmp_path / "nowhere")
