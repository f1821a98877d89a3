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
from tests.keys.stores import (
    PREPLACED,
    add_pending,
    add_ready,
    crash_copy,
    new_store,
    open_store,
    record,
    secret,
)

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.keys import database
from bellwire.keys import store as sqlite as store_module
from bellwire.keys.errors import StoreError
from bellwire.keys.model import ContactMethod, FirstContact, KeyId
from bellwire.keys.store import KeyStore

BITS = 4096


class Crash(BaseException):
    """The process ends here, as far as the store can tell."""


class Faults:
    """Raises `error` at the n-th statement: before it runs, or after it has."""

    def __init__(self, at: int, error: BaseException, *, after: bool) -> None:
        self.left = at
        self.error = error
        self.after = after
        self.hit = False

    def run(self, statement: Callable[[], Any]) -> Any:
        self.left -= 1
        if self.left == 0:
            self.hit = True
            if self.after:
                statement()
            raise self.error
        return statement()


class Armed:
    """The faults in force, if any; one for the module, as connections are made by the product."""

    faults: Faults | None = None


class FaultyCursor(sqlite3.Cursor):
    def execute(self, *args: Any) -> Any:
        run = super().execute
        return Armed.faults.run(lambda: run(*args)) if Armed.faults else run(*args)

    def executemany(self, *args: Any) -> Any:
        run = super().executemany
        return Armed.faults.run(lambda: run(*args)) if Armed.faults else run(*args)


class FaultyConnection(sqlite3.Connection):
    def cursor(self, *_: Any) -> Any:
        return FaultyCursor(self)


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


STEPS: dict[str, tuple[Callable[[Path], KeyStore], Callable[[KeyStore], object]]] = {
    "install": (empty, lambda store: store.install_preplaced(PREPLACED)),
    "replace": (agreed, lambda store: store.install_preplaced(PREPLACED, LATER, instead_of=SIGNED)),
    "burn": (placed, lambda store: store.burn(1)),
    "put_pending": (burnt, lambda store: store.put_pending(record(1, BITS), secret(1, BITS))),
    "mark_ready": (with_pending, lambda store: store.mark_ready(1)),
    "discard": (with_pending, lambda store: store.discard(1)),
    "draw": (with_ready, lambda store: store.draw(512)),
    "fetch": (with_ready, lambda store: store.fetch(KeyId(1, 7, 512))),
}


def fingerprint(store: KeyStore) -> object:
    with store._database.transaction() as cursor:
        counts = tuple(
            cursor.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("pad_sets", "pending_bits", "units", "pages", "blocks")
        )
    return (
        store.first_contact(),
        store.has_preplaced() and store.authentication_keys().mac_key.reveal(),
        store.last_block(),
        store.pending(),
        store.state(1),
        store.stock_bits(Side.ALICE),
        store.stock_bits(Side.BOB),
        counts,
    )


def reopened(folder: Path) -> object:
    store = open_store(folder)
    try:
        return fingerprint(store)
    finally:
        store.close()


PAGED = ("mark_ready", "draw", "fetch")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), Crash()])
@pytest.mark.parametrize("step", PAGED)
def test_a_fault_at_any_statement_of_a_block_in_pages_leaves_before_or_after(
    folder: Path, step: str, error: BaseException, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PAGE_BYTES", 5 * 32)
    test_a_fault_at_any_statement_leaves_before_or_after(folder, step, error, after)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), Crash()])
@pytest.mark.parametrize("step", STEPS)
def test_a_fault_at_any_statement_leaves_before_or_after(
    folder: Path, step: str, error: BaseException, after: bool
) -> None:
    prepare, act = STEPS[step]
    start = folder / "start"
    prepare(start).close()
    whole = crash_copy(start, folder / "whole")
    store = open_store(whole)
    act(store)
    store.close()
    allowed = [reopened(start), reopened(whole)]
    assert allowed[0] != allowed[1]
    seen = []
    for at in range(1, 100):
        place = crash_copy(start, folder / f"at{at}")
        store = open_store(place)
        Armed.faults = Faults(at, error, after=after)
        expected = StoreError if isinstance(error, sqlite3.Error) else Crash
        try:
            act(store)
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
    # Only a commit that ran before it failed can leave "after".
    assert seen.count(allowed[1]) == int(after)


def test_a_failed_commit_closes_the_store_and_another_fault_does_not(folder: Path) -> None:
    store = with_ready(folder)
    Armed.faults = Faults(1, sqlite3.OperationalError("no begin"), after=False)
    with pytest.raises(StoreError, match="no begin"):
        store.draw(256)
    Armed.faults = None
    assert store.draw(256).key_id == KeyId(1, 0, 256)
    Armed.faults = Faults(3, sqlite3.OperationalError("no commit"), after=False)
    with pytest.raises(StoreError, match="no commit"):
        store.last_block()
    Armed.faults = None
    with pytest.raises(StoreError, match="is closed"):
        store.draw(256)
    again = open_store(folder)
    assert again.draw(256).key_id == KeyId(1, 1, 256)
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
    failing = database.Database(connection, database_path)
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
from tests.keys.stores import open_store
store = open_store(Path(sys.argv[1]))
while True:
    print(store.draw(256).key_id, flush=True)
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
            left += [line for line in rest if len(line) == 36]
    store = open_store(folder)
    left.append(str(store.draw(256).key_id))
    store.close()
    assert len(left) >= 49
    assert len(set(left)) == len(left)
