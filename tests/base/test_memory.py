"""A process that asks for it keeps the memory that it frees; elsewhere nothing changes."""

import ctypes
import gc
import subprocess
import sys

import pytest

from bellwire.base.memory import keep_freed_memory, settle_memory

PROGRAM = """
import sys
from pathlib import Path
from bellwire.base.memory import keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "keep":
    keep_freed_memory()
before = resident()
block = bytearray(100_000_000)
block[:] = bytes(1) * len(block)
del block
print(resident() - before)
"""


def left(how: str) -> int:
    """Bytes that stay resident after a hundred million were freed."""
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True
    )
    return int(found.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library")
def test_what_is_freed_is_kept_where_it_is_asked_for() -> None:
    assert left("give back") < 10_000_000
    assert left("keep") > 90_000_000


def test_where_there_is_no_such_allocator_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> object:
        return object()

    monkeypatch.setattr(ctypes, "CDLL", none)
    keep_freed_memory()


def test_what_lives_is_looked_at_no_more_and_what_comes_later_is() -> None:
    before = gc.get_freeze_count()
    try:
        settle_memory()
        assert gc.get_freeze_count() > before
        later: list[object] = [[]]
        assert any(each is later for each in gc.get_objects())
    finally:
        gc.unfreeze()
