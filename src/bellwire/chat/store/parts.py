"""Parts of long texts, kept until all of a text are here."""

import sqlite3
from typing import Final

import msgspec

from bellwire.chat.content import Content, decode, join
from bellwire.chat.session import Protection, together
from bellwire.chat.store.database import Database

MAX_WAITING: Final = 256
"""Parts of texts that are not whole yet, of one contact; the oldest go first."""

_TABLE: Final = "parts"


def gather(
    cursor: sqlite3.Cursor,
    database: Database,
    contact: bytes,
    part: Content,
    protection: Protection,
) -> tuple[Content, Protection] | None:
    """The whole content and what protected it, once this part completes it; None until then.

    Raises:
        ContentMalformed: the parts do not go together.
    """
    if part.parts == 1:
        return part, protection
    row, head = contact + part.content_id, part.encode_head()
    value = msgspec.msgpack.encode((head, part.text, protection))
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
    parts = [
        msgspec.msgpack.decode(
            database.open(_TABLE, row + bytes([number]), each).reveal(),
            type=tuple[bytes, bytes, Protection],
        )
        for number, each in sorted(kept)
    ]
    whole = join([decode(head, text) for head, text, _ in parts])
    return whole, together([each for _, _, each in parts])
