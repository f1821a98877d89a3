"""Toeplitz products and amplification by explicit matrices: slow twins."""

import numpy as np
from numpy.typing import NDArray

from bellwire.base.bits import Bits


def toeplitz_matrix(seed: Bits, r: int, m: int) -> NDArray[np.uint8]:
    """(m, r) matrix with entry (i, j) = seed[r − 1 + i − j]."""
    rows = [[int(seed[r - 1 + i - j]) for j in range(r)] for i in range(m)]
    return np.array(rows, np.uint8).reshape(m, r)


def matrix_product(key: Bits, seed: Bits, m: int) -> Bits:
    """Product of the explicit Toeplitz matrix with the key, over GF(2)."""
    product = toeplitz_matrix(seed, key.size, m).astype(np.int64) @ key.astype(np.int64)
    return (product % 2).astype(np.uint8)


def matrix_hash(key: Bits, seed: Bits, m: int) -> Bits:
    """Product of the explicit matrix (T | 1) with the key, over GF(2)."""
    t = toeplitz_matrix(seed, key.size - m, m) if 0 < m < key.size else np.zeros((m, key.size - m))
    matrix = np.concatenate([t, np.eye(m)], axis=1).astype(np.int64)
    return (matrix @ key.astype(np.int64) % 2).astype(np.uint8)


def row_products(key: Bits, seed: Bits, rows: list[int]) -> list[int]:
    """Single bits of a Toeplitz product, each by an inner product of Python integers."""
    r = key.size
    packed_key = int("".join(map(str, key.tolist())), 2)  # key[0] first, as the top bit
    answers = []
    for i in rows:
        # Row i meets key[0] with seed[r − 1 + i]: the stretch read backwards.
        stretch = seed[i : i + r][::-1]
        row = int("".join(map(str, stretch.tolist())), 2)
        answers.append((packed_key & row).bit_count() & 1)
    return answers
