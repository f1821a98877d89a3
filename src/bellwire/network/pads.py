"""Relayed blocks as one-time pads between two ends, until they are used up.

The origin of a block spends it from its beginning on, and says in each message where its part lies;
the target opens parts in that order, and never one before a part that it has opened. What was taken
is overwritten. Nothing of it is kept on a disk: a pad ends with the process of either end, so that
no crash and no store that was put back makes it serve twice.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bellwire.base.secret import Secret
from bellwire.network.model import RelayedBlock, TransferRecord

MAX_OF_PEER: Final = 16
"""Blocks between two ends, in each direction; the oldest gives way."""


class Pad:
    """What is left of one block.

    Args:
        block: As both ends hold it.
    """

    def __init__(self, block: RelayedBlock) -> None:
        self.record = block.record
        self._bits = bytearray(block.bits.reveal())
        self._used = 0
        block.bits.wipe()

    @property
    def left(self) -> int:
        """Bytes that are left."""
        return len(self._bits) - self._used

    def look(self, at: int, size: int) -> Secret | None:
        """A part; None if it is not there any more."""
        if at < self._used or size < 1 or at + size > len(self._bits):
            return None
        return Secret(self._bits[at : at + size])

    def spend(self, stop: int) -> None:
        """Nothing up to there serves again."""
        if stop > self._used:
            self._bits[self._used : stop] = bytes(stop - self._used)
            self._used = stop

    def take(self, size: int) -> tuple[int, Secret] | None:
        """Where the next part lies, and the part, once; None if there is too little."""
        at = self._used
        part = self.look(at, size)
        if part is None:
            return None
        self.spend(at + size)
        return at, part

    def wipe(self) -> None:
        """Give up what is left."""
        self._bits[:] = bytes(len(self._bits))
        self._used = len(self._bits)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a pad of ours.

    Attributes:
        record: Of the block.
        at: Where it lies, in bytes from the block's beginning.
        key: The part. Secret.
    """

    record: TransferRecord
    at: int
    key: Secret


class Pads:
    """The pads of one node (`model.BlockStore`): to others whose origin it is, and from them.

    Args:
        name: The node.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._unready: dict[bytes, Pad] = {}
        self._ours: dict[str, deque[Pad]] = {}
        self._theirs: dict[str, OrderedDict[bytes, Pad]] = {}

    async def pending(self, block: RelayedBlock) -> None:
        """Hold a block. One that came is good from now on: who uses it shows that he has it."""
        record = block.record
        if record.origin == self._name:
            self._unready[record.transfer] = Pad(block)
            return
        pads = self._theirs.setdefault(record.origin, OrderedDict())
        pads[record.transfer] = Pad(block)
        if len(pads) > MAX_OF_PEER:
            pads.popitem(last=False)[1].wipe()

    async def ready(self, transfer: bytes) -> None:
        """The other end holds it: a block of ours may be used."""
        pad = self._unready.pop(transfer, None)
        if pad is None:
            return
        pads = self._ours.setdefault(pad.record.target, deque())
        pads.append(pad)
        if len(pads) > MAX_OF_PEER:
            pads.popleft().wipe()

    def left(self, target: str) -> int:
        """Bytes that we may use with `target`."""
        return sum(pad.left for pad in self._ours.get(target, ()))

    def records(self, target: str) -> tuple[TransferRecord, ...]:
        """Whose blocks they are."""
        return tuple(pad.record for pad in self._ours.get(target, ()))

    def take(self, target: str, size: int, good: Callable[[TransferRecord], bool]) -> Part | None:
        """The next part of a pad to `target`; None if there is none so long.

        Args:
            target: The other end.
            size: Bytes.
            good: Whether the way that a block took is still trusted. What is not is given up.
        """
        pads = self._ours.get(target)
        if pads is None:
            return None
        for pad in list(pads):
            if not good(pad.record):
                pad.wipe()
                pads.remove(pad)
                continue
            part = pad.take(size)
            if part is not None:
                return Part(pad.record, part[0], part[1])
        return None

    def theirs(self, origin: str, transfer: bytes) -> Pad | None:
        """What is left of a block that `origin` made for us; None if there is none."""
        pads = self._theirs.get(origin)
        return None if pads is None else pads.get(transfer)

    def drop(self, target: str) -> None:
        """The other end has our blocks no more."""
        for pad in self._ours.pop(target, ()):
            pad.wipe()

    def wipe(self) -> None:
        """Give everything up."""
        pads = [*self._unready.values()]
        pads += [pad for each in self._ours.values() for pad in each]
        pads += [pad for each in self._theirs.values() for pad in each.values()]
        for pad in pads:
            pad.wipe()
