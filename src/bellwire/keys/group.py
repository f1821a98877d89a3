"""A group of requests: what each gets of the pool, all in one transaction.

A request gets all its keys or none, and fails alone: others of its group do not notice. Memory runs
ahead of the disk meanwhile: what the group did is written at its end (`write`), and what left goes
from memory once the disk agrees (`settle`).

The cost: a row for each segment that the group touches (512 units, so neighbours share it), one for
each grant; some microseconds of Python for each request.
"""

import secrets
from collections.abc import Sequence
from itertools import chain
from uuid import uuid4

from bellwire.base.secret import Secret
from bellwire.database.cursor import Cursor
from bellwire.keys import copies, leaving, segments
from bellwire.keys.errors import (
    KeyGone,
    KeyNotGranted,
    KeyNotReady,
    LinkRed,
    NotEnoughKey,
    StoreCorrupt,
)
from bellwire.keys.key_ids import Place, each_id, unknown
from bellwire.keys.kme import KEY_ID_BYTES, Delivery
from bellwire.keys.model import UNIT_BITS, UNIT_BYTES
from bellwire.keys.requests import Fetch, Leave, Make, Outcome, Request, Take
from bellwire.keys.rows import count_up
from bellwire.keys.runs import Runs, joined
from bellwire.keys.sealing import Sealer
from bellwire.keys.segments import Segment
from bellwire.keys.shelf import Part
from bellwire.keys.stock import Stock, of_side


class Group:
    """What one transaction does to a pool.

    Args:
        stock: Of the pool, and what the disk says.
        sealer: Of the store.
        cursor: In the transaction.
        now: Seconds since the epoch, to date what waits.
        flowing: Whether bits of the link may leave.
        further: For a process beside the node: what it hands out, the node reports to the peer.
    """

    def __init__(
        self,
        stock: Stock,
        sealer: Sealer,
        cursor: Cursor,
        now: float,
        *,
        flowing: bool,
        further: bool,
    ) -> None:
        self.counted = True
        """Whether the peer and other processes are to notice."""
        self._stock = stock
        self._shelf = stock.shelf
        self._sealer = sealer
        self._cursor = cursor
        self._now = now
        self._flowing = flowing
        self._further = further
        self._touched: dict[int, Segment] = {}
        self._used: dict[tuple[bool, int], tuple[int, int]] = {}
        self._wipes: list[Part] = []
        self._issued: list[tuple[int, int]] = []
        self._ahead: tuple[Take, int, list[int], list[Delivery]] | None = None

    def __repr__(self) -> str:
        return f"Group({len(self._touched)} segments)"

    def serve(self, requests: Sequence[Request]) -> list[Outcome]:
        """Requests for new keys that ask for the same cost little more than one of them."""
        alike: dict[Take, list[int]] = {}
        for at, request in enumerate(requests):
            if isinstance(request, Take):
                alike.setdefault(request, []).append(at)
        served: dict[int, Outcome] = {}
        for take, places in alike.items():
            if len(places) > 1:
                all_of_them = self._serve(take.times(len(places)))
                if isinstance(all_of_them, Delivery):  # else each is served or refused by itself
                    served.update(zip(places, all_of_them.split(len(places)), strict=True))
        return [
            served[at] if at in served else self._serve(request)
            for at, request in enumerate(requests)
        ]

    def mark_ahead(self, take: Take, count: int) -> None:
        """Mark keys until there are `count` ahead. Memory has them when the disk agrees."""
        if self._stock.ahead and take != self._stock.ahead.take:
            self.give_back()
        units = -(-take.bits // (8 * UNIT_BYTES))
        wanted = count - len(self._stock.ahead)
        chosen, missing = self._stock.runs.choose(
            self._cursor, max(0, wanted), units, self._stock.confirmed
        )
        if missing >= wanted:
            return
        try:
            keys = self._cut_out(take.times(wanted - missing), chosen)
        except StoreCorrupt:
            return  # whoever asks for these bits is told
        firsts = list(chain.from_iterable(range(*span, units) for span in chosen))
        self._ahead = take, units, firsts, keys.split(len(firsts))

    def give_back(self) -> None:
        """The disk is to say of keys ahead that they did not leave, and memory reads it there."""
        left = self._stock.ahead.clear()
        if not left:
            return
        touched: dict[int, Segment] = {}
        for first, stop in reversed(joined(left)):
            for segment, low, high in reversed(self._shelf.parts(self._cursor, first, stop)):
                if segment.outgoing and segment.first + segment.taken == high:
                    segment.taken = low - segment.first
                    self._stock.free += high - low
                    touched[segment.first] = segment
        segments.write_marks(self._cursor, touched.values())
        for segment in touched.values():
            segment.forget()  # the bits were wiped in memory, and the disk has them
        self._stock.free += self._stock.runs.forgotten
        self._stock.runs = Runs()

    def write(self) -> None:
        """Put the marks, and what else the disk is to know, into the transaction."""
        touched = self._touched.values()
        # What is ahead may be given back: until `clean` the disk has the bits of its segments.
        kept = self._ahead is not None
        spent = [each for each in touched if each.spent and not (kept and each.outgoing)]
        over = {segment.first for segment in spent}
        segments.write_marks(self._cursor, [each for each in touched if each.first not in over])
        segments.clean(self._cursor, self._sealer, spent)
        self._cursor.executemany(
            "UPDATE grants SET keys = keys + ?, bits = bits + ? WHERE own = ? AND number = ?",
            [(keys, bits, int(own), number) for (own, number), (keys, bits) in self._used.items()],
        )
        if self._further:
            self._cursor.executemany("INSERT INTO unreported VALUES (?, ?)", self._issued)
        if self.counted:
            count_up(self._cursor)

    def settle(self) -> None:
        """The disk agrees: bits that left go from memory, too."""
        stock = self._stock
        stock.stale = False
        if self.counted:
            stock.counted_up()
        if not self._further:
            stock.issued += self._issued
        if self._ahead is not None:
            stock.ahead.add(*self._ahead)
        for segment, first, stop in self._wipes:
            segment.wipe(first, stop)
        for segment in self._touched.values():
            if segment.spent:
                self._shelf.forget(segment)
        self._shelf.trim()

    def mark_gone(self, part: Part) -> None:
        """Bits of the peer's leave, or are given up."""
        segment, first, stop = part
        segment.gone |= segment.part(first, stop)
        self._note(segment, first, stop)

    def _note(self, segment: Segment, first: int, stop: int) -> None:
        self._touched[segment.first] = segment
        self._wipes.append((segment, first, stop))

    def _count(self, own: bool, grant: int, keys: int, bits: int) -> None:
        had = self._used.get((own, grant))
        self._used[own, grant] = (keys, bits) if had is None else (had[0] + keys, had[1] + bits)

    def _serve(self, request: Request) -> Outcome:
        # Each of these changes nothing before it has read all that it needs.
        try:
            match request:
                case Take():
                    return self._take(request)
                case Leave():
                    return self._leave(request)
                case Make():
                    return self._make(request)
                case Fetch():
                    return self._fetch(request)
        except (
            NotEnoughKey,
            KeyGone,
            KeyNotGranted,
            KeyNotReady,
            LinkRed,
            StoreCorrupt,
        ) as error:
            return error

    def _take(self, take: Take) -> Delivery:
        units = -(-take.bits // (8 * UNIT_BYTES))
        chosen, missing = self._stock.runs.choose(
            self._cursor, take.number, units, self._stock.confirmed
        )
        if missing:
            raise self._not_enough(take, missing)
        taken = self._cut_out(take, chosen)
        self._issued += chosen
        return taken

    def _cut_out(self, take: Take, chosen: list[tuple[int, int]]) -> Delivery:
        """The keys of a request from the ranges chosen for it, which are marked."""
        length = take.bits // 8
        units = -(-length // UNIT_BYTES)
        held: list[Part] = []
        for first, stop in chosen:
            held += self._shelf.parts(self._cursor, first, stop)
        ranges = [range(first, stop, units) for first, stop in chosen]
        firsts = ranges[0] if len(ranges) == 1 else list(chain.from_iterable(ranges))
        bits = self._shelf.bits(self._cursor, held)
        if len(bits) != UNIT_BYTES * units * take.number:
            raise StoreCorrupt(f"expected {take.number} keys of {units} units, got fewer")
        ids = of_side(self._stock.ids, self._stock.side).make(firsts, length, take.grant)
        for first, stop in chosen:
            self._stock.free -= self._stock.runs.give_up(first, stop)
        for segment, first, stop in held:
            segment.taken = stop - segment.first
            self._note(segment, first, stop)
        keys = _trim(bits, units, length)
        if take.copied:
            pairs = list(zip(each_id(ids), _pieces(keys, length), strict=True))
            copies.put(
                self._cursor,
                self._sealer,
                pairs,
                take.master,
                take.copied,
                linked=True,
                now=self._now,
            )
        self._count(True, take.grant, take.number, take.number * take.bits)
        return Delivery(ids, Secret(keys), take.bits)

    def _not_enough(self, take: Take, missing: int) -> NotEnoughKey:
        there = (take.number - missing) * take.bits
        if take.number == 1:
            there = UNIT_BITS * self._stock.runs.longest
        return NotEnoughKey(take.number * take.bits, there, coming=bool(self._stock.unconfirmed))

    def _make(self, make: Make) -> Delivery:
        length = make.bits // 8
        ids = b"".join(uuid4().bytes for _ in range(make.number))
        keys = secrets.token_bytes(make.number * length)
        pairs = list(zip(each_id(ids), _pieces(keys, length), strict=True))
        copies.put(
            self._cursor, self._sealer, pairs, make.master, make.slaves, linked=False, now=self._now
        )
        return Delivery(ids, Secret(keys), make.bits)

    def _fetch(self, fetch: Fetch) -> Delivery:
        ids = each_id(fetch.ids)
        found = copies.find(self._cursor, self._sealer, ids, fetch.slave)
        if len(set(ids)) < len(ids) or any(copy.master != fetch.master for copy in found):
            raise unknown(ids[0])
        if not self._flowing and any(copy.linked for copy in found):
            raise LinkRed("no key leaves: the link is RED, or nothing recent says that it is not")
        copies.hand_out(self._cursor, found, fetch.slave)
        lengths = tuple(len(copy.key) for copy in found)
        same = len(set(lengths)) == 1
        return Delivery(
            fetch.ids,
            Secret(b"".join(copy.key for copy in found)),
            8 * lengths[0] if same else None,
            None if same else lengths,
        )

    def _leave(self, leave: Leave) -> Delivery:
        if leave.epoch != self._stock.marks.epoch:
            raise unknown(leave.ids[:KEY_ID_BYTES])
        held = leaving.find(self._cursor, self._stock, leave)
        staying = leaving.staying(self._cursor, leave)
        keys = _cut(self._shelf.bits(self._cursor, held), leave.places)
        if staying is None:
            for part in held:
                self.mark_gone(part)
        else:
            for first, stop in leave.spans():
                if first in staying:
                    self._cursor.execute("INSERT INTO handed VALUES (?, ?)", (first, leave.slave))
                else:
                    self._cursor.execute("DELETE FROM handed WHERE first = ?", (first,))
                    for part in self._shelf.parts(self._cursor, first, stop):
                        self.mark_gone(part)
        for place in leave.places:
            self._count(False, place.grant, place.number, 8 * place.number * place.length)
        length = leave.places[0].length
        if len(leave.places) == 1 or all(place.length == length for place in leave.places):
            return Delivery(leave.ids, Secret(keys), 8 * length)
        lengths = [(place.length,) * place.number for place in leave.places]
        return Delivery(leave.ids, Secret(keys), None, tuple(chain.from_iterable(lengths)))


def _pieces(keys: bytes, length: int) -> list[bytes]:
    return [keys[at : at + length] for at in range(0, len(keys), length)]


def _trim(bits: bytes, units: int, length: int) -> bytes:
    """Of each `units` units the first `length` bytes."""
    size = UNIT_BYTES * units
    if size == length:
        return bits
    return b"".join(bits[at : at + length] for at in range(0, len(bits), size))


def _cut(bits: bytes, places: Sequence[Place]) -> bytes:
    """Of the units of each place the bytes of its keys."""
    if not any(place.length % UNIT_BYTES for place in places):
        return bits
    keys, at = [], 0
    for place in places:
        stop = at + UNIT_BYTES * place.number * place.units
        keys.append(_trim(bits[at:stop], place.units, place.length))
        at = stop
    return b"".join(keys)
