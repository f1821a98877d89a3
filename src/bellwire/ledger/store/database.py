"""What a database gives a log's store, whichever it is.

Statements are written with `?` placeholders and in the SQL that SQLite and PostgreSQL share. What
always holds: one process has the log; a transaction that ended well is on the disk; one that failed
at its end may be there or not, and only opening the database anew tells. Readers see the last
commit and wait for nobody.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from bellwire.database.cursor import Cursor
from bellwire.database.place import ServerPlace

Place: TypeAlias = Path | ServerPlace
"""A log's own folder, for a file of SQLite, or a schema on a PostgreSQL server."""


class Database(Protocol):
    """Open. Writing is for one thread at a time, so is reading; both at once is fine."""

    def transaction(self) -> AbstractContextManager[Cursor]:
        """All of the body, durably, or nothing of it.

        Raises:
            LogStoreError: the database failed; if that was at the end, it must be opened anew.
        """

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """What the last commit says.

        Raises:
            LogStoreError: the database failed.
        """

    def close(self) -> None:
        """Give it up; again is harmless."""


def open_database(place: Place) -> Database:
    """Open a log's database, making an empty one where there is none.

    Raises:
        LogStoreUnusable: it cannot be reached or written, or another process has it.
        LogStoreDamaged: what is there is none of ours.
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """
    if isinstance(place, Path):
        from bellwire.ledger.store.sqlite import LogFile  # noqa: PLC0415 - one of the two

        return LogFile(place)
    from bellwire.ledger.store.postgres import LogSchema  # noqa: PLC0415 - seldom needed

    return LogSchema(place)
