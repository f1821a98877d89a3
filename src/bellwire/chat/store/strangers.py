"""Who has written first and was not accepted yet, and who is not heard at all.

A stranger has a session and words, as a contact has, but nothing is ever sent to one: neither words
nor marks of delivery tell them that we are there. There are only so many, with so many words each,
so that nobody fills our disk; who is turned away may write again later. Who is declined is
forgotten, and who is blocked is forgotten and not heard again under that identity.

`now` is in seconds since the epoch.
"""

import sqlite3
from typing import Final

from bellwire.chat.errors import ChatMisuse, StrangerRefused

MAX_STRANGERS: Final = 32
MAX_MESSAGES: Final = 16
"""Of one stranger."""

MAX_HELD: Final = 64
"""Payloads of one stranger that wait for a pad."""

MAX_BLOCKED: Final = 10_000


class Strangers:
    """All of them, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def admit(self, contact: bytes, now: float) -> None:
        """Somebody whom nobody knows has written first.

        Raises:
            StrangerRefused: too many wait already.
        """
        (count,) = self._cursor.execute("SELECT count(*) FROM strangers").fetchone()
        if count >= MAX_STRANGERS:
            raise StrangerRefused(
                f"expected at most {MAX_STRANGERS} people who wait to be accepted, got one more",
                hint="Accept or decline some of them; who was turned away can write again.",
            )
        self._cursor.execute("INSERT INTO strangers VALUES (?, ?)", (contact, int(now)))

    def has(self, contact: bytes) -> bool:
        """Whether somebody waits to be accepted."""
        found = self._cursor.execute("SELECT 1 FROM strangers WHERE contact = ?", (contact,))
        return found.fetchone() is not None

    def all(self) -> list[tuple[bytes, int]]:
        """Who waits, and since when, in seconds since the epoch; who came first is first."""
        rows = self._cursor.execute(
            "SELECT contact, came FROM strangers ORDER BY came, contact"
        ).fetchall()
        return [(bytes(contact), int(came)) for contact, came in rows]

    def check_room(self, contact: bytes) -> None:
        """Return only if a stranger may say one thing more; anybody else may.

        Raises:
            StrangerRefused: that is all that is kept before they are accepted.
        """
        if not self.has(contact):
            return
        (count,) = self._cursor.execute(
            "SELECT count(*) FROM history WHERE contact = ?", (contact,)
        ).fetchone()
        if count >= MAX_MESSAGES:
            raise StrangerRefused(
                f"expected at most {MAX_MESSAGES} messages before they are accepted, got one more"
            )

    def check_known(self, contact: bytes) -> None:
        """Return only if something may be sent to somebody.

        Raises:
            ChatMisuse: they wait to be accepted.
        """
        if self.has(contact):
            raise ChatMisuse(
                "expected a contact, got somebody who waits to be accepted", hint="/accept first."
            )

    def accept(self, contact: bytes) -> bool:
        """Count somebody as a contact from now on; False if they do not wait."""
        self._cursor.execute("DELETE FROM strangers WHERE contact = ?", (contact,))
        return self._cursor.rowcount == 1

    # Who is not heard.

    def block(self, contact: bytes) -> None:
        """Take no session of this identity any more; ChatMisuse if there are too many."""
        (count,) = self._cursor.execute("SELECT count(*) FROM blocked").fetchone()
        if count >= MAX_BLOCKED:
            raise ChatMisuse(f"expected at most {MAX_BLOCKED} who are blocked, got one more")
        self._cursor.execute("INSERT OR IGNORE INTO blocked VALUES (?)", (contact,))

    def unblock(self, contact: bytes) -> bool:
        """Hear somebody again who begins anew; False if they were not blocked."""
        self._cursor.execute("DELETE FROM blocked WHERE contact = ?", (contact,))
        return self._cursor.rowcount == 1

    def is_blocked(self, contact: bytes) -> bool:
        """Whether somebody is not heard."""
        found = self._cursor.execute("SELECT 1 FROM blocked WHERE contact = ?", (contact,))
        return found.fetchone() is not None

    def blocked(self) -> list[bytes]:
        """Fingerprints of those who are not heard."""
        rows = self._cursor.execute("SELECT contact FROM blocked ORDER BY contact").fetchall()
        return [bytes(contact) for (contact,) in rows]
