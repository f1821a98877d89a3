"""Faults: an error or a crash at every SQL statement, and kills, leave before or after."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keys.faults import Armed, Crash, Faults, FaultyConnection
from tests.keys.stores import (
    PREPLACED,
    add_pending,
    add_ready,
    crash_copy,
    leave,
    new_store,
    open_store,
    pool_of,
    record,
    secret,
    serve,
    take,
)

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.keys.database import sqlite as database
from bellwire.keys.errors import StoreError
from bellwire.keys.grants import Grants
from bellwire.keys.history import Granted, History
from bellwire.keys.key_ids import KeyIds
from bellwire.keys.kme import Delivery
from bellwire.keys.model import ContactMethod, FirstContact
from bellwire.keys.pool import Pool
from bellwire.keys.requests import Fetch, Leave, Make, Request, Take
from bellwire.keys.reserve import AuthenticationKeys
from bellwire.keys.store import KeyStore

Act = Callable[[], object]

BITS = 4096
"""24 units a side; Bob's begin at 24."""

MAC_KEY = AuthenticationKeys.from_bytes(PREPLACED.reveal()).mac_key


@pytest.fixture(autouse=True)
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    Armed.faults = None
    monkeypatch.setattr(
        database,
        "connect",
        lambda path: sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=FaultyConnection
        ),
    )
    yield
    Armed.faults = None


def empty(folder: Path) -> KeyStore:
    return open_store(folder)


def placed(folder: Path) -> KeyStore:
    return new_store(folder)


SOME = History(3, [Granted(True, 1, "master", ("slave",), 5, 640)])
SIGNED = FirstContact(ContactMethod.SIGNED, bytes(32), b"first")
LATER = FirstContact(ContactMethod.SIGNED, bytes(32), b"later")


def agreed(folder: Path) -> KeyStore:
    store = empty(folder)
    store.install_preplaced(Secret(PREPLACED.reveal()[::-1]), SIGNED)
    return store


def burnt(folder: Path) -> KeyStore:
    store = placed(folder)
    store.burn(1)
    return store


def with_pending(folder: Path) -> KeyStore:
    store = placed(folder)
    add_pending(store, 1, BITS)
    return store


def with_ready(folder: Path) -> KeyStore:
    store = placed(folder)
    add_ready(store, 1, BITS)
    return store


def with_grant(folder: Path) -> KeyStore:
    store = with_ready(folder)
    grants = store.grants()
    grants.load()
    grants.propose("master", ("slave",))
    return store


def with_copy(folder: Path) -> KeyStore:
    store = with_ready(folder)
    serve(pool_of(store), Make(1, 64, "master", ("one", "two")))
    return store


def with_age(folder: Path) -> KeyStore:
    store = with_ready(folder)
    pool_of(store).exchange.take_report(1, [(24, 30)], 100.0)
    return store


def with_marks(folder: Path) -> KeyStore:
    store = with_ready(folder)
    pool = pool_of(store)
    take(pool, 64)
    leave(pool, bobs(26, 8))
    return store


def with_history(folder: Path) -> KeyStore:
    store = with_marks(folder)
    pool_of(store).exchange.take_report(1, [(24, 30)], 100.0)
    leave(pool_of(store), bobs(30, 8), ("one", "two"))
    pool_of(store)
    return store


def bobs(first: int, length: int, epoch: int = 0) -> bytes:
    """An id of Bob's."""
    return KeyIds(MAC_KEY, Side.BOB, epoch).make([first], length, 0)


def fetch_copy(store: KeyStore) -> Act:
    with store._database.transaction() as cursor:
        (key_id,) = cursor.execute("SELECT id FROM copies").fetchone()
    pool = pool_of(store)
    return lambda: serve(pool, Fetch(key_id, "one", "master"))


def all_of(store: KeyStore) -> Act:
    # One of each kind in one group: they share a commit, and so all leave or none does.
    pool = pool_of(store)
    _, (place,) = pool.read_ids(Side.BOB, bobs(24, 16))
    assert place is not None
    group: list[Request] = [
        Take(0, 2, 64),
        Take(0, 1, 128, "master", ("one",)),
        Make(1, 64, "master", ("one",)),
        Leave(bobs(24, 16), [place], "", [("",)]),
    ]

    def act() -> None:
        assert all(isinstance(outcome, Delivery) for outcome in pool.commit(group, 1000.0))

    return act


def with_pool(act: Callable[[Pool], object]) -> Callable[[KeyStore], Act]:
    def start(store: KeyStore) -> Act:
        pool = pool_of(store)
        return lambda: act(pool)

    return start


def with_grants(act: Callable[[Grants], object]) -> Callable[[KeyStore], Act]:
    def start(store: KeyStore) -> Act:
        grants = store.grants()
        grants.load()
        return lambda: act(grants)

    return start


def plain(act: Callable[[KeyStore], object]) -> Callable[[KeyStore], Act]:
    return lambda store: lambda: act(store)


STEPS: dict[str, tuple[Callable[[Path], KeyStore], Callable[[KeyStore], Act]]] = {
    "install": (empty, plain(lambda store: store.install_preplaced(PREPLACED))),
    "replace": (
        agreed,
        plain(lambda store: store.install_preplaced(PREPLACED, LATER, instead_of=SIGNED)),
    ),
    "burn": (placed, plain(lambda store: store.burn(1))),
    "put_pending": (
        burnt,
        plain(lambda store: store.put_pending(record(1, BITS), secret(1, BITS))),
    ),
    "mark_ready": (with_pending, plain(lambda store: store.mark_ready(1))),
    "discard": (with_pending, plain(lambda store: store.discard(1))),
    "take": (with_ready, with_pool(lambda pool: take(pool, 512))),
    "take all": (with_ready, with_pool(lambda pool: take(pool, 64, 24))),
    "leave": (with_ready, with_pool(lambda pool: leave(pool, bobs(25, 64)))),
    "leave to one": (with_ready, with_pool(lambda pool: leave(pool, bobs(25, 64), ("a", "b")))),
    "fetch": (with_copy, fetch_copy),
    "group": (with_ready, all_of),
    "report": (with_ready, with_pool(lambda pool: pool.exchange.take_report(3, [(24, 26)], 1.0))),
    "expire": (with_age, with_pool(lambda pool: pool.expire(200.0))),
    "clean": (with_marks, plain(lambda store: store.pool().load(MAC_KEY))),
    "fence": (with_history, with_pool(lambda pool: pool.fence(1, 9))),
    "void": (with_history, plain(lambda store: store.void())),
    "take history": (placed, plain(lambda store: store.take_history(SOME))),
    "accept": (with_ready, with_grants(lambda grants: grants.accept(7, "master", ("slave",)))),
    "propose": (with_ready, with_grants(lambda grants: grants.propose("master", ("slave",)))),
    "agree": (with_grant, with_grants(lambda grants: grants.agree(1))),
}


def fingerprint(store: KeyStore) -> object:
    with store._database.transaction() as cursor:
        rows = tuple(
            tuple(cursor.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall())
            for table, columns in (
                ("pad_sets", "number, 0"),
                ("pending_bits", "block, 0"),
                ("segments", "first, 0"),
                ("marks", "*"),
                ("issued", "*"),
                ("handed", "*"),
                ("grants", "*"),
                ("copies", "slaves, waiting"),
                ("store", "last_block, last_set, epoch, next_unit, sequence, peer_sequence"),
            )
        )
    return (
        store.first_contact(),
        store.has_preplaced() and store.authentication_keys().mac_key.reveal(),
        store.pending(),
        store.state(1),
        rows,
    )


def reopened(folder: Path) -> object:
    store = open_store(folder)
    try:
        return fingerprint(store)
    finally:
        store.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), Crash()])
@pytest.mark.parametrize("step", STEPS)
def test_a_fault_at_any_statement_leaves_before_or_after(
    folder: Path, step: str, error: BaseException, after: bool
) -> None:
    prepare, begin = STEPS[step]
    start = folder / "start"
    prepare(start).close()
    whole = crash_copy(start, folder / "whole")
    store = open_store(whole)
    begin(store)()
    store.close()
    allowed = [reopened(start), reopened(whole)]
    assert allowed[0] != allowed[1]
    seen = []
    for at in range(1, 100):
        place = crash_copy(start, folder / f"at{at}")
        store = open_store(place)
        act = begin(store)
        Armed.faults = Faults(at, error, after=after)
        expected = StoreError if isinstance(error, sqlite3.Error) else Crash
        try:
            act()
        except expected:
            assert Armed.faults.hit
        hit, Armed.faults = Armed.faults.hit, None
        if not hit:
            assert at > 3
            break
        # What a kill right here would leave, and what an orderly end leaves.
        killed = crash_copy(place, folder / f"killed{at}")
        seen.append(reopened(killed))
        store._database.close()
        assert reopened(place) == seen[-1]
        shutil.rmtree(place)
        shutil.rmtree(killed)
    else:
        pytest.fail("the step never ran without a fault")
    assert all(found in allowed for found in seen)
    # Only a commit that ran before it failed can leave "after", and what comes behind it.
    assert seen == sorted(seen, key=allowed.index)
    assert seen.count(allowed[1]) >= int(after)
    assert step in {"fence", "void"} or seen.count(allowed[1]) == int(after)


def test_a_failed_commit_closes_the_store_and_another_fault_does_not(folder: Path) -> None:
    store = with_ready(folder)
    pool = pool_of(store)
    Armed.faults = Faults(1, sqlite3.OperationalError("no begin"), after=False)
    with pytest.raises(StoreError, match="no begin"):
        take(pool)
    Armed.faults = None
    first = take(pool)
    assert first.keys.reveal() == secret(1, BITS).reveal()[128:160]
    Armed.faults = Faults(3, sqlite3.OperationalError("no commit"), after=False)
    with pytest.raises(StoreError, match="no commit"):
        store.last_block()
    Armed.faults = None
    with pytest.raises(StoreError, match="is closed"):
        take(pool)
    again = open_store(folder)
    assert take(pool_of(again)).keys.reveal() == secret(1, BITS).reveal()[160:192]
    again.close()


def test_a_rollback_that_fails_closes_the_store(folder: Path) -> None:
    store = with_ready(folder)

    class NoRollback(FaultyConnection):
        def execute(self, *args: Any) -> Any:
            if args[0] == "ROLLBACK":
                raise sqlite3.OperationalError("no rollback")
            return super().execute(*args)

    store.close()
    database_path = folder / "alice" / "keys.db"
    connection = sqlite3.connect(database_path, isolation_level=None, factory=NoRollback)
    failing = database.SqliteDatabase(connection, database_path)
    with pytest.raises(StoreError, match="no rollback"), failing.transaction() as cursor:
        cursor.execute("SELECT * FROM nothing_of_this_name")
    with pytest.raises(StoreError, match="is closed"), failing.transaction():
        pass


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, "StoreBusy"),
        (sqlite3.SQLITE_CORRUPT, "StoreCorrupt"),
        (sqlite3.SQLITE_READONLY, "StoreUnusable"),
        (sqlite3.SQLITE_FULL, "StoreError"),
    ],
)
def test_what_sqlite_says_becomes_a_documented_error(folder: Path, code: int, kind: str) -> None:
    store = placed(folder)
    error = sqlite3.OperationalError("as SQLite puts it")
    error.sqlite_errorcode = code
    Armed.faults = Faults(2, error, after=False)
    with pytest.raises(StoreError) as caught:
        store.last_block()
    Armed.faults = None
    assert type(caught.value).__name__ == kind
    store.close()


CHILD = """
import sys
from pathlib import Path
from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from tests.keys.stores import open_store, pool_of, take
pool = pool_of(open_store(Path(sys.argv[1])))
while True:
    print(take(pool).ids.hex(), flush=True)
"""


def test_a_killed_process_never_lets_a_key_leave_twice(folder: Path) -> None:
    store = placed(folder)
    add_ready(store, 1, 512 * 4096)
    store.close()
    left: list[str] = []
    for kill_after in (1, 7, 40):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f".{os.pathsep}src"},
        ) as child:
            assert child.stdout is not None
            for _ in range(kill_after):
                left.append(child.stdout.readline().strip())
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().split("\n")
            left += [line for line in rest if len(line) == 32]
    store = open_store(folder)
    left.append(take(pool_of(store)).ids.hex())
    store.close()
    assert len(left) >= 49
    assert len(set(left)) == len(left)
