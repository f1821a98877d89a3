"""The store of a log: entries are appended in batches, and never changed.

What always holds:

- Entries, the tiles and the head that they make, and which writer's numbers they are, are one
  transaction. After an error or a crash all of a batch is there or nothing of it.
- An entry is there once, however often its writer brings it: numbers of a writer's epoch are taken
  in order, without gaps, and one that is taken already must come with the same bytes.
- Memory is what the disk holds. When a commit fails, which may have been done all the same, the
  file is opened anew and read.

One thread at a time may append; tiles, bundles and proofs are read meanwhile by another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Cursor
from typing import Final, NamedTuple, TypeAlias

from bellwire.ledger.errors import LedgerError, RangeUnusable
from bellwire.ledger.growing import Edge, edge_of, grow
from bellwire.ledger.store.errors import LogStoreDamaged, SequenceGap, SequenceTaken
from bellwire.ledger.store.sqlite import LogFile
from bellwire.ledger.tiles import Bundle, Tile, TileHashes, join_bundle
from bellwire.ledger.tree import HASH_BYTES, leaf_hash

MOST_KNOWN: Final = 4096
"""Writers' epochs that are kept in memory; more are read again."""

_LEVEL: Final = 1 << 55


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
    id: int
    next: int
    number: int = 0
    """Of the log: where its last run began."""
    first: int = 0
    count: int = 0


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
        folder: The log's own.

    Raises:
        LogStoreError: it cannot be used, or is not what was written; see `errors`.
        PathUnusable, PathExposed: the folder cannot be used, or others may read it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = LogFile(folder)
        try:
            self._edge = self._load()
        except BaseException:
            self._file.close()
            raise
        self._writers: dict[tuple[str, str], _Writer] = {}
        self._broken = False

    def close(self) -> None:
        """Give the store up; again is harmless."""
        self._file.close()

    @property
    def head(self) -> Head:
        """As of the last commit."""
        return Head(self._edge.size, self._edge.root)

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
        with self._file.transaction() as cursor:
            touched: dict[int, _Writer] = {}
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
                    touched[writer.id] = writer
                numbers = range(number, number + len(new))
                outcomes.append((*old, *numbers) if old else numbers)
            if not leaves:
                return outcomes
            edge, tiles = grow(self._edge, leaves)
            cursor.executemany(
                "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?)",
                [(_place(tile), each.hashes, each.middle) for tile, each in tiles.items()],
            )
            cursor.executemany(
                "UPDATE writers SET next = ? WHERE id = ?",
                [(each.next, each.id) for each in touched.values()],
            )
            cursor.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (edge.size, edge.root))
        self._edge = edge
        return outcomes

    def _writer(self, cursor: Cursor, batch: Batch) -> _Writer:
        name = batch.writer, batch.epoch
        if (known := self._writers.get(name)) is not None:
            return known
        row = cursor.execute(
            "SELECT id, next FROM writers WHERE name = ? AND epoch = ?", name
        ).fetchone()
        if row is None:
            cursor.execute("INSERT INTO writers (name, epoch, next) VALUES (?, ?, 1)", name)
            row = cursor.lastrowid, 1
        if len(self._writers) >= MOST_KNOWN:
            self._writers.clear()
        writer = self._writers[name] = _Writer(*row)
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
        writer.next += count
        cursor.execute(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)",
            (writer.id, writer.first, writer.number, writer.count),
        )

    # Reading

    def next_of(self, writer: str, epoch: str) -> int:
        """The number that a writer's next entry is to have.

        Raises:
            LogStoreError: the store failed.
        """
        rows = self._file.rows(
            "SELECT next FROM writers WHERE name = ? AND epoch = ?", (writer, epoch)
        )
        return int(rows[0][0]) if rows else 1

    def tile(self, tile: Tile) -> TileHashes:
        """A tile; one that meanwhile has more nodes than was asked for is given whole.

        Raises:
            RangeUnusable: the log has not come so far.
            LogStoreError: the store failed.
        """
        rows = self._file.rows("SELECT hashes, middle FROM tiles WHERE place = ?", (_place(tile),))
        if not rows or len(rows[0][0]) < tile.width * HASH_BYTES:
            raise RangeUnusable(f"tile: expected one of {self._edge.size:,} entries, got {tile}")
        return TileHashes(*rows[0])

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
        rows = self._file.rows(
            "SELECT entry FROM entries WHERE number >= ? AND number < ? ORDER BY number",
            (start, start + min(count, self._edge.size)),
        )
        return [entry for (entry,) in rows]

    def _reopen(self) -> None:
        self._file.close()
        self._file = LogFile(self._folder)
        self._edge = self._load()
        self._writers.clear()
        self._broken = False

    def _load(self) -> Edge:
        rows = self._file.rows("SELECT size, root FROM head")
        if not rows:
            return Edge()
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
        return edge

    def _tile_there(self, tile: Tile) -> TileHashes:
        """A tile of the file, whatever memory says of how far the log has come."""
        rows = self._file.rows("SELECT hashes, middle FROM tiles WHERE place = ?", (_place(tile),))
        if not rows:
            raise RangeUnusable(f"tile: expected {tile}, got none")
        return TileHashes(*rows[0])


def _place(tile: Tile) -> int:
    return tile.level * _LEVEL + tile.number
