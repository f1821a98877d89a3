"""Toeplitz hashing by its explicit matrix: the slow twin of `bellwire.distill.amplification`."""

import numpy as np
from numpy.typing import NDArray

from bellwire.base.bits import Bits


def toeplitz_matrix(seed: Bits, n: int, m: int) -> NDArray[np.uint8]:
    """(m, n) matrix with entry (i, j) = seed[n − 1 + i − j]."""
    rows = [[int(seed[n - 1 + i - j]) for j in range(n)] for i in range(m)]
    return np.array(rows, np.uint8).reshape(m, n)


def matrix_hash(key: Bits, seed: Bits, m: int) -> Bits:
    """Product of the explicit matrix with the key, over GF(2)."""
    product = toeplitz_matrix(seed, key.size, m).astype(np.int64) @ key.astype(np.int64)
    return (product % 2).astype(np.uint8)


def row_hash(key: Bits, seed: Bits, rows: list[int]) -> list[int]:
    """Single output bits of long keys, each by an inner product of Python integers."""
    n = key.size
    packed_key = int("".join(map(str, key.tolist())), 2)  # key[0] first, as the top bit
    answers = []
    for i in rows:
        # Row i meets key[0] with seed[n − 1 + i]: the stretch read backwards.
        stretch = seed[i : i + n][::-1]
        row = int("".join(map(str, stretch.tolist())), 2)
        answers.append((packed_key & row).bit_count() & 1)
    return answers
