"""What was said and is not with the other side yet, over restarts, in order.

First it waits for its pad. Once it is sealed, it stays with the ids of the pads that it went under,
until the other side has it: a pad that the other side can never have costs no words.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bellwire.chat.content import Content, ContentKind, decode
from bellwire.chat.pads import PAD_ID_BYTES
from bellwire.chat.store.database import Database
from bellwire.chat.store.messages import State

MAX_TRIES: Final = 3
"""How often a content is sealed anew whose pad was lost; after that it counts as refused."""

_TABLE: Final = "waiting"


class Waiting:
    """All of it, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database

    def add(self, contact: bytes, content: Content) -> None:
        """Keep a whole content until it is sealed; once, however often."""
        self._cursor.execute(
            "INSERT OR IGNORE INTO waiting (contact, content_id, sealed) VALUES (?, ?, ?)",
            (contact, content.content_id, self._seal(contact, content)),
        )

    def first(self, contact: bytes) -> Content | None:
        """What comes next with somebody; None if nothing waits."""
        row = self._cursor.execute(
            "SELECT content_id, sealed FROM waiting WHERE contact = ?"
            " AND pads IS NULL ORDER BY number LIMIT 1",
            (contact,),
        ).fetchone()
        return None if row is None else self._open(contact, *row)

    def get(self, contact: bytes, content_id: bytes) -> Content | None:
        """What waits under an id."""
        row = self._cursor.execute(
            "SELECT content_id, sealed FROM waiting WHERE contact = ? AND content_id = ?"
            " AND pads IS NULL",
            (contact, content_id),
        ).fetchone()
        return None if row is None else self._open(contact, *row)

    def remove(self, contact: bytes, content_id: bytes) -> bool:
        """It was taken back; False if it does not wait."""
        self._cursor.execute(
            "DELETE FROM waiting WHERE contact = ? AND content_id = ? AND pads IS NULL",
            (contact, content_id),
        )
        return self._cursor.rowcount == 1

    def sealed(self, contact: bytes, content_id: bytes, pad_ids: Sequence[bytes]) -> None:
        """It has gone, under these pads."""
        self._cursor.execute(
            "UPDATE waiting SET pads = ? WHERE contact = ? AND content_id = ?",
            (b"".join(pad_ids), contact, content_id),
        )

    def done(self, contact: bytes, content_id: bytes) -> None:
        """The other side has it, or it was taken back: it is forgotten."""
        self._cursor.execute(
            "DELETE FROM waiting WHERE contact = ? AND content_id = ? AND pads IS NOT NULL",
            (contact, content_id),
        )

    def forget_deleted(self) -> None:
        """What was sealed, and whose words are in the history no more, is forgotten."""
        self._cursor.execute(
            "DELETE FROM waiting WHERE pads IS NOT NULL AND EXISTS (SELECT 1 FROM history"
            " WHERE history.contact = waiting.contact AND history.ours = 1"
            " AND history.content_id = waiting.content_id AND history.state = ?)",
            (State.DELETED,),
        )

    def again(self, contact: bytes, content_id: bytes) -> bool:
        """What was sealed, and refused, waits once more; False if it is not here."""
        self._cursor.execute(
            "UPDATE waiting SET pads = NULL, tries = 0 WHERE contact = ? AND content_id = ?"
            " AND pads IS NOT NULL",
            (contact, content_id),
        )
        return self._cursor.rowcount == 1

    def lost(self, contact: bytes, content_id: bytes, pad_id: bytes, words: str | None) -> bool:
        """The other side can never have a pad that this was sealed under.

        Args:
            contact: Whom it was for.
            content_id: Which.
            pad_id: Which pad; nothing is done if it was sealed under others since.
            words: As they are now, where it has any.

        Returns:
            Whether it waits now; False: it is not here, or that was so too often.
        """
        row = self._cursor.execute(
            "SELECT pads, tries, sealed FROM waiting WHERE contact = ? AND content_id = ?",
            (contact, content_id),
        ).fetchone()
        if row is None or row[1] >= MAX_TRIES:
            return False
        pads = row[0] or b""
        if pad_id not in {pads[at : at + PAD_ID_BYTES] for at in range(0, len(pads), PAD_ID_BYTES)}:
            return True
        self._put_back(contact, content_id, row[2], words, tries=row[1] + 1)
        return True

    def unconfirmed(self, contact: bytes) -> list[bytes]:
        """Ids of what was sealed for somebody who has not said that they have it, in order."""
        rows = self._cursor.execute(
            "SELECT content_id FROM waiting WHERE contact = ? AND pads IS NOT NULL ORDER BY number",
            (contact,),
        ).fetchall()
        return [content_id for (content_id,) in rows]

    def anew(self, contact: bytes, content_id: bytes, words: str | None) -> None:
        """What was sealed waits once more, with its words as they are now, where it has any."""
        (sealed,) = self._cursor.execute(
            "SELECT sealed FROM waiting WHERE contact = ? AND content_id = ?", (contact, content_id)
        ).fetchone()
        self._put_back(contact, content_id, sealed, words, tries=0)

    def _put_back(
        self, contact: bytes, content_id: bytes, sealed: bytes, words: str | None, *, tries: int
    ) -> None:
        content = self._open(contact, content_id, sealed)
        if words is not None and content.kind in {ContentKind.TEXT, ContentKind.REPLY}:
            content = replace(content, text=words.encode())
        self._cursor.execute(
            "UPDATE waiting SET pads = NULL, tries = ?, sealed = ?"
            " WHERE contact = ? AND content_id = ?",
            (tries, self._seal(contact, content), contact, content_id),
        )

    def drop_group(self, contact: bytes, group: bytes) -> list[bytes]:
        """Send somebody nothing more of what was said in a group, sealed or not; the ids."""
        rows = self._cursor.execute(
            "SELECT content_id, sealed FROM waiting WHERE contact = ?", (contact,)
        ).fetchall()
        found = [each for each, sealed in rows if self._open(contact, each, sealed).group == group]
        self._cursor.executemany(
            "DELETE FROM waiting WHERE contact = ? AND content_id = ?",
            [(contact, each) for each in found],
        )
        return found

    def contacts(self) -> list[bytes]:
        """With whom something waits."""
        rows = self._cursor.execute(
            "SELECT DISTINCT contact FROM waiting WHERE pads IS NULL"
        ).fetchall()
        return [contact for (contact,) in rows]

    def _seal(self, contact: bytes, content: Content) -> bytes:
        head = content.encode_head()
        value = bytes([len(head)]) + head + content.text
        return self._database.seal(_TABLE, contact + content.content_id, value)

    def _open(self, contact: bytes, content_id: bytes, sealed: bytes) -> Content:
        value = self._database.open(_TABLE, contact + content_id, sealed).reveal()
        return decode(value[1 : 1 + value[0]], value[1 + value[0] :])
