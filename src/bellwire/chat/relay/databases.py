"""Where a relay keeps things: a file of SQLite for it alone, or a schema that several relays share.

Either is brought to our version by the same steps in its own SQL, and written in transactions that
are alone from beginning to end. The statements between are those that both read.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from bellwire.base.private import own_file
from bellwire.chat.errors import StoreCorrupt, StoreUnusable
from bellwire.database.cursor import Cursor
from bellwire.database.failures import Failures
from bellwire.database.layout import LaidOutSchema, Layout, lay_out
from bellwire.database.place import ServerPlace
from bellwire.database.postgres import Purpose

Place: TypeAlias = Path | ServerPlace
"""A relay's folder, or a schema on a PostgreSQL server."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
)


class Database(Protocol):
    """An open store; not for use by two threads at once."""

    def transaction(self) -> AbstractContextManager[Cursor]:
        """All of the body, durably, or nothing of it.

        Raises:
            StoreUnusable: the database failed. If that was at the end, all of it may be there.
        """

    def close(self) -> None:
        """Give it up; again is harmless."""


def open_database(place: Place, layout: Layout) -> Database:
    """Open a store, making one where there is none.

    Raises:
        StoreUnusable: it cannot be reached, read or written, or would not be durable.
        StoreCorrupt: it is none of ours, or of a later version.
        PathUnusable, PathExposed: the file cannot be used, or others may read it.
    """
    return SharedSchema(place, layout) if isinstance(place, ServerPlace) else File(place, layout)


class File:
    """A store in a folder, whose lock the caller holds."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        path = folder / layout.file
        own_file(path)
        self._what = layout.what
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with self._translated():
                self._prepare(path, layout)
        except BaseException:
            self.close()
            raise

    def _prepare(self, path: Path, layout: Layout) -> None:
        for pragma in _PRAGMAS:
            self._connection.execute(pragma).fetchall()
        lay_out(self._connection, path, layout, StoreCorrupt)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """As `Database.transaction`."""
        with self._translated():
            cursor = self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """As `Database.close`."""
        self._connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreUnusable(f"{self._what} cannot be used: {error}") from error


class SharedSchema(LaidOutSchema):
    """A store that any number of relays have open."""

    purpose = Purpose(
        what="a relay's store",
        owner="relay",
        setting="relay.store",
        guide="docs/how-to/run-several-relays.md",
        at_stake="What a relay took could be lost in a power cut.",
        failures=Failures(
            failed=StoreUnusable,
            busy=StoreUnusable,
            corrupt=StoreCorrupt,
            unusable=StoreUnusable,
            refused=StoreUnusable,
        ),
    )


class _Reached(SharedSchema):
    """A server that could be used; nothing is made there."""

    def _check_schema(self) -> None:
        pass


def try_out(place: ServerPlace) -> None:
    """Connect to a server, and see that what it confirms is durable.

    Raises:
        StoreUnusable: it cannot be reached, or is not.
    """
    _Reached(place, Layout("", "", 0, (), ())).close()
