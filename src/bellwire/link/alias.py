"""One look-up that draws from any law of up to 256 cases, exact to 2⁻⁴⁸.

Source: Walker, ACM Trans. Math. Softw. 3, 253 (1977); in whole numbers, so that nothing rounds but
the probabilities themselves.
"""

import math

import numpy as np
from numpy.typing import NDArray

from bellwire.link.kernels.clicks import COLUMNS

Alias = tuple[NDArray[np.uint64], NDArray[np.uint8]]
"""Thresholds of 40 bits; two codes a column, that from the threshold on and that below it."""

_TOTAL = 1 << 48


def alias_tables(weights: NDArray[np.float64]) -> Alias:
    """Tables over 256 columns of 2⁴⁰ that give i with probability weights[i]/sum.

    Args:
        weights: (n,) from 0, n at most 256; all zero gives a table of 0 alone.

    Returns:
        (256,) thresholds; (512,) codes.
    """
    total = math.fsum(weights)
    shares = [int(w / total * _TOTAL) if total else 0 for w in weights.tolist()]
    # What rounding left over goes to the likeliest, where it is smallest.
    shares[int(np.argmax(weights))] += _TOTAL - sum(shares)
    column = _TOTAL // COLUMNS
    left = shares + [0] * (COLUMNS - len(shares))
    what = [i if i < len(shares) else 0 for i in range(COLUMNS)]
    threshold, alias = [column] * COLUMNS, list(what)
    small = [i for i in range(COLUMNS) if left[i] < column]
    large = [i for i in range(COLUMNS) if left[i] >= column]
    while small:
        i, j = small.pop(), large[-1]
        threshold[i], alias[i] = left[i], what[j]
        left[j] -= column - left[i]
        if left[j] < column:
            small.append(large.pop())
    codes = np.array([alias, what], np.uint8).T.ravel()
    return np.array(threshold, np.uint64), codes


def both_tables(lit: NDArray[np.float64], unlit: NDArray[np.float64]) -> Alias:
    """Tables of a click of light in row 0, of a gate without one in row 1.

    Args:
        lit: (n,) weights of the codes, as of `alias_tables`.
        unlit: (n,) the same without light.

    Returns:
        (2, 256) thresholds; (2, 512) codes.
    """
    (edges, codes), (edges_unlit, codes_unlit) = alias_tables(lit), alias_tables(unlit)
    return np.stack([edges, edges_unlit]), np.stack([codes, codes_unlit])
