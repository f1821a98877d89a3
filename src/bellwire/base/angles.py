"""Measurement settings of E91 on the X–Z plane of the Bloch sphere, and which pairs serve what.

State Φ⁺; the correlation of settings a and b is E(a, b) = V·cos(a − b), Alice's first.
Source: Ekert, PRL 67, 661 (1991), in the sign convention of S below.
"""

import math

ALICE_ANGLES = (0.0, math.pi / 4, math.pi / 2)
BOB_ANGLES = (math.pi / 4, math.pi / 2, 3 * math.pi / 4)

KEY_PAIRS = ((1, 0), (2, 1))
"""(Alice's setting, Bob's) with equal angles: π/4 and π/2. Their outcomes become key."""

CHSH_TERMS = ((0, 0, 1), (0, 2, -1), (2, 0, 1), (2, 2, 1))
"""(Alice's setting, Bob's, sign): S = E(0,π/4) − E(0,3π/4) + E(π/2,π/4) + E(π/2,3π/4)."""
