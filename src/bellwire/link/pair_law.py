"""The exact joint law of a window: settings, and which detectors click on both sides.

Every pair is emitted, lost and measured by itself, so all that matters of their number is
g(x), the probability that none is seen when each would be with probability x
(`PairSource.silence`). For sets S of Alice's and T of Bob's detectors, a pair is seen there with
probability x = η_A|S|/2 + η_B|T|/2 − η_A η_B·Σ p(x, y), the sum over outcomes in S and T of the
pair's law ¼(1 ± V·C), and all of S and T are silent with probability (1 − d)^(|S| + |T|)·g(x).
Inclusion and exclusion give what clicks exactly. Both detectors of a side together read as a coin.

One pair in every window is the case g(x) = 1 − x; BB84 is that of one pair and an Alice whose
detectors see everything. The sums are made with 50 digits, as coincidences may be rare.
"""

import math
from decimal import Decimal, localcontext
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.detections import Protocol
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.eve import BB84_ANGLES, Eve
from bellwire.link.pairs import PairSource

NOTHING = 4
"""The state of a side that registers nothing; 0 and 1 are outcomes, 2 and 3 coins of both
detectors that fell 0 and 1."""

STATES = 5

_DIGITS = 50
_SETS = range(4)
"""Sets of a side's detectors as two bits: none, detector 0, detector 1, both."""

_SIZE = (0, 1, 1, 2)


def angles(protocol: Protocol) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Alice's and Bob's settings, radians on the Bloch sphere."""
    if protocol is Protocol.E91:
        return ALICE_ANGLES, BOB_ANGLES
    return BB84_ANGLES, BB84_ANGLES


def check_source(protocol: Protocol, source: PairSource | None) -> None:
    """ParameterError if the protocol has no source of pairs but one is given."""
    if source is not None and not protocol.entangled:
        raise ParameterError("mean pairs", "only with e91 and bbm92", f"them with {protocol}")


def joint_law(
    protocol: Protocol,
    config: LinkConfig,
    source: PairSource | None = None,
    eve: Eve | None = None,
) -> NDArray[np.float64]:
    """Probabilities of a window: (settings, settings, STATES, STATES), Alice's first; sum 1.

    Args:
        protocol: Whose settings, all pairs of them equally likely.
        config: The link.
        source: Of pairs; None for one in every window.
        eve: Who is on the line; she touches each pair by itself with her share.

    Raises:
        ParameterError: an Eve or a source that this protocol has not, or detectors that remember
            or are late.
    """
    check_source(protocol, source)
    config.detectors.refuse_for("in the law of one window")
    if eve is not None:
        eve.check(protocol)
    ours, theirs = angles(protocol)
    law = np.zeros((len(ours), len(theirs), STATES, STATES))
    for (i, a), (j, b) in product(enumerate(ours), enumerate(theirs)):
        ideal = math.cos(a - b) if eve is None else eve.correlation(protocol, a, b)
        exact = _exact(protocol, config, source, config.visibility * ideal)
        law[i, j] = _read(exact) / (len(ours) * len(theirs))
    return law


def _exact(
    protocol: Protocol, config: LinkConfig, source: PairSource | None, correlation: float
) -> NDArray[np.float64]:
    """(4, 4) probabilities that exactly these sets of Alice's and Bob's detectors click."""
    with localcontext(prec=_DIGITS):
        one = Decimal(1)
        eta = Decimal(config.transmittance(protocol)) * Decimal(config.detector_efficiency)
        live = one - Decimal(config.dark_count_probability)
        eta_a, live_a = (eta, live) if protocol.entangled else (one, one)
        alike = (one + Decimal(correlation)) / 4
        silent: dict[tuple[int, int], Decimal] = {}
        for s, t in product(_SETS, _SETS):
            same = sum((s >> k & 1) * (t >> k & 1) for k in range(2))
            both = same * alike + (_SIZE[s] * _SIZE[t] - same) * (one / 2 - alike)
            seen = eta_a * _SIZE[s] / 2 + eta * _SIZE[t] / 2 - eta_a * eta * both
            none = one - seen if source is None else source.silence(seen)
            silent[s, t] = live_a ** _SIZE[s] * live ** _SIZE[t] * none
        exact = np.zeros((4, 4))
        for c, d in product(_SETS, _SETS):
            terms = [
                silent[3 - c + s, 3 - d + t] * (-1) ** (_SIZE[s] + _SIZE[t])
                for s, t in product(_SETS, _SETS)
                if s & c == s and t & d == t
            ]
            exact[c, d] = max(0.0, float(sum(terms)))
    return exact


def _read(exact: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 4) of sets that click to (STATES, STATES) of what is read."""
    read = np.zeros((STATES, 4))
    read[NOTHING, 0] = read[0, 1] = read[1, 2] = 1.0
    read[2, 3] = read[3, 3] = 0.5
    return np.asarray(read @ exact @ read.T)
