"""E91 of devices that nobody trusts, endless, against collective attacks.

From the violation S alone, whatever the boxes are and do: for a bit that comes from one of the
settings which S was measured with,

    H(bit | Eve) ≥ 1 − χ(S),    χ(S) = h( (1 + √((S/2)² − 1)) / 2 )
    r = 1 − h(Q) − χ(S)

and nothing for S ≤ 2. The *reference* is the side whose key setting is also a setting of S: its
bits are the key, the other side corrects its own to them. Of E91's key settings
(`bellwire.base.angles`) π/4 is Bob's in S, so that Bob is the reference there, and π/2 is Alice's:
`REFERENCE`. Taking the other side's bits is not covered: S says nothing of a setting that it was
not measured with. Both settings of a side serve alike, because S keeps its value when a side's
settings are exchanged and one outcome of the other side is flipped.

χ is stated for outcomes made fair by flipping both sides' bits by a public coin. The coin
changes neither S nor what Eve knows of the bit, so nothing need be flipped. Lost pairs must count
as outcomes: leaving them out brings trust in the detectors back.

Source: Acín, Brunner, Gisin, Massar, Pironio, Scarani, "Device-independent security of quantum
cryptography against collective attacks", PRL 98, 230501 (2007).
"""

import math

from bellwire.base.angles import CHSH_TERMS, KEY_PAIRS
from bellwire.base.bits import binary_entropy
from bellwire.base.detections import Side
from bellwire.distill.errors import ParameterError
from bellwire.distill.theorems.ranges import check_shares

CLASSICAL = 2.0
TSIRELSON = 2.0 * math.sqrt(2.0)


def _reference(alice: int, bob: int) -> Side:
    of_alice = any(alice == a for a, _, _ in CHSH_TERMS)
    of_bob = any(bob == b for _, b, _ in CHSH_TERMS)
    assert of_alice != of_bob
    return Side.ALICE if of_alice else Side.BOB


REFERENCE = tuple(_reference(alice, bob) for alice, bob in KEY_PAIRS)
"""Per pair of key settings: the side whose bits are the key."""


def eve_information(chsh: float) -> float:
    """χ(S): bits that Eve may know of a key bit at most, from 0 (2√2) to 1 (up to 2).

    S above 2√2, which no quantum device has but a finite sample may show, counts as 2√2.

    Raises:
        ParameterError: |S| above 4.
    """
    if not abs(chsh) <= 4.0:
        raise ParameterError(f"S: expected -4 to 4, got {chsh}")
    if chsh <= CLASSICAL:
        return 1.0
    root = math.sqrt(min(1.0, (chsh / 2.0) ** 2 - 1.0))
    return binary_entropy((1.0 - root) / 2.0)


def key_fraction(qber: float, chsh: float) -> float:
    """Secret bits per key bit with ideal reconciliation, from 0: 1 − h(Q) − χ(S).

    Raises:
        ParameterError: Q outside [0, 1] or |S| above 4.
    """
    check_shares(qber=qber)
    if qber >= 0.5:
        return 0.0
    return max(0.0, 1.0 - binary_entropy(qber) - eve_information(chsh))
