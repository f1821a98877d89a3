"""A table in a SQLite file: each reading is one row, and a repeat changes nothing."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from bellwire.base.private import PathExposed, PathUnusable, own_file
from bellwire.iot.errors import OutputFailed
from bellwire.iot.outputs.item import Item

_TABLE = """
CREATE TABLE IF NOT EXISTS readings (
    device TEXT NOT NULL,
    stream TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    reading BLOB NOT NULL,
    PRIMARY KEY (device, stream, number)
) WITHOUT ROWID
"""
_ROW = "INSERT OR IGNORE INTO readings (device, stream, number, name, reading) VALUES (?,?,?,?,?)"
BUSY_S = 5.0
"""How long another writer may hold the file."""


class SqliteOutput:
    """The table `readings` of a file, which is made with mode 0600 if it is missing.

    Readings that are text are stored as TEXT, others as BLOB.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    async def put(self, items: Sequence[Item]) -> None:
        """As `Output.put`, in one transaction."""
        try:
            await asyncio.to_thread(self._put, items)
        except (sqlite3.Error, PathUnusable, PathExposed) as error:
            await self.close()
            raise OutputFailed(f"expected {self._path} to take readings, got: {error}") from error

    def _put(self, items: Sequence[Item]) -> None:
        database = self._database
        if database is None:
            own_file(self._path)
            # One task uses it, from whichever thread.
            database = sqlite3.connect(self._path, timeout=BUSY_S, check_same_thread=False)
            self._database = database
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute(_TABLE)
        with database:
            database.executemany(_ROW, [_row(item) for item in items])

    async def close(self) -> None:
        """As `Output.close`."""
        database, self._database = self._database, None
        if database is not None:
            await asyncio.to_thread(database.close)


def _row(item: Item) -> tuple[str, str, int, str, str | bytes]:
    try:
        reading: str | bytes = item.reading.decode()
    except UnicodeDecodeError:
        reading = item.reading
    return item.key.device.hex(), item.key.stream.hex(), item.number, item.name, reading
