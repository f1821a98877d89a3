"""The standing box: a mailbox of ours for everybody who finds our handle, and writes first.

Its right is on a card that the relay shows to whoever asks, so that it is nobody's secret: what
comes there is of strangers until we accept them, and each of them then gets a mailbox of their own.
It is drawn anew from time to time; those before it are listened to as long as somebody may still
have their card, unless they are given up at once for the rubbish that comes there.

`now` is in seconds since the epoch.
"""

import sqlite3
from typing import Final

from bellwire.chat.store.closing import Closing
from bellwire.chat.store.database import Database
from bellwire.chat.store.routes import Box

KEEP_S: Final = 14 * 86_400
"""How long a box is listened to after another took its place: as long as a relay keeps payloads."""

MAX_OLD: Final = 4
_TABLE: Final = "standing"


class Standing:
    """The box and those before it, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database
        self._closing = Closing(cursor)

    def current(self) -> tuple[Box, int] | None:
        """The box whose card is shown, and when it was drawn, in seconds since the epoch."""
        row = self._cursor.execute(
            "SELECT mailbox, drawn_at, sealed FROM standing WHERE not_after IS NULL"
        ).fetchone()
        return None if row is None else (self._open(row[0], row[2]), int(row[1]))

    def ensure(self, now: float) -> Box:
        """The box whose card is shown; drawn if there is none."""
        found = self.current()
        return self.rotate(now) if found is None else found[0]

    def rotate(self, now: float, *, at_once: bool = False) -> Box:
        """Draw a new one; `at_once`: what comes to the others is not taken any more."""
        if at_once:
            self.give_up()
        self._cursor.execute(
            "UPDATE standing SET not_after = ? WHERE not_after IS NULL", (int(now) + KEEP_S,)
        )
        box = Box.draw()
        sealed = self._database.seal(_TABLE, box.mailbox, box.right)
        self._cursor.execute(
            "INSERT INTO standing VALUES (?, ?, NULL, ?)", (box.mailbox, int(now), sealed)
        )
        self._drop(
            "not_after IS NOT NULL AND mailbox NOT IN (SELECT mailbox"
            " FROM standing WHERE not_after IS NOT NULL ORDER BY not_after DESC LIMIT ?)",
            MAX_OLD,
        )
        return box

    def give_up(self) -> None:
        """Have none, and listen to none."""
        self._drop("?", 1)

    def all(self, now: float) -> list[Box]:
        """Those that are listened to."""
        self.expire(now)
        rows = self._cursor.execute("SELECT mailbox, sealed FROM standing").fetchall()
        return [self._open(mailbox, sealed) for mailbox, sealed in rows]

    def expire(self, now: float) -> bool:
        """Those whose time has passed are closed; whether any were."""
        return self._drop("not_after <= ?", int(now))

    def _drop(self, which: str, value: int) -> bool:
        rows = self._cursor.execute(
            f"DELETE FROM standing WHERE {which} RETURNING mailbox",  # noqa: S608 - a literal of this file
            (value,),
        ).fetchall()
        self._closing.add(mailbox for (mailbox,) in rows)
        return bool(rows)

    def has(self, mailbox: bytes) -> bool:
        """Whether a mailbox is one of them."""
        found = self._cursor.execute("SELECT 1 FROM standing WHERE mailbox = ?", (mailbox,))
        return found.fetchone() is not None

    def _open(self, mailbox: bytes, sealed: bytes) -> Box:
        return Box(mailbox, self._database.open(_TABLE, mailbox, sealed).reveal())
