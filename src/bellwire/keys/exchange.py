"""What the KMEs of a link tell each other of their pools, and give each other.

Each side says which units left, so that the other knows their age. A side that runs short gets
whole segments of the other's, of which nothing left: they are given up here before the peer hears
of them, and nobody hands them out until he has taken them over. Words that are lost are said again.

Methods may be called from any thread; one at a time is in the pool.
"""

import threading
from collections.abc import Sequence

from bellwire.keys import segments
from bellwire.keys.database.interface import Database
from bellwire.keys.rows import count_up
from bellwire.keys.runs import joined
from bellwire.keys.stock import Stock, alone

MAX_HEEDED = 4096
"""Ranges of other processes that are taken over for a report at once."""

MAX_OFFERED = 256
"""Segments that are given to the peer at once: 1 MiB."""


class Exchange:
    """A pool's dealings with the peer's.

    Args:
        stock: Of the pool.
        database: Of the store.
        lock: Of the pool.
    """

    def __init__(self, stock: Stock, database: Database, lock: "threading.RLock") -> None:
        self._stock = stock
        self._database = database
        self._lock = lock

    def __repr__(self) -> str:
        return f"Exchange({self._stock.side.value})"

    @alone
    def heed_others(self) -> None:
        """Know what other processes of the site did, and what of theirs is to be reported.

        Raises:
            StoreError: the store cannot be read or written.
        """
        if not self._database.shareable:
            return
        with self._database.transaction() as cursor:
            self._stock.catch_up(cursor)
            rows = cursor.execute(
                "SELECT first, stop FROM unreported ORDER BY first LIMIT ?", (MAX_HEEDED,)
            ).fetchall()
            cursor.executemany("DELETE FROM unreported WHERE first = ?", [row[:1] for row in rows])
        self._stock.issued += rows

    @alone
    def new_issues(self) -> list[tuple[int, int]]:
        """Ranges of units handed out since the last call, for the peer to know their age."""
        issued, self._stock.issued = self._stock.issued, []
        return joined(sorted(issued))

    @alone
    def take_report(self, sequence: int, ranges: Sequence[tuple[int, int]], now: float) -> None:
        """The peer's pool has come to `sequence`, and handed out `ranges`.

        Raises:
            StoreError: it could not be kept.
        """
        with self._database.transaction() as cursor:
            cursor.execute("UPDATE store SET peer_sequence = ?", (sequence,))
            cursor.executemany(
                "INSERT INTO issued VALUES (?, ?, ?) ON CONFLICT (first) DO NOTHING",
                [(first, stop, now) for first, stop in ranges],
            )
        self._stock.marks = self._stock.marks._replace(peer_sequence=sequence)

    @alone
    def offer(self, units: int) -> list[int]:
        """Give up segments of which nothing was handed out, for the peer to take over.

        Args:
            units: About how many units; whole segments are given, the newest first.

        Returns:
            The first unit of each.

        Raises:
            StoreError: nothing was given up.
        """
        given: list[tuple[int, int]] = []
        with self._database.transaction() as cursor:
            self._stock.catch_up(cursor)
            for first, count in segments.untouched(cursor, self._stock.confirmed, MAX_OFFERED):
                if sum(size for _, size in given) + count > units:
                    break
                given.append((first, count))
            if not given:
                return []
            self._stock.stale = True
            segments.offer(cursor, [first for first, _ in given])
            count_up(cursor)
        self._stock.moved(-sum(size for _, size in given))
        return [first for first, _ in given]

    @alone
    def offered(self) -> list[int]:
        """First units of segments that were given up and, for all we know, not taken over yet."""
        with self._database.transaction() as cursor:
            return segments.offered(cursor)

    @alone
    def given(self, firsts: Sequence[int]) -> None:
        """The peer has taken these over."""
        with self._database.transaction() as cursor:
            segments.settle(cursor, firsts)

    @alone
    def take_over(self, firsts: Sequence[int]) -> list[int]:
        """Take over segments that the peer gave up; again is harmless.

        Returns:
            Those that are settled: ours now, or ours and used up meanwhile.

        Raises:
            StoreError: nothing was taken over.
        """
        taken = []
        with self._database.transaction() as cursor:
            self._stock.catch_up(cursor)
            for first in firsts:
                segment = segments.load(cursor, first)
                if segment is not None and not segment.outgoing and not segment.gone:
                    taken.append(segment)
            if not taken:
                return list(firsts)
            self._stock.stale = True
            segments.adopt(cursor, [segment.first for segment in taken])
            count_up(cursor)
        self._stock.moved(sum(segment.units for segment in taken))
        return list(firsts)
