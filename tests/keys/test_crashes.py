"""No key twice, no bits twice, nothing before it is durable: whatever fails, and whenever."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.keys import disk
from tests.keys.faults import FaultyConnection
from tests.keys.ground import Files, Ground
from tests.keys.stores import IN_MEMORY
from tests.keys.story import SEEDED, check_seen, small_segments, tell_all

from bellwire.keys.database import sqlite as database

PRAGMAS = database._PRAGMAS

SEEDS = range(60)
LEAST = {
    "left to a master": 1000,
    "left to a slave": 300,
    "marked ahead": 300,
    "left from ahead": 50,
    "given back": 5,
    "refused": 100,
    "failed": 150,
    "put back": 20,
    "fenced": 20,
    "heard Give": 5,
    "heard Took": 5,
    "heard Propose": 50,
    "expired": 5,
    "blocks lost": 5,
}
"""What must have happened in all stories together."""


@pytest.fixture(autouse=True)
def small_and_forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small segments on a disk that forgets."""
    small_segments(monkeypatch)
    monkeypatch.setattr(database, "connect", lambda path: disk.connect(path, FaultyConnection))


@contextmanager
def files() -> Iterator[Ground]:
    disk.DISK.files.clear()
    with tempfile.TemporaryDirectory(prefix="bw", dir=IN_MEMORY) as name:
        yield Files(Path(name))


def test_no_key_is_ever_delivered_twice_whatever_fails() -> None:
    check_seen(tell_all(files, SEEDS), LEAST)


def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is not waited for."""
    pragmas = [pragma.replace("synchronous = FULL", "synchronous = OFF") for pragma in PRAGMAS]
    monkeypatch.setattr(database, "_PRAGMAS", pragmas)


@pytest.mark.parametrize("fault", [*SEEDED, no_sync])
def test_the_suite_finds_a_fault_that_is_put_in(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        tell_all(files, SEEDS)
