"""What a database gives the key store, whichever it is.

Statements are written with `?` placeholders and in the SQL that SQLite and PostgreSQL share. What
always holds:

- A transaction is alone from its first statement to its end: no other, of this process or another,
  runs meanwhile. What it read is what it changes.
- A transaction that ended well is on the disk. One that failed at its end may be there or not: only
  what the database says afterwards counts.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeAlias

from bellwire.database.cursor import Cursor
from bellwire.database.place import ServerPlace

SCHEMA_VERSION = 8
"""Of the tables that this version of bellwire reads and writes."""

Place: TypeAlias = Path | ServerPlace
"""Where a store is: a file of SQLite, or a schema on a PostgreSQL server."""


class Database(Protocol):
    """An open database of one store; `transaction` is the way in."""

    @property
    def idle(self) -> bool:
        """Whether a transaction could begin at once; it may be otherwise a moment later."""

    @property
    def shareable(self) -> bool:
        """Whether other processes may be in it, too."""

    def require_open(self) -> None:
        """Go on, unless it was closed: by `close`, or because what the disk holds is unknown.

        Raises:
            StoreError: it is closed, and stays so.
        """

    def transaction(self) -> AbstractContextManager[Cursor]:
        """All of the body, durably, or nothing of it.

        Raises:
            StoreError: the database failed; see `errors` for what the kinds mean.
        """

    def truncate(self) -> None:
        """Leave no copy of what was deleted, as far as this database can."""

    def sync_time(self) -> float | None:
        """Seconds that a commit takes; None where only the disk counts, which others measure."""

    def close(self) -> None:
        """Give the database up; again is harmless."""
