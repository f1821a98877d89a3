"""Payloads that came and wait for a pad: durable here, in order, and opened once it is here."""

import sqlite3
from dataclasses import dataclass
from typing import Final

MAX_HELD: Final = 4096
"""Of one contact; more stay at the relay."""


@dataclass(frozen=True, slots=True)
class HeldPayload:
    """A payload as it came, and its place."""

    number: int
    payload: bytes


class Held:
    """All of them, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def add(self, contact: bytes, payload: bytes, most: int = MAX_HELD) -> bool:
        """Keep one behind those that wait already; False if there are `most`."""
        (count,) = self._cursor.execute(
            "SELECT count(*) FROM held WHERE contact = ?", (contact,)
        ).fetchone()
        if count >= most:
            return False
        self._cursor.execute(
            "INSERT INTO held (contact, payload) VALUES (?, ?)", (contact, payload)
        )
        return True

    def first(self, contact: bytes) -> HeldPayload | None:
        """The one that came first; None if nothing waits."""
        row = self._cursor.execute(
            "SELECT number, payload FROM held WHERE contact = ? ORDER BY number LIMIT 1",
            (contact,),
        ).fetchone()
        return None if row is None else HeldPayload(*row)

    def remove(self, number: int) -> None:
        """It was opened, or never will be."""
        self._cursor.execute("DELETE FROM held WHERE number = ?", (number,))

    def contacts(self) -> list[bytes]:
        """From whom something waits."""
        rows = self._cursor.execute("SELECT DISTINCT contact FROM held").fetchall()
        return [contact for (contact,) in rows]
