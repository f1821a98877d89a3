"""AES-128 of a counter, called from other kernels: random words addressed by number.

Block i of a stream is AES-128 (FIPS 197) of the 128-bit little-endian number i, read as two
little-endian words of 64 bits: counter mode (NIST SP 800-38A). Four ways compute the same words.
Which one is compiled follows from the type of the key, so that an instruction which the processor
lacks is never even selected: LLVM would answer that by ending the process.

Who changes this file empties `__pycache__`: Numba keeps a kernel with all that it calls, and looks
for changes in the kernel's own file only.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

Words = NDArray[np.uint64]

ROUNDS = 10
LANES = 4
"""Round keys lie side by side so often: the widest instruction takes so many blocks at once."""


class Vaes512(NamedTuple):
    """A key for four blocks an instruction: VAES with AVX-512."""

    round_keys: Words

    def __repr__(self) -> str:
        return "Vaes512()"


class Vaes256(NamedTuple):
    """A key for two blocks an instruction: VAES with AVX."""

    round_keys: Words

    def __repr__(self) -> str:
        return "Vaes256()"


class AesNi(NamedTuple):
    """A key for one block an instruction: AES-NI."""

    round_keys: Words

    def __repr__(self) -> str:
        return "AesNi()"


class Portable(NamedTuple):
    """A key for table look-ups, on any processor."""

    round_keys: Words

    def __repr__(self) -> str:
        return "Portable()"


Key = Vaes512 | Vaes256 | AesNi | Portable

BLOCKS = {Vaes512: 4, Vaes256: 2, AesNi: 1}


def _substitution() -> list[int]:
    """The S-box (FIPS 197, 5.1.1): the inverse in GF(2⁸), then an affine map."""
    box, p, q = [0x63] * 256, 1, 1
    for _ in range(255):  # p runs through the powers of 3, q through their inverses
        p ^= (p << 1) ^ (0x11B if p & 0x80 else 0)
        for shift in (1, 2, 4):
            q ^= q << shift
        q = (q ^ 0x09 if q & 0x80 else q) & 0xFF
        box[p] = 0x63
        for turn in range(5):
            box[p] ^= (q << turn | q >> (8 - turn)) & 0xFF
    return box


SBOX = tuple(_substitution())


def _double(x: int) -> int:
    return (x << 1) ^ (0x11B if x & 0x80 else 0)


_S = np.array(SBOX, np.uint32)
_T = np.array([_double(s) | s << 8 | s << 16 | (_double(s) ^ s) << 24 for s in SBOX], np.uint32)
"""A column of MixColumns after SubBytes, of a byte in the first row; rows are its rotations."""


def expand(key: bytes) -> Words:
    """Round keys of 16 bytes of key, (11, 8) uint64; FIPS 197, 5.2."""
    words = [key[4 * i : 4 * i + 4] for i in range(4)]
    constant = 1
    for i in range(4, 4 * (ROUNDS + 1)):
        word = words[-1]
        if i % 4 == 0:
            word = bytes(SBOX[b] for b in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _double(constant)
        words.append(bytes(a ^ b for a, b in zip(words[i - 4], word, strict=True)))
    once = np.frombuffer(b"".join(words), "<u8").reshape(ROUNDS + 1, 2)
    return np.tile(once, (1, LANES)).astype(np.uint64)


def _instruction(blocks: int) -> Callable[..., Any]:
    """`store(counter, round_keys, out, at)`: encrypt so many blocks and store their words."""
    lanes = 2 * blocks
    suffix = "" if blocks == 1 else f".{128 * blocks}"

    @intrinsic
    def store(_typing, counter, round_keys, out, at):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            word, vector = ir.IntType(64), ir.VectorType(ir.IntType(64), lanes)
            number = ir.IntType(32)
            keys = context.make_array(signature.args[1])(context, builder, args[1])
            words = context.make_array(signature.args[2])(context, builder, args[2])

            def round_key(k: int) -> Any:
                place = builder.gep(keys.data, [word(2 * LANES * k)])
                return builder.load(builder.bitcast(place, vector.as_pointer()), align=8)

            def aes(name: str) -> Any:
                kind = ir.FunctionType(vector, [vector, vector])
                full = f"llvm.x86.aesni.{name}{suffix}"
                return cgutils.get_or_insert_function(builder.module, kind, full)  # type: ignore[no-untyped-call]

            state = ir.Constant(vector, [0] * lanes)
            for j in range(blocks):
                block = builder.add(args[0], word(j))
                state = builder.insert_element(state, block, number(2 * j))
            state = builder.xor(state, round_key(0))
            for k in range(1, ROUNDS):
                state = builder.call(aes("aesenc"), [state, round_key(k)])
            state = builder.call(aes("aesenclast"), [state, round_key(ROUNDS)])
            place = builder.bitcast(builder.gep(words.data, [args[3]]), vector.as_pointer())
            builder.store(state, place, align=8)
            return context.get_dummy_value()

        return types.void(types.uint64, round_keys, out, types.int64), generate

    return store


@njit(cache=True, nogil=True)
def _turned(x: np.uint32, by: int) -> np.uint32:
    return np.uint32(np.uint32(x << np.uint32(by)) | (x >> np.uint32(32 - by)))


@njit(cache=True, nogil=True)
def _mixed(a: np.uint32, b: np.uint32, c: np.uint32, d: np.uint32) -> np.uint32:
    """A column of the next state: bytes 0, 1, 2, 3 of four columns through the table."""
    byte = np.uint32(0xFF)
    return np.uint32(
        _T[a & byte]
        ^ _turned(_T[(b >> np.uint32(8)) & byte], 8)
        ^ _turned(_T[(c >> np.uint32(16)) & byte], 16)
        ^ _turned(_T[d >> np.uint32(24)], 24)
    )


@njit(cache=True, nogil=True)
def _last(a: np.uint32, b: np.uint32, c: np.uint32, d: np.uint32) -> np.uint32:
    byte = np.uint32(0xFF)
    return np.uint32(
        _S[a & byte]
        | _S[(b >> np.uint32(8)) & byte] << np.uint32(8)
        | _S[(c >> np.uint32(16)) & byte] << np.uint32(16)
        | _S[d >> np.uint32(24)] << np.uint32(24)
    )


@njit(cache=True, nogil=True)
def _tables(out: Words, counter: np.uint64, round_keys: Words) -> None:
    """Fill `out` block by block: Daemen and Rijmen's tables, columns as little-endian words."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for j in range(out.size // 2):
        x = (counter + np.uint64(j)) ^ round_keys[0, 0]
        y = round_keys[0, 1]
        a, b, c, d = (
            np.uint32(x & low),
            np.uint32(x >> half),
            np.uint32(y & low),
            np.uint32(y >> half),
        )
        for k in range(1, ROUNDS):
            x, y = round_keys[k, 0], round_keys[k, 1]
            a, b, c, d = (
                _mixed(a, b, c, d) ^ np.uint32(x & low),
                _mixed(b, c, d, a) ^ np.uint32(x >> half),
                _mixed(c, d, a, b) ^ np.uint32(y & low),
                _mixed(d, a, b, c) ^ np.uint32(y >> half),
            )
        x, y = _last(a, b, c, d), _last(b, c, d, a)
        out[2 * j] = (np.uint64(x) | np.uint64(y) << half) ^ round_keys[ROUNDS, 0]
        x, y = _last(c, d, a, b), _last(d, a, b, c)
        out[2 * j + 1] = (np.uint64(x) | np.uint64(y) << half) ^ round_keys[ROUNDS, 1]


def fill(out: Words, counter: np.uint64, key: Key) -> None:
    """Fill `out` with the stream's words from block `counter` on; in kernels and in Python.

    Args:
        out: (n,) uint64, n a multiple of 8; of a key of one block an instruction, of 2.
        counter: Number of the first block; there are n/2 of them.
        key: Says how, by its type.
    """
    _tables(out, counter, key.round_keys)


@overload(fill)
def _compiled_fill(out, counter, key):  # type: ignore[no-untyped-def]
    if key.instance_class is Portable:
        return lambda out, counter, key: _tables(out, np.uint64(counter), key.round_keys)
    blocks = BLOCKS[key.instance_class]
    store = _instruction(blocks)

    def instructions(out, counter, key):  # type: ignore[no-untyped-def]
        for j in range(out.size // (2 * blocks)):
            store(
                np.uint64(counter) + np.uint64(blocks * j),
                key.round_keys,
                out,
                np.int64(2 * blocks * j),
            )

    return instructions


@njit(cache=True, nogil=True)
def words(out: Words, counter: np.uint64, key: Key) -> None:
    """`fill`, from Python, compiled."""
    fill(out, counter, key)
