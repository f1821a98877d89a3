"""Weak pulses photon by photon and gate by gate, as one would first write it.

Everything is drawn: intensity, bases, bit, number of photons, what Eve does with them, the fate of
each photon at each detector, dark counts, carriers. The slow twin of the joint table and kernel.
"""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bellwire.link.blinding import answered
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve, WeakEveKind, splitting

Counts = NDArray[np.int64]


class Seen(NamedTuple):
    """Counts with the axes of `weak_law.SHAPE`.

    sent per choice, clicks (…, 2) by outcome, doubles; gates between successive clicks up to 499.
    """

    sent: Counts
    clicks: Counts
    doubles: Counts
    waits: Counts
    blind: int


def simulate(config: WeakConfig, eve: WeakEve | None, pulses: int, rng: Generator) -> Seen:
    """Every pulse and every gate."""
    n = pulses
    k = rng.choice(len(config.intensities), size=n, p=config.shares)
    bit = rng.integers(0, 2, n)
    a = (rng.random(n) >= config.rectilinear).astype(np.int64)
    b = (rng.random(n) >= config.rectilinear).astype(np.int64)
    photons = rng.poisson(np.array(config.intensities)[k])
    state_bit, state_basis = bit.copy(), a.copy()
    arriving = rng.binomial(photons, config.transmittance)
    knows, touched = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    if eve is not None:
        touched = rng.random(n) < eve.share
        if eve.kind is WeakEveKind.INTERCEPT_RESEND:
            hers = rng.integers(0, 2, n)
            wrong = touched & (hers != a)
            state_bit = np.where(wrong, rng.integers(0, 2, n), bit)
            state_basis = np.where(touched, hers, a)
            knows[touched & (hers == a) & (photons > 0)] = 1
        elif eve.kind is WeakEveKind.PHOTON_NUMBER_SPLITTING:
            rates, coin = splitting(config), rng.random(n)
            passed = ((photons == 1) & (coin < rates.single)) | (
                (photons > 1) & (coin < rates.multiple)
            )
            arriving = np.where(touched, passed, arriving)
            knows[touched & (photons > 1)] = 1
        elif eve.kind is WeakEveKind.BEAM_SPLITTING:
            taken = rng.random(n) < 1 - np.exp(
                -np.array(config.intensities)[k] * (1 - config.transmittance)
            )
            knows[touched & taken] = 1
    registered = rng.binomial(arriving, config.link.detector_efficiency)
    e = config.link.misalignment
    to_one = np.where(state_basis == b, np.where(state_bit == 1, 1 - e, e), 0.5)
    lit = rng.random((2, n)) < config.link.dark_count_probability
    pulse = np.repeat(np.arange(n), registered)
    detector = (rng.random(pulse.size) < to_one[pulse]).astype(np.int64)
    # Each photon is registered when its jitter says, and counts if that is within a gate.
    timing = config.timing
    late = rng.normal(0.0, timing.jitter / np.sqrt(8.0 * np.log(2.0)), pulse.size)
    apart = np.rint(late / timing.period).astype(np.int64)
    counts = np.abs(late - apart * timing.period) <= timing.gate / 2
    counts &= (pulse + apart >= 0) & (pulse + apart < n)
    lit[detector[counts], (pulse + apart)[counts]] = True
    if eve is not None and eve.kind is WeakEveKind.BLINDING:
        fake, known = _fake_states(config, eve, np.array([photons, bit, a, b]), rng)
        lit = np.where(touched, fake, lit)
        knows[touched & known] = 1
    return _gates(config, lit, np.array([knows, k, b, a, bit]), rng)


def _fake_states(
    config: WeakConfig, eve: WeakEve, pulses: Counts, rng: Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Photon by photon at Eve's detectors, pulse by pulse at Bob's blind ones."""
    photons, bit, a, b = pulses
    n, e = photons.size, config.link.misalignment
    hers = (rng.random(n) >= config.rectilinear).astype(np.int64)
    ones = rng.binomial(photons, np.where(hers == a, np.where(bit == 1, 1 - e, e), 0.5))
    both = (ones > 0) & (photons > ones)
    found = np.where(both, rng.integers(0, 2, n), ones > 0)
    sends = (photons > 0) & (rng.random(n) < answered(config, eve))
    power = np.zeros((2, n))
    for detector in range(2):
        alike = np.where(found == detector, 1 - e, e)
        power[detector] = sends * np.where(hers == b, alike, 0.5) * 2 / (1.5 - e)
    threshold = 1 + eve.threshold_width * rng.standard_normal((2, n))
    clicks = sends & (power >= threshold)
    alone = clicks[0] != clicks[1]
    return clicks, alone & (hers == b) & (clicks[1] == found)


def _gates(config: WeakConfig, lit: NDArray[np.bool_], choice: Counts, rng: Generator) -> Seen:
    shape = (2, 3, 2, 2, 2)
    sent, clicks = np.zeros(shape, np.int64), np.zeros((*shape, 2), np.int64)
    doubles, waits, blind = np.zeros(shape, np.int64), np.zeros(500, np.int64), 0
    np.add.at(sent, tuple(choice), 1)
    live_from, trap_from = [0, 0], [-1, -1]
    leak = -np.expm1(-1.0 / config.afterpulse_gates)
    last = -1
    common = config.dead_time is DeadTime.COMMON
    for t, light in enumerate(lit.T.tolist()):
        fired = []
        for detector in range(2):
            released = 0 <= trap_from[detector] <= t and rng.random() < leak
            if released:
                trap_from[detector] = -1
            fired.append((light[detector] or released) and t >= live_from[detector])
        blind += t < min(live_from)
        if not any(fired):
            continue
        where = tuple(choice[:, t])
        both = all(fired)
        clicks[(*where, rng.integers(0, 2) if both else int(fired[1]))] += 1
        doubles[where] += both
        if last >= 0:
            waits[min(t - last, 499)] += 1
        last = t
        for detector in range(2):
            if fired[detector] or common:
                live_from[detector] = t + 1 + config.dead_gates
            if fired[detector] and trap_from[detector] < 0 and rng.random() < config.afterpulse:
                trap_from[detector] = t + 1 + config.dead_gates
    return Seen(sent, clicks, doubles, waits, blind)
