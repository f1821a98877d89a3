"""What memory knows of the pool of one side: how much there is to hand out, and where it lies.

The disk says what there is. Memory is believed only while nobody else changed the pool: each
transaction counts one up, so that a process sees at once whether another one of its site was there
in between (PostgreSQL). It runs ahead of the disk while a group is served; if the commit fails, it
is read anew.

A stock has no lock and opens no transaction: whoever uses it has both.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.database.cursor import Cursor
from bellwire.keys import segments
from bellwire.keys.ahead import Ahead
from bellwire.keys.errors import PreplacedKeyInvalid, StoreCorrupt
from bellwire.keys.key_ids import KeyIds
from bellwire.keys.rows import PoolMarks, pool_marks, ready_blocks, ready_blocks_after
from bellwire.keys.runs import Runs
from bellwire.keys.sealing import Sealer
from bellwire.keys.shelf import Shelf


class Locked(Protocol):
    """What lets one thread in at a time."""

    _lock: "threading.RLock"


Holder = TypeVar("Holder", bound=Locked)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def alone(
    method: Callable[Concatenate[Holder, Arguments], Result],
) -> Callable[Concatenate[Holder, Arguments], Result]:
    """A method that has the pool to itself."""

    @wraps(method)
    def inside(self: Holder, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with self._lock:
            return method(self, *args, **kwargs)

    return cast(Callable[Concatenate[Holder, Arguments], Result], inside)


class Stock:
    """What a side has of its pool, as far as memory knows.

    Args:
        sealer: Of the store.
        side: Whose store it is.

    Attributes:
        side: Whose store it is.
        marks: Where the pool stands.
        confirmed: The unit up to which the peer is known to number alike.
        free: Units that may be handed out now, beside those of keys ahead.
        unconfirmed: (unit behind the last one, how many) of blocks that may be handed out once the
            peer is known to number them alike.
        ahead: Keys that are marked, and that nobody has asked for yet.
        issued: Ranges of units handed out, of which the peer was not told.
        miscounted: Whether `free` and `unconfirmed` are to be counted anew.
        runs: Which units are handed out next.
        shelf: Where units lie.
        ids: Makes and reads the ids of each side's keys, for whoever has the lock.
        reading: The same for whoever only reads ids, and the epoch that they are of.
        stale: Whether the disk may say something else than memory.
    """

    def __init__(self, sealer: Sealer, side: Side) -> None:
        self.side = side
        self.marks = PoolMarks(0, 0, 0, 0)
        self.confirmed = 0
        self.free = 0
        self.unconfirmed: deque[tuple[int, int]] = deque()
        self.ahead = Ahead()
        self.issued: list[tuple[int, int]] = []
        self.miscounted = False
        self.runs = Runs()
        self.shelf = Shelf(sealer)
        self.ids: dict[Side, KeyIds] = {}
        self.reading: tuple[int, dict[Side, KeyIds]] = (0, {})
        self.stale = True
        self._mac_key = Secret(b"")

    def __repr__(self) -> str:
        return f"Stock({self.side.value})"

    @property
    def takeable(self) -> int:
        """Units that this side may hand out now."""
        return self.free + self.ahead.units

    @property
    def units(self) -> int:
        """Units that this side may still hand out as master, agreed with the peer or not yet."""
        return self.takeable + sum(units for _, units in tuple(self.unconfirmed))

    def read(self, cursor: Cursor, mac_key: Secret | None = None) -> None:
        """Know what the disk holds, and nothing else.

        Args:
            cursor: In a transaction.
            mac_key: The link's pre-placed MAC key; None for the one that it was. Secret.

        Raises:
            StoreError: the store cannot be read.
        """
        if mac_key is not None:
            self._mac_key = mac_key
        self.stale = True  # until all is read
        self.forget()
        self.ahead.clear()  # of another epoch, or nobody knows what the disk says of them
        self.marks = pool_marks(cursor)
        self.shelf.clear()
        for block in ready_blocks(cursor):
            self.shelf.add(block)
        epoch = self.marks.epoch
        self.ids, reading = (  # one thread at a time has each
            {side: KeyIds(self._mac_key, side, epoch) for side in Side} for _ in range(2)
        )
        self.reading = epoch, reading
        self.count(cursor)
        self.stale = False

    def forget(self) -> None:
        """Know no runs and no segments any more: they are read when they are needed."""
        self.runs = Runs()
        self.shelf.clear_segments()

    def count(self, cursor: Cursor) -> None:
        """Count what there is to hand out."""
        self.free, self.miscounted = 0, False
        self.unconfirmed = deque(segments.stock(cursor))
        self.confirm(self.confirmed)

    def catch_up(self, cursor: Cursor) -> None:
        """Know what the disk holds: for the rest of the transaction nobody else changes it.

        Raises:
            StoreCorrupt: it holds less than before.
        """
        there = pool_marks(cursor)
        if there.epoch == self.marks.epoch and there.sequence < self.marks.sequence:
            self.stale = True
            raise StoreCorrupt(
                "the store was put back to an earlier state while this process ran",
                hint="Restart it: the two KMEs then compare their pools, and void what is unsafe.",
            )
        if there.epoch != self.marks.epoch:
            self.begin_epoch()  # what is known was of other units
            self.stale = True
        if self.stale:
            self.read(cursor)
        elif there.sequence != self.marks.sequence:
            self.forget()
            self.miscounted = True
        if there.next_unit != self.marks.next_unit:
            for block in ready_blocks_after(cursor, self.shelf.last_block):
                self.shelf.add(block)
                half = block.half(self.side)
                self.unconfirmed.append((half.stop, len(half)))
            self.confirm(self.confirmed)
        self.marks = there

    def begin_epoch(self) -> None:
        """Nothing is confirmed, and nothing handed out of which the peer is to hear."""
        self.confirmed = 0
        self.issued = []

    def confirm(self, stop: int) -> None:
        """The peer numbers units as we do up to `stop`: they may be handed out."""
        self.confirmed = max(stop, self.confirmed)
        while self.unconfirmed and self.unconfirmed[0][0] <= self.confirmed:
            _, units = self.unconfirmed.popleft()
            self.free += units

    def moved(self, units: int) -> None:
        """The disk agrees that so many units are ours to hand out, or are no more."""
        self.forget()
        self.free += units
        self.counted_up()
        self.stale = False

    def counted_up(self) -> None:
        """The disk agrees that the pool has changed once more, by us."""
        self.marks = self.marks._replace(sequence=self.marks.sequence + 1)


def of_side(ids: Mapping[Side, KeyIds], side: Side) -> KeyIds:
    """What makes and reads the ids of a side's keys.

    Raises:
        PreplacedKeyInvalid: the link has no key yet.
    """
    try:
        return ids[side]
    except KeyError as error:
        raise PreplacedKeyInvalid("expected a pre-placed key in the store, got none") from error
