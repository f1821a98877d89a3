"""Somebody else's verifier of tlog-proof, checkpoints and cosignatures accepts what we make.

`proofbundle` from PyPI is written by others from the same specifications.
"""

import pytest
from proofbundle import merkle, tlogproof
from tests.ledger.logs import ED25519, LOG, ORIGIN, WITNESSES, SmallLog, numbered

from bellwire.ledger.tree import leaf_hash

WATCHING = [str(WITNESSES[0][1].verifier), str(WITNESSES[1][1].verifier)]
WATCHING.append(str(WITNESSES[2][0].verifier))  # one of the three by its Ed25519 key


@pytest.fixture(scope="module")
def log() -> SmallLog:
    return SmallLog(numbered(600))


def test_our_receipts_verify_elsewhere_and_altered_ones_do_not(log: SmallLog) -> None:
    for index in (0, 255, 256, 511, 599):
        signers = [each for both in WITNESSES for each in both]
        text = log.receipt(index, *LOG, *signers).encode().decode()
        for entry, holds in ((log.entries[index], True), (b"another", False)):
            found = tlogproof.verify_tlog_proof(
                text,
                entry,
                str(ED25519.verifier),
                witness_vkeys=WATCHING,
                threshold=3,
                expected_origin=ORIGIN,
            )
            assert found["ok"] is holds


def test_too_few_witnesses_are_too_few_elsewhere(log: SmallLog) -> None:
    text = log.receipt(7, *LOG, *WITNESSES[0]).encode().decode()
    found = tlogproof.verify_tlog_proof(
        text, log.entries[7], str(ED25519.verifier), witness_vkeys=WATCHING, threshold=2
    )
    assert not found["ok"]


def test_our_roots_and_proofs_are_those_that_others_make(log: SmallLog) -> None:
    root = merkle.merkle_tree_hash(log.entries)
    assert log.edge.root == root
    for old in (1, 255, 256, 300, 599):
        proof = log.prover.consistency(old, 600)
        assert list(proof) == merkle.consistency_proof(log.entries, old)
        old_root = merkle.merkle_tree_hash(log.entries[:old])
        assert merkle.verify_consistency(old, 600, list(proof), old_root, root)
        assert not merkle.verify_consistency(old, 600, list(proof), root, root)
    for index in (0, 300, 599):
        proof = log.prover.inclusion(index, 600)
        assert list(proof) == merkle.inclusion_proof(log.entries, index)
    assert leaf_hash(b"x") == merkle.leaf_hash(b"x")
