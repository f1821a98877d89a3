"""The receipt of a registration: an entry's proof, and that it says what was registered.

Admission makes it from the log, and is not believed: whoever registered checks it under a policy of
their own.
"""

from collections.abc import Mapping

from bellwire.ledger.checkpoint import parse_checkpoint
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.entries.errors import EntryMalformed
from bellwire.ledger.entries.model import Registration
from bellwire.ledger.errors import LogAltered, ReceiptMalformed
from bellwire.ledger.policy import Policy
from bellwire.ledger.reading import LogReader, prove
from bellwire.ledger.receipt import Receipt, parse_receipt, verify_receipt
from bellwire.ledger.tree import leaf_hash


def make_receipt(
    reader: LogReader, number: int, handle: str, keys: Mapping[str, bytes]
) -> Receipt | None:
    """The receipt of a registration, under the checkpoint that the log shows.

    Args:
        reader: Of the log.
        number: Of the entry.
        handle: In its canonical form.
        keys: Public keys by kind.

    Returns:
        One with its entry, whose signatures nobody looked at; None if the log does not show so many
        entries yet.

    Raises:
        LogAltered: the log has another entry under this number.
        LogAbsent, NoteMalformed, TileMalformed, InclusionMismatch: it does not show its tree.
    """
    note = reader.note()
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.size <= number:
        return None
    ((_, entry, proof),) = prove(reader, checkpoint, number, number + 1)
    if not _is_of(entry, handle, keys):
        raise LogAltered(f"expected the registration of {handle} as entry {number}, got another")
    return Receipt(number, proof, note, entry)


def verify_registration(
    data: bytes, policy: Policy, handle: str, keys: Mapping[str, bytes]
) -> Receipt:
    """Return only if a receipt shows that a name is registered with exactly these keys.

    Args:
        data: As it came.
        policy: Who must have signed and cosigned.
        handle: In its canonical form.
        keys: Public keys by kind.

    Raises:
        ReceiptMalformed: it is none, or another entry's.
        NoteMalformed, CheckpointUntrusted, TooFewWitnesses, InclusionMismatch: it does not hold.
    """
    receipt = parse_receipt(data)
    if receipt.extra is None or not _is_of(receipt.extra, handle, keys):
        raise ReceiptMalformed(f"expected a receipt of the registration of {handle}, got another's")
    verify_receipt(receipt, leaf_hash(receipt.extra), policy)
    return receipt


def _is_of(encoded: bytes, handle: str, keys: Mapping[str, bytes]) -> bool:
    try:
        entry = decode(encoded)
    except EntryMalformed:
        return False
    if not isinstance(entry, Registration) or entry.handle != handle:
        return False
    return {each.algorithm.value: each.key for each in entry.keys} == dict(keys)
