"""Correlations and S by counting one pair after the other."""

import math
from collections import defaultdict
from collections.abc import Sequence

ALICE_DEGREES = (0, 45, 90)
BOB_DEGREES = (45, 90, 135)


def correlations(
    alice: Sequence[int], bob: Sequence[int], a: Sequence[int], b: Sequence[int]
) -> dict[tuple[int, int], float]:
    """Mean of ±1 products by (Alice's, Bob's) angle in degrees."""
    products: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, j, x, y in zip(alice, bob, a, b, strict=True):
        products[ALICE_DEGREES[i], BOB_DEGREES[j]].append(1 if x == y else -1)
    return {pair: sum(values) / len(values) for pair, values in products.items()}


def chsh(e: dict[tuple[int, int], float]) -> float:
    """S = E(0,π/4) − E(0,3π/4) + E(π/2,π/4) + E(π/2,3π/4)."""
    return e[0, 45] - e[0, 135] + e[90, 45] + e[90, 135]


def phase_errors(e: dict[tuple[int, int], float]) -> tuple[float, float]:
    """Point estimates for the key settings π/4 and π/2."""
    return (
        0.5 * (1.0 - (e[90, 135] - e[0, 135]) / math.sqrt(2.0)),
        0.5 * (1.0 - (e[0, 45] - e[0, 135]) / math.sqrt(2.0)),
    )
