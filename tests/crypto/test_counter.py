"""Random words for kernels: AES by every way this machine has, the same words by all of them."""

import os
import subprocess
import sys

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bellwire.crypto import counter
from bellwire.crypto.counter import Generator, available, counter_key
from bellwire.crypto.errors import GeneratorUnavailable
from bellwire.crypto.kernels import aes

KINDS: dict[Generator, type[aes.Key]] = {
    Generator.VAES_512: aes.Vaes512,
    Generator.VAES_256: aes.Vaes256,
    Generator.AES_NI: aes.AesNi,
    Generator.PORTABLE: aes.Portable,
}
here = pytest.mark.parametrize("generator", available())


def by_the_book(key: bytes, first: int, words: int) -> NDArray[np.uint64]:
    encrypt = Cipher(algorithms.AES128(key), modes.ECB()).encryptor()
    blocks = b"".join((first + i).to_bytes(16, "little") for i in range(words // 2))
    return np.frombuffer(encrypt.update(blocks), "<u8").astype(np.uint64)


def made(generator: Generator, key: bytes, first: int, words: int) -> NDArray[np.uint64]:
    out = np.empty(words, np.uint64)
    aes.words(out, np.uint64(first), KINDS[generator](aes.expand(key)))
    return out


@here
def test_published_vectors_come_out(generator: Generator) -> None:
    # NIST AESAVS, appendix D (VarTxt, 128 bits, first), and the zero block of the GCM paper.
    zeros = bytes(16)
    assert made(generator, zeros, 0, 8)[:2].tobytes().hex() == "66e94bd4ef8a2c3b884cfa59ca342b2e"
    assert made(generator, zeros, 128, 8)[:2].tobytes().hex() == "3ad78e726c1ec02b7ebfe92b23d9ec34"


def test_keys_are_expanded_as_published() -> None:
    # FIPS 197, appendix A.1: w40 … w43 of its example key.
    keys = aes.expand(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
    assert keys.shape == (11, 8)
    assert keys[10, :2].tobytes().hex() == "d014f9a8c9ee2589e13f0cc8b6630ca6"
    assert (keys == np.tile(keys[:, :2], 4)).all()


@here
@settings(deadline=None, max_examples=40)
@given(key=st.binary(min_size=16, max_size=16), first=st.integers(0, 2**64 - 300))
def test_words_are_those_of_another_aes(generator: Generator, key: bytes, first: int) -> None:
    np.testing.assert_array_equal(made(generator, key, first, 400), by_the_book(key, first, 400))


def test_python_and_compiled_code_make_the_same_words() -> None:
    key, out = aes.Portable(aes.expand(bytes(range(16)))), np.empty(24, np.uint64)
    for form in (aes.fill, aes.words.py_func):
        out[:] = 0
        form(out, np.uint64(7), key)
        np.testing.assert_array_equal(out, by_the_book(bytes(range(16)), 7, 24))
    slow = np.empty(2, np.uint64)
    aes._tables.py_func(slow, np.uint64(7), key.round_keys)
    np.testing.assert_array_equal(slow, out[:2])
    assert aes._turned.py_func(np.uint32(0x80000001), 8) == 0x00000180
    columns = np.array([0x01020304, 0xA0B0C0D0, 0x11223344, 0xFFEEDDCC], np.uint32)
    for function in (aes._mixed, aes._last):
        assert function.py_func(*columns) == function(*columns)


def test_the_fastest_way_that_is_here_is_taken_and_there_always_is_one() -> None:
    assert available()[-1] is Generator.PORTABLE
    assert isinstance(counter_key(bytes(32), "a"), KINDS[available()[0]])
    assert isinstance(counter_key(bytes(32), "a", Generator.PORTABLE), aes.Portable)


@pytest.mark.parametrize(
    ("features", "ways"),
    [
        ("+sse2,+aes,+avx,+vaes,+avx512f", list(Generator)),
        ("+aes,+avx2,+avx,+vaes,-avx512f", list(Generator)[1:]),
        ("+aes,-avx,+vaes", list(Generator)[2:]),
        ("-aes,+avx", [Generator.PORTABLE]),
        ("", [Generator.PORTABLE]),
    ],
)
def test_the_choice_follows_what_is_compiled_for(features: str, ways: list[Generator]) -> None:
    assert list(counter.permitted(features)) == ways


def test_a_generator_that_is_not_here_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "available", lambda: counter.permitted("+aes"))
    assert isinstance(counter_key(bytes(32), "a"), aes.AesNi)
    with pytest.raises(GeneratorUnavailable, match="aes-ni, portable, got vaes-512"):
        counter_key(bytes(32), "a", Generator.VAES_512)


def test_code_for_any_processor_makes_the_same_words_and_no_absent_instruction() -> None:
    # An instruction that is not compiled for would end the process, not raise.
    program = (
        "import numpy as np\n"
        "from bellwire.crypto.counter import available, counter_key\n"
        "from bellwire.crypto.kernels.aes import words\n"
        "out = np.empty(64, np.uint64)\n"
        "words(out, np.uint64(3), counter_key(bytes(32), 'any'))\n"
        "print(*available(), out.tobytes().hex())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NUMBA_CPU_NAME": "generic"},
        capture_output=True,
        text=True,
        check=True,
    )
    out = np.empty(64, np.uint64)
    aes.words(out, np.uint64(3), counter_key(bytes(32), "any"))
    assert done.stdout.split() == ["portable", out.tobytes().hex()]


def test_each_label_and_each_seed_is_a_stream_of_its_own() -> None:
    keys = [
        counter_key(seed, label)
        for seed in (bytes(32), bytes([1]) * 32)
        for label in ("alice", "bob", "eve")
    ]
    out = np.empty((len(keys), 1024), np.uint64)
    for row, key in zip(out, keys, strict=True):
        aes.words(row, np.uint64(0), key)
    assert np.unique(out).size == out.size
    alike = np.bitwise_count(out[:, None] ^ out[None]).sum(axis=2)
    np.fill_diagonal(alike, 32 * 1024)
    assert abs(alike.astype(float) - 32 * 1024).max() < 5 * 128


def test_a_key_never_shows_itself_and_a_short_seed_is_refused() -> None:
    for generator in available():
        key = counter_key(bytes(32), "secret", generator)
        assert repr(key) == f"{type(key).__name__}()"
    with pytest.raises(ValueError, match="32 bytes, got 16"):
        counter_key(bytes(16), "short")
