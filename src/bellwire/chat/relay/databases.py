"""Where a relay keeps things: a file of SQLite for it alone, or a schema that several relays share.

Either is brought to our version by the same steps in its own SQL, and written in transactions that
are alone from beginning to end. The statements between are those that both read.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from bellwire.base.private import own_file
from bellwire.chat.errors import StoreCorrupt, StoreUnusable
from bellwire.database.cursor import Cursor
from bellwire.database.place import ServerPlace
from bellwire.database.postgres import Failures, PostgresSchema, Purpose, one_row

Place: TypeAlias = Path | ServerPlace
"""A relay's folder, or a schema on a PostgreSQL server."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of one store.

    Attributes:
        what: Is kept, as `a relay's store`.
        file: Name of the SQLite file.
        mark: Its application id.
        in_sqlite: What each version adds to the one before; statements of history.
        in_postgres: The same; its versions are numbered by themselves.
    """

    what: str
    file: str
    mark: int
    in_sqlite: tuple[str, ...]
    in_postgres: tuple[str, ...]


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
        mark, version, tables = (
            self._connection.execute(question).fetchone()[0]
            for question in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        newest = len(layout.in_sqlite)
        if (tables and mark != layout.mark) or version > newest:
            raise StoreCorrupt(
                f"expected {layout.what} of version {newest} or below in {path}, got another"
            )
        for number, step in enumerate(layout.in_sqlite[version:], version + 1):
            marks = f"PRAGMA application_id={layout.mark}; PRAGMA user_version={number};"
            self._connection.executescript(f"BEGIN IMMEDIATE;{step};{marks}COMMIT;")

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


class SharedSchema(PostgresSchema):
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

    def __init__(self, place: ServerPlace, layout: Layout) -> None:
        super().__init__(place, alone=None)
        self._layout = layout
        self._begin_with()

    def _check_schema(self) -> None:
        connection, schema, layout = self._connection, self._place.schema, self._layout
        assert connection is not None
        connection.execute(self._begin)
        tables, marked = one_row(
            connection,
            "SELECT count(*), count(*) FILTER (WHERE c.relname = 'bellwire') "
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s",
            schema,
        )
        found = one_row(connection, "SELECT what, version FROM bellwire") if marked else None
        what, version = found or ("nothing", 0)
        newest = len(layout.in_postgres)
        if (tables and what != layout.what) or version > newest:
            raise StoreCorrupt(
                f"expected {layout.what} of version {newest} or below in {self._place}, got another"
            )
        if not tables:
            (there,) = one_row(connection, "SELECT to_regnamespace(%s) IS NOT NULL", schema)
            if not there:
                connection.execute(f"CREATE SCHEMA {schema}".encode())
            connection.execute("CREATE TABLE bellwire (what TEXT NOT NULL, version INT NOT NULL)")
            connection.execute("INSERT INTO bellwire VALUES (%s, 0)", (layout.what,))
        for step in layout.in_postgres[version:]:
            connection.execute(step.encode())
        connection.execute("UPDATE bellwire SET version = %s", (newest,))
        connection.commit()


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
