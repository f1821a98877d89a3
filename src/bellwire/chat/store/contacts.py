"""Whom a person knows, by the fingerprint of their identity."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from bellwire.chat.errors import ChatMisuse, ContactUnknown
from bellwire.chat.identity import PUBLIC_BYTES, IdentityPublic
from bellwire.chat.pads import Policy
from bellwire.chat.store.database import Database

MAX_NAME_BYTES: Final = 240
NOTES: Final = "Notes to self"
"""What we call ourselves among those whom we know."""

_TABLE: Final = "contacts"


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody we talk with.

    Attributes:
        contact: Fingerprint of the identity, 32 bytes.
        name: What we call them.
        identity: All of the identity.
        policy: Of pad, for what we say; what they say without is refused under `require`.
        verified: Whether safety numbers were compared.
        timer_s: After how many seconds new messages disappear; 0: they stay.
        mode: Where pads come from: `pool` or `fresh`.
    """

    contact: bytes
    name: str
    identity: IdentityPublic
    policy: Policy
    verified: bool
    timer_s: int
    mode: str


class Contacts:
    """All of them, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database

    def keep(self, name: str, identity: IdentityPublic) -> Contact:
        """Know somebody, or rename who is known.

        Raises:
            ChatMisuse: the name is empty, too long, or has characters that do not print.
        """
        if not 1 <= len(name.encode()) <= MAX_NAME_BYTES or not name.isprintable():
            raise ChatMisuse(f"expected a printable name of 1 to {MAX_NAME_BYTES} bytes")
        contact = identity.fingerprint
        value = identity.public_bytes + name.encode()
        self._cursor.execute(
            "INSERT INTO contacts (contact, policy, verified, timer_s, mode, sealed)"
            " VALUES (?, ?, 0, 0, 'fresh', ?)"
            " ON CONFLICT (contact) DO UPDATE SET sealed = excluded.sealed",
            (contact, Policy.PREFER.value, self._database.seal(_TABLE, contact, value)),
        )
        return self.get(contact)

    def meet(self, stranger: IdentityPublic) -> None:
        """Know a stranger by the beginning of the fingerprint, until we choose a name."""
        if not self.knows(stranger.fingerprint):
            self.keep(stranger.fingerprint.hex()[:16], stranger)

    def forget(self, contact: bytes) -> None:
        """Forget somebody, what was said with them, and all sessions."""
        self._cursor.execute("DELETE FROM contacts WHERE contact = ?", (contact,))

    def knows(self, contact: bytes) -> bool:
        """Whether somebody is a contact, or waits to be one."""
        found = self._cursor.execute("SELECT 1 FROM contacts WHERE contact = ?", (contact,))
        return found.fetchone() is not None

    def get(self, contact: bytes) -> Contact:
        """Somebody by fingerprint; ContactUnknown if we do not know them."""
        row = self._cursor.execute(
            "SELECT policy, verified, timer_s, mode, sealed FROM contacts WHERE contact = ?",
            (contact,),
        ).fetchone()
        if row is None:
            raise ContactUnknown(f"expected a contact, got {contact.hex()[:16]}…, who is none")
        policy, verified, timer_s, mode, sealed = row
        value = self._database.open(_TABLE, contact, sealed).reveal()
        identity, name = IdentityPublic(value[:PUBLIC_BYTES]), value[PUBLIC_BYTES:].decode()
        return Contact(contact, name, identity, Policy(policy), bool(verified), timer_s, mode)

    def all(self) -> list[Contact]:
        """Everybody we know, by name."""
        rows = self._cursor.execute("SELECT contact FROM contacts").fetchall()
        known = [self.get(contact) for (contact,) in rows]
        return sorted(known, key=lambda each: (each.name.casefold(), each.contact))

    def set_policy(self, contact: bytes, policy: Policy) -> None:
        """Choose what is done about pad; ContactUnknown."""
        self.get(contact)
        self._cursor.execute(
            "UPDATE contacts SET policy = ? WHERE contact = ?", (policy.value, contact)
        )

    def set_mode(self, contact: bytes, mode: str) -> None:
        """Choose where pads come from, `pool` or `fresh`; ContactUnknown."""
        self.get(contact)
        self._cursor.execute("UPDATE contacts SET mode = ? WHERE contact = ?", (mode, contact))

    def set_verified(self, contact: bytes, *, verified: bool) -> None:
        """Say whether safety numbers were compared; ContactUnknown."""
        self.get(contact)
        self._cursor.execute(
            "UPDATE contacts SET verified = ? WHERE contact = ?", (verified, contact)
        )

    def set_timer(self, contact: bytes, timer_s: int) -> None:
        """Choose after how many seconds new messages disappear; ContactUnknown."""
        self.get(contact)
        self._cursor.execute(
            "UPDATE contacts SET timer_s = ? WHERE contact = ?", (timer_s, contact)
        )
