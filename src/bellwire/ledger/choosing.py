"""Entries of a log that are wanted, each proved to be in it: the last ones, or from a number on.

Those that are passed over are proved as well: a log that hides one must not be able to show another
in its place. So what is looked at is bounded, and is told.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.entries.model import Entry
from bellwire.ledger.reading import LogReader, prove
from bellwire.ledger.tiles import TILE_WIDTH

LONGEST_PIECE: Final = 32 * TILE_WIDTH
"""Entries that are read and proved together."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was found, and where.

    Attributes:
        entries: Number and content, ascending.
        first: The first entry that was looked at.
        end: One behind the last.
        cut: Whether fewer were found than asked for, and there are entries not looked at.
    """

    entries: tuple[tuple[int, Entry], ...]
    first: int
    end: int
    cut: bool


def choose(
    reader: LogReader,
    checkpoint: Checkpoint,
    wanted: Callable[[Entry], bool],
    *,
    start: int | None,
    count: int,
    among: int,
) -> Chosen:
    """The entries that are wanted.

    Args:
        reader: Of the log, not trusted.
        checkpoint: Whose signatures hold.
        wanted: Which entries are.
        start: The first that may be; None: the last ones are.
        count: How many at most.
        among: How many are looked at, at most.

    Raises:
        InclusionMismatch: an entry is not in the checkpoint's tree.
        TileMalformed: a tile or a bundle is not what it must be.
        EntryMalformed: an entry cannot be read.
    """
    size = checkpoint.size
    forward = start is not None
    begin = size if start is None else min(start, size)
    low, high = (begin, min(size, begin + among)) if forward else (max(0, size - among), size)
    found: list[tuple[int, Entry]] = []
    looked = [begin, begin]
    for first, end in _pieces(low, high, count, forward=forward):
        pieces = prove(reader, checkpoint, first, end)
        entries = ((number, decode(encoded)) for number, encoded, _ in pieces)
        new = [(number, entry) for number, entry in entries if wanted(entry)]
        room = count - len(found)
        if forward:
            found += new[:room]
            looked[1] = end if len(new) <= room else new[room][0]
        else:
            found = new[max(0, len(new) - room) :] + found
            looked[0] = first if len(new) <= room else new[-room - 1][0] + 1
        if len(found) == count:
            break
    left = looked[1] < size if forward else looked[0] > 0
    return Chosen(tuple(found), looked[0], looked[1], cut=left and len(found) < count)


def _pieces(low: int, high: int, count: int, *, forward: bool) -> Iterator[tuple[int, int]]:
    """(first, end) of what is looked at together, each longer than the one before."""
    length = min(count, LONGEST_PIECE)
    while low < high:
        end = min(high, low + length)
        first = max(low, high - length)
        if forward:
            yield low, end
            low = end
        else:
            yield first, high
            high = first
        length = min(2 * length, LONGEST_PIECE)
