"""Entries of a writer, for tests of what keeps them."""

from bellwire.ledger.entries.codec import encode
from bellwire.ledger.entries.model import GuardAction
from bellwire.ledger.store.store import Batch

EPOCH = "00112233445566ff"


def entry(sequence: int, writer: str = "site-a", *, epoch: str = EPOCH, reason: str = "") -> bytes:
    return encode(
        GuardAction(
            v=1,
            at=1_800_000_000_000 + sequence,
            writer=writer,
            epoch=epoch,
            sequence=sequence,
            guard="router-1",
            packets="stop",
            reason=reason or f"reason {sequence}",
        )
    )


def batch(first: int, count: int, writer: str = "site-a") -> Batch:
    return Batch(writer, EPOCH, first, [entry(i, writer) for i in range(first, first + count)])
