"""The receipt of a registration is found in the log, and is nobody else's."""

import pytest
from tests.ledger.logs import ED25519, MLDSA44, WITNESSES, SmallLog
from tests.ledger.test_monitor import MINE, THEIRS, entries, files_of, reader_of, registration

from bellwire.ledger.errors import InclusionMismatch, TooFewWitnesses
from bellwire.ledger.policy import of_witnesses
from bellwire.ledger.receipt import parse_receipt, verify_receipt
from bellwire.ledger.registered import find_receipt
from bellwire.ledger.tree import leaf_hash

TRUST = of_witnesses([MLDSA44.verifier], (), 0)
KEYS = {"ed25519": MINE.key}


def test_the_newest_registration_with_these_keys_is_found_and_verifies_offline() -> None:
    of_mine = registration(301, "ada_lo", MINE)
    log = SmallLog(
        [*entries(300), of_mine, registration(302, "ada_lo", THEIRS), *entries(400, 303)]
    )
    reader = reader_of(files_of(log))
    receipt = find_receipt(reader, TRUST, "ada_lo", KEYS)
    assert receipt is not None
    assert receipt.index == 300
    read = parse_receipt(receipt.encode())
    assert read.extra == of_mine
    verify_receipt(read, leaf_hash(of_mine), TRUST)
    assert find_receipt(reader, TRUST, "bob", KEYS) is None
    assert find_receipt(reader, TRUST, "ada_lo", {**KEYS, "p-256": bytes(65)}) is None


def test_a_registration_that_is_not_in_the_signed_tree_gives_no_receipt() -> None:
    log = SmallLog([*entries(5), registration(6, "ada_lo", THEIRS)])
    files = files_of(log)
    forged = SmallLog([*entries(5), registration(6, "ada_lo", MINE)])
    path = "tile/entries/000.p/6"
    files[path] = files_of(forged)[path]
    with pytest.raises(InclusionMismatch):
        find_receipt(reader_of(files), TRUST, "ada_lo", KEYS)


def test_a_checkpoint_without_the_witnesses_gives_no_receipt() -> None:
    log = SmallLog([registration(1, "ada_lo", MINE)])
    trust = of_witnesses([ED25519.verifier], [WITNESSES[0][1].verifier], 1)
    with pytest.raises(TooFewWitnesses):
        find_receipt(reader_of(files_of(log)), trust, "ada_lo", KEYS)


def test_an_empty_log_has_none() -> None:
    assert find_receipt(reader_of(files_of(SmallLog([]))), TRUST, "ada_lo", KEYS) is None
