"""Closed forms for everything that `bellwire.link.simulate` simulates.

Notation: κ is a side's `Clicks.fidelity` (share of its detections that are the photon's own), V
the visibility, C(a, b) the correlation through ideal optics: cos(a − b) without Eve, else
`Eve.correlation`. Outcomes that are not clean are fair coins, so correlations just multiply:

- pairs: E(a, b) = κ²·V·C(a, b), given a coincidence; E91's settings, or the bases of BBM92;
- BB84:  the QBER in basis β is ½(1 − κ·V·C(β, β)), given a detection;
- BBM92: the QBER in basis β is ½(1 − κ²·V·C(β, β)), given a coincidence.
"""

import math

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES, CHSH_TERMS, KEY_PAIRS
from bellwire.base.bits import binary_entropy
from bellwire.base.detections import Protocol
from bellwire.link.config import LinkConfig
from bellwire.link.eve import BB84_ANGLES, CLONED, Eve, EveKind


def detection_probability(protocol: Protocol, config: LinkConfig) -> float:
    """Probability that a receiving side registers a given slot: p + (1 − p)(1 − (1 − d)²).

    In BB84 this is the gain. Of detectors that remember nothing; `live_share` is for dead time.
    """
    return config.clicks(protocol).any


def live_share(protocol: Protocol, config: LinkConfig) -> float:
    """Share of the gates in which a side's detectors are live, without afterpulses: 1 / (1 + qD).

    With q the probability of a click in a live gate and D the gates that it blinds.
    """
    return 1.0 / (1.0 + detection_probability(protocol, config) * config.detectors.dead_gates)


def coincidence_probability(config: LinkConfig) -> float:
    """Of pairs: probability that both sides register a given slot; losses are independent."""
    return detection_probability(Protocol.E91, config) ** 2


def bb84_correlation(config: LinkConfig, alice: int, bob: int, eve: Eve | None = None) -> float:
    """Mean product of Alice's and Bob's ±1 in bases `alice` and `bob`, given a detection.

    κ·V·C(β_A, β_B); zero in unlike bases unless Eve's axes lie between them.
    """
    a, b = BB84_ANGLES[alice], BB84_ANGLES[bob]
    return (
        config.clicks(Protocol.BB84).fidelity * config.visibility * _ideal(Protocol.BB84, a, b, eve)
    )


def bb84_qber(config: LinkConfig, eve: Eve | None = None, basis: int | None = None) -> float:
    """QBER of sifted bits in one basis, or over both (which are equally likely).

    ½(1 − κ·V·C(β, β)). Intercept-resend in random bases, or in Breidbart's, to share f, without
    dark counts: e + (1 − 2e)·f/4 with e the misalignment. Cloner: ½(1 − 1/√2) = 14.6 % in place of
    the quarter. GHZ along the rectilinear basis: e in that basis,
    e + (1 − 2e)·f/2 in the diagonal one, so the same mean.
    """
    bases = (0, 1) if basis is None else (basis,)
    return math.fsum(_error(bb84_correlation(config, b, b, eve)) for b in bases) / len(bases)


def bbm92_correlation(config: LinkConfig, alice: int, bob: int, eve: Eve | None = None) -> float:
    """Mean product of the ±1 outcomes in bases `alice` and `bob`, given a coincidence: κ²·V·C."""
    a, b = BB84_ANGLES[alice], BB84_ANGLES[bob]
    ideal = _ideal(Protocol.BBM92, a, b, eve)
    return config.clicks(Protocol.BBM92).fidelity ** 2 * config.visibility * ideal


def bbm92_qber(config: LinkConfig, eve: Eve | None = None, basis: int | None = None) -> float:
    """QBER of sifted bits in one basis, or over both: ½(1 − κ²·V·C(β, β)).

    Eve's signatures are those of BB84: a photon measured on its way is one of a pair or was sent.
    Substitution: ½ where she touched.
    """
    bases = (0, 1) if basis is None else (basis,)
    return math.fsum(_error(bbm92_correlation(config, b, b, eve)) for b in bases) / len(bases)


def e91_correlation(config: LinkConfig, alice: int, bob: int, eve: Eve | None = None) -> float:
    """E(a, b) of a pair of settings, by their numbers: κ²·V·C(a, b), given a coincidence."""
    a, b = ALICE_ANGLES[alice], BOB_ANGLES[bob]
    ideal = _ideal(Protocol.E91, a, b, eve)
    return config.clicks(Protocol.E91).fidelity ** 2 * config.visibility * ideal


def e91_qber(config: LinkConfig, eve: Eve | None = None, pair: int | None = None) -> float:
    """QBER of one of `KEY_PAIRS` (0: π/4, 1: π/2), or over both: ½(1 − E(a, a))."""
    pairs = KEY_PAIRS if pair is None else (KEY_PAIRS[pair],)
    return math.fsum(_error(e91_correlation(config, a, b, eve)) for a, b in pairs) / len(pairs)


def e91_chsh(config: LinkConfig, eve: Eve | None = None) -> float:
    """S = E(0,π/4) − E(0,3π/4) + E(π/2,π/4) + E(π/2,3π/4); 2√2·κ²·V without Eve.

    An Eve with axes leaves √2·κ²·V at share 1 whatever they are: for an axis φ the four terms add
    up to cos φ·√2 cos φ + sin φ·√2 sin φ. The cloner leaves 2·κ²·V, substitution 0.
    """
    return math.fsum(sign * e91_correlation(config, a, b, eve) for a, b, sign in CHSH_TERMS)


def e91_phase_error(config: LinkConfig, pair: int, eve: Eve | None = None) -> float:
    """Bound on the phase error of one of `KEY_PAIRS`, from the correlators of unlike settings.

    π/2: ½(1 − [E(0,π/4) − E(0,3π/4)]/√2); π/4: ½(1 − [E(π/2,3π/4) − E(0,3π/4)]/√2).
    """
    far = e91_correlation(config, 0, 2, eve)
    near = e91_correlation(config, *((2, 2), (0, 0))[pair], eve)
    return _error((near - far) / math.sqrt(2.0))


def eve_guess(protocol: Protocol, eve: Eve) -> float:
    """Probability that Eve names one of Alice's sifted bits rightly, once settings are announced.

    A fair guess where she did not touch; else ½(1 + k), with k the mean of |cos(a − φ)| over her
    axes φ and the key's angles a, 1/√2 of the cloner, 1 of substitution, whose partners she keeps.

    Raises:
        ParameterError: there is no such attack on this protocol.
    """
    eve.check(protocol)
    if eve.kind is EveKind.SUBSTITUTION:
        known = 1.0
    elif eve.kind is EveKind.CLONER:
        known = CLONED
    else:
        e91 = tuple(ALICE_ANGLES[a] for a, _ in KEY_PAIRS)
        angles = e91 if protocol is Protocol.E91 else BB84_ANGLES
        known = math.fsum(eve.axes_for(protocol).known(a) for a in angles) / len(angles)
    return 0.5 * (1.0 + eve.share * known)


def qber(protocol: Protocol, config: LinkConfig, eve: Eve | None = None) -> float:
    """QBER of all sifted bits of any protocol."""
    of = {Protocol.BB84: bb84_qber, Protocol.BBM92: bbm92_qber, Protocol.E91: e91_qber}
    return of[protocol](config, eve)


def chsh(protocol: Protocol, config: LinkConfig, eve: Eve | None = None) -> float | None:
    """S where the protocol measures it, else None."""
    return e91_chsh(config, eve) if protocol.judged_on_chsh else None


def bb84_key_fraction(config: LinkConfig, eve: Eve | None = None) -> float:
    """Secret bits per sifted bit of long blocks: 1 − 2h(QBER), at least 0.

    Source: Shor, Preskill, PRL 85, 441 (2000).
    """
    return _net(bb84_qber(config, eve), bb84_qber(config, eve))


def bbm92_key_fraction(config: LinkConfig, eve: Eve | None = None) -> float:
    """Secret bits per sifted bit of long blocks: 1 − 2h(QBER), at least 0; as in BB84.

    The source may be Eve's: nothing is assumed of it. E91's key settings are not conjugate, so this
    is never used for E91.
    """
    return _net(bbm92_qber(config, eve), bbm92_qber(config, eve))


def e91_key_fraction(config: LinkConfig, eve: Eve | None = None) -> float:
    """Secret bits per sifted bit of long blocks: mean over `KEY_PAIRS` of 1 − h(QBER) − h(e).

    e is the phase error bound of that pair; a pair that yields nothing counts 0.
    """
    pairs = range(len(KEY_PAIRS))
    fractions = (_net(e91_qber(config, eve, k), e91_phase_error(config, k, eve)) for k in pairs)
    return math.fsum(fractions) / len(KEY_PAIRS)


def biased_qber(
    protocol: Protocol, config: LinkConfig, rectilinear: float, eve: Eve | None = None
) -> float:
    """QBER of all sifted bits of BB84 or BBM92 when both sides prefer a basis.

    With p the probability of the rectilinear one, p² and (1 − p)² weigh the two.
    """
    of = bb84_qber if protocol is Protocol.BB84 else bbm92_qber
    weights = rectilinear**2, (1.0 - rectilinear) ** 2
    rates = (of(config, eve, basis) for basis in (0, 1))
    return math.fsum(w * e for w, e in zip(weights, rates, strict=True)) / math.fsum(weights)


def biased_key_fraction(
    protocol: Protocol, config: LinkConfig, rectilinear: float, eve: Eve | None = None
) -> float:
    """Secret bits per pulse of long blocks of BB84 or BBM92 when both sides prefer a basis.

    Key comes from the preferred basis alone: max(p, 1 − p)² of what is detected, less 1 − h(QBER
    there) − h(QBER in the rare one).

    Source: Lo, Chau, Ardehali, J. Cryptology 18, 133 (2005).
    """
    pairs = protocol is Protocol.BBM92
    of = bbm92_qber if pairs else bb84_qber
    detected = coincidence_probability(config) if pairs else detection_probability(protocol, config)
    preferred = 0 if rectilinear >= 0.5 else 1
    net = _net(of(config, eve, preferred), of(config, eve, 1 - preferred))
    return detected * max(rectilinear, 1.0 - rectilinear) ** 2 * net


def key_fraction(protocol: Protocol, config: LinkConfig, eve: Eve | None = None) -> float:
    """Secret bits per pulse of long blocks.

    Times the sifted bits per pulse: half the gain in BB84, half the coincidences in BBM92, 2/9 of
    them in E91.
    """
    if protocol is Protocol.BBM92:
        return coincidence_probability(config) / 2 * bbm92_key_fraction(config, eve)
    if protocol is Protocol.BB84:
        return detection_probability(protocol, config) / 2 * bb84_key_fraction(config, eve)
    return coincidence_probability(config) * 2 / 9 * e91_key_fraction(config, eve)


def _ideal(protocol: Protocol, a: float, b: float, eve: Eve | None) -> float:
    return math.cos(a - b) if eve is None else eve.correlation(protocol, a, b)


def _error(correlation: float) -> float:
    """½(1 − correlation), kept in [0, 1] against rounding."""
    return min(max((1.0 - correlation) / 2.0, 0.0), 1.0)


def _net(bit_error: float, phase_error: float) -> float:
    if phase_error >= 0.5 or bit_error >= 0.5:
        return 0.0
    return max(0.0, 1.0 - binary_entropy(bit_error) - binary_entropy(phase_error))
