"""What was said in one conversation, as it is kept and shown.

A message counts once, by its id and who said it, however often it comes. Edits and deletions take
effect only on what the same person said. What is deleted or has disappeared leaves its id, so that
it does not come back, and nothing of its words.
"""

import sqlite3
from typing import Final

import msgspec

from bellwire.chat.content import Content, ContentKind
from bellwire.chat.session import Protection
from bellwire.chat.store.database import Database
from bellwire.chat.store.messages import FILES, Entry, Kept, State

_TABLE: Final = "history"
_Row = tuple[int, bytes, int, bytes, int, bytes]


class History:
    """The messages of all conversations, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database

    def add(
        self,
        contact: bytes,
        content: Content,
        protection: Protection,
        *,
        ours: bool,
        timer_s: int,
        state: State = State.QUEUED,
    ) -> bool:
        """Keep a message; False if it is here already. `timer_s` 0: it stays."""
        kept = Kept(
            content.kind,
            content.sent_ms,
            content.text.decode(),
            content.group,
            content.target,
            timer_s or None,
            False,
            protection.pad_source,
            protection.pad_bytes,
            protection.mixed_source,
            protection.pad_ids,
        )
        gone_at = content.sent_ms // 1000 + timer_s if ours and timer_s else None
        row = (contact, ours, content.content_id, state, gone_at)
        sealed = self._seal(contact, content.content_id, kept, ours=ours)
        self._cursor.execute(
            "INSERT OR IGNORE INTO history (contact, ours, content_id, state, gone_at, sealed)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (*row, sealed),
        )
        return self._cursor.rowcount == 1

    def edit(self, contact: bytes, target: bytes, text: str, *, ours: bool) -> bool:
        """Put other words in place of what the same person said; False if there is nothing."""
        row = self._row(contact, target, ours=ours)
        if row is None or row[1] is State.DELETED or row[2].kind in FILES:
            return False
        kept = msgspec.structs.replace(row[2], text=text, edited=True)
        self._cursor.execute(
            "UPDATE history SET sealed = ? WHERE number = ?",
            (self._seal(contact, target, kept, ours=ours), row[0]),
        )
        return True

    def delete(self, contact: bytes, target: bytes, *, ours: bool) -> bool:
        """Take back what the same person said; False if there is nothing."""
        row = self._row(contact, target, ours=ours)
        if row is None or row[1] is State.DELETED:
            return False
        self._forget(row[0], contact, target, row[2], ours=ours)
        return True

    def mark(self, contact: bytes, content_id: bytes, state: State, *, ours: bool) -> bool:
        """A message has come so far; False if it had already, or is not here."""
        self._cursor.execute(
            "UPDATE history SET state = ? WHERE contact = ? AND ours = ? AND content_id = ?"
            " AND state < ?",
            (state, contact, ours, content_id, state),
        )
        return self._cursor.rowcount == 1

    def seal_as(
        self, contact: bytes, content_id: bytes, protection: Protection, state: State
    ) -> None:
        """A message of ours that waited was sealed so; nothing if it is not here."""
        self._move(contact, content_id, state, protection, None)

    def not_sent(self, contact: bytes, content_id: bytes, why: str) -> None:
        """A message of ours that waits found no pad."""
        self._move(contact, content_id, State.NOT_SENT, Protection(None, 0, None), why)

    def wait(self, contact: bytes, content_id: bytes) -> None:
        """A message of ours waits, maybe once more."""
        self._move(contact, content_id, State.WAITING, Protection(None, 0, None), None)

    def _move(
        self,
        contact: bytes,
        content_id: bytes,
        state: State,
        protection: Protection,
        why: str | None,
    ) -> None:
        row = self._row(contact, content_id, ours=True)
        if row is None or row[1] is State.DELETED:
            return
        kept = msgspec.structs.replace(
            row[2],
            pad_source=protection.pad_source,
            pad_bytes=protection.pad_bytes,
            mixed_source=protection.mixed_source,
            pad_ids=protection.pad_ids,
            why=why,
        )
        self._cursor.execute(
            "UPDATE history SET state = ?, sealed = ? WHERE number = ?",
            (state, self._seal(contact, content_id, kept, ours=True), row[0]),
        )

    def entry(self, contact: bytes, content_id: bytes, *, ours: bool) -> Entry | None:
        """One message; None if it is not here."""
        row = self._cursor.execute(
            "SELECT number, contact, ours, content_id, state, sealed FROM history"
            " WHERE contact = ? AND ours = ? AND content_id = ?",
            (contact, ours, content_id),
        ).fetchone()
        return None if row is None else self._entry(row)

    def latest(self, contact: bytes, limit: int, before: int | None = None) -> list[Entry]:
        """The newest messages with somebody, of those before a place, oldest first."""
        rows: list[_Row] = self._cursor.execute(
            "SELECT number, contact, ours, content_id, state, sealed FROM history"
            " WHERE contact = ?1 AND (?2 IS NULL OR number < ?2) ORDER BY number DESC LIMIT ?3",
            (contact, before, limit),
        ).fetchall()
        return [self._entry(row) for row in reversed(rows)]

    def read(self, contact: bytes, now: float) -> list[bytes]:
        """Count all that `contact` said as read; the ids that were not, of what we heard ourselves.

        Timers begin.
        """
        rows = self._cursor.execute(
            "SELECT content_id FROM history WHERE contact = ? AND ours = 0 AND state < ?",
            (contact, State.READ),
        ).fetchall()
        heard = []
        for (content_id,) in rows:
            row = self._row(contact, content_id, ours=False)
            assert row is not None
            if not row[2].brought:
                heard.append(content_id)
            gone_at = None if row[2].timer_s is None else int(now) + row[2].timer_s
            self._cursor.execute(
                "UPDATE history SET state = ?, gone_at = ? WHERE number = ?",
                (State.READ, gone_at, row[0]),
            )
        return heard

    def disappear(self, now: float) -> int:
        """Forget the words of what has run out; how many."""
        rows = self._cursor.execute(
            "SELECT contact, ours, content_id FROM history WHERE gone_at <= ?", (int(now),)
        ).fetchall()
        return sum(self.delete(contact, each, ours=bool(ours)) for contact, ours, each in rows)

    def entries(self, contact: bytes | None = None, *, after: int = 0) -> list[Entry]:
        """The messages with somebody, or all, in the order in which they came."""
        rows: list[_Row] = self._cursor.execute(
            "SELECT number, contact, ours, content_id, state, sealed FROM history"
            " WHERE number > ? AND (?2 IS NULL OR contact = ?2) ORDER BY number",
            (after, contact),
        ).fetchall()
        return [self._entry(row) for row in rows]

    def search(self, words: str, contact: bytes | None = None) -> list[Entry]:
        """Messages with `words` in them, in any case. Every message is unsealed to look."""
        wanted = words.casefold()
        return [each for each in self.entries(contact) if wanted in each.text.casefold()]

    def unread(self, contact: bytes) -> int:
        """How many messages of theirs were not read."""
        (count,) = self._cursor.execute(
            "SELECT count(*) FROM history WHERE contact = ? AND ours = 0 AND state < ?",
            (contact, State.READ),
        ).fetchone()
        return int(count)

    def _entry(self, row: "_Row") -> Entry:
        number, contact, ours, content_id, state, sealed = row
        kept = self._open(contact, content_id, sealed, ours=bool(ours))
        protection = Protection(kept.pad_source, kept.pad_bytes, kept.mixed_source, kept.pad_ids)
        return Entry(
            number,
            contact,
            bool(ours),
            content_id,
            State(state),
            kept.text,
            kept.sent_ms,
            kept.group,
            kept.target if kept.kind == ContentKind.REPLY else None,
            kept.edited,
            protection,
            kept.why,
            kept.kind in FILES,
            kept.brought,
        )

    def _forget(
        self, number: int, contact: bytes, content_id: bytes, kept: Kept, *, ours: bool
    ) -> None:
        bare = msgspec.structs.replace(kept, text="", target=None, group=None)
        self._cursor.execute(
            "UPDATE history SET state = ?, gone_at = NULL, sealed = ? WHERE number = ?",
            (State.DELETED, self._seal(contact, content_id, bare, ours=ours), number),
        )

    def _row(
        self, contact: bytes, content_id: bytes, *, ours: bool
    ) -> tuple[int, State, Kept] | None:
        row = self._cursor.execute(
            "SELECT number, state, sealed FROM history"
            " WHERE contact = ? AND ours = ? AND content_id = ?",
            (contact, ours, content_id),
        ).fetchone()
        if row is None:
            return None
        return row[0], State(row[1]), self._open(contact, content_id, row[2], ours=ours)

    def _seal(self, contact: bytes, content_id: bytes, kept: Kept, *, ours: bool) -> bytes:
        row = contact + bytes([ours]) + content_id
        return self._database.seal(_TABLE, row, msgspec.msgpack.encode(kept))

    def _open(self, contact: bytes, content_id: bytes, sealed: bytes, *, ours: bool) -> Kept:
        row = contact + bytes([ours]) + content_id
        return msgspec.msgpack.decode(self._database.open(_TABLE, row, sealed).reveal(), type=Kept)
