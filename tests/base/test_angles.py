"""The settings of E91 give the largest S there is, and key where both sides agree."""

import math

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES, CHSH_TERMS, KEY_PAIRS


def test_the_state_reaches_tsirelsons_bound_at_these_settings() -> None:
    s = sum(sign * math.cos(ALICE_ANGLES[a] - BOB_ANGLES[b]) for a, b, sign in CHSH_TERMS)
    assert math.isclose(s, 2 * math.sqrt(2))


def test_key_comes_from_equal_angles_and_serves_no_term_of_s() -> None:
    assert all(ALICE_ANGLES[a] == BOB_ANGLES[b] for a, b in KEY_PAIRS)
    assert not set(KEY_PAIRS) & {(a, b) for a, b, _ in CHSH_TERMS}
