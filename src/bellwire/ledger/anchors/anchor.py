"""What of a checkpoint goes on a chain: 76 bytes that are of one log, one size and one root.

    "bwa1" ‖ SHA-256(origin) ‖ size (8 bytes, big-endian) ‖ root (32 bytes)

Whoever finds them on a chain can tell that a log had this root when the block was made. They prove
nothing without the log: a reader compares them with a checkpoint that the log signed.

Format: spec/ledger.md, 7.
"""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bellwire.ledger.anchors.errors import AnchorMalformed, AnchorMismatch, AnchorUnusable
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.errors import ConsistencyMismatch
from bellwire.ledger.proofs import verify_consistency
from bellwire.ledger.proving import Prover
from bellwire.ledger.tiles import Tile, TileHashes
from bellwire.ledger.tree import MAX_SIZE

MAGIC: Final = b"bwa1"
_LAYOUT: Final = struct.Struct(">4s32sQ32s")
ANCHOR_BYTES: Final = _LAYOUT.size


@dataclass(frozen=True, slots=True)
class Anchor:
    """A checkpoint as a chain has it.

    Attributes:
        log: (32,) SHA-256 of the log's origin, so that a chain tells no names.
        size: Of the log, at least 1.
        root: (32,) of its tree.
    """

    log: bytes
    size: int
    root: bytes

    def encode(self) -> bytes:
        """As a chain has it."""
        return _LAYOUT.pack(MAGIC, self.log, self.size, self.root)


def anchor_of(checkpoint: Checkpoint) -> Anchor:
    """The anchor of a checkpoint that a log signed.

    Raises:
        AnchorUnusable: the log is empty, or the checkpoint has extension lines, which an anchor
            would leave out.
    """
    if checkpoint.size == 0 or checkpoint.extensions:
        raise AnchorUnusable(
            f"expected a checkpoint of entries, without extension lines, got {checkpoint.size:,}"
            f" entries and {len(checkpoint.extensions)} lines"
        )
    return Anchor(log_id(checkpoint.origin), checkpoint.size, checkpoint.root)


def parse_anchor(data: bytes) -> Anchor:
    """Read an anchor.

    Raises:
        AnchorMalformed: it is none.
    """
    if len(data) != ANCHOR_BYTES or not data.startswith(MAGIC):
        raise AnchorMalformed(
            f"anchor: expected {ANCHOR_BYTES} bytes that begin with {MAGIC.decode()},"
            f" got {len(data)} bytes"
        )
    _, log, size, root = _LAYOUT.unpack(data)
    if not 1 <= size <= MAX_SIZE:
        raise AnchorMalformed(f"anchor: expected a size from 1 to {MAX_SIZE}, got {size}")
    return Anchor(log, size, root)


def log_id(origin: str) -> bytes:
    """How an anchor names a log."""
    return hashlib.sha256(origin.encode()).digest()


def verify_anchor(
    anchor: Anchor, checkpoint: Checkpoint, read: Callable[[Tile], TileHashes] | None
) -> None:
    """Return only if the log of a checkpoint begins with what was anchored.

    Args:
        anchor: From a chain.
        checkpoint: Of the log, whose signatures hold.
        read: Gives the log's tiles, which need not be trusted; None where there is the checkpoint
            alone, which can be compared with an anchor of its own size only.

    Raises:
        AnchorMismatch: the anchor is of another log, or of another history of this one, or of more
            entries than the checkpoint, or of fewer and there are no tiles.
        TileMalformed: a tile is not what it must be.
    """
    if anchor.log != log_id(checkpoint.origin):
        raise AnchorMismatch(
            f"expected an anchor of {checkpoint.origin[:80]!r}, got one of another log"
        )
    if anchor.size > checkpoint.size:
        raise AnchorMismatch(
            f"expected a checkpoint of at least the {anchor.size:,} anchored entries,"
            f" got {checkpoint.size:,}",
            hint="The log shows an older state than it had, or was put back: keep both.",
        )
    if anchor.size == checkpoint.size:
        if anchor.root != checkpoint.root:
            raise _another_history(anchor)
        return
    if read is None:
        raise AnchorMismatch(
            f"expected the checkpoint of {anchor.size:,} entries, got one of {checkpoint.size:,}",
            hint="Name the log itself, whose tiles show that it only grew.",
        )
    proof = Prover(read).consistency(anchor.size, checkpoint.size)
    try:
        verify_consistency(anchor.size, checkpoint.size, proof, anchor.root, checkpoint.root)
    except ConsistencyMismatch as error:
        raise _another_history(anchor) from error


def _another_history(anchor: Anchor) -> AnchorMismatch:
    return AnchorMismatch(
        f"expected the log to begin with the {anchor.size:,} anchored entries, got another history",
        hint="Keep the checkpoint and the transaction: together they show that it was rewritten.",
    )
