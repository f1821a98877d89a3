"""Which of the peer's keys may leave here: those that are all there, each once for each slave.

An id says where its key's bits lie. They stay until the last slave of this site that shares the key
has had it; who had it before is in the store. Nothing is changed here: the group does that, once it
is clear that all keys of a request may leave.
"""

from itertools import chain, pairwise
from uuid import UUID

from bellwire.database.cursor import Cursor
from bellwire.keys.errors import KeyGone, KeyNotReady
from bellwire.keys.key_ids import each_id, unknown
from bellwire.keys.kme import KEY_ID_BYTES
from bellwire.keys.requests import Leave
from bellwire.keys.runs import joined
from bellwire.keys.shelf import Part
from bellwire.keys.stock import Stock


def find(cursor: Cursor, stock: Stock, leave: Leave) -> list[Part]:
    """Where the bits of the peer's keys are.

    Raises:
        KeyGone, KeyNotReady: they are not all there, or one was asked for twice.
    """
    if len(leave.places) == 1:
        first, stop = leave.places[0].first, leave.places[0].stop
        parts = stock.shelf.parts(cursor, first, stop)
        if not _are_there(stock, parts, first, stop):
            raise _missing(cursor, stock, leave)
        return parts
    spans = [(place.first, place.stop) for place in leave.places]
    if _overlap(spans):
        raise unknown(leave.ids[:KEY_ID_BYTES])  # the second time it has left
    held: list[Part] = []
    for first, stop in joined(spans):
        parts = stock.shelf.parts(cursor, first, stop)
        if not _are_there(stock, parts, first, stop):
            raise _missing(cursor, stock, leave)
        held += parts
    return held


def staying(cursor: Cursor, leave: Leave) -> set[int] | None:
    """First units of keys that others of this site have not had yet; None if none is shared.

    Raises:
        KeyGone: this slave has had one.
    """
    if not leave.shared and (
        not leave.sharers or all(len(sharers) == 1 for sharers in leave.sharers)
    ):
        return None
    sharers = chain.from_iterable(
        (each,) * place.number for each, place in zip(leave.sharers, leave.places, strict=True)
    )
    return {
        first
        for each, (first, _), key_id in zip(sharers, leave.spans(), each_id(leave.ids), strict=True)
        if not _is_last(cursor, leave.slave, each, first, key_id)
    }


def _are_there(stock: Stock, parts: list[Part], first: int, stop: int) -> bool:
    """Whether `parts` are all of a range, for the peer's SAEs, and none of it has left."""
    covered = first
    for segment, low, high in parts:
        if low > covered or segment.outgoing or segment.gone & segment.part(low, high):
            return False
        covered = high
    return stop <= covered and stop <= stock.marks.next_unit


def _missing(cursor: Cursor, stock: Stock, leave: Leave) -> KeyGone | KeyNotReady:
    """What is wrong with the first key that is not there."""
    for (first, stop), key_id in zip(leave.spans(), each_id(leave.ids), strict=True):
        if stop > stock.marks.next_unit:
            return KeyNotReady(str(UUID(bytes=key_id)))
        if not _are_there(stock, stock.shelf.parts(cursor, first, stop), first, stop):
            return unknown(key_id)
    return unknown(leave.ids[:KEY_ID_BYTES])


def _is_last(
    cursor: Cursor, slave: str, sharers: tuple[str, ...], first: int, key_id: bytes
) -> bool:
    """Whether everybody else who shares a key has had it.

    Raises:
        KeyGone: this one has.
    """
    rows = cursor.execute("SELECT slave FROM handed WHERE first = ?", (first,)).fetchall()
    had = {name for (name,) in rows}
    if slave in had:
        raise unknown(key_id)
    return had | {slave} >= set(sharers)


def _overlap(spans: list[tuple[int, int]]) -> bool:
    """Whether any unit lies in two of them."""
    ordered = sorted(spans)
    return any(stop > first for (_, stop), (first, _) in pairwise(ordered))
