"""The store of a log: entries are appended in batches, and never changed.

What always holds:

- Entries, the tiles and the head that they make, and which writer's numbers they are, are one
  transaction. After an error or a crash all of a batch is there or nothing of it.
- An entry is there once, however often its writer brings it: numbers of a writer's epoch are taken
  in order, without gaps, and one that is taken already must come with the same bytes.
- Memory is what the disk holds. When a commit fails, which may have been done all the same, the
  database is opened anew and read.
- A batch goes behind the head that memory knows, or nowhere: a database that was put back, or that
  another process wrote to, is read anew before anything is appended.

One thread at a time may append; tiles, bundles and proofs are read meanwhile by another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from bellwire.database.cursor import Cursor
from bellwire.ledger.errors import LedgerError, RangeUnusable
from bellwire.ledger.growing import Edge, edge_of, grow
from bellwire.ledger.store.database import Place, open_database
from bellwire.ledger.store.errors import (
    LogStoreDamaged,
    LogStoreError,
    SequenceGap,
    SequenceTaken,
)
from bellwire.ledger.tiles import TILE_WIDTH, Bundle, Tile, TileHashes, join_bundle
from bellwire.ledger.tree import HASH_BYTES, leaf_hash

MOST_KNOWN: Final = 4096
"""Writers' epochs that are kept in memory; more are read again."""

_LEVEL: Final = 1 << 55
_TILE: Final = "SELECT hashes, middle FROM tiles WHERE place = ?"


class Batch(NamedTuple):
    """Entries of one writer, with consecutive numbers.

    Attributes:
        writer: Its name.
        epoch: Of its outbox.
        first: Number of the first.
        entries: Their bytes.
    """

    writer: str
    epoch: str
    first: int
    entries: Sequence[bytes]


Appended: TypeAlias = range | tuple[int, ...]
"""The numbers of a batch's entries in the log, counted from 0."""

Outcome: TypeAlias = Appended | LedgerError


@dataclass(slots=True)
class _Writer:
    """An epoch of a writer, and its last run: numbers that follow on each other in the log."""

    id: int
    first: int = 1
    number: int = 0
    count: int = 0

    @property
    def next(self) -> int:
        return self.first + self.count


@dataclass(frozen=True, slots=True)
class Head:
    """How far the log has come.

    Attributes:
        size: Entries.
        root: Of their tree, 32 bytes.
    """

    size: int
    root: bytes


class LogStore:
    """A log's store, open.

    Args:
        place: Where it is: the log's own folder, or its schema on a PostgreSQL server.

    Raises:
        LogStoreError: it cannot be used, or is not what was written; see `errors`.
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._database = open_database(place)
        try:
            self._edge, self._head = self._load()
        except BaseException:
            self._database.close()
            raise
        self._writers: dict[tuple[str, str], _Writer] = {}
        self._broken = False

    def close(self) -> None:
        """Give the store up; again is harmless."""
        self._database.close()

    @property
    def head(self) -> Head:
        """As of the last commit."""
        return self._head

    # Writing

    def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        """Append what is new, durably, in one transaction.

        Returns:
            For each batch the numbers of its entries, or why it was refused: SequenceGap,
            SequenceTaken. Nothing of a refused batch was appended.

        Raises:
            LogStoreError: the store failed. The batches may have been appended all the same: bring
                them again.
        """
        if self._broken:
            self._reopen()
        try:
            return self._append(batches)
        except BaseException:
            self._broken = True
            raise

    def _append(self, batches: Sequence[Batch]) -> list[Outcome]:
        leaves: list[bytes] = []
        outcomes: list[Outcome] = []
        size = self._edge.size
        with self._database.transaction() as cursor:
            for batch in batches:
                writer = self._writer(cursor, batch)
                try:
                    old = self._taken(cursor, writer, batch)
                except (SequenceGap, SequenceTaken) as error:
                    outcomes.append(error)
                    continue
                new = batch.entries[len(old) :]
                number = size + len(leaves)
                if new:
                    cursor.executemany(
                        "INSERT INTO entries VALUES (?, ?)", list(enumerate(new, number))
                    )
                    leaves += map(leaf_hash, new)
                    self._run(cursor, writer, number, len(new))
                numbers = range(number, number + len(new))
                outcomes.append((*old, *numbers) if old else numbers)
            if not leaves:
                return outcomes
            edge, tiles = grow(self._edge, leaves)
            head = Head(edge.size, edge.root)
            self._write_tree(cursor, head, leaves, tiles)
        self._edge, self._head = edge, head
        return outcomes

    def _write_tree(
        self, cursor: Cursor, head: Head, leaves: list[bytes], tiles: dict[Tile, TileHashes]
    ) -> None:
        """Put the tree that will be behind the one that is; `leaves` are its new hashes."""
        before = self._head
        full = head.size - head.size % TILE_WIDTH
        start = max(before.size, full)
        if full > before.size - before.size % TILE_WIDTH:
            cursor.execute("DELETE FROM tail WHERE number < ?", (full,))
        cursor.executemany(
            "INSERT INTO tail VALUES (?, ?)",
            list(enumerate(leaves[start - before.size :], start)),
        )
        cursor.executemany(
            "INSERT INTO tiles VALUES (?, ?, ?) ON CONFLICT (place)"
            " DO UPDATE SET hashes = excluded.hashes, middle = excluded.middle",
            [
                (_place(tile), each.hashes, each.middle)
                for tile, each in tiles.items()
                if tile.level or tile.is_full
            ],
        )
        cursor.execute(
            "UPDATE head SET size = ?, root = ? WHERE size = ? AND root = ?",
            (head.size, head.root, before.size, before.root),
        )
        if cursor.rowcount != 1:
            raise LogStoreError(
                f"expected the log's store as this process left it, with {before.size:,} entries,"
                " got another",
                hint="It was put back, or written by another process, while the log ran.",
            )

    def _writer(self, cursor: Cursor, batch: Batch) -> _Writer:
        name = batch.writer, batch.epoch
        if (known := self._writers.get(name)) is not None:
            return known
        rows = cursor.execute(
            "SELECT id FROM writers WHERE name = ? AND epoch = ?", name
        ).fetchall()
        last = []
        if rows:
            last = cursor.execute(
                "SELECT first, number, count FROM runs WHERE writer = ?"
                " ORDER BY first DESC LIMIT 1",
                rows[0],
            ).fetchall()
        else:
            rows = cursor.execute(
                "INSERT INTO writers (name, epoch) VALUES (?, ?) RETURNING id", name
            ).fetchall()
        if len(self._writers) >= MOST_KNOWN:
            self._writers.clear()
        writer = self._writers[name] = _Writer(rows[0][0], *(last[0] if last else ()))
        return writer

    def _taken(self, cursor: Cursor, writer: _Writer, batch: Batch) -> tuple[int, ...]:
        """Numbers in the log of the batch's entries that are there already."""
        if batch.first > writer.next:
            raise SequenceGap(batch.writer, writer.next, batch.first)
        found = []
        for sequence, entry in zip(range(batch.first, writer.next), batch.entries, strict=False):
            row = cursor.execute(
                "SELECT number + ? - first FROM runs WHERE writer = ? AND first <= ?"
                " ORDER BY first DESC LIMIT 1",
                (sequence, writer.id, sequence),
            ).fetchone()
            there = (
                row and cursor.execute("SELECT entry FROM entries WHERE number = ?", row).fetchone()
            )
            if not there:
                raise LogStoreDamaged(f"the log lost entry {sequence} of {batch.writer}")
            if there[0] != entry:
                raise SequenceTaken(
                    f"sequence {sequence} of {batch.writer}: expected the entry that is in the log"
                    f" under it, as number {row[0]}, got another"
                )
            found.append(row[0])
        return tuple(found)

    @staticmethod
    def _run(cursor: Cursor, writer: _Writer, number: int, count: int) -> None:
        """Remember where a writer's numbers are; what follows on is one run."""
        if writer.count and writer.number + writer.count == number:
            writer.count += count
        else:
            writer.number, writer.first, writer.count = number, writer.next, count
        cursor.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?) ON CONFLICT (writer, first)"
            " DO UPDATE SET count = excluded.count",
            (writer.id, writer.first, writer.number, writer.count),
        )

    # Reading

    def next_of(self, writer: str, epoch: str) -> int:
        """The number that a writer's next entry is to have.

        Raises:
            LogStoreError: the store failed.
        """
        rows = self._database.rows(
            "SELECT first + count FROM runs WHERE writer ="
            " (SELECT id FROM writers WHERE name = ? AND epoch = ?) ORDER BY first DESC LIMIT 1",
            (writer, epoch),
        )
        return int(rows[0][0]) if rows else 1

    def tile(self, tile: Tile) -> TileHashes:
        """A tile; one that meanwhile has more nodes than was asked for is given whole.

        Raises:
            RangeUnusable: the log has not come so far.
            LogStoreError: the store failed.
        """
        edge = self._edge
        if not tile.level and tile.number == edge.size // TILE_WIDTH:
            found = b"".join(edge.rows[0]) if edge.rows else b""
            middle = b""
        else:
            rows = self._database.rows(_TILE, (_place(tile),))
            found, middle = rows[0] if rows else (b"", b"")
        if len(found) < tile.width * HASH_BYTES:
            raise RangeUnusable(f"tile: expected one of {edge.size:,} entries, got {tile}")
        return TileHashes(found, middle)

    def bundle(self, bundle: Bundle) -> bytes:
        """Entries as they are served.

        Raises:
            RangeUnusable: the log has not come so far.
            LogStoreError: the store failed.
        """
        entries = self.entries(bundle.start, bundle.width)
        if len(entries) < bundle.width:
            raise RangeUnusable(
                f"bundle: expected one of {self._edge.size:,} entries, got {bundle}"
            )
        return join_bundle(entries)

    def entries(self, start: int, count: int) -> list[bytes]:
        """Entries from a number on, at most so many.

        Raises:
            LogStoreError: the store failed.
        """
        rows = self._database.rows(
            "SELECT entry FROM entries WHERE number >= ? AND number < ? ORDER BY number",
            (start, start + min(count, self._edge.size)),
        )
        return [entry for (entry,) in rows]

    def _reopen(self) -> None:
        self._database.close()
        self._database = open_database(self._place)
        self._edge, self._head = self._load()
        self._writers.clear()
        self._broken = False

    def _load(self) -> tuple[Edge, Head]:
        rows = self._database.rows("SELECT size, root FROM head")
        if len(rows) != 1:
            raise LogStoreDamaged("expected the head of a log's store, got none")
        size, root = rows[0]
        try:
            edge = edge_of(size, self._tile_there)
        except LedgerError as error:
            raise LogStoreDamaged(f"the log's tiles are not whole: {error}") from error
        if edge.root != root:
            raise LogStoreDamaged(
                f"expected tiles with the root of {size:,} entries that was stored with them,"
                " got others",
                hint="`bellwire log watch` says which entry was changed.",
            )
        return edge, Head(size, root)

    def _tile_there(self, tile: Tile) -> TileHashes:
        """A tile of the disk, whatever memory says of how far the log has come."""
        if not tile.level:
            start = tile.number * TILE_WIDTH
            rows = self._database.rows(
                "SELECT hash FROM tail WHERE number >= ? AND number < ? ORDER BY number",
                (start, start + tile.width),
            )
            return TileHashes(b"".join([row[0] for row in rows]))
        rows = self._database.rows(_TILE, (_place(tile),))
        if not rows:
            raise RangeUnusable(f"tile: expected {tile}, got none")
        return TileHashes(*rows[0])


def _place(tile: Tile) -> int:
    return tile.level * _LEVEL + tile.number
