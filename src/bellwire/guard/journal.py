"""What was done at a guard, and by whom: an append-only list in its folder.

What always holds: an entry that was added is on the disk, or `add` has raised. Entries are never
altered, have numbers that only grow and are never used again, and an id that is the entry's own;
the oldest go when there are more than `MAX_ENTRIES`, and the numbers show it. Several processes may
write at once. Where a log is told, what it is to have waits beside the list, put in the same
transaction, and goes when the log has it (`ledger.outbox`).
"""

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
import structlog

from bellwire.base.clock import Clock
from bellwire.base.errors import BellwireError
from bellwire.base.private import own_file, own_folder
from bellwire.database.cursor import Cursor
from bellwire.guard.errors import JournalUnusable
from bellwire.guard.recording import Recording
from bellwire.guard.state import Packets
from bellwire.ledger.outbox import outbox

MAX_ENTRIES: Final = 10_000
MAX_TEXT: Final = 600
GUARD: Final = "guard"
_FILE: Final = "journal.db"
_WAIT_S: Final = 5.0
_MOST_WAITING: Final = 1000
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    why TEXT NOT NULL,
    until REAL
);
CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never altered'); END;
"""

log = structlog.get_logger("guard")

What = Literal[
    "override pass", "override stop", "override none",
    "begin", "end", "pass", "stop", "restore", "move",
]  # fmt: skip
"""An operator's override; or a guard that begins, ends, lets packets pass or stops them, puts its
rules back, or follows its relay."""


_DECIDED: Final[dict[str, Packets | None]] = {"pass": "pass", "stop": "stop", "none": None}
_LEFT: Final[dict[str, Packets]] = {"begin": "stop", "pass": "pass", "stop": "stop", "end": "stop"}
"""Whether packets pass after what was done, where that says it."""

BY_OVERRIDE: Final = "an operator's override"
"""Begins the reason of what an override brings about; the operator's own words follow."""

NO_RULES: Final = "the rules are gone"
"""Why, of an end after which packets pass."""


class Entry(msgspec.Struct, frozen=True):
    """One thing that was done.

    Attributes:
        number: In this list, from 1 on.
        id: The entry's own, 32 hexadecimal digits at random.
        at: When, seconds since the epoch.
        who: An operator's account on this machine, or `guard`.
        what: Was done.
        why: In words.
        until: Of an override, seconds since the epoch.
    """

    number: int
    id: str
    at: float
    who: str
    what: str
    why: str
    until: float | None


class Journal:
    """The list of one guard.

    Args:
        folder: The guard's own.
        recording: Makes entries for a log; None where no log is told.

    Raises:
        JournalUnusable: the list cannot be read or written.
        PathUnusable, PathExposed: the folder cannot be used.
    """

    def __init__(self, folder: Path, recording: Recording | None = None) -> None:
        self._recording = recording
        own_folder(folder)
        self._file = folder / _FILE
        own_file(self._file)
        with self._opened() as database:
            database.executescript(_TABLE)
            for statement in outbox.SCHEMA:
                database.execute(statement)

    def add(self, who: str, what: What, why: str, *, at: float, until: float | None = None) -> None:
        """Add an entry; it is on the disk when this returns. Times are seconds since the epoch.

        Raises:
            JournalUnusable: it is not.
        """
        entry = (uuid.uuid4().hex, at, who[:MAX_TEXT], what, why[:MAX_TEXT], until)
        with self._opened() as database:
            added = database.execute(
                "INSERT INTO entries (id, at, who, what, why, until) VALUES (?, ?, ?, ?, ?, ?)",
                entry,
            )
            last = added.lastrowid or 0
            if self._recording is not None:
                with contextlib.closing(database.cursor()) as cursor:
                    _record(cursor, self._recording, entry)
            database.execute("DELETE FROM entries WHERE number <= ?", (last - MAX_ENTRIES,))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """For whoever brings what waits for the log.

        Raises:
            JournalUnusable: it cannot be read or written.
        """
        with self._opened() as database, contextlib.closing(database.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            yield cursor

    def told_to_log(self) -> outbox.OutboxState | None:
        """What waits for the log; None where no log is told.

        Raises:
            JournalUnusable: it cannot be read.
        """
        if self._recording is None:
            return None
        with self.transaction() as cursor:
            return outbox.read_state(cursor)

    def after(self, number: int, limit: int) -> list[Entry]:
        """Up to so many entries after this number, in their order.

        Raises:
            JournalUnusable: they cannot be read.
        """
        return self._read("WHERE number > ? ORDER BY number LIMIT ?", number, limit)

    def last(self, limit: int) -> list[Entry]:
        """The newest entries, in their order.

        Raises:
            JournalUnusable: they cannot be read.
        """
        return self._read("ORDER BY number DESC LIMIT ?", limit)[::-1]

    def _read(self, which: str, *values: int) -> list[Entry]:
        with self._opened() as database:
            rows = database.execute(
                f"SELECT number, id, at, who, what, why, until FROM entries {which}",  # noqa: S608 - a literal of this file
                values,
            )
            return [Entry(*row) for row in rows]

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(self._file, timeout=_WAIT_S)) as database:
                database.execute("PRAGMA synchronous = FULL")
                with database:
                    yield database
        except sqlite3.Error as error:
            raise JournalUnusable(f"the guard's journal {self._file}: {error}") from error


_Row: TypeAlias = tuple[str, float, str, str, str, float | None]


def _record(cursor: Cursor, recording: Recording, row: _Row) -> None:
    """Let a log hear of an entry that was just added."""
    _, at, who, what, why, until = row
    if what.startswith("override "):
        packets = _DECIDED[what.removeprefix("override ")]
        recording.overridden(cursor, who, packets, why, at=at, until=until)
    elif what in _LEFT:
        packets = "pass" if why == NO_RULES else _LEFT[what]
        # What a person typed, and where a relay is, are for this machine's eyes.
        reason = BY_OVERRIDE if why.startswith(BY_OVERRIDE) else why
        recording.acted(cursor, packets, reason, at=at)
    else:  # it changed nothing of whether packets pass
        last = cursor.execute(
            "SELECT what FROM entries WHERE what IN ('begin', 'pass', 'stop') "
            "ORDER BY number DESC LIMIT 1"
        ).fetchone()
        reason = why.partition(":")[0]
        recording.acted(cursor, "stop" if last is None else _LEFT[last[0]], reason, at=at)


class Recorder:
    """Adds what a guard does, in a thread of its own: a disk that is slow or fails delays no cut.

    Args:
        folder: The guard's own.
        clock: Seconds since the epoch.
        recording: Makes entries for a log; None where no log is told.
    """

    def __init__(self, folder: Path, clock: Clock, recording: Recording | None = None) -> None:
        self._folder, self._clock, self._recording = folder, clock, recording
        self._thread = ThreadPoolExecutor(1, "journal")
        self._waiting = 0

    def did(self, what: What, why: str) -> None:
        """The guard has done something; what cannot be added is logged."""
        if self._waiting >= _MOST_WAITING:
            log.warning("the guard's journal has a gap", error="its disk is too slow")
            return
        self._waiting += 1
        self._thread.submit(self._add, what, why, self._clock())

    def close(self) -> None:
        """Wait until all is added."""
        self._thread.shutdown()

    def _add(self, what: What, why: str, at: float) -> None:
        try:
            Journal(self._folder, self._recording).add(GUARD, what, why, at=at)
        except BellwireError as error:
            log.warning("the guard's journal has a gap", error=str(error))
        finally:
            self._waiting -= 1
