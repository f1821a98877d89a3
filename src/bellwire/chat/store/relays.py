"""What a person knows of relays: who each is, and the last that it said of where it is.

A relay is known by the address under which the person has it. Its id is kept at the first
connection, or before; later, nothing else counts under that address. A relay of which a contact
says who it is, is known by address and id together, `URL#ID`, unless it is the one that is known
by the address alone: so no contact can say for others who is at an address.
"""

import sqlite3
from typing import Final

import msgspec

from bellwire.chat.store.database import Database

_TABLE: Final = "about"
_NAME_BYTES: Final = 16


class KeptRelay(msgspec.Struct, frozen=True, array_like=True):
    """A relay.

    Attributes:
        relay_id: Fingerprint of its identity, 32 bytes.
        sequence: The highest of its notices; 0: there was none.
        notice: The one of that sequence.
        earlier: Places of the last notice that had some.
    """

    relay_id: bytes
    sequence: int = 0
    notice: bytes = b""
    earlier: tuple[str, ...] = ()


def home_of(address: str) -> tuple[str, bytes]:
    """The URL of an address under which a relay is known, and the id that it names, or nothing."""
    url, _, named = address.partition("#")
    return url, bytes.fromhex(named)


class Relays:
    """All of them, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database

    def get(self, url: str) -> KeptRelay | None:
        """What is known of the relay at an address."""
        name = self._name(url)
        row = self._cursor.execute("SELECT sealed FROM about WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        value = self._database.open(_TABLE, name.encode(), row[0]).reveal()
        return msgspec.msgpack.decode(value, type=KeptRelay)

    def address_of(self, url: str, relay_id: bytes) -> str:
        """Under which address a relay is known that is said to be at a URL.

        Args:
            url: Its home.
            relay_id: Who it is, by whoever says so; empty: they do not say.
        """
        known = self.get(url)
        if not relay_id or (known is not None and known.relay_id == relay_id):
            return url
        return f"{url}#{relay_id.hex()}"

    def put(self, url: str, relay: KeptRelay) -> None:
        """Keep it, in the place of what was known."""
        name = self._name(url)
        sealed = self._database.seal(_TABLE, name.encode(), msgspec.msgpack.encode(relay))
        self._cursor.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, sealed))

    def forget(self, url: str) -> bool:
        """Know nothing of it; whether there was something."""
        name = self._name(url)
        return bool(self._cursor.execute("DELETE FROM about WHERE name = ?", (name,)).rowcount)

    def _name(self, url: str) -> str:
        """Says nothing of the address to who has not the store's key."""
        return "relay " + self._database.key_of(b"relay " + url.encode())[:_NAME_BYTES].hex()
