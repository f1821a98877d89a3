"""Finite keys from decoy states against distance: Lim, Curty, Walenta, Xu, Zbinden (2014).

Their formulas are `bellwire.distill.theorems.lim_2014`. Their model of fibre and detectors is
here, with the error rate in which the printed η_ch is read as η_sys, and λ_EC as n_X·f_EC·h(e): as
printed, neither gives the curves that the text describes
(docs/explanation/reproductions/finite-decoy.md).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from bellwire.base.bits import binary_entropy
from bellwire.base.style import BLUE, INK, LOOK, MUTED
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.stream import SEED_BYTES
from bellwire.distill.bounds import MAX_EPSILON, MIN_EPSILON
from bellwire.distill.theorems.lim_2014 import DecoyCounts, DecoyKey, Triple, decoy_key
from bellwire.lab.figures import power_of_ten
from bellwire.lab.reproductions.model import (
    Fact,
    Reproduction,
    Row,
    in_standard_errors,
    panels,
)
from bellwire.lab.reproductions.optimum import Point, climb
from bellwire.link.config import LinkConfig
from bellwire.link.repeater_theory import repeaterless_bound
from bellwire.link.weak import WeakConfig
from bellwire.link.weak_counts import WeakCounts, WeakStream
from bellwire.link.weak_theory import expected

LOSS_DB_PER_KM = 0.2
EFFICIENCY = 0.10
DARK = 6e-7
AFTERPULSE = 4e-2
MISALIGNMENT = 5e-3
VACUUM_DECOY = 2e-4
RECONCILIATION = 1.16
CORRECTNESS = 1e-15
SECRECY_PER_BIT = 1e-15
"""κ: ε_sec is κ times the length of the key."""

BLOCKS = (4, 5, 6, 7, 8, 9)
"""Powers of ten of the block size n_X."""

DIGITISED_0_KM = {9: 8.85e-3, 7: 5.19e-3, 5: 1.58e-3, 4: 4.47e-4}
"""Key rates of the printed figure at 0 km, as a third party says that it read them off."""

Counts = NDArray[np.float64]
"""(basis, right or wrong, intensity)."""

_START: Point = [0.07, -1.8, 1.1, -2.4, -0.9]
_FIXED_POINTS = 2
_NO_KEY = -100.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What Alice and Bob choose.

    Attributes:
        key_basis: q_x, probability of the key's basis.
        means: μ₁, μ₂, μ₃.
        shares: How often each.
    """

    key_basis: float
    means: Triple
    shares: Triple

    @classmethod
    def of(cls, point: Point) -> "Choice":
        """From five unbounded numbers, so that an optimum may be sought without fences."""
        a, b, c, d, e = (min(8.0, max(-8.0, each)) for each in point)
        weights = math.exp(b), math.exp(c), 1.0
        decoy = VACUUM_DECOY + math.exp(min(d, 0.0))
        signal = decoy + VACUUM_DECOY + math.exp(min(e, 0.5))
        total = math.fsum(weights)
        shares = weights[0] / total, weights[1] / total
        return cls(
            1.0 / (1.0 + math.exp(-a)),
            (signal, decoy, VACUUM_DECOY),
            (*shares, 1.0 - math.fsum(shares)),
        )


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its key, and the pulses that it takes."""

    key: DecoyKey
    pulses: float

    @property
    def rate(self) -> float:
        """Secret bits per pulse."""
        return max(0.0, self.key.bits) / self.pulses


def block(km: float, size: float, choice: Choice) -> Block:
    """A block of `size` key bits in the paper's model."""
    channel = math.pow(10.0, -LOSS_DB_PER_KM * km / 10.0)
    seen, wrong = [], []
    for mean in choice.means:
        light = -math.expm1(-channel * EFFICIENCY * mean)
        clicks = 1.0 - (1.0 - 2.0 * DARK) * (1.0 - light)
        seen.append(clicks * (1.0 + AFTERPULSE))
        wrong.append(DARK + MISALIGNMENT * light + AFTERPULSE * clicks / 2.0)
    rates = [share * each for share, each in zip(choice.shares, seen, strict=True)]
    errors = [share * each for share, each in zip(choice.shares, wrong, strict=True)]
    gain, q = math.fsum(rates), choice.key_basis
    pulses = size / (q * q * gain)
    tested = pulses * (1.0 - q) ** 2
    counts = DecoyCounts(
        means=choice.means,
        shares=choice.shares,
        key=_triple(pulses * q * q * each for each in rates),
        tested=_triple(tested * each for each in rates),
        errors=_triple(tested * each for each in errors),
    )
    leaked = size * RECONCILIATION * binary_entropy(min(0.5, math.fsum(errors) / gain))
    return Block(per_bit(lambda secrecy: decoy_key(counts, leaked, secrecy, CORRECTNESS)), pulses)


def per_bit(key: Callable[[float], DecoyKey]) -> DecoyKey:
    """The key whose secrecy ε is κ times its own length, by iteration."""
    found = key(1e-10)
    for _ in range(_FIXED_POINTS):
        secrecy = SECRECY_PER_BIT * max(1.0, found.bits)
        found = key(min(MAX_EPSILON, max(MIN_EPSILON, secrecy)))
    return found


def best(km: float, size: float, start: Sequence[float]) -> tuple[Point, float]:
    """The choice of the highest key rate near `start`, and the rate; 0 if there is no key."""

    def height(point: Point) -> float:
        found = block(km, size, Choice.of(point))
        if found.key.bits > 0.0:
            return math.log(found.rate)
        return _NO_KEY + max(_NO_KEY, found.key.bits / size)

    point, top = climb(height, start)
    return point, math.exp(top) if top > _NO_KEY else 0.0


def curve(size: float, distances: Sequence[float]) -> list[tuple[float, float]]:
    """(km, key rate) up to where there is no more key; each optimum starts from the last."""
    found: list[tuple[float, float]] = []
    point = _START
    for km in distances:
        following, rate = best(km, size, point)
        if not rate:
            break
        point = following
        found.append((km, rate))
    return found


def reach(size: float, near: Sequence[tuple[float, float]]) -> float:
    """Longest fibre with a key, by halving between the curve's end and its next step."""
    low, step = near[-1][0], near[-1][0] - near[-2][0]
    point = _START
    for km, _ in near:
        point, _ = best(km, size, point)
    high = low + step
    while high - low > 0.25:
        middle = (low + high) / 2.0
        following, rate = best(middle, size, point)
        if rate:
            low, point = middle, following
        else:
            high = middle
    return low


SIMULATED = Choice(0.82, (0.41, 0.21, VACUUM_DECOY), (0.39, 0.42, 0.19))
"""Of the simulated runs: near the optimum of 10⁷ bits over 100 km."""


def simulated(km: float, pulses: int, seed: bytes) -> list[Row]:
    """A run of the engine, without afterpulses, against what its own law expects."""
    choice = SIMULATED
    config = WeakConfig(
        intensities=choice.means,
        shares=choice.shares,
        rectilinear=choice.key_basis,
        link=LinkConfig(
            fibre_km=km,
            loss_db_per_km=LOSS_DB_PER_KM,
            detector_efficiency=EFFICIENCY,
            dark_count_probability=DARK,
            misalignment=MISALIGNMENT,
        ),
    )
    stream = WeakStream(config, None, seed)
    seen = _outcomes(stream.counts(stream.advance(stream.start(), pulses)))
    wanted = np.zeros((2, 2, 3))
    for k, share in enumerate(choice.shares):
        law = expected(config, k)
        for basis, chance in enumerate((choice.key_basis, 1.0 - choice.key_basis)):
            clicks = pulses * share * chance * chance
            wanted[basis, :, k] = clicks * (law.gain - law.errors), clicks * law.errors
    slopes = _slopes(wanted, choice)
    stderr = math.sqrt(float((slopes**2 * wanted).sum())) / pulses
    rows = [Row.of("simulated key", km, _bits(seen, choice) / pulses, stderr,
                   _bits(wanted, choice) / pulses)]  # fmt: skip
    for basis, name in enumerate(("key", "tested")):
        for k in range(3):
            for wrong, what in enumerate(("right", "wrong")):
                mean = float(wanted[basis, wrong, k])
                if mean < 20.0:
                    continue
                label = f"{name} bits of intensity {k + 1}, {what}"
                rows.append(Row.of(label, km, float(seen[basis, wrong, k]), math.sqrt(mean), mean))
    return rows


def _outcomes(counts: WeakCounts) -> Counts:
    """(basis, right or wrong, intensity) of bits in like bases."""
    clicks = counts.clicks.sum(axis=0)
    found = np.zeros((2, 2, 3))
    for basis in range(2):
        alike = clicks[:, basis, basis]
        found[basis, 0] = alike[:, 0, 0] + alike[:, 1, 1]
        found[basis, 1] = alike[:, 0, 1] + alike[:, 1, 0]
    return found


def _bits(counts: Counts, choice: Choice) -> float:
    """Length of the key of such counts, not cut."""
    whole = counts.sum(axis=1)
    size, wrong = float(whole[0].sum()), float(counts[0, 1].sum())
    known = DecoyCounts(
        means=choice.means,
        shares=choice.shares,
        key=_triple(whole[0].tolist()),
        tested=_triple(whole[1].tolist()),
        errors=_triple(counts[1, 1].tolist()),
    )
    leaked = size * RECONCILIATION * binary_entropy(min(0.5, wrong / size))
    return decoy_key(known, leaked, 1e-10, CORRECTNESS).bits


def _slopes(counts: Counts, choice: Choice) -> Counts:
    """Derivatives of the length by each count, which are independent and nearly Poissonian."""
    slopes = np.zeros_like(counts)
    for place in np.ndindex(*counts.shape):
        step = 0.1 * math.sqrt(counts[place]) + 1e-3
        up, down = counts.copy(), counts.copy()
        up[place] += step
        down[place] -= step
        slopes[place] = (_bits(up, choice) - _bits(down, choice)) / (2.0 * step)
    return slopes


def reproduce(seed: int, *, quick: bool) -> Reproduction:
    """Their figure 1, its two statements, and our engine beside it."""
    distances = np.arange(0.0, 200.1, 50.0 if quick else 5.0).tolist()
    curves = {s: curve(10.0**s, distances) for s in BLOCKS}
    rows = [Row.of(f"n = 10^{s}", *at, None, None) for s, found in curves.items() for at in found]
    at_0, at_100 = ({s: dict(curves[s])[km] for s in BLOCKS} for km in (0.0, 100.0))
    facts = (
        Fact("longest fibre with a key, n = 10⁴ (km)", 135.0, reach(1e4, curves[4])),
        Fact("key rate of n = 10⁹ over n = 10⁷, 100 km", 1.75, at_100[9] / at_100[7]),
        *(
            Fact(f"key rate, n = {power_of_ten(10.0**s)}, 0 km (third party)", stated, at_0[s])
            for s, stated in DIGITISED_0_KM.items()
        ),
    )
    runs = []
    for km in (25.0, 50.0, 75.0, 100.0, 125.0):
        stream = hkdf(
            seed.to_bytes(16, "big"), info=f"finite decoy {km}".encode(), length=SEED_BYTES
        )
        runs += simulated(km, 10**8 if quick else 10**10, stream)
    with rc_context(LOOK):
        figure, main, below = panels(5.4)
        _draw(main, curves)
        keys = [row for row in runs if row.curve == "simulated key"]
        counts = [row for row in runs if row.curve != "simulated key"]
        in_standard_errors(below, [(counts, MUTED, "."), (keys, BLUE, "D")])
        below.set_xlabel("length of the fibre (km)")
    return Reproduction(
        name="finite-decoy",
        title="Finite keys from decoy states against distance (Lim et al. 2014)",
        facts=facts,
        rows=(*rows, *runs),
        figure=figure,
    )


def _draw(axes: Axes, curves: dict[int, list[tuple[float, float]]]) -> None:
    axes.set_yscale("log")
    shades = colormaps["cividis"](np.linspace(0.0, 0.85, len(curves)))
    for (s, found), shade in zip(curves.items(), shades, strict=True):
        axes.plot(
            *zip(*found, strict=True), color=shade, lw=1.5, label=f"n = {power_of_ten(10.0**s)}"
        )
    at = np.linspace(1.0, 200.0, 100)
    bound = [repeaterless_bound(10.0 ** (-LOSS_DB_PER_KM * km / 10.0)) for km in at]
    axes.plot(at, bound, color=INK, lw=1.1, ls="--", label="PLOB bound")
    axes.set_ylim(1e-7, 3.0)
    axes.axvline(135.0, color=MUTED, lw=0.9, ls=":")
    axes.annotate(
        "the paper's reach for n = 10⁴", (135.0, 0.5), xytext=(4, 0), textcoords="offset points",
        fontsize=8, color=MUTED,
    )  # fmt: skip
    axes.set_ylabel("secret bits per pulse")
    axes.yaxis.set_major_locator(LogLocator(numticks=9))
    axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y")
    axes.legend(loc="lower left", ncols=2)


def _triple(values: Iterable[float]) -> Triple:
    one, two, three = values
    return one, two, three
