"""Proofs made from tiles, at a cost that grows with the logarithm of the log's size.

A proof reads one tile of each level. Full tiles above the entries' own level are few and never
change, so the nodes above their hashes are kept from one proof to the next, within a bound.

Source: C2SP tlog-tiles; RFC 6962, 2.1.1 and 2.1.2.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from bellwire.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, TileHashes, tile_of
from bellwire.ledger.tree import (
    Node,
    Plan,
    consistency_plan,
    covering,
    fold,
    inclusion_plan,
    perfect_root,
    plan_nodes,
)

MOST_KEPT: Final = 50_000
"""Nodes that are kept: 5 MB, and all above the lowest level of a log of 20 million entries."""


class Prover:
    """Makes proofs of trees of any size that the tiles reach.

    Args:
        read: Gives a tile; one that meanwhile has more nodes will do. What it raises passes on.
    """

    def __init__(self, read: Callable[[Tile], TileHashes]) -> None:
        self._read = read
        self._kept: OrderedDict[Node, bytes] = OrderedDict()

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
        return self._hashes(inclusion_plan(index, size), size)

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """The proof that the tree of `new` entries begins with the `old` ones.

        Raises:
            RangeUnusable: old is not within 0..new.
            TileMalformed: a tile that was read ends too early.
        """
        return self._hashes(consistency_plan(old, new), new)

    def _hashes(self, plan: Plan, size: int) -> tuple[bytes, ...]:
        at_hand: dict[Tile, TileHashes] = {}
        return tuple([fold([self._node(node, size, at_hand) for node in group]) for group in plan])

    def _node(self, node: Node, size: int, at_hand: dict[Tile, TileHashes]) -> bytes:
        if node.height >= TILE_HEIGHT and (kept := self._kept.get(node)) is not None:
            self._kept.move_to_end(node)
            return kept
        tile = tile_of(node, size)
        hashes = at_hand.get(tile)
        if hashes is None:
            hashes = at_hand[tile] = self._read(tile)
        row = node.height % TILE_HEIGHT
        hash_ = perfect_root(hashes.nodes(row, node.number - (tile.number * TILE_WIDTH >> row)))
        # A node is of whole tiles below it, so it stays what it is, whatever is appended.
        if tile.level:
            self._kept[node] = hash_
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return hash_


def tiles_for(plans: Iterable[Plan], size: int) -> frozenset[Tile]:
    """The tiles that must be at hand to make proofs, for whoever fetches them first.

    Args:
        plans: From `tree.inclusion_plan` and `tree.consistency_plan`.
        size: Entries of the tree they are made in.
    """
    return frozenset(tile_of(node, size) for plan in plans for node in plan_nodes(plan))
