"""The exact joint law of a weak pulse: choices, what Eve knows, and which detectors click.

Every photon of a pulse is registered by itself, so all that matters of its number is the function
s(x), the probability that no photon is registered when each would be with probability x: e^−μx for
Poissonian light, (1 − x)ⁿ for n photons, sums of these for what Eve lets pass. With η the
probability of registering a photon, r the share of light that goes to detector 0, d the dark count
probability, inclusion and exclusion give the law of the two detectors:

    neither silent probability  (1 − d)² s(η)
    detector 0 silent           (1 − d) s(ηr)
    detector 1 silent           (1 − d) s(η(1 − r))

Whatever changes source, channel or attack changes this table and nothing else.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bellwire.link.kernels.clicks import COLUMNS
from bellwire.link.weak import WeakConfig, WeakEve, WeakEveKind, several_photons, splitting

Alias = tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]
"""Thresholds, entries below them, entries from them on."""

Silence = Callable[[float], float]
"""s(x), weighted: s(0) is the probability of the case itself."""

CHOICES = 48
"""Number of (Eve knows, intensity, Bob's basis, Alice's basis, bit), the last running fastest."""

PATTERNS = 4
"""Neither detector, detector 0, detector 1, both."""

SHAPE = (2, 3, 2, 2, 2)
"""Of an array of choices: Eve knows, intensity, Bob's basis, Alice's basis, bit."""

_ALIAS_TOTAL = 1 << 48


class Pulse(NamedTuple):
    """Mean photons, Alice's bit, her basis, Bob's."""

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
    """(CHOICES, PATTERNS) probabilities of one pulse; they add up to 1."""
    law = np.zeros((*SHAPE, PATTERNS))
    bases = (config.rectilinear, 1.0 - config.rectilinear)
    for k, b, a, bit in product(range(len(config.intensities)), range(2), range(2), range(2)):
        weight = config.shares[k] * bases[a] * bases[b] / 2.0
        for case in _cases(config, eve, Pulse(config.intensities[k], bit, a, b)):
            law[int(case.knows), k, b, a, bit] += weight * np.array(_patterns(config, case))
    return law.reshape(CHOICES, PATTERNS)


def alias_tables(weights: NDArray[np.float64], entries: NDArray[np.int64]) -> Alias:
    """Walker's alias tables over 256 columns of 2⁴⁰, exact to 2⁻⁴⁸ per entry.

    Args:
        weights: (n,) from 0, n at most 256; all zero gives a table of the first entry.
        entries: (n,) what the table gives with these weights.

    Returns:
        (256,) thresholds; (256,) entries below them; (256,) entries from them on.

    Source: Walker, ACM Trans. Math. Softw. 3, 253 (1977); in whole numbers, so that nothing rounds
    but the weights themselves.
    """
    total = math.fsum(weights)
    shares = [int(w / total * _ALIAS_TOTAL) if total else 0 for w in weights.tolist()]
    # What rounding left over goes to the likeliest, where it is smallest.
    shares[int(np.argmax(weights))] += _ALIAS_TOTAL - sum(shares)
    column = _ALIAS_TOTAL // COLUMNS
    left = shares + [0] * (COLUMNS - len(shares))
    what = entries.tolist() + [int(entries[0])] * (COLUMNS - len(shares))
    threshold, alias = [column] * COLUMNS, list(what)
    small = [i for i in range(COLUMNS) if left[i] < column]
    large = [i for i in range(COLUMNS) if left[i] >= column]
    while small:
        i, j = small.pop(), large[-1]
        threshold[i], alias[i] = left[i], what[j]
        left[j] -= column - left[i]
        if left[j] < column:
            small.append(large.pop())
    return np.array(threshold, np.uint64), np.array(what, np.int64), np.array(alias, np.int64)


def both_tables(lit: Alias, unlit: Alias) -> Alias:
    """Tables of a click of light in row 0, of a gate without one in row 1: (2, 256) each."""
    below, entries, beyond = (np.stack(pair) for pair in zip(lit, unlit, strict=True))
    return below, entries, beyond


def _patterns(config: WeakConfig, case: Case) -> tuple[float, float, float, float]:
    live = 1.0 - config.link.dark_count_probability
    s, x, r = case.silence, case.registered, case.towards
    neither = live * live * s(x)
    zero, one = live * s(x * r), live * s(x * (1.0 - r))
    both = max(0.0, s(0.0) - zero - one + neither)
    return neither, max(0.0, one - neither), max(0.0, zero - neither), both


def _cases(config: WeakConfig, eve: WeakEve | None, pulse: Pulse) -> Iterator[Case]:
    """All that may happen to a pulse with these choices."""
    mean, towards = pulse.mean, _measured(config, pulse.bit, pulse.alice == pulse.bob)
    share = 0.0 if eve is None else eve.share
    yield Case(False, _poisson(mean, 1.0 - share), config.registered, towards)
    if eve is None or not share:
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
    rates, eta = splitting(config), config.link.detector_efficiency
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
