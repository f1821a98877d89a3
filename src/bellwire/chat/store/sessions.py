"""The states of a person's sessions; with one contact there may be several for a while.

Both may begin at once, or one side begins anew after it lost its store. All are opened, and the one
that was heard last is sent on, so that both sides come to the same one. One that was begun in the
place of others is sent on alone.
"""

import sqlite3
from typing import Final

from bellwire.chat.session import Session, decode_session, encode_session
from bellwire.chat.store.database import Database

MAX_SESSIONS: Final = 4
"""With one contact; those that were not heard longest go first."""

_TABLE: Final = "sessions"


class Sessions:
    """All of them, within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database

    def of(self, contact: bytes | None) -> list[tuple[int, Session]]:
        """Rows and states of those with a contact, or all; we send on the first."""
        rows = self._cursor.execute(
            "SELECT session, sealed FROM sessions WHERE ?1 IS NULL OR contact = ?1"
            " ORDER BY heard DESC, session DESC",
            (contact,),
        ).fetchall()
        return [(number, self._open(number, sealed)) for number, sealed in rows]

    def begins(self, contact: bytes) -> bool:
        """Whether the peer was not heard yet on the one that we send on."""
        return any(session.opening for _, session in self.of(contact)[:1])

    def begun_by(self, opening_id: bytes) -> tuple[int, Session] | None:
        """The session that this opening began."""
        row = self._cursor.execute(
            "SELECT session, sealed FROM sessions WHERE opening_id = ?", (opening_id,)
        ).fetchone()
        return None if row is None else (row[0], self._open(*row))

    def add(self, session: Session) -> int:
        """Keep a new one; its row."""
        self._cursor.execute(
            "INSERT INTO sessions (contact, opening_id, heard, sealed) VALUES (?, ?, 0, x'')",
            (session.peer, session.opening_id),
        )
        number = self._cursor.lastrowid
        assert number is not None  # SQLite numbers each row
        self.update(number, session)
        self._cursor.execute(
            "DELETE FROM sessions WHERE contact = ?1 AND session <> ?2 AND session NOT IN ("
            "SELECT session FROM sessions WHERE contact = ?1 AND session <> ?2"
            " ORDER BY heard DESC, session DESC LIMIT ?3)",
            (session.peer, number, MAX_SESSIONS - 1),
        )
        return number

    def update(self, number: int, session: Session) -> None:
        """The state has moved on."""
        sealed = self._database.seal(_TABLE, _row(number), encode_session(session))
        self._cursor.execute("UPDATE sessions SET sealed = ? WHERE session = ?", (sealed, number))

    def forget(self, contact: bytes) -> None:
        """Have none with somebody; they can only begin anew."""
        self._cursor.execute("DELETE FROM sessions WHERE contact = ?", (contact,))

    def heard(self, number: int) -> None:
        """The peer was heard on this one."""
        self._cursor.execute(
            "UPDATE sessions SET heard = (SELECT max(heard) + 1 FROM sessions)"
            " WHERE session = ? AND heard >= 0",
            (number,),
        )

    def supersede(self, contact: bytes, number: int) -> None:
        """Send on this one, and on those before it no more, whatever still comes on them."""
        self._cursor.execute(
            "UPDATE sessions SET heard = -1 WHERE contact = ? AND session <> ?", (contact, number)
        )
        self.heard(number)

    def _open(self, number: int, sealed: bytes) -> Session:
        return decode_session(self._database.open(_TABLE, _row(number), sealed).reveal())


def _row(number: int) -> bytes:
    return number.to_bytes(8, "big")
