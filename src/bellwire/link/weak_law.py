"""The exact joint law of a weak pulse: choices, what Eve knows, and which detectors click.

Every photon of a pulse is registered by itself, so all that matters of its number is the function
s(x), the probability that no photon is registered when each would be with probability x: e^−μx for
Poissonian light, (1 − x)ⁿ for n photons, sums of these for what Eve lets pass. With η the
probability of registering a photon, r the share of light that goes to detector 0, d the dark count
probability, inclusion and exclusion give the law of the two detectors:

    neither silent probability  (1 − d)² s(η)
    detector 0 silent           (1 − d) s(ηr)
    detector 1 silent           (1 − d) s(η(1 − r))

Light that strays into a gate from its neighbours', when clicks scatter in time, multiplies these by
the mean silence of the neighbours, over all that they may be: gates are taken one by one, and what
two neighbours have in common by a stray photon is neglected.

Whatever changes source, channel or attack changes this table and nothing else.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bellwire.link.blinding import check_blinding, fake_states
from bellwire.link.weak import WeakConfig, WeakEve, WeakEveKind, several_photons, splitting

Silence = Callable[[float], float]
"""s(x), weighted: s(0) is the probability of the case itself."""

CHOICES = 48
"""Number of (Eve knows, intensity, Bob's basis, Alice's basis, bit), the last running fastest."""

PATTERNS = 4
"""Neither detector, detector 0, detector 1, both."""

SHAPE = (2, 3, 2, 2, 2)
"""Of an array of choices: Eve knows, intensity, Bob's basis, Alice's basis, bit."""


class Pulse(NamedTuple):
    """What a pulse is sent and measured with.

    Attributes:
        mean: Photons on average, at Alice's exit.
        bit: Alice's.
        alice: Her basis: 0 rectilinear, 1 diagonal.
        bob: His.
    """

    mean: float
    bit: int
    alice: int
    bob: int


class Case(NamedTuple):
    """Part of what may happen to a pulse of given choices.

    Attributes:
        knows: Whether Eve learns Alice's bit once the bases are public.
        silence: Of the photons that travel on.
        registered: Probability that one of them is registered.
        towards: Share of the light that goes to detector 0.
    """

    knows: bool
    silence: Silence
    registered: float
    towards: float


def joint_law(config: WeakConfig, eve: WeakEve | None = None) -> NDArray[np.float64]:
    """(CHOICES, PATTERNS) probabilities of one pulse; they add up to 1.

    Raises:
        ParameterError: an Eve who blinds detectors that have afterpulses or jitter.
    """
    check_blinding(config, eve)
    law = np.zeros((*SHAPE, PATTERNS))
    stray = _stray(config, eve)
    for (k, b, a, bit), weight in _choices(config):
        for case in _cases(config, eve, Pulse(config.intensities[k], bit, a, b)):
            patterns = _patterns(config, case, stray)
            law[int(case.knows), k, b, a, bit] += weight * np.array(patterns)
        if eve is not None and eve.kind is WeakEveKind.BLINDING:
            mean = config.intensities[k]
            for knows, patterns in fake_states(config, eve, mean, bit, a, b):
                law[int(knows), k, b, a, bit] += weight * eve.share * np.array(patterns)
    return law.reshape(CHOICES, PATTERNS)


def _choices(config: WeakConfig) -> Iterator[tuple[tuple[int, int, int, int], float]]:
    """Intensity, Bob's basis, Alice's, bit; and how likely they are."""
    bases = (config.rectilinear, 1.0 - config.rectilinear)
    for k, b, a, bit in product(range(len(config.intensities)), range(2), range(2), range(2)):
        yield (k, b, a, bit), config.shares[k] * bases[a] * bases[b] / 2.0


def _stray(config: WeakConfig, eve: WeakEve | None) -> tuple[float, float, float]:
    """Probability that neighbours' light leaves both detectors silent, detector 0, detector 1."""
    timing, silent = config.timing, np.ones(3)
    for share in timing.astray:
        mean = np.zeros(3)
        for (k, b, a, bit), weight in _choices(config):
            for case in _cases(config, eve, Pulse(config.intensities[k], bit, a, b)):
                x, r = case.registered * (share / timing.inside), case.towards
                mean += weight * np.array(
                    [case.silence(x), case.silence(x * r), case.silence(x * (1.0 - r))]
                )
        silent *= mean**2
    both, zero, one = silent.tolist()
    return both, zero, one


def _patterns(
    config: WeakConfig, case: Case, stray: tuple[float, float, float]
) -> tuple[float, float, float, float]:
    live = 1.0 - config.link.dark_count_probability
    s, x, r = case.silence, case.registered, case.towards
    neither = live * live * s(x) * stray[0]
    zero, one = live * s(x * r) * stray[1], live * s(x * (1.0 - r)) * stray[2]
    both = max(0.0, s(0.0) - zero - one + neither)
    return neither, max(0.0, one - neither), max(0.0, zero - neither), both


def _cases(config: WeakConfig, eve: WeakEve | None, pulse: Pulse) -> Iterator[Case]:
    """All that may happen to a pulse with these choices."""
    mean, towards = pulse.mean, _measured(config, pulse.bit, pulse.alice == pulse.bob)
    share = 0.0 if eve is None else eve.share
    yield Case(False, _poisson(mean, 1.0 - share), config.registered, towards)
    if eve is None or not share or eve.kind is WeakEveKind.BLINDING:
        return
    if eve.kind is WeakEveKind.INTERCEPT_RESEND:
        yield from _intercepted(config, share, pulse)
    elif eve.kind is WeakEveKind.PHOTON_NUMBER_SPLITTING:
        yield from _split(config, share, mean, towards)
    else:
        missed = math.exp(-mean * (1.0 - config.transmittance))
        for knows, weight in ((True, 1.0 - missed), (False, missed)):
            yield Case(knows, _poisson(mean, share * weight), config.registered, towards)


def _intercepted(config: WeakConfig, share: float, pulse: Pulse) -> Iterator[Case]:
    mean, alike = pulse.mean, pulse.alice == pulse.bob
    eta, empty, half = config.registered, math.exp(-mean), share / 2.0
    towards = _measured(config, pulse.bit, alike)
    # Her basis is Alice's: nothing changes, and she knows the bit unless the pulse was empty.
    yield Case(False, _nothing(half * empty), eta, towards)
    yield Case(True, lambda x: half * (math.exp(-mean * x) - empty), eta, towards)
    # Her basis is the other: what she finds and sends on is a coin.
    for coin in range(2):
        yield Case(False, _poisson(mean, half / 2.0), eta, _measured(config, coin, not alike))


def _split(config: WeakConfig, share: float, mean: float, towards: float) -> Iterator[Case]:
    rates, eta = splitting(config), config.efficiency
    empty, single, several = (
        share * math.exp(-mean),
        share * mean * math.exp(-mean),
        share * several_photons(mean),
    )
    blocked = single * (1.0 - rates.single)
    yield Case(False, _nothing(empty + blocked), eta, towards)
    yield Case(False, _one_photon(single * rates.single), eta, towards)
    yield Case(True, _nothing(several * (1.0 - rates.multiple)), eta, towards)
    yield Case(True, _one_photon(several * rates.multiple), eta, towards)


def _measured(config: WeakConfig, bit: int, alike: bool) -> float:
    """Share of the light of a bit that reaches detector 0, measured in its own basis or not."""
    if not alike:
        return 0.5
    e = config.link.misalignment
    return e if bit else 1.0 - e


def _poisson(mean: float, weight: float) -> Silence:
    return lambda x: weight * math.exp(-mean * x)


def _one_photon(weight: float) -> Silence:
    return lambda x: weight * (1.0 - x)


def _nothing(weight: float) -> Silence:
    return lambda x: weight
