"""What was said in one conversation, as it is kept and shown.

A message counts once, by its id and who said it, however often it comes. Edits and deletions take
effect only on what the same person said. What is deleted or has disappeared leaves its id, so that
it does not come back, and nothing of its words.

What is said in a group counts in the group's conversation alone. What we say there is one entry,
with ourselves, and besides a copy for each member, which has how far it came with them.

`now` is in seconds since the epoch.
"""

import sqlite3
from typing import Final

import msgspec

from bellwire.chat.content import ID_BYTES, Content, ContentKind
from bellwire.chat.session import Protection
from bellwire.chat.store.database import Database
from bellwire.chat.store.messages import FILES, Entry, Kept, State

_TABLE: Final = "history"
_COLUMNS: Final = "number, contact, ours, content_id, state, sealed"
_Row = tuple[int, bytes, int, bytes, int, bytes]


def _where(conversation: bytes) -> str:
    """That a row is of a conversation: of a group by its id, of a contact by their fingerprint."""
    if len(conversation) == ID_BYTES:
        return "group_id = ?1 AND copy = 0"
    return "contact = ?1 AND group_id IS NULL"


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
        copy: bool = False,
    ) -> bool:
        """Keep a message; False if it is here already. `timer_s` 0: it stays.

        A `copy` is that of one member of what we said in a group.
        """
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
            "INSERT OR IGNORE INTO history"
            " (contact, ours, content_id, state, gone_at, sealed, group_id, copy)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, sealed, content.group, copy),
        )
        return self._cursor.rowcount == 1

    def edit(
        self, contact: bytes, target: bytes, text: str, *, ours: bool, group: bytes | None = None
    ) -> bool:
        """Put other words in place of what the same person said there; False if there is none."""
        row = self._row(contact, target, ours=ours)
        if row is None or row[1] is State.DELETED or row[2].kind in FILES or row[2].group != group:
            return False
        kept = msgspec.structs.replace(row[2], text=text, edited=True)
        self._cursor.execute(
            "UPDATE history SET sealed = ? WHERE number = ?",
            (self._seal(contact, target, kept, ours=ours), row[0]),
        )
        return True

    def delete(
        self, contact: bytes, target: bytes, *, ours: bool, group: bytes | None = None
    ) -> bool:
        """Take back what the same person said there; False if there is nothing."""
        row = self._row(contact, target, ours=ours)
        if row is None or row[1] is State.DELETED or row[2].group != group:
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
            f"SELECT {_COLUMNS} FROM history WHERE contact = ? AND ours = ? AND content_id = ?",  # noqa: S608 - our own columns and words
            (contact, ours, content_id),
        ).fetchone()
        return None if row is None else self._entry(row)

    def in_group(self, group: bytes, content_id: bytes) -> Entry | None:
        """One message of a group, whoever said it; None if it is not here."""
        row = self._cursor.execute(
            f"SELECT {_COLUMNS} FROM history WHERE group_id = ? AND content_id = ? AND copy = 0",  # noqa: S608 - our own columns and words
            (group, content_id),
        ).fetchone()
        return None if row is None else self._entry(row)

    def copies(self, group: bytes, content_id: bytes) -> list[Entry]:
        """The members' copies of what we said in a group."""
        rows: list[_Row] = self._cursor.execute(
            f"SELECT {_COLUMNS} FROM history WHERE group_id = ? AND content_id = ? AND copy = 1"  # noqa: S608 - our own columns and words
            " ORDER BY number",
            (group, content_id),
        ).fetchall()
        return [self._entry(row) for row in rows]

    def drop_copies(self, group: bytes, contact: bytes) -> None:
        """Forget a member's copies that are not with the relay: nothing of them goes."""
        self._cursor.execute(
            "DELETE FROM history WHERE group_id = ? AND contact = ? AND copy = 1 AND state < ?",
            (group, contact, State.SENT),
        )

    def latest(self, conversation: bytes, limit: int, before: int | None = None) -> list[Entry]:
        """The newest messages of a conversation, of those before a place, oldest first."""
        rows: list[_Row] = self._cursor.execute(
            f"SELECT {_COLUMNS} FROM history WHERE {_where(conversation)}"  # noqa: S608 - our own columns and words
            " AND (?2 IS NULL OR number < ?2) ORDER BY number DESC LIMIT ?3",
            (conversation, before, limit),
        ).fetchall()
        return [self._entry(row) for row in reversed(rows)]

    def read(self, conversation: bytes, now: float) -> list[tuple[bytes, bytes]]:
        """Count all that others said there as read; who said what of it that we heard ourselves.

        Timers begin.
        """
        rows = self._cursor.execute(
            f"SELECT contact, content_id FROM history WHERE {_where(conversation)} AND ours = 0"  # noqa: S608 - our own columns and words
            " AND state < ?2 ORDER BY number",
            (conversation, State.READ),
        ).fetchall()
        heard = []
        for contact, content_id in rows:
            row = self._row(contact, content_id, ours=False)
            assert row is not None
            if not row[2].brought:
                heard.append((contact, content_id))
            gone_at = None if row[2].timer_s is None else int(now) + row[2].timer_s
            self._cursor.execute(
                "UPDATE history SET state = ?, gone_at = ? WHERE number = ?",
                (State.READ, gone_at, row[0]),
            )
        return heard

    def disappear(self, now: float) -> int:
        """Forget the words of what has run out; how many."""
        rows = self._cursor.execute(
            "SELECT contact, ours, content_id, group_id FROM history WHERE gone_at <= ?",
            (int(now),),
        ).fetchall()
        return sum(
            self.delete(contact, each, ours=bool(ours), group=group)
            for contact, ours, each, group in rows
        )

    def entries(self, conversation: bytes | None = None, *, after: int = 0) -> list[Entry]:
        """The messages of a conversation, or of all, in the order in which they came."""
        where = "?1 IS NULL AND copy = 0" if conversation is None else _where(conversation)
        rows: list[_Row] = self._cursor.execute(
            f"SELECT {_COLUMNS} FROM history WHERE {where} AND number > ?2 ORDER BY number",  # noqa: S608 - our own columns and words
            (conversation, after),
        ).fetchall()
        return [self._entry(row) for row in rows]

    def search(self, words: str, conversation: bytes | None = None) -> list[Entry]:
        """Messages with `words` in them, in any case. Every message is unsealed to look."""
        wanted = words.casefold()
        return [each for each in self.entries(conversation) if wanted in each.text.casefold()]

    def unread(self, conversation: bytes) -> int:
        """How many messages of others were not read."""
        (count,) = self._cursor.execute(
            f"SELECT count(*) FROM history WHERE {_where(conversation)} AND ours = 0"  # noqa: S608 - our own columns and words
            " AND state < ?2",
            (conversation, State.READ),
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
        bare = msgspec.structs.replace(kept, text="", target=None)
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
