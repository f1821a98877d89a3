"""Where units lie: which segment of which ready block, and the segments that memory holds."""

import bisect
from collections import OrderedDict
from collections.abc import Sequence

from bellwire.base.detections import Side
from bellwire.database.cursor import Cursor
from bellwire.keys import segments
from bellwire.keys.carving import ReadyBlock
from bellwire.keys.sealing import Sealer
from bellwire.keys.segments import Segment

CACHED_SEGMENTS = 512
"""Segments whose marks and bits stay in memory: 2 MiB."""

KEPT_BLOCKS = 256
"""Last blocks that are remembered though nothing is left of them."""

Part = tuple[Segment, int, int]
"""A segment, and the range of its units that is meant: first, and behind the last."""


class Shelf:
    """Ready blocks, and segments in memory: one object for each, until it is forgotten.

    Args:
        sealer: Of the store.
    """

    def __init__(self, sealer: Sealer) -> None:
        self.blocks: list[ReadyBlock] = []
        self._sealer = sealer
        self._starts: list[int] = []
        self._halves: list[list[tuple[int, int, int]]] = []  # start, stop, units of a segment
        self._cache: OrderedDict[int, Segment] = OrderedDict()
        self._near: list[Segment | None] = [None, None]

    @property
    def last_block(self) -> int:
        """Number of the last block; 0 if there is none."""
        return self.blocks[-1].block if self.blocks else 0

    def add(self, block: ReadyBlock) -> None:
        """A block became ready, after those that are there."""
        self.blocks.append(block)
        self._starts.append(block.first_unit)
        halves = [block.half(side) for side in (Side.ALICE, Side.BOB)]
        self._halves.append([(h.start, h.stop, segments.segment_units(h)) for h in halves])

    def forget_blocks(self, before: int) -> None:
        """Nothing is left of blocks before a number; the last ones are remembered all the same."""
        while len(self.blocks) > KEPT_BLOCKS and self.blocks[0].block < before:
            del self.blocks[0], self._starts[0], self._halves[0]

    def clear(self) -> None:
        """Forget all blocks and segments."""
        self.blocks, self._starts, self._halves = [], [], []
        self.clear_segments()

    def clear_segments(self) -> None:
        """Forget all segments; the disk says what there is."""
        for segment in self._cache.values():
            segment.forget()
        self._cache.clear()
        self._near = [None, None]

    def known(self, segment: Segment) -> Segment:
        """The object of a segment that was read once more."""
        return self._cache.get(segment.first) or segment

    def parts(self, cursor: Cursor, first: int, stop: int) -> list[Part]:
        """What is left of units `first` to `stop`, by segment, ascending."""
        for near in self._near:
            if near is not None and near.first <= first and stop <= near.stop:
                return [(near, first, stop)]  # keys leave one after the other
        parts: list[Part] = []
        while first < stop:
            at = bisect.bisect_right(self._starts, first) - 1
            if at < 0:
                first = self._starts[0] if self._starts else stop
                continue
            for start, end, size in self._halves[at]:
                if first >= end:
                    continue
                begin = first - (first - start) % size
                segment = self._segment(cursor, begin)
                after = min(begin + size, end)
                if segment is not None:
                    parts.append((segment, first, min(stop, after)))
                first = after
                break
            else:
                break
        return parts

    def bits(self, cursor: Cursor, parts: Sequence[Part]) -> bytes:
        """The bits of `parts`, one after the other. Secret.

        Raises:
            StoreCorrupt: they are not what was stored.
        """
        read = []
        for segment, first, stop in parts:
            if segment.bits is None:
                segments.load_bits(cursor, self._sealer, segment)
            read.append(segment.read(first, stop))
        return b"".join(read)

    def forget(self, segment: Segment) -> None:
        """Give up a segment in memory; the disk says what is left of it."""
        del self._cache[segment.first]
        segment.forget()
        self._near = [None if near is segment else near for near in self._near]

    def trim(self) -> None:
        """Give up the oldest of what memory holds; not while a group is under way."""
        while len(self._cache) > CACHED_SEGMENTS:
            self.forget(next(iter(self._cache.values())))

    def _segment(self, cursor: Cursor, first: int) -> Segment | None:
        """The segment that begins at a unit; None if nothing is left of it."""
        segment = self._cache.get(first)
        if segment is None:
            segment = segments.load(cursor, first)
            if segment is None:
                return None
            self._cache[first] = segment
        self._near[segment.outgoing] = segment
        return segment
