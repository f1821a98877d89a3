"""Attachments in a person's store: what they are, and their chunks, sealed as they came.

Chunks rest as they travel, under the file's own key, which is sealed like every other value. Those
of a file of ours go once the other side has all of it; those of theirs once it was saved.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bellwire.chat.attachment import (
    MAX_ASKED,
    FileKey,
    chunks_of,
    open_chunk,
    ranges_of,
    seal_chunk,
)
from bellwire.chat.content import CHUNK_BYTES
from bellwire.chat.errors import StoreCorrupt
from bellwire.chat.store.database import Database
from bellwire.chat.store.messages import State

MAX_KEPT_BYTES: Final = 1 << 30
"""All files of others that were not saved yet, coming or here."""

MAX_KEPT_FILES: Final = 64
"""Of one contact."""

_TABLE: Final = "files"
_KEY_BYTES: Final = 32


class FileState(IntEnum):
    """How far an attachment has come.

    COMING: of ours, the other side has not all of it; of theirs, we have not. WHOLE: of ours, they
    have it; of theirs, it is here and its hash was checked. SAVED: theirs, written into a folder.
    STOPPED: it was too much, or is gone at its sender. ELSEWHERE: another device of ours said or
    heard of it, and only its name and size are here.
    """

    COMING = 0
    WHOLE = 1
    SAVED = 2
    STOPPED = 3
    ELSEWHERE = 4


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One attachment.

    Attributes:
        file: Its row.
        contact: With whom.
        ours: Whether we sent it.
        file_id: Id of its message.
        state: How far it has come.
        size: In bytes.
        came: Chunks that the receiver has, as far as this side knows.
        asked: Chunks that were asked for so far, from the first on.
        source: Row of the file that has the chunks, where this is a group's member's copy.
        about: Key, hash and name; secret.
    """

    file: int
    contact: bytes
    ours: bool
    file_id: bytes
    state: FileState
    size: int
    came: int
    asked: int
    source: int | None
    about: FileKey

    @property
    def chunks(self) -> int:
        """Of how many chunks it is."""
        return chunks_of(self.size)


class Files:
    """All of them, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database

    def add(
        self,
        contact: bytes,
        file_id: bytes,
        about: FileKey,
        state: FileState,
        *,
        ours: bool,
        source: int | None = None,
    ) -> bool:
        """Know of an attachment; False if it is known. A copy has the chunks of its `source`."""
        sealed = self._database.seal(_TABLE, _row(contact, file_id, ours), about.encode())
        self._cursor.execute(
            "INSERT OR IGNORE INTO files"
            " (contact, ours, file_id, state, size, came, asked, source, sealed)"
            " VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?)",
            (contact, ours, file_id, state, about.size, source, sealed),
        )
        return self._cursor.rowcount == 1

    def add_whole(self, contact: bytes, file_id: bytes, name: str, data: bytes) -> bool:
        """Keep a file of theirs that came inside a message."""
        about = FileKey(os.urandom(_KEY_BYTES), hashlib.sha256(data).digest(), len(data), name)
        state = FileState.WHOLE if self.has_room(contact, len(data)) else FileState.STOPPED
        if not self.add(contact, file_id, about, state, ours=False):
            return False
        if state is FileState.WHOLE:
            kept = self.get(contact, file_id, ours=False)
            assert kept is not None
            for number in range(kept.chunks):
                chunk = data[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
                sealed = seal_chunk(about.key, file_id, about.size, number, chunk)
                self.put(kept, number, sealed)
        return True

    def bring(self, contact: bytes, file_id: bytes, name: str, size: int, *, ours: bool) -> None:
        """Know that another device of ours has, or had, an attachment; nothing of it is here."""
        about = FileKey(bytes(_KEY_BYTES), bytes(_KEY_BYTES), size, name)
        self.add(contact, file_id, about, FileState.ELSEWHERE, ours=ours)

    def has_room(self, contact: bytes, size: int) -> bool:
        """Whether one more file of theirs may be kept."""
        kept = "FROM files WHERE ours = 0 AND state IN (0, 1)"
        (total,) = self._cursor.execute(f"SELECT coalesce(sum(size), 0) {kept}").fetchone()
        (count,) = self._cursor.execute(
            f"SELECT count(*) {kept} AND contact = ?",
            (contact,),
        ).fetchone()
        return bool(total + size <= MAX_KEPT_BYTES and count < MAX_KEPT_FILES)

    def get(self, contact: bytes, file_id: bytes, *, ours: bool) -> KeptFile | None:
        """One of them; None if it is not known."""
        row = self._cursor.execute(
            "SELECT file, contact, ours, file_id, state, size, came, asked, source, sealed"
            " FROM files WHERE contact = ? AND ours = ? AND file_id = ?",
            (contact, ours, file_id),
        ).fetchone()
        return None if row is None else self._kept(row)

    def coming(self) -> list[KeptFile]:
        """Those of others that are not whole."""
        rows = self._cursor.execute(
            "SELECT file, contact, ours, file_id, state, size, came, asked, source, sealed"
            " FROM files WHERE ours = 0 AND state = ? ORDER BY file",
            (FileState.COMING,),
        ).fetchall()
        return [self._kept(row) for row in rows]

    def put(self, kept: KeptFile, number: int, sealed: bytes) -> bool:
        """Keep a chunk; False if it is here."""
        self._cursor.execute(
            "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?)", (kept.file, number, sealed)
        )
        if self._cursor.rowcount != 1:
            return False
        if not kept.ours:
            self._cursor.execute("UPDATE files SET came = came + 1 WHERE file = ?", (kept.file,))
        return True

    def chunk(self, kept: KeptFile, number: int) -> bytes:
        """A chunk as it travels; StoreCorrupt if it is not here."""
        row = self._cursor.execute(
            "SELECT sealed FROM chunks WHERE file = ? AND number = ?",
            (kept.source or kept.file, number),
        ).fetchone()
        if row is None:
            raise StoreCorrupt("a chunk of an attachment is not in the store")
        return bytes(row[0])

    def opened(self, kept: KeptFile) -> Iterator[bytes]:
        """The whole file, chunk by chunk."""
        for number in range(kept.chunks):
            sealed = self.chunk(kept, number)
            yield open_chunk(kept.about.key, kept.file_id, kept.size, number, sealed)

    def is_right(self, kept: KeptFile) -> bool:
        """Whether what is here has the hash that its sender said."""
        found = hashlib.sha256()
        for chunk in self.opened(kept):
            found.update(chunk)
        return found.digest() == kept.about.sha256

    def reached(self, kept: KeptFile, *, came: int | None = None, asked: int | None = None) -> None:
        """The receiver has so many chunks, or so many were asked for."""
        self._cursor.execute(
            "UPDATE files SET came = max(came, ?), asked = max(asked, ?) WHERE file = ?",
            (came or 0, asked or 0, kept.file),
        )

    def settle(self, kept: KeptFile, state: FileState, *, keep: bool = False) -> None:
        """It has come so far; unless we `keep` them, its chunks go."""
        self._cursor.execute("UPDATE files SET state = ? WHERE file = ?", (state, kept.file))
        if not keep:
            self._cursor.execute("DELETE FROM chunks WHERE file = ?", (kept.file,))
        if kept.source is not None:
            self._settle_source(kept.source, kept.file_id)

    def _settle_source(self, source: int, file_id: bytes) -> None:
        """A group's file goes once no member lacks it any more."""
        lacking = self._cursor.execute(
            "SELECT 1 FROM files WHERE source = ?1 AND state = ?3"
            " UNION ALL SELECT 1 FROM group_unsent WHERE content_id = ?2 LIMIT 1",
            (source, file_id, FileState.COMING),
        ).fetchone()
        if lacking is None:
            self._cursor.execute(
                "UPDATE files SET state = ? WHERE file = ?", (FileState.WHOLE, source)
            )
            self._cursor.execute("DELETE FROM chunks WHERE file = ?", (source,))

    def copies(self, kept: KeptFile) -> list[KeptFile]:
        """The members' copies of a file of ours in a group."""
        rows = self._cursor.execute(
            "SELECT file, contact, ours, file_id, state, size, came, asked, source, sealed"
            " FROM files WHERE source = ?",
            (kept.file,),
        ).fetchall()
        return [self._kept(row) for row in rows]

    def stop_copies(self, group: bytes, contact: bytes) -> None:
        """A member gets nothing more of the files of a group."""
        rows = self._cursor.execute(
            "SELECT file_id FROM files WHERE ours = 1 AND contact = ?1 AND state = ?3"
            " AND source IS NOT NULL AND EXISTS (SELECT 1 FROM history WHERE group_id = ?2"
            " AND history.contact = ?1 AND copy = 1 AND content_id = file_id)",
            (contact, group, FileState.COMING),
        ).fetchall()
        for (file_id,) in rows:
            kept = self.get(contact, file_id, ours=True)
            assert kept is not None
            self.settle(kept, FileState.STOPPED)

    def missing(self, kept: KeptFile) -> list[tuple[int, int]]:
        """Ranges of chunks to ask for again, and if none of those is missing, of the next ones."""
        here = {
            number
            for (number,) in self._cursor.execute(
                "SELECT number FROM chunks WHERE file = ?", (kept.file,)
            ).fetchall()
        }
        lost = [number for number in range(kept.asked) if number not in here]
        end = min(kept.chunks, kept.asked + MAX_ASKED)
        return ranges_of(lost or list(range(kept.asked, end)))

    def remove(self, kept: KeptFile) -> None:
        """It is not said after all."""
        self._cursor.execute("DELETE FROM files WHERE file = ?", (kept.file,))

    def forget_deleted(self) -> None:
        """What was taken back, or has disappeared, goes."""
        self._cursor.execute(
            "DELETE FROM files WHERE EXISTS (SELECT 1 FROM history"
            " WHERE history.contact = files.contact AND history.ours = files.ours"
            " AND history.content_id = files.file_id AND history.state = ?)",
            (State.DELETED,),
        )

    def forget_unsaid(self) -> None:
        """What a crash kept from being said goes."""
        self._cursor.execute(
            "DELETE FROM files WHERE ours = 1 AND NOT EXISTS (SELECT 1 FROM history"
            " WHERE history.contact = files.contact AND history.ours = 1"
            " AND history.content_id = files.file_id)"
        )

    def _kept(
        self, row: tuple[int, bytes, int, bytes, int, int, int, int, int | None, bytes]
    ) -> KeptFile:
        file, contact, ours, file_id, state, size, came, asked, source, sealed = row
        text = self._database.open(_TABLE, _row(contact, file_id, bool(ours)), sealed).reveal()
        about = FileKey(text[:32], text[32:64], size, text[72:].decode())
        return KeptFile(
            file, contact, bool(ours), file_id, FileState(state), size, came, asked, source, about
        )


def _row(contact: bytes, file_id: bytes, ours: bool) -> bytes:
    return contact + bytes([ours]) + file_id
