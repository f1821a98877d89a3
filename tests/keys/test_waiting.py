"""Keys that wait: each slave gets each once, whatever fails and whenever, none before its disk."""

import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.keys import disk
from tests.keys.faults import Armed, Crash, Faults, FaultyConnection
from tests.keys.stores import crash_copy, open_store, place, some_bytes

from bellwire.base.detections import Side
from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.keys.database import sqlite as database
from bellwire.keys.errors import KeyGone, KeyNotGranted, StoreError
from bellwire.keys.store import KeyStore
from bellwire.keys.waiting import Waiting, each_id

NOW = 1000.0
SLAVES = ("one", "two")


def ids(first: int, count: int) -> bytes:
    return b"".join(number.to_bytes(16) for number in range(first, first + count))


def key_of(name: bytes) -> bytes:
    return some_bytes(32, int.from_bytes(name))


def keep(waiting: Waiting, names: bytes, slaves: tuple[str, ...] = SLAVES) -> None:
    keys = Secret(b"".join(map(key_of, each_id(names))))
    waiting.keep(names, keys, "master", slaves, NOW)


@pytest.fixture
def waiting(folder: Path) -> Iterator[Waiting]:
    store = open_store(folder)
    yield store.waiting()
    store.close()


def test_each_slave_gets_a_key_once_in_the_order_asked(waiting: Waiting) -> None:
    keep(waiting, ids(1, 3))
    assert waiting.of_slaves() == {"one": 3, "two": 3}
    for slave in SLAVES:
        got = waiting.hand_out(ids(3, 1) + ids(1, 1), slave, "master")
        assert got.keys.reveal() == key_of(ids(3, 1)) + key_of(ids(1, 1))
        assert (got.bits, got.lengths) == (256, None)
        with pytest.raises(KeyGone):
            waiting.hand_out(ids(1, 2), slave, "master")
    assert len(waiting) == 1
    assert waiting.of_slaves() == {"one": 1, "two": 1}


def test_a_request_gets_all_of_its_keys_or_none(waiting: Waiting) -> None:
    keep(waiting, ids(1, 2))
    keep(waiting, ids(5, 1), ("two",))
    for names, slave, master, error in (
        (ids(1, 3), "one", "master", KeyGone),
        (ids(1, 1) * 2, "one", "master", KeyGone),
        (ids(1, 2), "one", "another", KeyGone),
        (ids(1, 2), "three", "master", KeyNotGranted),
        (ids(9, 1) + ids(5, 1), "one", "master", KeyNotGranted),
    ):
        with pytest.raises(error):
            waiting.hand_out(names, slave, master)
    assert waiting.of_slaves() == {"one": 2, "two": 3}
    keys = Secret(bytes(8))
    waiting.keep(ids(7, 1), keys, "master", ("one",), NOW)
    got = waiting.hand_out(ids(7, 1) + ids(1, 1), "one", "master")
    assert (got.bits, got.lengths) == (None, (8, 32))


def test_an_id_that_is_taken_stays_what_it_is(waiting: Waiting) -> None:
    keep(waiting, ids(1, 2))
    with pytest.raises(StoreError, match="taken"):
        waiting.keep(ids(2, 2), Secret(bytes(64)), "another", ("one",), NOW)
    assert len(waiting) == 2
    assert waiting.hand_out(ids(2, 1), "one", "master").keys.reveal() == key_of(ids(2, 1))
    with pytest.raises(KeyGone):
        waiting.hand_out(ids(3, 1), "one", "another")


def test_more_than_may_wait_is_refused(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellwire.keys.waiting.MAX_WAITING", 3)
    keep(waiting, ids(1, 2))
    with pytest.raises(StoreError, match="at most 3"):
        keep(waiting, ids(3, 2))
    keep(waiting, ids(3, 1))


def test_what_nobody_fetched_in_time_is_erased(waiting: Waiting) -> None:
    keep(waiting, ids(1, 2))
    assert waiting.expire(NOW) == 0
    assert waiting.expire(NOW + 1) == 2
    assert len(waiting) == 0
    with pytest.raises(KeyGone):
        waiting.hand_out(ids(1, 1), "one", "master")


def test_nothing_of_a_key_is_in_the_files_before_or_after_it_left(folder: Path) -> None:
    store = open_store(folder)
    waiting = store.waiting()
    keep(waiting, ids(1, 1), ("one",))
    sealed = sealed_values(folder)
    assert len(sealed) == 1
    waiting.hand_out(ids(1, 1), "one", "master")
    waiting.clean()
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert key_of(ids(1, 1)) not in content
    assert sealed[0] not in content
    store.close()


def sealed_values(folder: Path) -> list[bytes]:
    copy = crash_copy(folder, folder / "copy")
    with sqlite3.connect(place(copy, Side.ALICE)) as found:  # type: ignore[arg-type]
        values = [row[0] for row in found.execute("SELECT sealed FROM copies")]
    found.close()
    for path in sorted(copy.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    copy.rmdir()
    return values


def faulty(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, factory=FaultyConnection
    )


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), Crash()])
@pytest.mark.parametrize("act", ["keep", "hand out", "expire"])
def test_a_fault_at_any_statement_leaves_before_or_after(
    folder: Path, monkeypatch: pytest.MonkeyPatch, act: str, error: BaseException, after: bool
) -> None:
    monkeypatch.setattr(database, "connect", faulty)
    statement = 0
    hit = True
    while hit:
        statement += 1
        here = folder / f"{statement}"
        here.mkdir(mode=0o700)
        store = open_store(here)
        waiting = store.waiting()
        keep(waiting, ids(1, 2))
        before = held(waiting)
        Armed.faults = Faults(statement, error, after=after)
        try:
            run(waiting, act)
        except (BellwireError, Crash):
            pass
        finally:
            hit = Armed.faults.hit
            Armed.faults = None
        there = crash_copy(here, folder / f"{statement}-crashed")
        store.close()
        again = open_store(there)
        found = held(again.waiting())
        again.close()
        done = before | {"keep": {3: SLAVES, 4: SLAVES}}.get(act, {})
        done = {1: ("two",), 2: ("two",)} if act == "hand out" else done
        assert found in (before, {} if act == "expire" else done)
    assert statement > 3


def run(waiting: Waiting, act: str) -> None:
    if act == "keep":
        keep(waiting, ids(3, 2))
    elif act == "hand out":
        waiting.hand_out(ids(1, 2), "one", "master")
    else:
        waiting.expire(NOW + 1)


def held(waiting: Waiting) -> dict[int, tuple[str, ...]]:
    with waiting._database.transaction() as cursor:
        rows = cursor.execute("SELECT id, waiting FROM copies ORDER BY id").fetchall()
    assert len(rows) == len(waiting)
    return {int.from_bytes(name): tuple(json.loads(slaves)) for name, slaves in rows}


@pytest.mark.parametrize("seed", range(6))
def test_no_slave_gets_a_key_twice_over_power_cuts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """What was promised is there after any cut: keys kept, and marks of keys handed out."""
    monkeypatch.setattr(database, "connect", lambda path: disk.connect(path, FaultyConnection))
    disk.DISK.files.clear()
    chance = random.Random(seed)
    here = folder / "0"
    here.mkdir(mode=0o700)
    store = open_store(here)
    waiting = store.waiting()
    kept: set[int] = set()
    handed: set[tuple[int, str]] = set()
    number = 1
    for life in range(1, 5):
        for _ in range(12):
            if chance.random() < 0.4 or not kept:
                keep(waiting, ids(number, 2))
                kept |= {number, number + 1}
                number += 2
            elif chance.random() < 0.8:
                name, slave = chance.choice(sorted(kept)), chance.choice(SLAVES)
                try:
                    got = waiting.hand_out(ids(name, 1), slave, "master")
                except KeyGone:
                    assert (name, slave) in handed, "a key that was kept is lost"
                else:
                    assert (name, slave) not in handed, "a slave got a key twice"
                    assert got.keys.reveal() == key_of(ids(name, 1))
                    handed.add((name, slave))
            else:
                waiting.clean()
        there = folder / f"{life}"
        cut(here, there, chance)
        store.close()
        here, store = there, open_store(there)
        waiting = store.waiting()
    store.close()
    assert len(handed) > 10


def cut(here: Path, there: Path, chance: random.Random) -> None:
    """Copy the store as a power cut at this moment leaves it."""
    for path in [each for each in here.rglob("*") if each.is_file()]:
        target = there / path.relative_to(here)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = str(path) in disk.DISK.files
        target.touch(mode=0o600)
        target.write_bytes(disk.DISK.after_power_cut(path, chance) if known else path.read_bytes())


def test_two_stores_derive_different_keys(folder: Path) -> None:
    derived = []
    for name in "ab":
        (folder / name).mkdir(mode=0o700)
        store: KeyStore = open_store(folder / name)
        derived += [store.derive("ids").reveal(), store.derive("others").reveal()]
        assert store.derive("ids").reveal() == derived[-2]
        box = store.box("file")
        assert box.open(0, box.seal(0, b"kept")) == b"kept"
        store.close()
    assert len(set(derived)) == 4
