"""Pads that a contact has offered: keys of our own key server that become one, once fetched.

An offer is durable with the message that made it, and goes once the pad is here, or can never be.
Layout in spec/chat.md, 7.3: pad id 16 ‖ the keys' ids, each with its length before it, 1 byte.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

import msgspec

from bellwire.chat.errors import ContentMalformed
from bellwire.chat.pads import NO_PAD, PAD_ID_BYTES
from bellwire.chat.store.database import Database

MAX_KEYS: Final = 128
MAX_KEY_ID_BYTES: Final = 64
MAX_OFFERS: Final = 64
"""Of one contact, that were not fetched yet."""

_TABLE: Final = "offers"


@dataclass(frozen=True, slots=True)
class Offer:
    """A pad, and the ids of the keys that it is made of, in order."""

    pad_id: bytes
    key_ids: tuple[str, ...]

    def encode(self) -> bytes:
        """The text of a content PAD_OFFER."""
        ids = [each.encode() for each in self.key_ids]
        return self.pad_id + b"".join(bytes([len(each)]) + each for each in ids)


def read_offer(text: bytes) -> Offer:
    """Undo `Offer.encode`.

    Raises:
        ContentMalformed: it is no offer.
    """
    pad_id, at, ids = text[:PAD_ID_BYTES], PAD_ID_BYTES, list[bytes]()
    while at < len(text) and len(ids) <= MAX_KEYS:
        end = at + 1 + text[at]
        ids.append(text[at + 1 : end])
        at = end
    good = all(0 < len(each) <= MAX_KEY_ID_BYTES and _is_plain(each) for each in ids)
    if at != len(text) or pad_id == NO_PAD or not 1 <= len(ids) <= MAX_KEYS or not good:
        raise ContentMalformed("expected the offer of a pad, got another content")
    return Offer(pad_id, tuple(each.decode() for each in ids))


def _is_plain(key_id: bytes) -> bool:
    return all(0x21 <= each <= 0x7E for each in key_id)


class Offers:
    """All that were not fetched, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database

    def take(self, contact: bytes, text: bytes) -> bool:
        """Keep an offer; False if the pad is known, or the contact offers too much.

        Raises:
            ContentMalformed: it is none.
        """
        offer = read_offer(text)
        (count,) = self._cursor.execute(
            "SELECT count(*) FROM offers WHERE contact = ?", (contact,)
        ).fetchone()
        known = self._cursor.execute("SELECT 1 FROM pads WHERE pad_id = ?", (offer.pad_id,))
        if count >= MAX_OFFERS or known.fetchone() is not None:
            return False
        value = msgspec.msgpack.encode(offer.key_ids)
        self._cursor.execute(
            "INSERT OR IGNORE INTO offers VALUES (?, ?, ?)",
            (offer.pad_id, contact, self._database.seal(_TABLE, offer.pad_id, value)),
        )
        return self._cursor.rowcount == 1

    def of(self, contact: bytes) -> list[Offer]:
        """What a contact has offered."""
        rows = self._cursor.execute(
            "SELECT pad_id, sealed FROM offers WHERE contact = ?", (contact,)
        ).fetchall()
        return [
            Offer(pad_id, self._ids(self._database.open(_TABLE, pad_id, sealed).reveal()))
            for pad_id, sealed in rows
        ]

    def contacts(self) -> list[bytes]:
        """Whose offers were not fetched."""
        rows = self._cursor.execute("SELECT DISTINCT contact FROM offers").fetchall()
        return [contact for (contact,) in rows]

    def done(self, pad_id: bytes) -> None:
        """The pad is here, or can never be."""
        self._cursor.execute("DELETE FROM offers WHERE pad_id = ?", (pad_id,))

    @staticmethod
    def _ids(value: bytes) -> tuple[str, ...]:
        return msgspec.msgpack.decode(value, type=tuple[str, ...])
