"""X-Wing, and the two primitives under it.

Encapsulation takes no coins, so its published answers cannot be driven: that a ciphertext opens to
the encapsulator's secret is checked against a key whose decapsulation agrees with the vectors.
"""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from tests.crypto.wycheproof import VECTORS, cases

from bellwire.base.secret import Secret
from bellwire.crypto import kem
from bellwire.crypto.errors import KemRefused, LengthError
from bellwire.crypto.kem import XWingPrivateKey, check_public, encapsulate

XWING: list[dict[str, Any]] = json.loads((VECTORS / "xwing" / "test-vectors.json").read_text())
LOW_ORDER = [bytes(32), b"\x01" + bytes(31)]


@pytest.mark.parametrize("vector", XWING, ids=range(len(XWING)))
def test_the_draft_s_public_key_and_secret_come_from_its_seed(vector: dict[str, Any]) -> None:
    key = XWingPrivateKey.from_seed(bytes.fromhex(vector["seed"]))
    assert key.public_bytes.hex() == vector["pk"]
    assert key.seed == Secret(bytes.fromhex(vector["sk"]))
    secret = key.decapsulate(bytes.fromhex(vector["ct"]))
    assert secret.reveal().hex() == vector["ss"]


def test_encapsulated_secret_is_what_the_holder_recovers() -> None:
    key = XWingPrivateKey.generate()
    ciphertext, secret = encapsulate(key.public_bytes)
    assert len(key.public_bytes) == kem.PUBLIC_BYTES
    assert len(ciphertext) == kem.CIPHERTEXT_BYTES
    assert len(secret) == kem.SECRET_BYTES
    assert XWingPrivateKey.from_seed(key.seed).decapsulate(ciphertext) == secret


def test_two_encapsulations_share_nothing() -> None:
    key = XWingPrivateKey.from_seed(bytes(32))
    (ct_1, ss_1), (ct_2, ss_2) = encapsulate(key.public_bytes), encapsulate(key.public_bytes)
    assert ss_1 != ss_2
    assert ct_1[:1088] != ct_2[:1088]
    assert ct_1[1088:] != ct_2[1088:]


@pytest.mark.parametrize("byte", [0, 543, 1087, 1088, 1119])
def test_an_altered_ciphertext_never_gives_the_secret(byte: int) -> None:
    key = XWingPrivateKey.from_seed(bytes(32))
    ciphertext, secret = encapsulate(key.public_bytes)
    altered = bytearray(ciphertext)
    altered[byte] ^= 1
    assert key.decapsulate(bytes(altered)) != secret


@pytest.mark.parametrize("length", [0, 1119, 1121])
def test_ciphertexts_have_one_length(length: int) -> None:
    with pytest.raises(KemRefused, match="1120"):
        XWingPrivateKey.from_seed(bytes(32)).decapsulate(bytes(length))


@pytest.mark.parametrize("point", LOW_ORDER)
def test_points_of_low_order_are_refused(point: bytes) -> None:
    key = XWingPrivateKey.from_seed(bytes(32))
    ciphertext, _ = encapsulate(key.public_bytes)
    with pytest.raises(KemRefused, match="low order"):
        key.decapsulate(ciphertext[:1088] + point)
    with pytest.raises(KemRefused, match="low order"):
        encapsulate(key.public_bytes[:1184] + point)


def test_malformed_keys_are_refused() -> None:
    with pytest.raises(LengthError, match="seed"):
        XWingPrivateKey.from_seed(bytes(31))
    for use in (encapsulate, check_public):
        with pytest.raises(LengthError, match="public key"):
            use(bytes(1215))
        with pytest.raises(KemRefused, match="out of range"):
            use(b"\xff" * 1216)
    check_public(XWingPrivateKey.from_seed(bytes(32)).public_bytes)


def test_repr_shows_no_key() -> None:
    assert repr(XWingPrivateKey.from_seed(bytes(32))) == "XWingPrivateKey()"


def test_wycheproof_ml_kem_768_agrees() -> None:
    for _, test in cases("mlkem_768"):
        seed, ciphertext = bytes.fromhex(test["seed"]), bytes.fromhex(test["c"])
        if test["result"] == "valid":
            key = MLKEM768PrivateKey.from_seed_bytes(seed)
            assert key.public_key().public_bytes_raw().hex() == test["ek"], test["tcId"]
            assert key.decapsulate(ciphertext).hex() == test["K"], test["tcId"]
        else:
            with pytest.raises(ValueError, match=r".*"):
                MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext)


def test_wycheproof_ml_kem_768_keys_come_from_their_seeds() -> None:
    for _, test in cases("mlkem_768_keygen_seed"):
        key = MLKEM768PrivateKey.from_seed_bytes(bytes.fromhex(test["seed"]))
        assert key.public_key().public_bytes_raw().hex() == test["ek"], test["tcId"]


def test_wycheproof_ml_kem_768_public_keys_out_of_range_are_refused() -> None:
    refused = 0
    for _, test in cases("mlkem_768_encaps"):
        public = bytes.fromhex(test["ek"])
        if test["result"] == "valid":
            assert len(MLKEM768PublicKey.from_public_bytes(public).encapsulate()[0]) == 32
            continue
        refused += 1
        with pytest.raises((KemRefused, LengthError)):
            encapsulate(public + b"\x09" + bytes(31))
    assert refused > 100


def test_wycheproof_x25519_agrees() -> None:
    for _, test in cases("x25519"):
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(test["private"]))
        public = X25519PublicKey.from_public_bytes(bytes.fromhex(test["public"]))
        if set(test["shared"]) == {"0"}:
            with pytest.raises(ValueError, match=r".*"):
                private.exchange(public)
        else:
            assert private.exchange(public).hex() == test["shared"], test["tcId"]
