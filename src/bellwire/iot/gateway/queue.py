"""Messages for devices, in a database that outlives the cloud, and the routing record of each.

Any process of the cloud's user may add messages, whether the cloud runs or not. The content of a
message is erased when the device has it, or when it expires; its record stays. Each device has a
queue with an id and numbers from 1; a number is never used twice in a queue.

Content rests as the cloud's readings do, in files of its owner's alone: who adds a message has no
key of the cloud's.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bellwire.base.clock import Clock, system_clock
from bellwire.base.closing import Closing
from bellwire.base.private import own_folder
from bellwire.iot.errors import MessageUnfit, QueueFull
from bellwire.iot.gateway.database import Database
from bellwire.iot.gateway.record import Queued, Route
from bellwire.iot.messages import MAX_MESSAGE_BYTES, MAX_PUSH_BYTES, MAX_PUSH_MESSAGES, Item

FILE: Final = "messages.db"
MAX_WAITING: Final = 1000
MAX_WAITING_BYTES: Final = 4 * 2**20
"""For one device."""

MAX_ALL_WAITING: Final = 100_000
MAX_ALL_BYTES: Final = 256 * 2**20
KEPT_RECORDS: Final = 200_000
MIN_WAIT_S: Final = 1.0
MAX_WAIT_S: Final = 30 * 86_400.0
NO_QUEUE: Final = bytes(16)
"""The id of no queue: of a device to which nothing was ever sent."""

_ROUTE: Final = (
    "SELECT id, device, name, number, size, queued, expires, state, finished, protections"
    " FROM messages"
)
_USED: Final = "SELECT COUNT(*), TOTAL(size) FROM messages WHERE state = 'QUEUED'"


class MessageQueue(Closing):
    """The database of messages to devices; for use from several threads and processes.

    Args:
        folder: The cloud's state folder; made if it is missing.
        clock: Seconds since the epoch.

    Raises:
        PathUnusable, PathExposed: folder or file cannot be used.
    """

    def __init__(self, folder: Path, *, clock: Clock = system_clock) -> None:
        self._database = Database(own_folder(folder) / FILE, clock)
        self._clock = clock

    def post(
        self, device: bytes, name: str, messages: Sequence[bytes], wait_s: float
    ) -> list[Route]:
        """Queue messages for a device, durably: all of them, or none.

        Args:
            device: Fingerprint, 32 bytes.
            name: What it is called.
            messages: Of 1 to 32,768 bytes each.
            wait_s: How long they may wait for the device, 1 s to 30 days.

        Raises:
            MessageUnfit: a message is empty or too long, or `wait_s` is out of bounds.
            QueueFull: with these, more would wait than may.
            StoreFailed: the database cannot be written; none is queued.
        """
        if not MIN_WAIT_S <= wait_s <= MAX_WAIT_S:
            raise MessageUnfit(
                f"expected a message to wait {MIN_WAIT_S:g} to {MAX_WAIT_S:,.0f} seconds, "
                f"got {wait_s:g}"
            )
        for each in messages:
            if not 1 <= len(each) <= MAX_MESSAGE_BYTES:
                raise MessageUnfit(
                    f"expected a message of 1 to {MAX_MESSAGE_BYTES:,} bytes, got {len(each):,}"
                )
        with self._database.writing() as (database, now):
            _expire(database, now)
            self._make_sure_of_room(database, device, messages)
            queue = database.execute(
                "SELECT queue, last FROM queues WHERE device = ?", (device,)
            ).fetchone()
            name_of_queue, last = queue or (os.urandom(16), 0)
            ids = [os.urandom(16) for _ in messages]
            database.executemany(
                "INSERT INTO messages (id, device, name, number, size, queued, expires, state,"
                " protections, data) VALUES (?, ?, ?, ?, ?, ?, ?, 'QUEUED', '', ?)",
                [
                    (ids[at], device, name, last + 1 + at, len(data), now, now + wait_s, data)
                    for at, data in enumerate(messages)
                ],
            )
            database.execute(
                "INSERT OR REPLACE INTO queues VALUES (?, ?, ?)",
                (device, name_of_queue, last + len(messages)),
            )
            database.execute(
                "DELETE FROM messages WHERE state != 'QUEUED'"
                " AND entry <= (SELECT MAX(entry) FROM messages) - ?",
                (KEPT_RECORDS,),
            )
            return [
                Route(ids[at], device, name, last + 1 + at, len(data), now, now + wait_s,
                      "QUEUED", None, ())
                for at, data in enumerate(messages)
            ]  # fmt: skip

    def confirm(self, device: bytes, queue: bytes, last: int) -> tuple[int, int]:
        """A device says how far it has its queue.

        Where it has more than was ever queued, this database is older than what the device saw: its
        queue gets a new id, under which what waits is brought over whatever its number.

        Args:
            device: Fingerprint.
            queue: Id of the queue that it had messages of last; NO_QUEUE for none.
            last: Number of the last message of it that is durable there.

        Returns:
            How many messages became DELIVERED by this, and how many wait now.

        Raises:
            StoreFailed: the database failed.
        """
        known, highest = self._queue_of(device)
        delivered = 0
        if queue == known and last > highest:
            with self._database.writing() as (database, _):
                database.execute(
                    "UPDATE queues SET queue = ? WHERE device = ?", (os.urandom(16), device)
                )
        elif queue == known and last and self._count(device, last):
            with self._database.writing() as (database, now):
                delivered = database.execute(
                    "UPDATE messages SET state = 'DELIVERED', finished = ?, data = NULL"
                    " WHERE state = 'QUEUED' AND device = ? AND number <= ?",
                    (now, device, last),
                ).rowcount
        return delivered, self._count(device, highest)

    def next_push(self, device: bytes, protections: Sequence[str]) -> tuple[bytes, list[Item]]:
        """What to bring over now: the queue's id, and the first messages that wait, in order.

        Their records say from now on under what protection they went.

        Raises:
            StoreFailed: the database failed.
        """
        if not self._count(device, self._queue_of(device)[1]):
            return NO_QUEUE, []
        with self._database.writing() as (database, now):
            _expire(database, now)
            rows = database.execute(
                "SELECT id, number, queued, data FROM messages"
                " WHERE state = 'QUEUED' AND device = ? ORDER BY number LIMIT ?",
                (device, MAX_PUSH_MESSAGES),
            ).fetchall()
            items: list[Item] = []
            size = 0
            for name, number, queued, data in rows:
                size += len(data)
                if items and size > MAX_PUSH_BYTES:
                    break
                items.append(Item(name, number, max(0, int(1000 * queued)), data))
            if items:
                database.execute(
                    "UPDATE messages SET protections = ?"
                    " WHERE state = 'QUEUED' AND device = ? AND number <= ?",
                    (", ".join(protections), device, items[-1].number),
                )
        return self._queue_of(device)[0], items

    def delivered(self, device: bytes, numbers: Sequence[int]) -> int:
        """A device has what was brought over together; says how many became DELIVERED.

        One that expired while it was under way has arrived all the same.

        Raises:
            StoreFailed: the database failed.
        """
        with self._database.writing() as (database, now):
            return database.executemany(
                "UPDATE messages SET state = 'DELIVERED', finished = ?, data = NULL"
                " WHERE state != 'DELIVERED' AND device = ? AND number = ?",
                [(now, device, number) for number in numbers],
            ).rowcount

    def version(self) -> int:
        """Another number once another connection has written; StoreFailed."""
        return int(self._database.read("PRAGMA data_version")[0][0])

    def queues(self) -> list[Queued]:
        """The devices for which something waits, and how much; StoreFailed."""
        rows = self._database.read(
            "SELECT device, MAX(name), COUNT(*), SUM(size) FROM messages"
            " WHERE state = 'QUEUED' AND expires > ? GROUP BY device ORDER BY 2, 1",
            (self._clock(),),
        )
        return [Queued(*row) for row in rows]

    def routes(self, device: bytes | None = None, *, most: int = 1000) -> list[Route]:
        """The newest records, oldest first; of one device, or of all; StoreFailed."""
        with self._database.writing() as (database, now):
            _expire(database, now)
        if device is None:
            rows = self._database.read(f"{_ROUTE} ORDER BY entry DESC LIMIT ?", (most,))
        else:
            rows = self._database.read(
                f"{_ROUTE} WHERE device = ? ORDER BY number DESC LIMIT ?", (device, most)
            )
        return [_route(row) for row in reversed(rows)]

    def route(self, message: bytes) -> Route | None:
        """The record of a message, by its id; StoreFailed."""
        rows = self._database.read(f"{_ROUTE} WHERE id = ?", (message,))
        return _route(rows[0]) if rows else None

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def _queue_of(self, device: bytes) -> tuple[bytes, int]:
        """The id of a device's queue, and the last number given in it."""
        rows = self._database.read("SELECT queue, last FROM queues WHERE device = ?", (device,))
        return rows[0] if rows else (NO_QUEUE, 0)

    def _count(self, device: bytes, last: int) -> int:
        """How many messages up to this number wait."""
        rows = self._database.read(
            "SELECT COUNT(*) FROM messages"
            " WHERE state = 'QUEUED' AND device = ? AND number <= ? AND expires > ?",
            (device, last, self._clock()),
        )
        return int(rows[0][0])

    def _make_sure_of_room(
        self, database: sqlite3.Connection, device: bytes, messages: Sequence[bytes]
    ) -> None:
        more, size = len(messages), sum(map(len, messages))
        for query, values, most, most_bytes, whom in (
            (f"{_USED} AND device = ?", (device,), MAX_WAITING, MAX_WAITING_BYTES, "this device"),
            (_USED, (), MAX_ALL_WAITING, MAX_ALL_BYTES, "all devices"),
        ):
            count, used = database.execute(query, values).fetchone()
            if count + more > most or used + size > most_bytes:
                raise QueueFull(
                    f"expected at most {most:,} messages of {most_bytes:,} bytes together to wait "
                    f"for {whom}, got {count + more:,} of {int(used) + size:,}",
                    hint="Those that wait are kept; try again when the device was here.",
                )


def _expire(database: sqlite3.Connection, now: float) -> None:
    """Give up what has waited too long."""
    database.execute(
        "UPDATE messages SET state = 'EXPIRED', finished = ?, data = NULL"
        " WHERE state = 'QUEUED' AND expires <= ?",
        (now, now),
    )


def _route(row: tuple[Any, ...]) -> Route:
    name, device, called, number, size, queued, expires, state, finished, under = row
    protections = tuple(under.split(", ")) if under else ()
    return Route(name, device, called, number, size, queued, expires, state, finished, protections)
