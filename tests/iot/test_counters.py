import os
from pathlib import Path

import pytest

from bellwire.base.private import PathExposed, PathUnusable
from bellwire.iot import counters
from bellwire.iot.counters import LATEST_NS, CallCounter, SeenCounters

ONE, OTHER = b"1" * 32, b"2" * 32


def test_numbers_rise_whatever_the_clock_does(tmp_path: Path) -> None:
    times = iter([100, 100, 50, 10_000, 0, 2**64])
    counter = CallCounter(tmp_path / "handshakes", clock_ns=lambda: next(times))
    assert [counter.take() for _ in range(6)] == [100, 101, 102, 10_000, 10_001, LATEST_NS]
    again = CallCounter(tmp_path / "handshakes", clock_ns=lambda: 0)
    assert again.take() == LATEST_NS + 1


def test_a_number_is_kept_before_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "handshakes"
    assert CallCounter(path, clock_ns=lambda: 7).take() == 7
    assert int.from_bytes(path.read_bytes(), "big") == 7
    with pytest.raises(PathUnusable):
        CallCounter(tmp_path / "missing" / "handshakes").take()


def test_a_spoilt_file_of_a_device_falls_back_on_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "handshakes"
    path.write_bytes(b"xyz")
    path.chmod(0o600)
    assert CallCounter(path, clock_ns=lambda: 9).take() == 9
    path.chmod(0o644)
    with pytest.raises(PathExposed):
        CallCounter(path).take()


def test_two_of_one_folder_give_no_number_twice(tmp_path: Path) -> None:
    one, other = (CallCounter(tmp_path / "handshakes", clock_ns=lambda: 1) for _ in range(2))
    assert [one.take(), other.take(), one.take(), one.take(), other.take()] == [1, 2, 3, 4, 5]


def test_confirmed_numbers_only_rise_and_are_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "cloud" / "handshakes"
    seen = SeenCounters(path)
    assert seen.last(ONE) == 0
    for number in (5, 3, 9):
        seen.confirm(ONE, number)
    seen.confirm(OTHER, 2**64 - 1)
    seen.close()
    seen.close()
    for _ in range(2):
        seen = SeenCounters(path)
        assert (seen.last(ONE), seen.last(OTHER)) == (9, 2**64 - 1)
        seen.close()
    assert path.stat().st_size == 2 * 44


@pytest.mark.parametrize("cut", range(45))
def test_an_entry_that_a_crash_spoilt_is_left_out(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "handshakes"
    seen = SeenCounters(path)
    seen.confirm(ONE, 5)
    seen.confirm(OTHER, 6)
    seen.close()
    path.write_bytes(path.read_bytes()[: 88 - cut])
    seen = SeenCounters(path)
    assert (seen.last(ONE), seen.last(OTHER)) == (
        5 if cut < 45 and cut <= 44 else 0,
        6 * (cut == 0),
    )
    seen.confirm(OTHER, 7)
    seen.close()
    assert SeenCounters(path).last(OTHER) == 7


def test_the_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "SPARE_ENTRIES", 10)
    seen = SeenCounters(tmp_path / "handshakes")
    for number in range(1, 200):
        seen.confirm(ONE, number)
        assert (tmp_path / "handshakes").stat().st_size <= 14 * 44
    assert SeenCounters(tmp_path / "handshakes").last(ONE) == 199


def test_a_disk_that_takes_no_more_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = SeenCounters(tmp_path / "handshakes")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(PathUnusable, match="No space"):
        seen.confirm(ONE, 5)
    assert seen.last(ONE) == 5
