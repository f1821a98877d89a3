"""What one would write first: Python loops that draw pulse by pulse from `random`.

Ideal optics with a misalignment, no losses, no dark counts, no cryptographic noise: they are
favoured by all that the engines carry beyond it.
"""

import math
import random

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES

AGAINST = "plain Python loop over the pulses, in this run"


def e91(pairs: int, visibility: float) -> list[tuple[int, int, int, int]]:
    """Alice's setting, Bob's, her outcome, his, pair by pair."""
    rng = random.Random(1)  # noqa: S311 - the plain alternative, no key comes of it
    found = []
    for _ in range(pairs):
        a, b, x = rng.randrange(3), rng.randrange(3), rng.getrandbits(1)
        correlation = visibility * math.cos(ALICE_ANGLES[a] - BOB_ANGLES[b])
        found.append((a, b, x, x ^ (rng.random() < (1.0 - correlation) / 2.0)))
    return found


def bb84(pulses: int, share: float) -> list[tuple[int, int, int, int]]:
    """Alice's basis, Bob's, her bit, his; Eve intercepts and resends a share."""
    rng = random.Random(1)  # noqa: S311 - the plain alternative, no key comes of it
    found = []
    for _ in range(pulses):
        a, b, x = rng.getrandbits(1), rng.getrandbits(1), rng.getrandbits(1)
        basis, bit = a, x
        if share and rng.random() < share:
            basis = rng.getrandbits(1)
            bit = x if basis == a else rng.getrandbits(1)
        found.append((a, b, x, bit if basis == b else rng.getrandbits(1)))
    return found
