"""The receipt of a registration is its own, and holds for whoever registered."""

import pytest
from tests.ledger.logs import ED25519, MLDSA44, WITNESSES, SmallLog
from tests.ledger.test_monitor import MINE, THEIRS, entries, files_of, reader_of, registration

from bellwire.ledger.errors import (
    InclusionMismatch,
    LogAltered,
    ReceiptMalformed,
    TooFewWitnesses,
)
from bellwire.ledger.policy import of_witnesses
from bellwire.ledger.receipt import parse_receipt, verify_receipt
from bellwire.ledger.registered import make_receipt, verify_registration
from bellwire.ledger.tree import leaf_hash

TRUST = of_witnesses([MLDSA44.verifier], (), 0)
KEYS = {"ed25519": MINE.key}


def test_a_receipt_is_made_of_the_entry_and_verifies_offline() -> None:
    of_mine = registration(301, "ada_lo", MINE)
    log = SmallLog([*entries(300), of_mine, *entries(400, 302)])
    reader = reader_of(files_of(log))
    receipt = make_receipt(reader, 300, "ada_lo", KEYS)
    assert receipt is not None
    data = receipt.encode()
    assert verify_registration(data, TRUST, "ada_lo", KEYS).index == 300
    verify_receipt(parse_receipt(data), leaf_hash(of_mine), TRUST)
    assert make_receipt(reader, 701, "ada_lo", KEYS) is None
    for handle, keys in (("bob", KEYS), ("ada_lo", {**KEYS, "p-256": bytes(65)})):
        with pytest.raises(LogAltered, match="as entry 300, got another"):
            make_receipt(reader, 300, handle, keys)
        with pytest.raises(ReceiptMalformed, match="got another's"):
            verify_registration(data, TRUST, handle, keys)
    with pytest.raises(LogAltered):
        make_receipt(reader, 5, "ada_lo", KEYS)


def test_a_registration_that_is_not_in_the_signed_tree_has_no_receipt() -> None:
    files = files_of(SmallLog([*entries(5), registration(6, "ada_lo", THEIRS)]))
    forged = SmallLog([*entries(5), registration(6, "ada_lo", MINE)])
    path = "tile/entries/000.p/6"
    files[path] = files_of(forged)[path]
    with pytest.raises(InclusionMismatch):
        make_receipt(reader_of(files), 5, "ada_lo", KEYS)
    other = SmallLog([*entries(5), registration(6, "ada_lo", THEIRS)]).receipt(5)
    lie = forged.receipt(5)
    swapped = type(lie)(lie.index, lie.proof, other.note, lie.extra).encode()
    with pytest.raises(InclusionMismatch):
        verify_registration(swapped, TRUST, "ada_lo", KEYS)


def test_a_receipt_without_the_witnesses_is_refused() -> None:
    receipt = SmallLog([registration(1, "ada_lo", MINE)]).receipt(0)
    trust = of_witnesses([ED25519.verifier], [WITNESSES[0][1].verifier], 1)
    with pytest.raises(TooFewWitnesses):
        verify_registration(receipt.encode(), trust, "ada_lo", KEYS)
    bare = type(receipt)(receipt.index, receipt.proof, receipt.note).encode()
    with pytest.raises(ReceiptMalformed):
        verify_registration(bare, TRUST, "ada_lo", KEYS)
