"""How far each output has come in each stream, and what devices are called.

A cursor moves after the output has what lies before it: a crash in between sends again, and loses
nothing.
"""

import sqlite3
import threading
from pathlib import Path
from typing import Any, Final

from bellwire.base.closing import Closing
from bellwire.base.private import own_file, unusable
from bellwire.iot.errors import StoreFailed
from bellwire.iot.stored import StreamKey

FILE: Final = "outputs.db"

_TABLES = """
CREATE TABLE IF NOT EXISTS cursors (
    output TEXT NOT NULL, device BLOB NOT NULL, stream BLOB NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (output, device, stream)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (device BLOB PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
"""


class Cursors(Closing):
    """A small database in the cloud's folder; for use from several threads.

    Args:
        path: Its file, made with mode 0600 if it is missing.

    Raises:
        PathUnusable, PathExposed: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        own_file(path)
        self._path = path
        self._using = threading.Lock()
        try:
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_TABLES)
        except sqlite3.Error as error:
            raise unusable(path, OSError(None, str(error))) from error

    def next_of(self, output: str, key: StreamKey) -> int:
        """The number of the first reading that an output may not have; StoreFailed."""
        query = "SELECT next FROM cursors WHERE output = ? AND device = ? AND stream = ?"
        found = self._execute(query, (output, key.device, key.stream))
        return int(found[0][0]) if found else 0

    def move(self, output: str, key: StreamKey, following: int) -> None:
        """Say that an output has all readings before `following`; StoreFailed."""
        self._execute(
            "INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?)",
            (output, key.device, key.stream, following),
        )

    def call(self, device: bytes, name: str) -> None:
        """Keep what a device is called now; StoreFailed."""
        self._execute("INSERT OR REPLACE INTO names VALUES (?, ?)", (device, name))

    def name(self, device: bytes) -> str:
        """What a device was last called, or nothing; StoreFailed."""
        found = self._execute("SELECT name FROM names WHERE device = ?", (device,))
        return str(found[0][0]) if found else ""

    def names(self) -> dict[bytes, str]:
        """What each device was last called that brought readings; StoreFailed."""
        return dict(self._execute("SELECT device, name FROM names", ()))

    def _execute(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._using:
            try:
                return self._database.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise StoreFailed(f"cannot use {self._path}: {error}") from error

    def close(self) -> None:
        """Give the file back."""
        self._database.close()
