"""A log's schema on a PostgreSQL server.

What always holds: one process has the schema, by a lock that the server gives back when that
process, or its connection, ends. Readers have a connection of their own.
"""

from contextlib import AbstractContextManager
from typing import Any

from bellwire.database.cursor import Cursor
from bellwire.database.failures import Failures
from bellwire.database.layout import LaidOutSchema
from bellwire.database.place import ServerPlace
from bellwire.database.postgres import PostgresSchema, Purpose
from bellwire.ledger.store.errors import LogStoreDamaged, LogStoreError, LogStoreUnusable
from bellwire.ledger.store.layout import LAYOUT

_PURPOSE = Purpose(
    what=LAYOUT.what,
    owner="log",
    setting="ledger.store",
    guide="docs/how-to/keep-a-log.md",
    at_stake="Entries that were confirmed could be lost in a power cut.",
    failures=Failures(
        failed=LogStoreError,
        busy=LogStoreUnusable,
        corrupt=LogStoreDamaged,
        unusable=LogStoreUnusable,
        refused=LogStoreUnusable,
    ),
)


class _Writer(LaidOutSchema):
    """Has the tables, and the lock."""

    purpose = _PURPOSE


class _Reader(PostgresSchema):
    """Reads what the other wrote."""

    purpose = _PURPOSE

    def __init__(self, place: ServerPlace) -> None:
        super().__init__(place, alone=None)
        self._begin_with()

    def _check_schema(self) -> None:
        pass


def try_out(place: ServerPlace) -> None:
    """Connect to a server, and see that what it confirms is durable; nothing is made there.

    Raises:
        LogStoreUnusable: it cannot be reached, or is not.
    """
    _Reader(place).close()


class LogSchema:
    """One open schema; see `database.Database`.

    Args:
        place: Where it is; made if it is missing.

    Raises:
        LogStoreUnusable: no connection, no rights, or another process has it.
        LogStoreDamaged: the schema is another program's.
    """

    def __init__(self, place: ServerPlace) -> None:
        self._writer = _Writer(place, LAYOUT, alone=f"bellwire log {place.schema}")
        try:
            self._reader = _Reader(place)
        except BaseException:
            self._writer.close()
            raise

    def transaction(self) -> AbstractContextManager[Cursor]:
        """As `Database.transaction`."""
        return self._writer.transaction()

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """As `Database.rows`."""
        return self._reader.rows(sql, parameters)

    def close(self) -> None:
        """As `Database.close`."""
        self._writer.close()
        self._reader.close()
