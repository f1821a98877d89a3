"""ML-KEM-768 and X-Wing beside an implementation that shares nothing with ours: kyber-py's.

Encapsulation's coins are ours to choose there, so the draft's published ciphertexts come out too.
"""

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from kyber_py.ml_kem import ML_KEM_768
from tests.crypto.wycheproof import VECTORS
from tests.reference import xwing

from bellwire.crypto.kem import XWingPrivateKey, encapsulate

SEEDS = [hashlib.sha512(bytes([number])).digest() for number in range(4)]
DRAFT: list[dict[str, Any]] = json.loads((VECTORS / "xwing" / "test-vectors.json").read_text())


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_both_make_one_ml_kem_key_of_a_seed_and_open_each_other_s_ciphertexts(seed: bytes) -> None:
    ours = MLKEM768PrivateKey.from_seed_bytes(seed)
    public, private = ML_KEM_768.key_derive(seed)
    assert ours.public_key().public_bytes_raw() == public
    secret, ciphertext = ours.public_key().encapsulate()
    assert ML_KEM_768.decaps(private, ciphertext) == secret
    theirs, ciphertext = ML_KEM_768._encaps_internal(public, seed[:32])
    assert ours.decapsulate(ciphertext) == theirs


@pytest.mark.parametrize("bit", [0, 7677, 7680, 8703])
def test_both_reject_a_changed_ml_kem_ciphertext_by_the_same_other_secret(bit: int) -> None:
    ours = MLKEM768PrivateKey.from_seed_bytes(SEEDS[0])
    public, private = ML_KEM_768.key_derive(SEEDS[0])
    secret, ciphertext = ML_KEM_768._encaps_internal(public, SEEDS[1][:32])
    changed = flipped(ciphertext, bit)
    assert ours.decapsulate(changed) == ML_KEM_768.decaps(private, changed) != secret


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_the_whole_of_x_wing_agrees_in_both_directions(seed: bytes) -> None:
    ours = XWingPrivateKey(seed[:32])
    public, _, _ = xwing.generate(seed[:32])
    assert ours.public_bytes == public
    ciphertext, secret = encapsulate(ours.public_bytes)
    assert xwing.decapsulate(seed[:32], ciphertext) == secret.reveal()
    ciphertext, theirs = xwing.encapsulate(public, seed)
    assert ours.decapsulate(ciphertext).reveal() == theirs


@pytest.mark.parametrize("bit", [5, 8000, 8704, 8950])
def test_a_changed_x_wing_ciphertext_gives_both_the_same_other_secret(bit: int) -> None:
    seed = SEEDS[2][:32]
    ciphertext, secret = xwing.encapsulate(xwing.generate(seed)[0], SEEDS[3])
    changed = flipped(ciphertext, bit)
    found = XWingPrivateKey(seed).decapsulate(changed).reveal()
    assert found == xwing.decapsulate(seed, changed) != secret


@pytest.mark.parametrize("vector", DRAFT, ids=range(len(DRAFT)))
def test_the_draft_s_ciphertexts_come_of_its_coins(vector: dict[str, Any]) -> None:
    public, coins = bytes.fromhex(vector["pk"]), bytes.fromhex(vector["eseed"])
    ciphertext, secret = xwing.encapsulate(public, coins)
    assert (ciphertext.hex(), secret.hex()) == (vector["ct"], vector["ss"])
