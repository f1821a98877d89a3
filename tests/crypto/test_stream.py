import hashlib
import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.crypto.stream import SEED_BYTES, KeyStream, NoiseStream

SEED = bytes(range(SEED_BYTES))

# NIST SP 800-38A, F.5.5 (CTR-AES256.Encrypt).
SP_KEY = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
SP_COUNTER = int("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", 16)
SP_PLAINTEXT = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
SP_CIPHERTEXT = bytes.fromhex(
    "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
    "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
)


def slow_stream(seed: bytes, label: str, start: int, count: int) -> bytes:
    """One AES block at a time, under the key of RFC 5869 written out."""
    prk = hmac.digest(bytes(32), seed, hashlib.sha256)
    key = hmac.digest(prk, b"bellwire stream " + label.encode() + b"\x01", hashlib.sha256)
    blocks = range(start // 16, (start + count) // 16 + 1)
    encrypt = Cipher(algorithms.AES256(key), modes.ECB()).encryptor().update
    whole = b"".join(encrypt(block.to_bytes(16, "big")) for block in blocks)
    skip = start % 16
    return whole[skip : skip + count]


def test_sp_800_38a_counter_mode_agrees() -> None:
    stream = KeyStream(SEED, "any")
    stream._key = SP_KEY
    pad = stream.at(16 * SP_COUNTER, len(SP_PLAINTEXT))
    assert (pad ^ np.frombuffer(SP_PLAINTEXT, np.uint8)).tobytes() == SP_CIPHERTEXT


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, 2**66), count=st.integers(0, 100), label=st.text(max_size=10))
def test_any_stretch_equals_its_slow_twin(start: int, count: int, label: str) -> None:
    assert KeyStream(SEED, label).at(start, count).tobytes() == slow_stream(
        SEED, label, start, count
    )


def test_words_are_little_endian_bytes_of_the_same_stream() -> None:
    stream = KeyStream(SEED, "words")
    expected = [int.from_bytes(stream.at(4 * i, 4).tobytes(), "little") for i in range(5, 15)]
    assert stream.words(5, 10).tolist() == expected


def test_labels_and_seeds_give_unrelated_streams() -> None:
    one = KeyStream(SEED, "one").at(0, 8000)
    for other in (KeyStream(SEED, "two"), KeyStream(bytes(SEED_BYTES), "one")):
        differing = np.unpackbits(one ^ other.at(0, 8000)).mean()
        assert abs(differing - 0.5) < 5 * 0.5 / np.sqrt(64000)


def test_noise_is_read_on_and_never_repeats() -> None:
    noise, stream = NoiseStream(SEED, "noise"), KeyStream(SEED, "noise")
    uniform = noise.uniform(3)
    assert uniform.tolist() == [
        (int.from_bytes(stream.at(8 * i, 8).tobytes(), "little") >> 11) / 2**53 for i in range(3)
    ]
    bits = noise.bits(11)
    packed = stream.at(24, 2).tobytes()
    assert bits.tolist() == [packed[i // 8] >> (i % 8) & 1 for i in range(11)]
    assert noise.bits(8).tolist() == [stream.at(26, 1)[0] >> i & 1 for i in range(8)]


def test_uniform_numbers_fill_the_unit_interval() -> None:
    values = NoiseStream(SEED, "uniform").uniform(100_000)
    assert 0.0 <= values.min() < 1e-3
    assert 1 - 1e-3 < values.max() < 1.0
    assert abs(values.mean() - 0.5) < 5 / np.sqrt(12 * values.size)


@pytest.mark.parametrize("length", [0, 16, 33])
def test_seeds_have_one_length(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyStream(bytes(length), "any")


def test_reprs_show_no_key() -> None:
    assert repr(KeyStream(SEED, "any")) == "KeyStream()"
    assert repr(NoiseStream(SEED, "any")) == "NoiseStream()"


def test_a_buffer_is_filled_with_the_same_stream() -> None:
    stream = KeyStream(SEED, "any")
    buffer = np.empty(1000, np.uint8)
    stream.into(160, buffer)
    assert np.array_equal(buffer, stream.at(160, 1000))
    with pytest.raises(ValueError, match="multiple of 16"):
        stream.into(8, buffer)
