"""The figure of repeaters against distance: key, fidelity, and the ratio to the bound.

Colours tell links apart, line styles rounds of purification; points are simulated, with error bars,
on a line of theory where there is a closed form and on a thin join of the points where not.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bellwire.base.style import (
    BLUE,
    GREEN,
    INK,
    LOOK,
    MUTED,
    ORANGE,
    PAPER,
    SKY,
    VERMILION,
    new_figure,
)
from bellwire.lab.figures import WIDTH, power_of_ten
from bellwire.lab.repeater import ChainRow, Crossing, RepeaterResult, direct
from bellwire.link.repeater_theory import repeaterless_bound

_COLOURS = (MUTED, BLUE, VERMILION, GREEN, ORANGE, SKY)
_MARKERS = ("o", "s", "D", "^", "v")
_STYLES = ("-", "--", "-.", ":", (0, (1, 3)))
_LEAST = 1e-4
"""Bits per second below which nothing is drawn: an hour for a third of a bit."""


def draw(result: RepeaterResult) -> Figure:
    """All chains of a result."""
    with rc_context(LOOK):
        figure = new_figure(7.4, WIDTH)
        rate, fidelity, ratio = figure.subplots(3, 1, sharex=True, height_ratios=(2.3, 1.0, 1.2))
        _rates(rate, result)
        _fidelities(fidelity, result)
        _ratios(ratio, result)
        ratio.set_xlabel("Alice to Bob along the fibre (km)")
        figure.align_ylabels()
        handles = _legend(result)
        columns = 3 if any(rounds for _, rounds in result.series()) else 4
        figure.legend(
            handles=handles, loc="outside upper center", ncols=columns, columnspacing=1.3,
            handletextpad=0.6,
        )  # fmt: skip
    return figure


def _look(result: RepeaterResult, key: tuple[int, int]) -> dict[str, object]:
    links, rounds = (sorted({each[k] for each in result.series()}) for k in (0, 1))
    place, round_ = links.index(key[0]), rounds.index(key[1])
    return {
        "color": _COLOURS[place % len(_COLOURS)],
        "marker": _MARKERS[round_ % len(_MARKERS)],
        "ls": _STYLES[round_ % len(_STYLES)],
    }


def _rates(axes: Axes, result: RepeaterResult) -> None:
    axes.set_yscale("log")
    at = np.linspace(min(r.km for r in result.rows), max(r.km for r in result.rows), 200).tolist()
    bounds = [_bound(result, km) for km in at]
    alone = [direct(result.chain(km), result.clock_hz) or math.nan for km in at]
    axes.plot(at, bounds, color=INK, lw=1.6)
    axes.plot(at, alone, color=INK, lw=1.1, ls=":")
    for key, series in result.series().items():
        good = [row for row in series if row.key_rate_bps]
        _points(
            axes,
            [row.km for row in good],
            [row.key_rate_bps or 0.0 for row in good],
            [row.key_rate_stderr or 0.0 for row in good],
            _look(result, key),
        )
    top = max([*(row.key_rate_bps or 0.0 for row in result.rows), *bounds])
    seen = [row.key_rate_bps for row in result.rows if row.key_rate_bps]
    low = max(_LEAST, min(seen) / 5.0) if seen else _LEAST
    finite = top if math.isfinite(top) and top > low else 10.0 * low
    axes.set_ylim(low, 5.0 * finite)
    crossings = [each for each in result.crossings() if each.measure == "bps"]
    for place, crossing in enumerate(sorted(crossings, key=lambda each: each.from_km)):
        _mark(axes, result, crossing, above=place % 2 == 0)
    axes.set_ylabel("secret bits per second")
    _decades(axes)


def _mark(axes: Axes, result: RepeaterResult, crossing: Crossing, *, above: bool) -> None:
    """A ring where a chain gets beyond the bound; neighbours' labels stand on unlike sides."""
    height = _bound(result, crossing.from_km)
    low, high = axes.get_ylim()
    if not low < height < high:
        return
    colour = str(_look(result, (crossing.links, crossing.purify))["color"])
    axes.plot(
        [crossing.from_km], [height], marker="o", ms=9, mfc="none", mec=colour, mew=1.4, zorder=5
    )
    axes.annotate(
        f"{crossing.from_km:.0f} km",
        (crossing.from_km, height),
        xytext=(7, 5) if above else (-7, -5),
        textcoords="offset points",
        ha="left" if above else "right",
        va="bottom" if above else "top",
        fontsize=8,
        color=colour,
        path_effects=[withStroke(linewidth=2.5, foreground=PAPER)],
    )


def _bound(result: RepeaterResult, km: float) -> float:
    return result.clock_hz * repeaterless_bound(result.chain(km).transmittance)


def _fidelities(axes: Axes, result: RepeaterResult) -> None:
    for key, series in result.series().items():
        good = [row for row in series if row.fidelity is not None]
        _points(
            axes,
            [row.km for row in good],
            [row.fidelity or 0.0 for row in good],
            [row.fidelity_stderr or 0.0 for row in good],
            _look(result, key),
        )
    axes.set_ylim(0.2, 1.03)
    axes.set_ylabel("fidelity")
    axes.grid(axis="y")


def _ratios(axes: Axes, result: RepeaterResult) -> None:
    axes.set_yscale("log")
    values = []
    for key, series in result.series().items():
        good = [row for row in series if row.key_per_mode and row.bound_per_mode]
        ratios = [(row.key_per_mode or 0.0) / (row.bound_per_mode or 1.0) for row in good]
        errors = [r * _relative(row) for r, row in zip(ratios, good, strict=True)]
        values += ratios
        _points(axes, [row.km for row in good], ratios, errors, _look(result, key))
    axes.axhline(1.0, color=INK, lw=1.6)
    axes.set_ylim(min([0.01, *values]) / 3.0, max([100.0, *values]) * 3.0)
    axes.set_ylabel("key / bound,\nper mode")
    _decades(axes)


def _relative(row: ChainRow) -> float:
    return (row.key_rate_stderr or 0.0) / row.key_rate_bps if row.key_rate_bps else 0.0


def _points(
    axes: Axes,
    at: Sequence[float],
    values: Sequence[float],
    errors: Sequence[float],
    look: dict[str, object],
) -> None:
    if not at:
        return
    axes.errorbar(
        at,
        values,
        yerr=errors,
        color=str(look["color"]),
        marker=str(look["marker"]),
        ls=look["ls"],
        lw=1.1,
        ms=3.6,
        mew=0.5,
        elinewidth=1.0,
        capsize=1.5,
    )


def _decades(axes: Axes) -> None:
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _legend(result: RepeaterResult) -> list[Line2D]:
    clock = power_of_ten(result.clock_hz) if _round(result.clock_hz) else f"{result.clock_hz:g}"
    handles = [
        Line2D([], [], color=INK, lw=1.6, label=f"bound, {clock} modes/s"),
        Line2D([], [], color=INK, lw=1.1, ls=":", label="single photons, direct"),
    ]
    for key in result.series():
        links, purify = key
        look = _look(result, key)
        words = f"{links} link{'s' if links > 1 else ''}"
        handles.append(
            Line2D(
                [],
                [],
                color=str(look["color"]),
                marker=str(look["marker"]),
                ls=look["ls"],
                lw=1.1,
                ms=3.6,
                label=words + (f", purified {purify}×" if purify else ""),
            )
        )
    return handles


def _round(value: float) -> bool:
    return math.log10(value).is_integer()
