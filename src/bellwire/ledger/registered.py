"""The receipt of a registration, looked for by whoever registered: nobody need be believed.

A registration is in the log some seconds after it was made, and in a checkpoint that witnesses have
cosigned a little later. So it is read from the log itself, from its end backwards.
"""

from collections.abc import Mapping
from typing import Final

from bellwire.ledger.entries.codec import decode
from bellwire.ledger.entries.errors import EntryMalformed
from bellwire.ledger.entries.model import Registration
from bellwire.ledger.policy import Policy, verify_checkpoint
from bellwire.ledger.reading import LogReader, prove
from bellwire.ledger.receipt import Receipt, verify_receipt
from bellwire.ledger.tiles import TILE_WIDTH
from bellwire.ledger.tree import leaf_hash

MOST_READ: Final = 400 * TILE_WIDTH
"""Entries that are read from the end; an older registration has its receipt by `log receipt`."""


def find_receipt(
    reader: LogReader, policy: Policy, handle: str, keys: Mapping[str, bytes]
) -> Receipt | None:
    """The receipt of the newest registration of a handle with exactly these keys.

    Args:
        reader: Of the log.
        policy: Who must have signed and cosigned.
        handle: In its canonical form.
        keys: Public keys by kind.

    Returns:
        One that verifies under the policy, with its entry; None if there is none, or none yet.

    Raises:
        NoteMalformed, CheckpointUntrusted, TooFewWitnesses: the log shows no such checkpoint.
        TileMalformed, InclusionMismatch: what it has is not what was signed.
    """
    note = reader.note()
    checkpoint = verify_checkpoint(note, policy).checkpoint
    end = checkpoint.size
    while end > max(0, checkpoint.size - MOST_READ):
        start = (end - 1) // TILE_WIDTH * TILE_WIDTH
        for number, entry in reversed(list(reader.entries(checkpoint.size, start, end))):
            if _is_ours(entry, handle, keys):
                ((_, _, proof),) = prove(reader, checkpoint, number, number + 1)
                receipt = Receipt(number, proof, note, entry)
                verify_receipt(receipt, leaf_hash(entry), policy)
                return receipt
        end = start
    return None


def _is_ours(encoded: bytes, handle: str, keys: Mapping[str, bytes]) -> bool:
    try:
        entry = decode(encoded)
    except EntryMalformed:
        return False
    if not isinstance(entry, Registration) or entry.handle != handle:
        return False
    return {each.algorithm.value: each.key for each in entry.keys} == dict(keys)
