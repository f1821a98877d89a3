import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto.wycheproof import cases

from bellwire.crypto.aead import TAG_BYTES, AesGcm, ChaCha20, open_sealed, seal
from bellwire.crypto.errors import AuthenticationFailed, LengthError

KEY = bytes(range(32))
NONCE = bytes(range(12))


def test_wycheproof_aes_256_gcm_agrees() -> None:
    used = 0
    for group, test in cases("aes_gcm"):
        if group["keySize"] != 256 or group["ivSize"] != 96:
            continue
        used += 1
        key, nonce, aad = (bytes.fromhex(test[field]) for field in ("key", "iv", "aad"))
        message, sealed = bytes.fromhex(test["msg"]), bytes.fromhex(test["ct"] + test["tag"])
        if test["result"] == "valid":
            assert seal(key, nonce, message, aad) == sealed, test["tcId"]
            assert open_sealed(key, nonce, sealed, aad) == message, test["tcId"]
        else:
            with pytest.raises(AuthenticationFailed):
                open_sealed(key, nonce, sealed, aad)
    assert used > 60


def test_wycheproof_chacha20_poly1305_agrees() -> None:
    used = 0
    for group, test in cases("chacha20_poly1305"):
        key, nonce, aad = (bytes.fromhex(test[field]) for field in ("key", "iv", "aad"))
        message, sealed = bytes.fromhex(test["msg"]), bytes.fromhex(test["ct"] + test["tag"])
        used += 1
        if group["ivSize"] != 96:
            with pytest.raises(LengthError, match="12 bytes"):
                ChaCha20(key).seal(nonce, message, aad)
        elif test["result"] == "valid":
            assert ChaCha20(key).seal(nonce, message, aad) == sealed, test["tcId"]
            assert ChaCha20(key).open(nonce, sealed, aad) == message, test["tcId"]
        else:
            with pytest.raises(AuthenticationFailed):
                ChaCha20(key).open(nonce, sealed, aad)
    assert used > 300
    assert repr(ChaCha20(KEY)) == "ChaCha20()"
    with pytest.raises(LengthError, match="32 bytes"):
        ChaCha20(KEY[:-1])


def test_wycheproof_nonces_of_other_sizes_are_refused() -> None:
    sizes = {
        len(test["iv"]) // 2: bytes.fromhex(test["iv"])
        for group, test in cases("aes_gcm")
        if group["ivSize"] != 96
    }
    assert len(sizes) > 3
    for nonce in sizes.values():
        with pytest.raises(LengthError, match="12 bytes"):
            seal(KEY, nonce, b"", b"")


@settings(max_examples=60, deadline=None)
@given(
    plaintext=st.binary(max_size=100), aad=st.binary(max_size=40), where=st.integers(min_value=0)
)
def test_one_flipped_bit_anywhere_is_noticed(plaintext: bytes, aad: bytes, where: int) -> None:
    sealed = bytearray(seal(KEY, NONCE, plaintext, aad))
    assert len(sealed) == len(plaintext) + TAG_BYTES
    assert open_sealed(KEY, NONCE, bytes(sealed), aad) == plaintext
    bit = where % (8 * len(sealed))
    sealed[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(AuthenticationFailed):
        open_sealed(KEY, NONCE, bytes(sealed), aad)


def test_other_associated_data_is_noticed() -> None:
    with pytest.raises(AuthenticationFailed):
        open_sealed(KEY, NONCE, seal(KEY, NONCE, b"text", b"here"), b"there")


@pytest.mark.parametrize("sealed", [b"", b"x", bytes(TAG_BYTES - 1)])
def test_less_than_a_tag_is_refused(sealed: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        open_sealed(KEY, NONCE, sealed, b"")


@pytest.mark.parametrize(("key", "nonce"), [(KEY[:16], NONCE), (KEY + b"x", NONCE), (KEY, b"")])
def test_keys_and_nonces_have_one_length(key: bytes, nonce: bytes) -> None:
    with pytest.raises(LengthError):
        seal(key, nonce, b"", b"")
    with pytest.raises(LengthError):
        open_sealed(key, nonce, bytes(16), b"")


def test_one_cipher_serves_again_and_again_and_shows_no_key() -> None:
    cipher = AesGcm(KEY)
    for number in range(3):
        nonce = number.to_bytes(12, "big")
        sealed = cipher.seal(nonce, b"text", b"aad")
        assert sealed == seal(KEY, nonce, b"text", b"aad")
        assert cipher.open(nonce, sealed, b"aad") == b"text"
        with pytest.raises(AuthenticationFailed):
            cipher.open(nonce, sealed[:-1], b"aad")
        with pytest.raises(AuthenticationFailed):
            cipher.open(bytes([9] * 12), sealed, b"aad")
    assert repr(cipher) == "AesGcm()"
    with pytest.raises(LengthError, match="32 bytes"):
        AesGcm(KEY[:-1])
