"""Composite signatures: all parts of a key must verify, and none counts alone."""

from collections.abc import Callable

import pytest

from bellwire.crypto import ed25519
from bellwire.crypto.composite import CompositeKey, CompositePublicKey
from bellwire.crypto.ed25519 import Ed25519Key
from bellwire.crypto.errors import LengthError, SignatureInvalid
from bellwire.crypto.signatures import SigningKey

ED, LATTICE = Ed25519Key(b"e" * 32), SigningKey(b"l" * 32)
BOTH = CompositeKey(ED, LATTICE)
KEYS = {"both": BOTH, "ed25519": CompositeKey(ED, None), "ml-dsa-65": CompositeKey(None, LATTICE)}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_signature_verifies_for_its_text_and_label_alone(key: CompositeKey) -> None:
    signature = key.sign(b"text", b"label")
    assert len(signature) == key.public.signature_bytes
    key.public.verify(signature, b"text", b"label")
    for text, label in ((b"texts", b"label"), (b"text", b"other"), (b"ltext", b"labe")):
        with pytest.raises(SignatureInvalid):
            key.public.verify(signature, text, label)


def test_no_part_can_be_left_out_or_be_another_s() -> None:
    signature = BOTH.sign(b"text", b"label")
    cut = ed25519.SIGNATURE_BYTES
    other = CompositeKey(Ed25519Key(b"f" * 32), SigningKey(b"m" * 32)).sign(b"text", b"label")
    for forged in (
        signature[:cut],
        signature[cut:],
        b"",
        signature + b"\0",
        signature[:cut] + other[cut:],
        other[:cut] + signature[cut:],
    ):
        with pytest.raises(SignatureInvalid):
            BOTH.public.verify(forged, b"text", b"label")


def test_half_of_a_signature_under_two_keys_says_nothing_under_one() -> None:
    signature, cut = BOTH.sign(b"text", b"label"), ed25519.SIGNATURE_BYTES
    for name, part in (("ed25519", signature[:cut]), ("ml-dsa-65", signature[cut:])):
        with pytest.raises(SignatureInvalid):
            KEYS[name].public.verify(part, b"text", b"label")


def test_a_key_that_is_no_point_verifies_nothing() -> None:
    public = CompositePublicKey(b"\xff" * 32, None)
    with pytest.raises(SignatureInvalid):
        public.verify(bytes(64), b"text", b"label")


def test_a_key_has_a_part_and_shows_nothing_of_it() -> None:
    make: list[Callable[[], object]] = [
        lambda: CompositeKey(None, None),
        lambda: CompositePublicKey(b"short", None),
        lambda: CompositePublicKey(ED.public_bytes, b"short"),
    ]
    for each in make:
        with pytest.raises(LengthError):
            each()
    assert (b"e" * 32).hex() not in repr(BOTH) + repr(BOTH.public)
