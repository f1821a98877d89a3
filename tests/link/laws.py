"""The complete joint law of a pulse, by theory and as counted from two halves."""

import math
from collections.abc import Callable
from hashlib import sha256
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Half, Protocol, Settings, Side
from bellwire.link import theory
from bellwire.link.choices import BasisChoices, SettingChoices
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve
from bellwire.link.simulate import simulate

Table = NDArray[np.float64]
"""(settings, settings, 3, 3): Alice's setting, Bob's, her outcome, his; 2 is none."""

_CORRELATION = {
    Protocol.BB84: theory.bb84_correlation,
    Protocol.BBM92: theory.bbm92_correlation,
    Protocol.E91: theory.e91_correlation,
}


def seeds(number: int) -> tuple[bytes, bytes, bytes]:
    """Alice's, Bob's and the noise's seed of a test."""
    alice, bob, noise = (sha256(f"{number} {k}".encode()).digest() for k in range(3))
    return alice, bob, noise


def settings_of(protocol: Protocol, side: Side, half: Half, seed: bytes, pulses: int) -> Settings:
    """A side's setting in every slot, detected or not."""
    slots = np.arange(pulses)
    if protocol is Protocol.E91:
        return SettingChoices(seed, side).at(slots)
    if protocol is Protocol.BB84 and side is Side.ALICE:
        return half.at(slots).settings
    return BasisChoices(seed, protocol, side).at(slots)


Play = Callable[[Protocol, LinkConfig, int, bytes, bytes, bytes, Eve | None], tuple[Half, Half]]
"""What gives both halves of a block, as `simulate` does."""


def counted(
    protocol: Protocol,
    config: LinkConfig,
    pulses: int,
    eve: Eve | None,
    number: int,
    play: Play = simulate,
) -> Table:
    """Simulate, and count every slot."""
    alice_seed, bob_seed, noise = seeds(number)
    halves = play(protocol, config, pulses, alice_seed, bob_seed, noise, eve)
    key = np.zeros(pulses, np.int64)
    for side, half, seed in zip(Side, halves, (alice_seed, bob_seed), strict=True):
        settings = settings_of(protocol, side, half, seed, pulses)
        outcomes = np.full(pulses, 2)
        held = half.at(np.arange(pulses) if half.received is None else half.received)
        outcomes[held.slots] = held.outcomes
        assert (held.settings == settings[held.slots]).all()
        key += (settings * 3 + outcomes) * (1 if side is Side.BOB else 3 * protocol.settings)
    n = protocol.settings
    cells = np.bincount(key, minlength=(3 * n) ** 2).reshape(n, 3, n, 3)
    return cells.transpose(0, 2, 1, 3).astype(np.float64)


def law(protocol: Protocol, config: LinkConfig, eve: Eve | None) -> Table:
    """Probabilities of the cells of `counted`, from `bellwire.link.theory`."""
    n = protocol.settings
    table = np.zeros((n, n, 3, 3))
    seen = theory.detection_probability(protocol, config)
    for a, b in product(range(n), range(n)):
        e = _CORRELATION[protocol](config, a, b, eve)
        if protocol.entangled:
            alone = np.array([seen / 2, seen / 2, 1 - seen])
            table[a, b] = np.outer(alone, alone)
        else:
            table[a, b] = np.outer([0.5, 0.5, 0.0], [seen / 2, seen / 2, 1 - seen])
        table[a, b, :2, :2] *= [[1 + e, 1 - e], [1 - e, 1 + e]]
    return table / n**2


def assert_follows(counts: Table, probabilities: Table) -> None:
    """Pearson's chi-square of the counts is within 4 standard deviations of its mean.

    Cells too rare for the statistic are pooled; impossible cells must be empty.
    """
    expected = counts.sum() * probabilities
    possible = expected > 1e-9
    assert not counts[~possible].any()
    rare = possible & (expected < 10)
    common = possible & ~rare
    observed = [*counts[common], counts[rare].sum()]
    wanted = [*expected[common], expected[rare].sum()]
    terms = [(o - e) ** 2 / e for o, e in zip(observed, wanted, strict=True) if e > 10]
    freedom = len(terms) - 1
    assert sum(terms) < freedom + 4 * math.sqrt(2 * freedom) + 4


def assert_same_law(one: Table, other: Table) -> None:
    """Two samples' chi-square is within 4 standard deviations of its mean."""
    total = one + other
    used = total >= 20
    ratio = math.sqrt(one.sum() / other.sum())
    statistic = ((one[used] / ratio - other[used] * ratio) ** 2 / total[used]).sum()
    freedom = int(used.sum()) - 1
    assert statistic < freedom + 4 * math.sqrt(2 * freedom)
    assert total[~used].sum() <= 20 * (~used).sum()


def correlation(counts: Table, a: int, b: int) -> tuple[float, float]:
    """E of a pair of settings over its coincidences, and how many those are."""
    cell = counts[a, b, :2, :2]
    n = cell.sum()
    return float((cell[0, 0] + cell[1, 1] - cell[0, 1] - cell[1, 0]) / n), float(n)
