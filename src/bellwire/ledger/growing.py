"""The right edge of a log's tree: all that is needed to append to it and to know its root.

An edge has, for every height, the nodes of the tile that is still partial there: at most 511 hashes
a level, so 50 kB for any log. It is a value: growing gives a new one, and a transaction that fails
leaves the old one as it was.

Source: C2SP tlog-tiles, "Merkle Tree"; RFC 6962, 2.1.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bellwire.ledger.errors import RangeUnusable
from bellwire.ledger.tiles import MIDDLE_ROW, TILE_HEIGHT, TILE_WIDTH, Tile, TileHashes
from bellwire.ledger.tree import MAX_SIZE, fold, node_hash


@dataclass(frozen=True, slots=True)
class Edge:
    """The partial tiles of a tree of `size` entries.

    Attributes:
        size: Entries.
        rows: By height, the nodes of that height in the partial tile that has them; from left
            to right.
    """

    size: int = 0
    rows: tuple[tuple[bytes, ...], ...] = ()

    @property
    def root(self) -> bytes:
        """The root of the tree, 32 bytes."""
        heights = range(self.size.bit_length() - 1, -1, -1)
        # The subtrees that a tree is folded from end at its right edge: each is the last of a row.
        return fold([self.rows[height][-1] for height in heights if self.size >> height & 1])


def grow(edge: Edge, leaves: Sequence[bytes]) -> tuple[Edge, dict[Tile, TileHashes]]:
    """Append entries to a tree.

    Args:
        edge: Of the tree as it is.
        leaves: (32,) hashes of the new entries, from `tree.leaf_hash`.

    Returns:
        The edge of the tree as it will be, and the tiles that it has and the old one had not,
        as `tiles.tiles(new size, since=old size)` lists them; full ones with their middle.

    Raises:
        RangeUnusable: the tree would have over 2**63 − 1 entries.
    """
    size = edge.size + len(leaves)
    if size > MAX_SIZE:
        raise RangeUnusable(f"entries: expected at most {MAX_SIZE:,}, got {size:,}")
    written: dict[Tile, TileHashes] = {}
    rows = list(edge.rows)
    new, level = list(leaves), 0
    while new:
        first = (edge.size >> TILE_HEIGHT * level) // TILE_WIDTH
        own = slice(TILE_HEIGHT * level, TILE_HEIGHT * (level + 1))
        # Levels that nothing reaches stay what they are: most of the time all but the lowest.
        filled = [list(row) for row in rows[own]] or [[] for _ in range(TILE_HEIGHT)]
        new = _fill(filled, new, level, first, written)
        rows[own] = map(tuple, filled)
        level += 1
    return Edge(size, tuple(rows)), written


def edge_of(size: int, read: Callable[[Tile], TileHashes]) -> Edge:
    """The edge of a tree whose tiles are at hand.

    Args:
        size: Entries.
        read: Gives a tile; one that meanwhile has more nodes will do.

    Raises:
        RangeUnusable: size is not within 0..2**63 − 1.
        TileMalformed: a tile has too few nodes.
    """
    if not 0 <= size <= MAX_SIZE:
        raise RangeUnusable(f"size: expected 0 to {MAX_SIZE:,}, got {size:,}")
    rows: list[list[bytes]] = []
    level = 0
    while count := size >> TILE_HEIGHT * level:
        row: list[bytes] = []
        number, width = divmod(count, TILE_WIDTH)
        if width:
            hashes = read(Tile(level, number, width))
            row = [hashes.nodes(0, i)[0] for i in range(width)]
        above = [row, *([] for _ in range(TILE_HEIGHT - 1))]
        _pair(above)
        rows += above
        level += 1
    return Edge(size, tuple(tuple(row) for row in rows))


def _fill(
    rows: list[list[bytes]],
    new: Sequence[bytes],
    level: int,
    number: int,
    written: dict[Tile, TileHashes],
) -> list[bytes]:
    """Put nodes into tiles of one level, from `number` on; returns the roots of the full."""
    roots = []
    at = 0
    while at < len(new):
        space = TILE_WIDTH - len(rows[0])
        rows[0] += new[at : at + space]
        at += space
        _pair(rows)
        hashes = b"".join(rows[0])
        if len(rows[0]) < TILE_WIDTH:
            written[Tile(level, number, len(rows[0]))] = TileHashes(hashes)
            break
        written[Tile(level, number)] = TileHashes(hashes, b"".join(rows[MIDDLE_ROW]))
        roots.append(node_hash(*rows[-1]))
        number += 1
        for row in rows:
            row.clear()
    return roots


def _pair(rows: list[list[bytes]]) -> None:
    """Hash the pairs of each row that the row above has not yet."""
    for below, above in itertools.pairwise(rows):
        for right in range(2 * len(above) + 1, len(below), 2):
            above.append(node_hash(below[right - 1], below[right]))
