"""The figure of two recordings: where their clocks meet, and how sharply."""

import math

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bellwire.base.style import BLUE, FAINT, INK, LOOK, MUTED, VERMILION, new_figure
from bellwire.lab.tags import SHOWN_WINDOWS, Comparison

WIDTH = 6.4
POINTS = 2_000
"""Bins of the correlation that a page can show; of each run of bins the highest is drawn."""

HISTOGRAM_BINS = 100
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw(comparison: Comparison) -> Figure:
    """Cross-correlation over all offsets searched, and the differences around the peak."""
    with rc_context(LOOK):
        figure = new_figure(5.2, WIDTH)
        above, below = figure.subplots(2, 1)
        _correlation(above, comparison)
        _differences(below, comparison)
    return figure


def _correlation(axes: Axes, comparison: Comparison) -> None:
    found = comparison.alignment
    lags, counts = found.peak.lags_ps / 1e12, found.peak.counts
    peak = int(np.argmax(counts))
    # A page has fewer points than the search had bins; the highest of each run is what could
    # rival the peak.
    run = -(-counts.size // POINTS)
    whole = counts[: counts.size - counts.size % run].reshape(-1, run)
    axes.plot(lags[: whole.size : run], whole.max(axis=1), color=MUTED, lw=0.6)
    axes.plot(lags[peak], counts[peak], "o", color=VERMILION, ms=5)
    ps = found.clock.offset_ps
    axes.annotate(
        f"{ps / 1e12:+.9f} s, drift {found.clock.drift * 1e6:+.4f} ppm\n"
        f"chance would make it with 10{_superscript(found.log10_false_alarm)}",
        (float(lags[peak]), float(counts[peak])),
        xytext=(8 if lags[peak] < float(np.mean(lags)) else -8, -4),
        textcoords="offset points",
        ha="left" if lags[peak] < float(np.mean(lags)) else "right",
        va="top",
        color=INK,
        fontsize=8.5,
    )
    axes.set_ylim(0, float(counts[peak]) * 1.08)
    axes.set_xlabel("Alice's clock less Bob's, s")
    axes.set_ylabel(f"coincidences in {_length(found.peak.bin_ps)}")
    axes.set_title("Search for the clocks' offset")


def _differences(axes: Axes, comparison: Comparison) -> None:
    window = comparison.about.window_ps
    reach = SHOWN_WINDOWS * window
    counts, edges = np.histogram(comparison.apart_ps, HISTOGRAM_BINS, (-reach, reach))
    axes.axvspan(-window / 2e3, window / 2e3, color=FAINT, lw=0, label="window")
    axes.stairs(counts, edges / 1e3, color=BLUE, fill=True, alpha=0.35)
    axes.stairs(counts, edges / 1e3, color=BLUE, lw=1.0, label="coincidences")
    middles = (edges[1:] + edges[:-1]) / 2e3
    axes.errorbar(middles, counts, np.sqrt(counts), fmt="none", ecolor=INK, elinewidth=0.6)
    chance = comparison.alignment.background * (edges[1] - edges[0]) / window
    axes.axhline(chance, color=VERMILION, lw=1.0, ls="--", label="by chance")
    axes.set_yscale("symlog", linthresh=10)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.set_ylim(0, max(20.0, float(counts.max()) * 12.0))
    axes.set_xlim(-reach / 1e3, reach / 1e3)
    axes.set_xlabel("Alice's time less Bob's after alignment, ns")
    axes.set_ylabel(f"pairs in {edges[1] - edges[0]:.0f} ps")
    axes.set_title(f"Coincidences, window {window:,} ps, deviation {comparison.jitter_ps:.0f} ps")
    axes.legend(loc="upper right", ncols=3)


def _superscript(log10: float) -> str:
    return str(math.ceil(max(log10, -99_999.0))).translate(_SUPERSCRIPTS)


def _length(ps: float) -> str:
    for unit, size in (("s", 1e12), ("ms", 1e9), ("µs", 1e6), ("ns", 1e3)):
        if ps >= size:
            return f"{ps / size:.3g} {unit}"
    return f"{ps:.3g} ps"
