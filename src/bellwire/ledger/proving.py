"""Proofs made from tiles, at a cost that grows with the logarithm of the log's size.

A proof reads one tile of each level. Those above the entries' own level are few: they are kept from
one proof to the next, with the nodes above their hashes, within a bound. So in a log of any size a
proof costs a tile of entries, and some look-ups.

Source: C2SP tlog-tiles; RFC 6962, 2.1.1 and 2.1.2.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from bellwire.ledger.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileHashes,
    path_through,
    tile_of,
)
from bellwire.ledger.tree import (
    HASH_BYTES,
    Node,
    Plan,
    consistency_plan,
    covering,
    fold,
    inclusion_plan,
    perfect_root,
    require_entry,
)

MOST_KEPT: Final = 1024
"""Tiles above the lowest level that are kept: 17 MB, and all of a log of 66 million entries."""


class Prover:
    """Makes proofs of trees of any size that the tiles reach.

    Args:
        read: Gives a tile; one that meanwhile has more nodes will do. What it raises passes on.
    """

    def __init__(self, read: Callable[[Tile], TileHashes]) -> None:
        self._read = read
        self._kept: OrderedDict[tuple[int, int], tuple[bytes, ...]] = OrderedDict()
        self._ends: tuple[int, dict[tuple[int, int], tuple[bytes, ...]]] = (0, {})

    def root(self, size: int) -> bytes:
        """The root of the tree of the first `size` entries.

        Raises:
            RangeUnusable, TileMalformed: as the two below.
        """
        return self._hashes((covering(0, size),), size)[0]

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """The proof that entry `index` is in the tree of `size` entries, from its sibling up.

        Raises:
            RangeUnusable: there is no such entry.
            TileMalformed: a tile that was read ends too early.
        """
        require_entry(index, size)
        path: list[bytes] = []
        level, number = 0, index
        # As long as its tile is full the proof goes through that tile alone.
        while ((number >> TILE_HEIGHT) + 1) << TILE_HEIGHT * (level + 1) <= size:
            tile = Tile(level, number >> TILE_HEIGHT)
            position = number % TILE_WIDTH
            if level:
                path += path_through(self._rows(tile), position)
            else:
                path += self._read(tile).path(position)
            level, number = level + 1, number >> TILE_HEIGHT
        return (*path, *self._end(index, size, level))

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """The proof that the tree of `new` entries begins with the `old` ones.

        Raises:
            RangeUnusable: old is not within 0..new.
            TileMalformed: a tile that was read ends too early.
        """
        return self._hashes(consistency_plan(old, new), new)

    def _end(self, index: int, size: int, level: int) -> tuple[bytes, ...]:
        """The hashes of a proof from a level on, where the tile of its entry is partial.

        They are the same for all entries below one node of that tile: at most 255 a level.
        """
        of = self._ends
        if of[0] != size:  # another thread may ask for another size meanwhile
            of = self._ends = (size, {})
        ends = of[1]
        place = level, index >> TILE_HEIGHT * level
        if (kept := ends.get(place)) is None:
            plan = inclusion_plan(index, size, TILE_HEIGHT * level)
            kept = ends[place] = self._hashes(plan, size)
        return kept

    def _hashes(self, plan: Plan, size: int) -> tuple[bytes, ...]:
        at_hand: dict[Tile, TileHashes] = {}
        return tuple([fold([self._node(node, size, at_hand) for node in group]) for group in plan])

    def _node(self, node: Node, size: int, at_hand: dict[Tile, TileHashes]) -> bytes:
        tile = tile_of(node, size)
        row = node.height % TILE_HEIGHT
        position = node.number - (tile.number * TILE_WIDTH >> row)
        if tile.level:
            start = position * HASH_BYTES
            return self._rows(tile)[row][start : start + HASH_BYTES]
        hashes = at_hand.get(tile)
        if hashes is None:
            hashes = at_hand[tile] = self._read(tile)
        return perfect_root(hashes.nodes(row, position))

    def _rows(self, tile: Tile) -> tuple[bytes, ...]:
        """The rows of a tile above the entries' own level.

        A node is of whole tiles below it, so it stays what it is, whatever is appended.
        """
        place = tile.level, tile.number
        kept = self._kept.get(place)
        if kept is not None and len(kept[0]) >= tile.width * HASH_BYTES:
            self._kept.move_to_end(place)
            return kept
        rows = self._kept[place] = self._read(tile).at_least(tile.width).rows()
        self._kept.move_to_end(place)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return rows
