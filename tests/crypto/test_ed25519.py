import pytest
from tests.crypto.wycheproof import cases

from bellwire.crypto.ed25519 import Ed25519Key, verify
from bellwire.crypto.errors import LengthError, SignatureInvalid


def test_wycheproof_agrees() -> None:
    used = 0
    for group, test in cases("ed25519"):
        public = bytes.fromhex(group["publicKey"]["pk"])
        signature, text = bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"])
        used += 1
        if test["result"] == "valid":
            verify(public, signature, text)
        else:
            with pytest.raises((SignatureInvalid, LengthError)):
                verify(public, signature, text)
    assert used > 100


def test_rfc_8032_test_2() -> None:
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = Ed25519Key(seed)
    assert key.public_bytes.hex() == (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    )
    verify(key.public_bytes, key.sign(b"\x72"), b"\x72")


def test_altered_texts_and_keys_are_refused_and_no_repr_shows_the_seed() -> None:
    key, other = Ed25519Key(b"s" * 32), Ed25519Key.generate()
    signature = key.sign(b"text")
    for public, text in ((key.public_bytes, b"Text"), (other.public_bytes, b"text")):
        with pytest.raises(SignatureInvalid):
            verify(public, signature, text)
    assert (b"s" * 32).hex() not in repr(key)
    with pytest.raises(LengthError):
        Ed25519Key(b"short")
