"""A writer's store with facts and an outbox, which may fail or end at any statement."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tests.keys.faults import FaultyConnection

from bellwire.database.cursor import Cursor
from bellwire.ledger.entries.model import GuardAction
from bellwire.ledger.outbox.outbox import SCHEMA, UNNUMBERED, put


def fact(number: int) -> GuardAction:
    return GuardAction(
        **UNNUMBERED, at=1_800_000_000_000, guard="gate", packets="stop", reason=f"fact {number}"
    )


class Store:
    """Facts, and what waits for the log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        new = not path.exists()
        self.connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=FaultyConnection
        )
        self.connection.execute("PRAGMA synchronous = OFF")  # processes die here, not the machine
        if new:
            for statement in ("CREATE TABLE facts (number INTEGER PRIMARY KEY)", *SCHEMA):
                self.connection.execute(statement)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Cursor]:
        # Closed at its end: a cursor kept by a traceback would keep the file locked.
        with contextlib.closing(self.connection.cursor()) as cursor:
            try:
                cursor.execute("BEGIN IMMEDIATE")
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def happen(self, *numbers: int) -> None:
        with self.transaction() as cursor:
            cursor.executemany("INSERT INTO facts VALUES (?)", [(each,) for each in numbers])
            put(cursor, [fact(each) for each in numbers])

    def facts(self) -> list[int]:
        rows = self.connection.execute("SELECT number FROM facts ORDER BY number").fetchall()
        return [number for (number,) in rows]

    def close(self) -> None:
        self.connection.close()
