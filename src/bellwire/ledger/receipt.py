"""Receipts: that an entry is in a log, in a file that verifies without the log.

A receipt has the entry's number, the proof and the checkpoint with its signatures. Ours have the
entry as well, in the line for extra data: it is nothing until the proof has led from its hash to
the root, so it needs no trust.

Source: C2SP tlog-proof, "Format".
"""

from dataclasses import dataclass
from typing import Final

from bellwire.ledger.errors import ReceiptMalformed
from bellwire.ledger.note import MAX_NOTE_BYTES, Note, parse_note
from bellwire.ledger.policy import Policy, TrustedCheckpoint, verify_checkpoint
from bellwire.ledger.proofs import verify_inclusion
from bellwire.ledger.text import from_base64, to_base64, to_hash, to_number
from bellwire.ledger.tiles import MAX_ENTRY_BYTES

HEADER: Final = "c2sp.org/tlog-proof@v1"
SUFFIX: Final = ".tlog-proof"
MAX_HASHES: Final = 63
MAX_RECEIPT_BYTES: Final = MAX_NOTE_BYTES + 4 * (MAX_ENTRY_BYTES // 3 + 1) + 64 * 64
_EXTRA: Final = "extra "
_INDEX: Final = "index "


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt, not verified.

    Attributes:
        index: Number of the entry in the log, from 0.
        proof: Hashes of 32 bytes, from the entry's sibling up.
        note: The checkpoint and its signatures.
        extra: Opaque and unauthenticated; in ours the entry itself. None if there is no such line.
    """

    index: int
    proof: tuple[bytes, ...]
    note: Note
    extra: bytes | None = None

    def encode(self) -> bytes:
        """As a file."""
        extra = [] if self.extra is None else [_EXTRA + to_base64(self.extra)]
        hashes = [to_base64(each) for each in self.proof]
        lines = [HEADER, *extra, f"{_INDEX}{self.index}", *hashes, ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.note.encode()


def is_receipt(data: bytes) -> bool:
    """Whether a file says that it is a receipt."""
    return data.startswith(HEADER.encode())


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt.

    Raises:
        ReceiptMalformed: it is none.
        NoteMalformed: what follows the proof is no signed note.
    """
    if len(data) > MAX_RECEIPT_BYTES:
        raise ReceiptMalformed(
            f"receipt: expected at most {MAX_RECEIPT_BYTES:,} bytes, got {len(data):,}"
        )
    head, gap, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise ReceiptMalformed("receipt: expected ASCII before the checkpoint") from error
    if not gap or lines.pop(0) != HEADER:
        raise ReceiptMalformed(f"receipt: expected {HEADER} in the first line, got another")
    extra = lines.pop(0).removeprefix(_EXTRA) if lines and lines[0].startswith(_EXTRA) else None
    if not lines or not lines[0].startswith(_INDEX) or len(lines) > MAX_HASHES + 1:
        raise ReceiptMalformed(
            f"receipt: expected an index and at most {MAX_HASHES} hashes, got something else"
        )
    try:
        index = to_number(lines[0].removeprefix(_INDEX))
        proof = tuple(to_hash(line) for line in lines[1:])
        extra_data = None if extra is None else from_base64(extra)
    except ValueError as error:
        raise ReceiptMalformed(f"receipt: {error}") from error
    return Receipt(index, proof, parse_note(note), extra_data)


def verify_receipt(receipt: Receipt, leaf: bytes, policy: Policy) -> TrustedCheckpoint:
    """Return only if the entry that hashes to `leaf` is in a log that the policy trusts.

    Args:
        receipt: From `parse_receipt`.
        leaf: (32,) hash of the entry, from `tree.leaf_hash`.
        policy: Who is trusted.

    Returns:
        The checkpoint that the proof leads to, and who signed it.

    Raises:
        NoteMalformed, CheckpointUntrusted, TooFewWitnesses: as `policy.verify_checkpoint`.
        InclusionMismatch: the proof does not lead from leaf to the checkpoint's root.
    """
    trusted = verify_checkpoint(receipt.note, policy)
    checkpoint = trusted.checkpoint
    verify_inclusion(leaf, receipt.index, checkpoint.size, receipt.proof, checkpoint.root)
    return trusted
