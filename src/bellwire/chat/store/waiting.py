"""What was said and not sealed yet: it waits for its pad, over restarts, in order."""

import sqlite3
from typing import Final

from bellwire.chat.content import Content, decode
from bellwire.chat.store.database import Database

_TABLE: Final = "waiting"


class Waiting:
    """All of it, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database

    def add(self, contact: bytes, content: Content) -> None:
        """Keep a whole content until it is sealed; once, however often."""
        head = content.encode_head()
        value = bytes([len(head)]) + head + content.text
        sealed = self._database.seal(_TABLE, contact + content.content_id, value)
        self._cursor.execute(
            "INSERT OR IGNORE INTO waiting (contact, content_id, sealed) VALUES (?, ?, ?)",
            (contact, content.content_id, sealed),
        )

    def first(self, contact: bytes) -> Content | None:
        """What comes next with somebody; None if nothing waits."""
        row = self._cursor.execute(
            "SELECT content_id, sealed FROM waiting WHERE contact = ? ORDER BY number LIMIT 1",
            (contact,),
        ).fetchone()
        return None if row is None else self._open(contact, *row)

    def get(self, contact: bytes, content_id: bytes) -> Content | None:
        """What waits under an id."""
        row = self._cursor.execute(
            "SELECT content_id, sealed FROM waiting WHERE contact = ? AND content_id = ?",
            (contact, content_id),
        ).fetchone()
        return None if row is None else self._open(contact, *row)

    def remove(self, contact: bytes, content_id: bytes) -> bool:
        """It is sealed, or was taken back; False if it does not wait."""
        self._cursor.execute(
            "DELETE FROM waiting WHERE contact = ? AND content_id = ?", (contact, content_id)
        )
        return self._cursor.rowcount == 1

    def contacts(self) -> list[bytes]:
        """With whom something waits."""
        rows = self._cursor.execute("SELECT DISTINCT contact FROM waiting").fetchall()
        return [contact for (contact,) in rows]

    def _open(self, contact: bytes, content_id: bytes, sealed: bytes) -> Content:
        value = self._database.open(_TABLE, contact + content_id, sealed).reveal()
        return decode(value[1 : 1 + value[0]], value[1 + value[0] :])
