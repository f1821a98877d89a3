"""ML-DSA-65 against known answers of another implementation, and what must not verify."""

import gzip

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tests.crypto.wycheproof import VECTORS, cases

from bellwire.base.secret import Secret
from bellwire.crypto.errors import LengthError, SignatureInvalid
from bellwire.crypto.signatures import (
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    SigningKey,
    fingerprint,
    verify,
)

KEY = SigningKey(bytes(range(32)))
TEXT, CONTEXT = b"who signs this", b"a test"
SIGNATURE = KEY.sign(TEXT, CONTEXT)


def known_answers() -> list[dict[str, bytes]]:
    """Records of the file; a signed message is signature and message, one after the other."""
    with gzip.open(VECTORS / "mldsa" / "kat_MLDSA_65_det_pure.rsp.gz", "rt") as file:
        records = file.read().split("count = ")[1:]
    pairs = [
        [line.split(" = ") for line in record.splitlines()[1:] if " = " in line]
        for record in records
    ]
    wanted = ("xi", "pk", "msg", "ctx", "sm")
    return [{name: bytes.fromhex(v) for name, v in each if name in wanted} for each in pairs]


ANSWERS = known_answers()


def test_wycheproof_ml_dsa_65_agrees() -> None:
    for group, test in cases("mldsa_65_verify"):
        public, signature = bytes.fromhex(group["publicKey"]), bytes.fromhex(test["sig"])
        text, context = bytes.fromhex(test["msg"]), bytes.fromhex(test.get("ctx", ""))
        if test["result"] == "valid":
            verify(public, signature, text, context)
        else:
            refusal = ValueError if len(context) > 255 else (SignatureInvalid, LengthError)
            with pytest.raises(refusal):
                verify(public, signature, text, context)


def test_all_known_answers_are_there() -> None:
    assert len(ANSWERS) == 10
    assert all(set(answer) == {"xi", "pk", "msg", "ctx", "sm"} for answer in ANSWERS)


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_a_known_seed_gives_the_public_key_that_verifies_the_known_signature(
    answer: dict[str, bytes],
) -> None:
    key = SigningKey(Secret(answer["xi"]))
    assert key.public_bytes == answer["pk"]
    signature = answer["sm"][:SIGNATURE_BYTES]
    verify(key.public_bytes, signature, answer["msg"], answer["ctx"])
    with pytest.raises(SignatureInvalid):
        verify(key.public_bytes, signature, answer["msg"], answer["ctx"] + b"!")


@pytest.mark.parametrize("byte", [0, 47, 48, 3247, 3248, 3302, 3303, SIGNATURE_BYTES - 1])
def test_a_signature_altered_in_any_of_its_parts_does_not_verify(byte: int) -> None:
    altered = bytearray(SIGNATURE)
    altered[byte] ^= 1
    with pytest.raises(SignatureInvalid):
        verify(KEY.public_bytes, bytes(altered), TEXT, CONTEXT)


def test_text_context_and_key_are_all_bound() -> None:
    verify(KEY.public_bytes, SIGNATURE, TEXT, CONTEXT)
    with pytest.raises(SignatureInvalid):
        verify(KEY.public_bytes, SIGNATURE, TEXT + b".", CONTEXT)
    with pytest.raises(SignatureInvalid):
        verify(KEY.public_bytes, SIGNATURE, TEXT, b"another test")
    with pytest.raises(SignatureInvalid):
        verify(SigningKey.generate().public_bytes, SIGNATURE, TEXT, CONTEXT)


def test_lengths_are_checked_before_anything_else() -> None:
    with pytest.raises(LengthError, match="seed of 32 bytes, got 31"):
        SigningKey(bytes(31))
    with pytest.raises(LengthError, match="public key"):
        verify(bytes(PUBLIC_BYTES - 1), SIGNATURE, TEXT, CONTEXT)
    with pytest.raises(LengthError, match="signature"):
        verify(KEY.public_bytes, SIGNATURE[:-1], TEXT, CONTEXT)


def test_signing_twice_gives_two_signatures_that_both_verify() -> None:
    again = KEY.sign(TEXT, CONTEXT)
    assert again != SIGNATURE
    verify(KEY.public_bytes, again, TEXT, CONTEXT)


def test_the_pem_form_is_the_same_key_and_the_repr_shows_no_secret() -> None:
    read = load_pem_public_key(KEY.public_pem)
    assert read.public_bytes_raw() == KEY.public_bytes  # type: ignore[union-attr]
    assert fingerprint(KEY.public_bytes).hex()[:16] in repr(KEY)
    assert len(repr(KEY)) < 40
