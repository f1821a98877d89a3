"""Records of sessions: what each pad's session measured, and that of each that gave none."""

import hashlib
import sqlite3
from typing import Final

import msgspec

from bellwire.chat.store.database import Database
from bellwire.etsi014.record import SessionRecord

_TABLE: Final = "records"


def aborted_name(contact: bytes, content_id: bytes, group: bytes | None) -> bytes:
    """Under what the record is kept of a session that gave a message no pad.

    In a group the copies of all members have one id, so that each has a name of its own.
    """
    if group is None:
        return content_id
    return hashlib.sha256(group + contact + content_id).digest()[: len(content_id)]


class Records:
    """All of them, within one transaction, by the pad's id, or that of a message without one."""

    def __init__(self, cursor: sqlite3.Cursor, database: Database) -> None:
        self._cursor = cursor
        self._database = database

    def keep(self, contact: bytes, name: bytes, record: SessionRecord) -> None:
        """Keep a record, in the place of an earlier one of that name."""
        sealed = self._database.seal(_TABLE, name, msgspec.json.encode(record))
        self._cursor.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (name, contact, sealed)
        )

    def bring(self, contact: bytes, name: bytes, record: SessionRecord) -> None:
        """Keep a record that another device of ours has, unless there is one of that name."""
        if self.get(name) is None:
            self.keep(contact, name, record)

    def get(self, name: bytes) -> SessionRecord | None:
        """The record of a name; None if there is none."""
        row = self._cursor.execute("SELECT sealed FROM records WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        value = self._database.open(_TABLE, name, row[0]).reveal()
        return msgspec.json.decode(value, type=SessionRecord)
