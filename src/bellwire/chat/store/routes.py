"""How we and each contact reach each other: mailboxes at relays, and the rights to drop into them.

A mailbox is for one contact and one direction, random, and drawn anew from time to time. An
invitation is a mailbox of ours that is for nobody yet: it becomes that of whoever uses it first.

`now` is in seconds since the epoch.
"""

import os
import sqlite3
from typing import Final

import msgspec

from bellwire.chat.card import Card
from bellwire.chat.relay.frames import MAILBOX_BYTES, RIGHT_BYTES
from bellwire.chat.store.closing import Closing
from bellwire.chat.store.database import Database

INVITATION_S: Final = 30 * 86_400
"""How long an invitation holds: as long as the prekeys in it."""

MAX_OLD: Final = 8
"""Earlier mailboxes of one contact that are listened to."""

_TABLE: Final = "routes"
_INVITATIONS: Final = "invitations"


class Box(msgspec.Struct, frozen=True, array_like=True):
    """A mailbox of ours, and the right to drop into it; its repr shows nothing."""

    mailbox: bytes
    right: bytes

    def __repr__(self) -> str:
        return "Box()"

    @staticmethod
    def draw() -> "Box":
        """A new one, from the operating system's generator."""
        return Box(os.urandom(MAILBOX_BYTES), os.urandom(RIGHT_BYTES))


class KeptRoute(msgspec.Struct, frozen=True, array_like=True):
    """How one contact and we reach each other; its repr shows nothing.

    Attributes:
        box: Ours for this contact.
        drawn_at: Since when, in seconds since the epoch.
        old: Earlier ones, which the contact may still use.
        card: How they are reached; None: they have not said yet.
    """

    box: Box
    drawn_at: int
    old: tuple[Box, ...] = ()
    card: Card | None = None

    def __repr__(self) -> str:
        return "KeptRoute()"


class Routes:
    """All of them, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database
        self._closing = Closing(cursor)

    def all(self) -> dict[bytes, KeptRoute]:
        """By the fingerprints of contacts."""
        rows = self._cursor.execute("SELECT contact, sealed FROM routes").fetchall()
        return {contact: self._open(contact, sealed) for contact, sealed in rows}

    def get(self, contact: bytes) -> KeptRoute | None:
        """The route to somebody, if there is one."""
        row = self._cursor.execute(
            "SELECT sealed FROM routes WHERE contact = ?", (contact,)
        ).fetchone()
        return None if row is None else self._open(contact, row[0])

    def put(self, contact: bytes, route: KeptRoute) -> None:
        """Keep a route, in the place of an earlier one."""
        sealed = self._database.seal(_TABLE, contact, msgspec.msgpack.encode(route))
        self._cursor.execute("INSERT OR REPLACE INTO routes VALUES (?, ?)", (contact, sealed))

    def ensure(self, contact: bytes, now: float) -> KeptRoute:
        """The route to somebody, with a mailbox of ours drawn if there was none."""
        route = self.get(contact)
        if route is None:
            route = KeptRoute(Box.draw(), int(now))
            self.put(contact, route)
        return route

    def learn(self, contact: bytes, card: Card, now: float) -> None:
        """Somebody has said how they are reached."""
        route = self.ensure(contact, now)
        self.put(contact, msgspec.structs.replace(route, card=card))

    def forget(self, contact: bytes) -> None:
        """There is no way between us any more: our mailboxes are closed."""
        route = self.get(contact)
        if route is not None:
            self._closing.add(each.mailbox for each in (route.box, *route.old))
        self._cursor.execute("DELETE FROM routes WHERE contact = ?", (contact,))

    def rotate(self, contact: bytes, now: float) -> Box:
        """Draw a new mailbox for somebody; the one before is listened to until this one is used."""
        route = self.ensure(contact, now)
        fresh = Box.draw()
        old = self._kept((route.box, *route.old))
        self.put(contact, msgspec.structs.replace(route, box=fresh, drawn_at=int(now), old=old))
        return fresh

    def used(self, contact: bytes, mailbox: bytes) -> bool:
        """Something authentic came to a mailbox; True if earlier ones may be closed now."""
        route = self.get(contact)
        if route is None or route.box.mailbox != mailbox or not route.old:
            return False
        self._closing.add(each.mailbox for each in route.old)
        self.put(contact, msgspec.structs.replace(route, old=()))
        return True

    # Invitations

    def invite(self, now: float) -> Box:
        """A mailbox for whoever uses it first."""
        box = Box.draw()
        sealed = self._database.seal(_INVITATIONS, box.mailbox, box.right)
        self._cursor.execute(
            "INSERT INTO invitations VALUES (?, ?, ?)",
            (box.mailbox, int(now) + INVITATION_S, sealed),
        )
        return box

    def invitations(self, now: float) -> list[Box]:
        """Those that hold."""
        self.expire(now)
        rows = self._cursor.execute("SELECT mailbox, sealed FROM invitations").fetchall()
        return [
            Box(mailbox, self._database.open(_INVITATIONS, mailbox, sealed).reveal())
            for mailbox, sealed in rows
        ]

    def expire(self, now: float) -> bool:
        """Invitations whose time has passed are over, and their mailboxes closed; if any were."""
        rows = self._cursor.execute(
            "DELETE FROM invitations WHERE not_after <= ? RETURNING mailbox", (int(now),)
        ).fetchall()
        self._closing.add(mailbox for (mailbox,) in rows)
        return bool(rows)

    def accept(self, mailbox: bytes, contact: bytes, now: float) -> bool:
        """An invitation was used by somebody: it is theirs now; False if it is none."""
        row = self._cursor.execute(
            "DELETE FROM invitations WHERE mailbox = ? RETURNING sealed", (mailbox,)
        ).fetchone()
        if row is None:
            return False
        box = Box(mailbox, self._database.open(_INVITATIONS, mailbox, row[0]).reveal())
        route = self.get(contact)
        if route is None:
            self.put(contact, KeptRoute(box, int(now)))
        else:  # we know each other already: what comes there is theirs, too
            old = self._kept((box, *route.old))
            self.put(contact, msgspec.structs.replace(route, old=old))
        return True

    def _kept(self, old: tuple[Box, ...]) -> tuple[Box, ...]:
        """As many earlier mailboxes as are listened to; those before them are closed."""
        self._closing.add(each.mailbox for each in old[MAX_OLD:])
        return old[:MAX_OLD]

    def _open(self, contact: bytes, sealed: bytes) -> KeptRoute:
        value = self._database.open(_TABLE, contact, sealed).reveal()
        return msgspec.msgpack.decode(value, type=KeptRoute)
