"""Parts of long texts, kept until all of a text are here."""

import sqlite3
from typing import Final

from bellwire.chat.content import Content, decode, join
from bellwire.chat.store.database import Database

MAX_WAITING: Final = 256
"""Parts of texts that are not whole yet, of one contact; the oldest go first."""

_TABLE: Final = "parts"


def gather(
    cursor: sqlite3.Cursor, database: Database, contact: bytes, part: Content
) -> Content | None:
    """The whole content, once this part completes it; None while others are missing.

    Raises:
        ContentMalformed: the parts do not go together.
    """
    if part.parts == 1:
        return part
    row, head = contact + part.content_id, part.encode_head()
    value = bytes([len(head)]) + head + part.text
    sealed = database.seal(_TABLE, row + bytes([part.part]), value)
    cursor.execute(
        "INSERT OR IGNORE INTO parts VALUES (?, ?, ?,"
        " (SELECT coalesce(max(came), 0) + 1 FROM parts), ?)",
        (contact, part.content_id, part.part, sealed),
    )
    kept = cursor.execute(
        "SELECT part, sealed FROM parts WHERE contact = ? AND content_id = ?",
        (contact, part.content_id),
    ).fetchall()
    if len(kept) < part.parts:
        cursor.execute(
            "DELETE FROM parts WHERE contact = ?1 AND came NOT IN (SELECT came FROM parts"
            " WHERE contact = ?1 ORDER BY came DESC LIMIT ?2)",
            (contact, MAX_WAITING),
        )
        return None
    cursor.execute(
        "DELETE FROM parts WHERE contact = ? AND content_id = ?", (contact, part.content_id)
    )
    values = [database.open(_TABLE, row + bytes([n]), each).reveal() for n, each in kept]
    return join([decode(each[1 : 1 + each[0]], each[1 + each[0] :]) for each in values])
