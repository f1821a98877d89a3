"""Tables of a store in both databases, and how either is brought to our version, step by step."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.errors import BellwireError
from bellwire.database.place import ServerPlace
from bellwire.database.postgres import PostgresSchema, one_row


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


def lay_out(
    connection: sqlite3.Connection, path: Path, layout: Layout, corrupt: type[BellwireError]
) -> None:
    """Make a file's tables, or bring them to our version.

    Raises:
        BellwireError: `corrupt`: the file is none of ours, or of a later version.
        sqlite3.Error: it cannot be read or written.
    """
    mark, version, tables = (
        connection.execute(question).fetchone()[0]
        for question in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master",
        )
    )
    newest = len(layout.in_sqlite)
    if (tables and mark != layout.mark) or version > newest:
        raise corrupt(f"expected {layout.what} of version {newest} or below in {path}, got another")
    for number, step in enumerate(layout.in_sqlite[version:], version + 1):
        marks = f"PRAGMA application_id={layout.mark}; PRAGMA user_version={number};"
        connection.executescript(f"BEGIN IMMEDIATE;{step};{marks}COMMIT;")


class LaidOutSchema(PostgresSchema):
    """A schema whose tables are those of a layout; a subclass says its purpose.

    Args:
        place: Where it is.
        layout: Its tables.
        alone: As of `PostgresSchema`.
    """

    def __init__(self, place: ServerPlace, layout: Layout, *, alone: str | None = None) -> None:
        super().__init__(place, alone=alone)
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
            raise self._failures.corrupt(
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
