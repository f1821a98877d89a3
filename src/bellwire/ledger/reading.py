"""Reading a log that is not trusted: what it serves is hashed here and compared with what it signs.

A reader brings a way to get what lies under the log's prefix (over HTTP, from a folder); everything
that comes is bounded and checked before it is used.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bellwire.base.errors import UnreachableError
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.errors import InclusionMismatch, TileMalformed
from bellwire.ledger.growing import Edge, grow
from bellwire.ledger.note import Note, parse_note
from bellwire.ledger.proofs import verify_inclusion
from bellwire.ledger.proving import Prover
from bellwire.ledger.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Bundle,
    Tile,
    TileHashes,
    bundles,
    split_bundle,
    tile_of,
)
from bellwire.ledger.tree import HASH_BYTES, Node, leaf_hash

Fetch = Callable[[str], bytes]
"""What lies at a path below the log's prefix."""


@dataclass(frozen=True, slots=True)
class Altered:
    """Entries that are not those of the tree.

    Attributes:
        number: Of the first.
        count: How many follow on each other, of which nothing closer can be said.
        unreadable: Whether they cannot be told from each other any more.
    """

    number: int
    count: int = 1
    unreadable: bool = False

    def __str__(self) -> str:
        if self.count == 1:
            return f"entry {self.number}"
        return f"entries {self.number} to {self.number + self.count - 1}"


class LogReader:
    """Reads one log.

    A partial tile that is gone is read from the full one that took its place: a log may delete it
    then (tlog-tiles, "Partial Tiles").

    Args:
        fetch: Its way to it; what it raises passes through. It raises UnreachableError for what is
            not there.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def note(self) -> Note:
        """The checkpoint that it shows, not verified.

        Raises:
            NoteMalformed: it is none.
        """
        return parse_note(self._fetch("checkpoint"))

    def entries(self, size: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """(number, bytes) of entries of a log of `size`, not verified.

        Raises:
            TileMalformed: a bundle is not what it must be.
        """
        for bundle in bundles(size, since=start):
            if bundle.start >= end:
                return
            for number, entry in enumerate(self._bundle(bundle), bundle.start):
                if start <= number < end:
                    yield number, entry

    def tile(self, tile: Tile, size: int) -> TileHashes:
        """A tile as a log of `size` has it, not verified; it may be wider than was asked for.

        A log of files has the last tile of each level in no other width.

        Raises:
            TileMalformed: it is not what it must be.
        """
        nodes = (size >> TILE_HEIGHT * tile.level) - TILE_WIDTH * tile.number
        hashes = TileHashes(self._whole(tile._replace(width=min(TILE_WIDTH, nodes))))
        return hashes.at_least(tile.width)

    def follow(
        self, size: int, edge: Edge, seen: Callable[[int, bytes], None]
    ) -> tuple[Edge, list[Altered]]:
        """Hash what was appended, and compare it with the tiles.

        Args:
            size: How far; from a checkpoint.
            edge: Of the tree so far, as it was hashed here.
            seen: Called with each number and entry.

        Returns:
            The edge of the whole tree, whose root is to be that of the checkpoint; and entries that
            are not those of the log's own tiles.

        Raises:
            TileMalformed: a tile is not what it must be.
        """
        altered: list[Altered] = []
        for bundle in bundles(size, since=edge.size):
            tile = self.tile(Tile(0, bundle.number, bundle.width), size).hashes
            skip = max(0, edge.size - bundle.start)
            try:
                new = list(enumerate(self._bundle(bundle), bundle.start))[skip:]
            except TileMalformed:
                # What it was is not to be had: the tree can only go on with what the log hashed.
                altered.append(Altered(bundle.start + skip, bundle.width - skip, unreadable=True))
                leaves = [_hash_in(tile, at) for at in range(skip, bundle.width)]
            else:
                leaves = [leaf_hash(entry) for _, entry in new]
                for (number, entry), leaf in zip(new, leaves, strict=True):
                    if _hash_in(tile, number - bundle.start) != leaf:
                        altered.append(Altered(number))
                    seen(number, entry)
            edge, grown = grow(edge, leaves)
            altered += self._higher(size, grown, altered)
        return edge, altered

    def reread(self, checkpoint: Checkpoint, start: int, count: int) -> tuple[int, list[Altered]]:
        """Read entries that were followed to before once more.

        Args:
            checkpoint: To which the log was followed.
            start: Of an entry bundle.
            count: How many at least, or to the end.

        Returns:
            The start of the next bundle, 0 after the last; and entries that are not those of the
            checkpoint's tree.

        Raises:
            TileMalformed: a tile is not what it must be.
        """
        altered: list[Altered] = []
        at_hand: dict[Tile, TileHashes] = {}

        def read(tile: Tile) -> TileHashes:
            if tile not in at_hand:
                at_hand[tile] = self.tile(tile, checkpoint.size)
            return at_hand[tile]

        prover = Prover(read)
        for bundle in bundles(checkpoint.size, since=start):
            if bundle.start >= start + count:
                return bundle.start, altered
            altered += self._reread(bundle, checkpoint, prover, read)
        return 0, altered

    def _reread(
        self,
        bundle: Bundle,
        checkpoint: Checkpoint,
        prover: Prover,
        read: Callable[[Tile], TileHashes],
    ) -> list[Altered]:
        tile = read(tile_of(Node(0, bundle.start), checkpoint.size)).hashes
        try:
            there = self._bundle(bundle)
            # The way up from its first hash takes all the others of the tile in.
            proof = prover.inclusion(bundle.start, checkpoint.size)
            verify_inclusion(
                _hash_in(tile, 0), bundle.start, checkpoint.size, proof, checkpoint.root
            )
        except (TileMalformed, InclusionMismatch):
            return [Altered(bundle.start, bundle.width)]
        return [
            Altered(bundle.start + at)
            for at, entry in enumerate(there)
            if leaf_hash(entry) != _hash_in(tile, at)
        ]

    def _higher(
        self, size: int, grown: dict[Tile, TileHashes], altered: list[Altered]
    ) -> list[Altered]:
        """Bundles whose place in the tile above says something else than their own tile."""
        found = []
        for tile, ours in grown.items():
            if tile.level != 1:
                continue
            at = HASH_BYTES * (tile.width - 1)
            theirs = self.tile(tile, size).hashes[at : at + HASH_BYTES]
            start = TILE_WIDTH * (tile.number * TILE_WIDTH + tile.width - 1)
            if theirs != ours.hashes[at:] and not any(
                start <= each.number < start + TILE_WIDTH for each in altered
            ):
                found.append(Altered(start, TILE_WIDTH))
        return found

    def _bundle(self, bundle: Bundle) -> list[bytes]:
        return split_bundle(self._whole(bundle), bundle.width)

    def _whole(self, place: Tile | Bundle) -> bytes:
        try:
            return self._fetch(place.path)
        except UnreachableError:
            if place.width == TILE_WIDTH:
                raise
            with contextlib.suppress(UnreachableError):
                return self._fetch(place._replace(width=TILE_WIDTH).path)
            raise


def _hash_in(tile: bytes, at: int) -> bytes:
    return tile[HASH_BYTES * at : HASH_BYTES * (at + 1)]


def prove(
    reader: LogReader, checkpoint: Checkpoint, start: int, end: int
) -> list[tuple[int, bytes, tuple[bytes, ...]]]:
    """(number, bytes, proof) of entries, each in the tree of a checkpoint that holds.

    Raises:
        InclusionMismatch: one is not; its number is in the message.
        TileMalformed: a tile or a bundle is not what it must be.
    """
    at_hand: dict[Tile, TileHashes] = {}

    def read(tile: Tile) -> TileHashes:
        if tile not in at_hand:
            at_hand[tile] = reader.tile(tile, checkpoint.size)
        return at_hand[tile]

    prover = Prover(read)
    found = []
    for number, entry in reader.entries(checkpoint.size, start, end):
        proof = prover.inclusion(number, checkpoint.size)
        verify_inclusion(leaf_hash(entry), number, checkpoint.size, proof, checkpoint.root)
        found.append((number, entry, proof))
    return found
