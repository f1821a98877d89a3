"""DES for searching its keys: FIPS 46-3, one block under very many keys.

Round keys are linear in the key. Keys are walked in Gray code, so that from one to the next a
single key bit flips, and with it a fixed pattern in each round key: the key schedule costs 16 XORs.
An S-box and the permutation P behind it are one table.

Bits are numbered from 1 at the most significant end, as in the standard. Legend: l, r the halves of
the block, k the round keys of 48 bits, f the round function.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

ROUNDS = 16

_IP = tuple(start - 8 * i for start in (58, 60, 62, 64, 57, 59, 61, 63) for i in range(8))
_P = (
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10,
    2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
)  # fmt: skip
_PC1 = (
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18,
    10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
    63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22,
    14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
)  # fmt: skip
_PC2 = (
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
    41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
)  # fmt: skip
_SHIFTS = (1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1)
_S = (
    "e4d12fb83a6c5907" "0f74e2d1a6cb9538" "41e8d62bfc973a50" "fc8249175b3ea06d",
    "f18e6b34972dc05a" "3d47f28ec01a69b5" "0e7ba4d158c6932f" "d8a13f42b67c05e9",
    "a09e63f51dc7b428" "d709346a285ecbf1" "d6498f30b12c5ae7" "1ad069874fe3b52c",
    "7de3069a1285bc4f" "d8b56f03472c1ae9" "a690cb7df13e5284" "3f06a1d8945bc72e",
    "2c417ab6853fd0e9" "eb2c47d150fa3986" "421bad78f9c5630e" "b8c71e2d6f09a453",
    "c1af92680d34e75b" "af427c9561de0b38" "9ef528c3704a1db6" "432c95fabe17608d",
    "4b2ef08d3c975a61" "d0b7491ae35c2f86" "14bdc37eaf680592" "6bd814a7950fe23c",
    "d2846fb1a93e50c7" "1fd8a374c56b0e92" "7b419ce206adf358" "21e74a8dfc90356b",
)  # fmt: skip


def _permuted(value: int, width: int, places: tuple[int, ...]) -> int:
    out = 0
    for place in places:
        out = out << 1 | (value >> (width - place) & 1)
    return out


def _round_keys(key: int) -> list[int]:
    halves = _permuted(key, 64, _PC1)
    c, d = halves >> 28, halves & 0xFFFFFFF
    keys = []
    for shift in _SHIFTS:
        c = (c << shift | c >> (28 - shift)) & 0xFFFFFFF
        d = (d << shift | d >> (28 - shift)) & 0xFFFFFFF
        keys.append(_permuted(c << 28 | d, 56, _PC2))
    return keys


def _boxes() -> NDArray[np.uint32]:
    """(8, 64) uint32: each S-box followed by P."""
    table = np.zeros((8, 64), np.uint32)
    for box, digits in enumerate(_S):
        for six in range(64):
            row, column = six >> 4 & 2 | six & 1, six >> 1 & 15
            out = int(digits[16 * row + column], 16) << (28 - 4 * box)
            table[box, six] = _permuted(out, 32, _P)
    return table


BOXES = _boxes()

DELTAS = np.array(
    [_round_keys(1 << (8 * (bit // 7) + bit % 7 + 1)) for bit in range(56)], np.uint64
)
"""(56, 16) uint64: what each of the 56 key bits, parity bits left out, flips in the round keys."""


def spread(bits: int) -> int:
    """The key of 64 bits whose 56 bits are these, from the lowest up; parity bits are 0."""
    return sum((bits >> 7 * k & 0x7F) << (8 * k + 1) for k in range(8))


def initial(block: int) -> int:
    """The initial permutation of a block of 64 bits."""
    return _permuted(block, 64, _IP)


def schedule(bits: int) -> NDArray[np.uint64]:
    """(16,) uint64: the round keys of the key with these 56 bits."""
    return np.array(_round_keys(spread(bits)), np.uint64)


@njit(cache=True, nogil=True)
def search(
    k: NDArray[np.uint64],
    deltas: NDArray[np.uint64],
    boxes: NDArray[np.uint32],
    plain: np.uint64,
    wanted: np.uint64,
    first: np.int64,
    count: np.int64,
) -> np.int64:
    """Number of the key, in Gray code, under which `plain` becomes `wanted`; −1 if none does.

    Args:
        k: (16,) uint64, round keys of key number `first`; walked on in place.
        deltas: (n, 16) uint64, what each searched bit flips.
        boxes: `BOXES`.
        plain: `initial` of the known block.
        wanted: `initial` of its ciphertext: the halves before the last permutation.
        first: Number of the first key to try.
        count: How many to try.
    """
    low = np.uint64(0xFFFFFFFF)
    six = np.uint64(63)
    goal_r, goal_l = np.uint64(wanted & low), np.uint64(wanted >> np.uint64(32))
    for number in range(first, first + count):
        left, right = np.uint64(plain >> np.uint64(32)), np.uint64(plain & low)
        for r in range(ROUNDS):
            # E takes overlapping groups of six; with both edges wrapped they are plain shifts.
            wide = (right & np.uint64(1)) << np.uint64(33) | right << np.uint64(1)
            wide |= right >> np.uint64(31)
            f = np.uint64(0)
            for box in range(8):
                group = wide >> np.uint64(28 - 4 * box) & six
                of_key = k[r] >> np.uint64(42 - 6 * box) & six
                f |= np.uint64(boxes[box, np.int64(group ^ of_key)])
            left, right = right, left ^ f
        if right == goal_l and left == goal_r:
            return np.int64(number)
        following, bit = number + 1, 0
        while not following & 1 and bit < deltas.shape[0] - 1:
            following >>= 1
            bit += 1
        for r in range(ROUNDS):
            k[r] ^= deltas[bit, r]
    return np.int64(-1)
