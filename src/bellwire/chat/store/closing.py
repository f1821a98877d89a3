"""Mailboxes of ours that serve nobody any more, until the relay has closed them.

An invitation that has expired, a mailbox that another one took the place of: whatever drops one
puts it here in the same transaction, so that it is closed also where the relay, or we, were away.
"""

import sqlite3
from collections.abc import Iterable


class Closing:
    """All of them, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def add(self, mailboxes: Iterable[bytes]) -> None:
        """These are to be closed."""
        self._cursor.executemany(
            "INSERT OR IGNORE INTO closing VALUES (?)", [(each,) for each in mailboxes]
        )

    def all(self) -> list[bytes]:
        """Those that the relay may still have."""
        rows = self._cursor.execute("SELECT mailbox FROM closing ORDER BY mailbox").fetchall()
        return [mailbox for (mailbox,) in rows]

    def done(self, mailbox: bytes) -> None:
        """The relay has closed it, or never had it."""
        self._cursor.execute("DELETE FROM closing WHERE mailbox = ?", (mailbox,))
