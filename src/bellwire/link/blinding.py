"""Detector blinding with fake states: Eve turns Bob's detectors into switches of hers.

Bright continuous light takes avalanche photodiodes out of the Geiger mode, in which one photon
suffices: they see no photons, make no dark counts, and click only at a bright pulse above a
threshold. Eve measures each pulse of Alice's in a random basis with detectors of her own, and sends
a bright pulse in the state that she found. Measured in her basis it goes to one detector of Bob's
whole, above the threshold, and makes the click that she wants; measured in the other basis each
detector gets half, below it, and nothing clicks. Whatever Bob sifts is a click of hers.

Powers are in units of the threshold at which a detector clicks half of the time; `threshold_width`
is how far thresholds scatter, as a standard deviation: a pulse of power P clicks with probability
Φ((P − 1)/width), at width 0 from P = 1 on. Her power puts the whole pulse as far above the
threshold as the half is below it: P = 2/(3/2 − e), e the misalignment, since the share e of a whole
pulse goes astray. Her detectors register every photon and have no dark counts, her optics the
misalignment of Bob's. She follows the honest choice of bases, and answers only so many of her
detections that Bob's signal has the gain that the fibre would have given it, if she can: her half
of the bases suffices wherever the link loses more than half.

Published: Lydersen et al., Nat. Photonics 4, 686 (2010), of commercial systems; Gerhardt et al.,
arXiv:1011.0105, on a running link ("obtains the entire 'secret' key, while none of the parameters
monitored by the legitimate parties indicate a security breach"). Thresholds and width are a model.
"""

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import NamedTuple

from bellwire.link.errors import ParameterError
from bellwire.link.weak import WeakConfig, WeakEve, WeakEveKind

Patterns = tuple[float, float, float, float]
"""Probabilities of neither detector, detector 0, detector 1, both."""


class Response(NamedTuple):
    """Probabilities that a blind detector clicks.

    Attributes:
        whole: At the pulse that is meant for it, in its basis.
        stray: At what misalignment sends the other way.
        half: At half of a pulse of the other basis.
    """

    whole: float
    stray: float
    half: float

    @property
    def alike(self) -> float:
        """Probability of any click in her basis."""
        return 1.0 - (1.0 - self.whole) * (1.0 - self.stray)

    @property
    def unlike(self) -> float:
        """Probability of any click in the other basis."""
        return 1.0 - (1.0 - self.half) ** 2


class Sifted(NamedTuple):
    """Per blinded pulse of like bases, Alice's and Bob's.

    Attributes:
        gain: Clicks.
        errors: Wrong bits.
        known: Bits that Eve knows Bob to have.
    """

    gain: float
    errors: float
    known: float


def check_blinding(config: WeakConfig, eve: WeakEve | None) -> None:
    """Raise ParameterError for a blinding Eve where detectors have afterpulses or jitter.

    Both are of the Geiger mode, which blind detectors are not in: the law of a pulse would depend
    on what was blinded before, or beside it.
    """
    if eve is None or eve.kind is not WeakEveKind.BLINDING:
        return
    if config.afterpulse:
        raise ParameterError(
            "afterpulse probability", "0 with an Eve who blinds detectors", config.afterpulse
        )
    if config.jitter_ps:
        raise ParameterError("jitter", "0 with an Eve who blinds detectors", config.jitter_ps)


def response(config: WeakConfig, eve: WeakEve) -> Response:
    """How blind detectors answer to her pulses."""
    e = config.link.misalignment
    power = 2.0 / (1.5 - e)
    parts = power * (1.0 - e), power * e, power / 2.0
    return Response(*(_clicks(part, eve.threshold_width) for part in parts))


def answered(config: WeakConfig, eve: WeakEve) -> float:
    """Share of her detections that she answers with a bright pulse, to keep the signal's gain."""
    mu, live = config.intensities[0], 1.0 - config.link.dark_count_probability
    wanted = 1.0 - live * live * math.exp(-mu * config.registered)
    most = _detected(mu) * _clicking(config, response(config, eve))
    return min(1.0, wanted / most) if most else 1.0


def blinded_gain(config: WeakConfig, eve: WeakEve, mean: float) -> float:
    """Clicks per blinded pulse of `mean` photons on average, over all bases."""
    return answered(config, eve) * _detected(mean) * _clicking(config, response(config, eve))


def blinded_sifted(config: WeakConfig, eve: WeakEve, mean: float) -> Sifted:
    """What like bases have of blinded pulses of `mean` photons on average.

    In her basis she found the right bit but for ½(1 − B)(1 + A) of the pulses, with
    A = e^−k(1−e) and B = e^−ke; in the other basis what clicks is a coin.
    """
    clicks, sent = response(config, eve), answered(config, eve)
    wrong = _misread(config, mean)
    right = _detected(mean) - wrong
    alone, other = clicks.whole * (1.0 - clicks.stray), clicks.stray * (1.0 - clicks.whole)
    both = clicks.whole * clicks.stray
    gain = errors = known = 0.0
    for basis in (config.rectilinear, 1.0 - config.rectilinear):
        weight = basis * basis / config.sifting
        hers = weight * basis * sent
        coin = weight * (1.0 - basis) * sent * _detected(mean) * clicks.unlike
        gain += hers * _detected(mean) * clicks.alike + coin
        errors += hers * (right * (other + both / 2.0) + wrong * (alone + both / 2.0)) + coin / 2.0
        known += hers * _detected(mean) * alone
    return Sifted(gain, errors, known)


def fake_states(  # noqa: PLR0917 - the choices of a pulse
    config: WeakConfig, eve: WeakEve, mean: float, bit: int, alice: int, bob: int
) -> Iterator[tuple[bool, Patterns]]:
    """All that may happen to a blinded pulse: whether Eve knows Bob's bit, and what clicks.

    The probabilities of one pulse add up to 1. What was sent and how it was measured is said as in
    `weak_law.Pulse`.
    """
    clicks, sent = response(config, eve), answered(config, eve)
    yield False, (1.0 - sent * _detected(mean), 0.0, 0.0, 0.0)
    for hers, likely in enumerate((config.rectilinear, 1.0 - config.rectilinear)):
        for found in range(2):
            weight = likely * sent * _found(config, mean, right=found == bit, alike=hers == alice)
            if hers != bob:
                one = clicks.half * (1.0 - clicks.half)
                yield False, _scaled(weight, (1.0 - clicks.half) ** 2, one, one, clicks.half**2)
                continue
            alone, other = clicks.whole * (1.0 - clicks.stray), clicks.stray * (1.0 - clicks.whole)
            neither = (1.0 - clicks.whole) * (1.0 - clicks.stray)
            hit = (alone, 0.0) if found == 0 else (0.0, alone)
            missed = (0.0, other) if found == 0 else (other, 0.0)
            yield True, _scaled(weight, 0.0, *hit, 0.0)
            yield False, _scaled(weight, neither, *missed, clicks.whole * clicks.stray)


def _clicks(power: float, width: float) -> float:
    if not width:
        return 1.0 if power >= 1.0 else 0.0
    return NormalDist().cdf((power - 1.0) / width)


def _clicking(config: WeakConfig, clicks: Response) -> float:
    """Probability that Bob clicks at a pulse of hers."""
    return config.sifting * clicks.alike + (1.0 - config.sifting) * clicks.unlike


def _detected(mean: float) -> float:
    """Probability that she finds any photon."""
    return -math.expm1(-mean)


def _misread(config: WeakConfig, mean: float) -> float:
    """Probability that she finds photons and the wrong bit in Alice's basis; a coin of both."""
    e = config.link.misalignment
    right, wrong = math.exp(-mean * (1.0 - e)), math.exp(-mean * e)
    return 0.5 * (1.0 - wrong) * (1.0 + right)


def _found(config: WeakConfig, mean: float, *, right: bool, alike: bool) -> float:
    if not alike:
        return _detected(mean) / 2.0
    wrong = _misread(config, mean)
    return _detected(mean) - wrong if right else wrong


def _scaled(weight: float, *patterns: float) -> Patterns:
    neither, zero, one, both = patterns
    return weight * neither, weight * zero, weight * one, weight * both
