"""One look-up that draws from any law of up to 256 cases, exact to 2⁻⁴⁸.

Source: Walker, ACM Trans. Math. Softw. 3, 253 (1977); in whole numbers, so that nothing rounds but
the probabilities themselves.
"""

import math

import numpy as np
from numpy.typing import NDArray

from bellwire.link.kernels.clicks import COLUMNS

Alias = tuple[NDArray[np.uint64], NDArray[np.uint8], NDArray[np.uint8]]
"""Thresholds of 40 bits, codes below them, codes from them on; one of each a column."""

_TOTAL = 1 << 48


def alias_tables(weights: NDArray[np.float64]) -> Alias:
    """Tables over 256 columns of 2⁴⁰ that give i with probability weights[i]/sum.

    Args:
        weights: (n,) from 0, n at most 256; all zero gives a table of 0 alone.

    Returns:
        (256,) thresholds; (256,) codes below them; (256,) codes from them on.
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
    return np.array(threshold, np.uint64), np.array(what, np.uint8), np.array(alias, np.uint8)


def both_tables(lit: NDArray[np.float64], unlit: NDArray[np.float64]) -> Alias:
    """Tables of a click of light in row 0, of a gate without one in row 1: (2, 256) each."""
    (below, codes, beyond), (below_unlit, codes_unlit, beyond_unlit) = (
        alias_tables(weights) for weights in (lit, unlit)
    )
    return (
        np.stack([below, below_unlit]),
        np.stack([codes, codes_unlit]),
        np.stack([beyond, beyond_unlit]),
    )
