"""Tiles: how a log's tree and entries lie in files that any web server can serve.

A tile of level L has up to 256 neighbouring nodes of height 8·L. Full tiles never change; the
last of each level may be partial, and is replaced as the log grows. Entries lie in bundles of 256,
each behind its length in two bytes.

Source: C2SP tlog-tiles ("Merkle Tree", "Partial Tiles", "Log entries").
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from bellwire.ledger.errors import EntryTooLarge, RangeUnusable, TileMalformed
from bellwire.ledger.tree import HASH_BYTES, MAX_SIZE, Node, row_above

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 256
MIDDLE_ROW: Final = 4
MIDDLE_BYTES: Final = HASH_BYTES * TILE_WIDTH >> MIDDLE_ROW
MAX_LEVEL: Final = 7
"""The level of the topmost tile of a tree of 2**63 − 1 entries; the format permits up to 63."""
MAX_ENTRY_BYTES: Final = 65_535
LENGTH_BYTES: Final = 2

PATH: Final = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


class Tile(NamedTuple):
    """The place of a tile: its level, its number there (N), and how many nodes it has."""

    level: int
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Below the log's prefix, as `tile/0/x001/x234/067.p/12`."""
        return f"tile/{self.level}/{_indexed(self.number, self.width)}"

    @property
    def is_full(self) -> bool:
        """Whether it has all its nodes, and so will never change."""
        return self.width == TILE_WIDTH


class Bundle(NamedTuple):
    """The place of an entry bundle: its number (N), and how many entries it has."""

    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Below the log's prefix, as `tile/entries/x001/x234/067.p/12`."""
        return f"tile/entries/{_indexed(self.number, self.width)}"

    @property
    def start(self) -> int:
        """The number of its first entry."""
        return self.number * TILE_WIDTH


@dataclass(frozen=True, slots=True)
class TileHashes:
    """What a tile has: its nodes, and perhaps a row of those above them, which saves hashing.

    Attributes:
        hashes: As it is served: 32 bytes for each node, from left to right.
        middle: The 16 nodes that are four levels up, or nothing. A path through a full tile then
            costs 22 hashes in place of 247. Only a log's own store has them; none is served.

    Raises:
        TileMalformed: it is not a whole number of hashes, or more than 256, or not 16 above them.
    """

    hashes: bytes
    middle: bytes = b""

    def __post_init__(self) -> None:
        count, rest = divmod(len(self.hashes), HASH_BYTES)
        if rest or not 1 <= count <= TILE_WIDTH:
            raise TileMalformed(
                f"tile: expected 1 to {TILE_WIDTH} hashes of {HASH_BYTES} bytes,"
                f" got {len(self.hashes):,} bytes"
            )
        if self.middle and (len(self.middle) != MIDDLE_BYTES or count < TILE_WIDTH):
            raise TileMalformed(
                f"middle of a tile: expected {MIDDLE_BYTES} bytes above a full one,"
                f" got {len(self.middle):,} above {count}"
            )

    @property
    def width(self) -> int:
        """Its number of nodes."""
        return len(self.hashes) // HASH_BYTES

    def nodes(self, row: int, position: int) -> Sequence[bytes]:
        """Neighbouring hashes whose `tree.perfect_root` is node `position` of `row` above this.

        Raises:
            TileMalformed: the tile ends before them.
        """
        data, below = (self.hashes, row)
        if row >= MIDDLE_ROW and self.middle:
            data, below = self.middle, row - MIDDLE_ROW
        span = HASH_BYTES << below
        start, end = position * span, (position + 1) * span
        if end > len(data):
            raise TileMalformed(
                f"tile: expected at least {(position + 1) << row} hashes, got {self.width}"
            )
        return [data[i : i + HASH_BYTES] for i in range(start, end, HASH_BYTES)]

    def at_least(self, width: int) -> Self:
        """Itself.

        Raises:
            TileMalformed: it has fewer nodes.
        """
        if self.width < width:
            raise TileMalformed(f"tile: expected {width} hashes, got {self.width}")
        return self

    def rows(self) -> tuple[bytes, ...]:
        """The nodes, and above them all that pairs make: 8 rows, each of hashes joined."""
        return _rows(self.hashes, TILE_HEIGHT)

    def path(self, position: int) -> list[bytes]:
        """The 8 siblings on the way up from a node, of a full tile.

        Raises:
            TileMalformed: it is not full.
        """
        if not self.middle:
            return path_through(self.at_least(TILE_WIDTH).rows(), position)
        # Only the 16 nodes around it, and the 16 above all, need be hashed.
        start = (position >> MIDDLE_ROW) * MIDDLE_BYTES
        around = _rows(self.hashes[start : start + MIDDLE_BYTES], MIDDLE_ROW)
        above = _rows(self.middle, TILE_HEIGHT - MIDDLE_ROW)
        return [
            *path_through(around, position % (1 << MIDDLE_ROW)),
            *path_through(above, position >> MIDDLE_ROW),
        ]


def path_through(rows: Sequence[bytes], position: int) -> list[bytes]:
    """The siblings on the way up from a node, one of each row of nodes, each above the other."""
    path = []
    for row in rows:
        start = (position ^ 1) * HASH_BYTES
        path.append(row[start : start + HASH_BYTES])
        position >>= 1
    return path


def _rows(row: bytes, count: int) -> tuple[bytes, ...]:
    rows = [row]
    while len(rows) < count:
        rows.append(row_above(rows[-1]))
    return tuple(rows)


def parse_path(path: str) -> Tile | Bundle:
    """The tile or bundle that is served at `path` below a log's prefix.

    Raises:
        TileMalformed: no such path can be, or it is not the one way to write it.
    """
    found = PATH.fullmatch(path) if path.isascii() and len(path) <= 100 else None
    if found is None:
        raise TileMalformed(
            "path: expected tile/LEVEL/INDEX or tile/entries/INDEX, perhaps .p/WIDTH,"
            f" got {path[:100]!r}"
        )
    kind, digits, partial = found.groups()
    groups = digits.replace("x", "").split("/")
    index, width = int("".join(groups)), int(partial or TILE_WIDTH)
    if (len(groups) > 1 and groups[0] == "000") or (partial and width >= TILE_WIDTH):
        raise TileMalformed(f"path: expected an index and a width without padding, got {path!r}")
    if index > MAX_SIZE or (kind != "entries" and int(kind) > MAX_LEVEL):
        raise TileMalformed(f"path: expected a tile of at most 2**63 − 1 entries, got {path!r}")
    return Bundle(index, width) if kind == "entries" else Tile(int(kind), index, width)


def tile_of(node: Node, size: int) -> Tile:
    """The tile from which `node` is computed, as it is in a tree of `size` entries.

    Raises:
        RangeUnusable: the tree has no such node.
    """
    if node.height < 0 or node.number < 0 or (node.number + 1) << node.height > size:
        raise RangeUnusable(f"node: expected one of a tree of {size:,} entries, got {node}")
    level, row = divmod(node.height, TILE_HEIGHT)
    index = (node.number << row) // TILE_WIDTH
    return Tile(level, index, _width(size >> (TILE_HEIGHT * level), index))


def tiles(size: int, since: int = 0) -> Iterator[Tile]:
    """The tiles of a tree of `size` entries that one of `since` entries has not, lowest first.

    Raises:
        RangeUnusable: since is not within 0..size, or size over 2**63 − 1.
    """
    _grown(size, since)
    level = 0
    while size >> (TILE_HEIGHT * level):
        nodes, before = size >> (TILE_HEIGHT * level), since >> (TILE_HEIGHT * level)
        yield from (Tile(level, index, width) for index, width in _new(nodes, before))
        level += 1


def bundles(size: int, since: int = 0) -> Iterator[Bundle]:
    """The bundles of `size` entries that a log of `since` entries has not.

    Raises:
        RangeUnusable: since is not within 0..size, or size over 2**63 − 1.
    """
    _grown(size, since)
    yield from (Bundle(index, width) for index, width in _new(size, since))


def join_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries as they are served, each behind its length in two bytes, big-endian.

    Raises:
        EntryTooLarge: one has over 65,535 bytes.
    """
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise EntryTooLarge(
                f"entry: expected at most {MAX_ENTRY_BYTES:,} bytes, got {len(entry):,}"
            )
        parts += [len(entry).to_bytes(LENGTH_BYTES, "big"), entry]
    return b"".join(parts)


def split_bundle(data: bytes, width: int) -> list[bytes]:
    """The first `width` entries of a bundle.

    Raises:
        TileMalformed: it has fewer, more than 256, or ends within one.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) <= TILE_WIDTH:
        start = at + LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        entries.append(data[start:at])
    if at != len(data) or not width <= len(entries) <= TILE_WIDTH:
        raise TileMalformed(
            f"entry bundle: expected {width} to {TILE_WIDTH} whole entries,"
            f" got {len(data):,} bytes that are not"
        )
    return entries[:width]


def _grown(size: int, since: int) -> None:
    if not 0 <= since <= size <= MAX_SIZE:
        raise RangeUnusable(f"since: expected 0 to {size:,} (at most {MAX_SIZE:,}), got {since:,}")


def _new(nodes: int, before: int) -> Iterator[tuple[int, int]]:
    """(index, width) of what `nodes` nodes of one level fill, beyond what `before` filled."""
    if nodes > before:
        last = (nodes - 1) // TILE_WIDTH
        yield from ((i, _width(nodes, i)) for i in range(before // TILE_WIDTH, last + 1))


def _width(nodes: int, index: int) -> int:
    return min(TILE_WIDTH, nodes - index * TILE_WIDTH)


def _indexed(index: int, width: int) -> str:
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join([f"x{each}" for each in groups[:-1]] + groups[-1:])
    return path if width == TILE_WIDTH else f"{path}.p/{width}"
