"""What relaying gives: a block that both ends hold, and the record of who carried it."""

from dataclasses import dataclass
from typing import Final, Protocol

from bellwire.base.secret import Secret
from bellwire.network.errors import NetworkMisuse
from bellwire.network.routes import Route

TRANSFER_BYTES: Final = 16
"""Name of one attempt to carry a block; random."""

MAX_BLOCK_BYTES: Final = 2**16
"""Of one relayed block: more is made by more blocks."""

MEETING_BYTES: Final = 32
MASK_BYTES: Final = 16
SHARE_OVERHEAD: Final = MEETING_BYTES + MASK_BYTES
"""Bytes of a share beyond the block: the meeting key's, and the mask of its tag."""


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """Who carried a block, in the open.

    Attributes:
        transfer: Name of the attempt, 16 bytes.
        origin: Whose generator made the bits.
        target: The other end.
        routes: One for each share, ends included.
        block_bytes: Length of the block.
        met: True if the ends, beside their signatures, had a key of an earlier block in common.
    """

    transfer: bytes
    origin: str
    target: str
    routes: tuple[Route, ...]
    block_bytes: int
    met: bool

    @property
    def relays(self) -> frozenset[str]:
        """All that carried a share."""
        return frozenset(relay for route in self.routes for relay in route[1:-1])

    @property
    def knowers(self) -> frozenset[str]:
        """Relays that each alone know the block: those that every share passed."""
        return frozenset.intersection(*(frozenset(route[1:-1]) for route in self.routes))


@dataclass(frozen=True, slots=True)
class RelayedBlock:
    """Bits that both ends hold.

    Attributes:
        record: Who carried them.
        bits: `record.block_bytes` bytes. Secret.
    """

    record: TransferRecord
    bits: Secret


def check_block_bytes(size: int) -> None:
    """Let the length of a block pass.

    Raises:
        NetworkMisuse: it is not 1 to 65,536 bytes.
    """
    if not 1 <= size <= MAX_BLOCK_BYTES:
        raise NetworkMisuse(f"expected a block of 1 to {MAX_BLOCK_BYTES} bytes, got {size}")


class BlockStore(Protocol):
    """Where a node keeps relayed blocks: *pending* once it has one, *ready* once both have.

    Errors of `keys.errors`: the block was not kept, and the other end is not told that it was.
    """

    async def pending(self, block: RelayedBlock) -> None:
        """Keep a block durably; no key of it leaves yet."""

    async def ready(self, transfer: bytes) -> None:
        """Both ends hold it, and know: keys of it may leave."""
