"""Decoy states with the parameters of Gobby, Yuan and Shields: Ma, Qi, Zhao, Lo (2005).

Our law of pulses (`bellwire.link.weak_theory`) has two detectors with dark counts of their own and
squashed double clicks; theirs adds a background Y₀ to the light's clicks. The residuals show how
little that matters.
"""

import math
from collections.abc import Callable

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bellwire.base.bits import binary_entropy
from bellwire.base.style import BLUE, INK, LOOK, MUTED, VERMILION
from bellwire.lab.figures import power_of_ten
from bellwire.lab.reproductions.model import Fact, Reproduction, Row, panels
from bellwire.lab.reproductions.optimum import climb
from bellwire.link.config import LinkConfig
from bellwire.link.repeater_theory import repeaterless_bound
from bellwire.link.weak import WeakConfig
from bellwire.link.weak_theory import (
    SinglePhotons,
    decoy_bounds,
    expected,
    key_fraction,
    n_photon_errors,
    n_photon_yield,
)

LOSS_DB_PER_KM = 0.21
EFFICIENCY = 0.045
MISALIGNMENT = 0.033
BACKGROUND = 1.7e-6
RECONCILIATION = 1.22
SIGNAL = 0.48
WEAK_DECOY = 0.05


def link(km: float) -> LinkConfig:
    """The fibre and Bob's box; each of two detectors has half of the background."""
    return LinkConfig(
        fibre_km=km,
        loss_db_per_km=LOSS_DB_PER_KM,
        detector_efficiency=EFFICIENCY,
        dark_count_probability=1.0 - math.sqrt(1.0 - BACKGROUND),
        misalignment=MISALIGNMENT,
    )


def unlimited(km: float, signal: float = SIGNAL, efficiency: float = RECONCILIATION) -> float:
    """Secret bits per pulse if every yield and error rate were known; may be negative."""
    config = WeakConfig(intensities=(signal,), shares=(1.0,), link=link(km))
    single = n_photon_yield(config, 1)
    error = n_photon_errors(config, 1) / single
    known = SinglePhotons(
        n_photon_yield(config, 0), single, error, signal * math.exp(-signal) * single
    )
    return key_fraction(config, expected(config, 0), known, efficiency)


def vacuum_and_weak(km: float) -> float:
    """Secret bits per signal pulse with these two decoys; may be negative."""
    config = WeakConfig(intensities=(SIGNAL,), shares=(1.0,), link=link(km))
    sent = WeakConfig(intensities=(SIGNAL, WEAK_DECOY, 0.0), link=link(km))
    proved = decoy_bounds(*(expected(sent, k) for k in range(3)))
    return key_fraction(config, expected(config, 0), proved, RECONCILIATION)


def theirs(km: float, *, decoys: bool) -> float:
    """The paper's own formulas: Q = Y₀ + 1 − e^−ημ, E·Q = Y₀/2 + e_d(1 − e^−ημ), bounds with them.

    Args:
        km: Length of the fibre.
        decoys: Whether single photons are bounded by a vacuum and a weak decoy, or known.
    """
    eta = EFFICIENCY * math.pow(10.0, -LOSS_DB_PER_KM * km / 10.0)
    mu, nu = SIGNAL, WEAK_DECOY
    gain = {k: BACKGROUND - math.expm1(-eta * k) for k in (mu, nu)}
    wrong = {k: BACKGROUND / 2.0 - MISALIGNMENT * math.expm1(-eta * k) for k in (mu, nu)}
    one = BACKGROUND + eta
    error = (BACKGROUND / 2.0 + MISALIGNMENT * eta) / one
    if decoys:
        inside = gain[nu] * math.exp(nu) - (nu / mu) ** 2 * gain[mu] * math.exp(mu)
        one = mu / (mu * nu - nu * nu) * (inside - (1.0 - (nu / mu) ** 2) * BACKGROUND)
        error = (wrong[nu] * math.exp(nu) - BACKGROUND / 2.0) / (one * nu)
    kept = mu * math.exp(-mu) * one * (1.0 - binary_entropy(min(0.5, error)))
    return 0.5 * (kept - RECONCILIATION * gain[mu] * binary_entropy(wrong[mu] / gain[mu]))


def reach(rate: Callable[[float], float]) -> float:
    """Longest fibre on which a rate is above 0, km."""
    low, high = 0.0, 300.0
    while high - low > 1e-3:
        middle = (low + high) / 2.0
        if rate(middle) > 0.0:
            low = middle
        else:
            high = middle
    return low


def best_signal(efficiency: float) -> float:
    """The signal of the highest rate over 100 km."""
    (signal,), _ = climb(
        lambda at: 1e6 * unlimited(100.0, min(1.0, max(0.01, at[0])), efficiency), [0.5]
    )
    return signal


def reproduce(seed: int, *, quick: bool) -> Reproduction:
    """The point at 0 km, the best signal, the reach, and the rate against distance."""
    del seed, quick  # nothing here is drawn, and all of it is quick
    facts = (
        Fact("key rate at 0 km, μ = 0.48 (bits per pulse)", 2.555e-3, unlimited(0.0)),
        Fact("key rate at 100 km (bits per pulse)", 1.72e-5, unlimited(100.0)),
        Fact("best signal, f = 1.22", 0.48, best_signal(RECONCILIATION)),
        Fact("best signal, f = 1", 0.54, best_signal(1.0)),
        Fact("longest fibre, everything known (km)", 142.05, reach(unlimited)),
        Fact("longest fibre, vacuum and weak decoy (km)", 140.55, reach(vacuum_and_weak)),
    )
    rows = []
    for km in np.arange(0.0, 141.0, 5.0).tolist():
        rows.append(Row.of("everything known", km, unlimited(km), None, theirs(km, decoys=False)))
        rows.append(
            Row.of("vacuum and weak decoy", km, vacuum_and_weak(km), None, theirs(km, decoys=True))
        )
    with rc_context(LOOK):
        figure, main, below = panels()
        _draw(main, rows)
        for name, colour, style in _CURVES:
            at = [(row.x, row.residual or 0.0) for row in rows if row.curve == name]
            below.plot(*zip(*at, strict=True), color=colour, ls=style, lw=1.3)
        below.axhline(0.0, color=MUTED, lw=0.8)
        below.set_ylabel("ours over the\npaper's, less 1", fontsize=8.5)
        below.ticklabel_format(axis="y", style="sci", scilimits=(-1, 1))
        below.set_xlabel("length of the fibre (km)")
    return Reproduction(
        name="gys",
        title="Decoy states with the parameters of GYS (Ma et al. 2005)",
        facts=facts,
        rows=tuple(rows),
        figure=figure,
    )


_CURVES = (("everything known", BLUE, "-"), ("vacuum and weak decoy", VERMILION, "--"))


def _draw(axes: Axes, rows: list[Row]) -> None:
    axes.set_yscale("log")
    for name, colour, style in _CURVES:
        at = [(row.x, row.ours) for row in rows if row.curve == name and row.ours > 0.0]
        axes.plot(*zip(*at, strict=True), color=colour, ls=style, lw=1.6, label=name)
    along = np.linspace(1.0, 145.0, 100)
    bound = [repeaterless_bound(10.0 ** (-LOSS_DB_PER_KM * km / 10.0)) for km in along]
    axes.plot(along, bound, color=INK, lw=1.1, ls=":", label="PLOB bound")
    axes.plot([0.0], [2.555e-3], marker="o", ms=7, mfc="none", mec=INK, mew=1.2, ls="none",
              label="2.555·10⁻³ at 0 km")  # fmt: skip
    axes.set_ylim(1e-8, 3.0)
    axes.set_ylabel("secret bits per pulse")
    axes.yaxis.set_major_locator(LogLocator(numticks=9))
    axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y")
    axes.legend(loc="lower left")
