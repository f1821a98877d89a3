"""The figure of Eve's power: lines are theory, marks are blocks that were sent.

Bars of marks are Wilson's intervals of one standard error. Sizes and shares differ in shape as in
colour; the plain rule is dotted.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bellwire.base.detections import Protocol
from bellwire.base.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    LOOK,
    MUTED,
    ORANGE,
    PAPER,
    VERMILION,
    new_figure,
)
from bellwire.lab.figures import WIDTH
from bellwire.lab.odds import Odds, plain_caught
from bellwire.lab.power import PowerResult, interval

PLAIN_PULSES = 512
"""Photons of a block of the plain rule, as in many a demonstration."""

_SHARES = (0.1, 0.3, 0.5, 1.0)
"""Shares that are followed through all sizes."""

_LINE_POINTS = 61
_SIZE_POINTS = 37
_SMALLEST, _LARGEST = 2.0**8, 2.0**19


class _Look(NamedTuple):
    colour: str
    marker: str


_LOOKS = (
    _Look(BLUE, "o"),
    _Look(ORANGE, "D"),
    _Look(GREEN, "s"),
    _Look(VERMILION, "^"),
    _Look(INK, "v"),
    _Look(MUTED, "P"),
)
_PLAIN: dict[str, Any] = {"color": MUTED, "lw": 1.4, "ls": (0, (1, 1.4))}


def draw(result: PowerResult) -> Figure:
    """Caught and left without key against her share, then caught against the size."""
    with rc_context(LOOK):
        figure = new_figure(8.6, WIDTH)
        panels = figure.subplots(3, 1).tolist()
        lines = _lines(result)
        _caught(panels[0], result, lines)
        _without_key(panels[1], result, lines)
        _against_size(panels[2], result)
        panels[0].set_title(
            f"{result.protocol.upper()}, {result.eve}: caught by {_statistic(result)}"
        )
        panels[1].set_title("No key is made, whether she is caught or not")
        panels[2].set_title("Caught, against the size of a block")
        for axes in panels:
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.6)
        figure.align_ylabels()
    return figure


def panel(result: PowerResult, ax: Axes | None = None) -> Axes:
    """Caught against her share."""
    with rc_context(LOOK):
        if ax is None:
            ax = new_figure(3.4, WIDTH).add_subplot()
        _caught(ax, result, _lines(result))
        ax.legend()
    return ax


def _statistic(result: PowerResult) -> str:
    return "S or QBER" if Protocol(result.protocol).judged_on_chsh else "QBER"


def _lines(result: PowerResult) -> dict[int, list[Odds]]:
    """The odds along her share, of each size."""
    return {size: [result.odds(x, size) for x in _dense(result)] for size in result.sizes}


def _caught(axes: Axes, result: PowerResult, lines: Mapping[int, list[Odds]]) -> None:
    shares = _dense(result)
    plain = [plain_caught(result.experiment(x, PLAIN_PULSES)) for x in shares]
    axes.plot(shares, plain, **_PLAIN, label=f"plain rule,\n{PLAIN_PULSES} {_light(result)}")
    for (size, line), look in zip(lines.items(), _LOOKS, strict=False):
        counts = [(point.share, point.runs_caught, point.runs) for point in result.of_size(size)]
        _curve(axes, result, size, [odds.caught for odds in line], look)
        _marks(axes, counts, look)


def _without_key(axes: Axes, result: PowerResult, lines: Mapping[int, list[Odds]]) -> None:
    for (size, line), look in zip(lines.items(), _LOOKS, strict=False):
        counts = [
            (point.share, point.runs - point.runs_key, point.runs) for point in result.of_size(size)
        ]
        _curve(axes, result, size, [1.0 - odds.key for odds in line], look)
        _marks(axes, counts, look)


def _curve(axes: Axes, result: PowerResult, size: int, line: list[float], look: _Look) -> None:
    name = f"{size:,} {_light(result)}"
    axes.plot(_dense(result), line, color=look.colour, lw=1.3, label=name)
    axes.set_xlabel("Eve’s share")
    _probability(axes)


def _against_size(axes: Axes, result: PowerResult) -> None:
    sizes = np.unique(np.geomspace(_SMALLEST, _LARGEST, _SIZE_POINTS).round()).astype(int).tolist()
    axes.set_xscale("log")
    for share, look in zip(_SHARES, _LOOKS, strict=False):
        ours = [result.odds(share, size).caught for size in sizes]
        plain = [plain_caught(result.experiment(share, size)) for size in sizes]
        axes.plot(sizes, plain, **{**_PLAIN, "color": look.colour})
        axes.plot(sizes, ours, color=look.colour, lw=1.3, label=f"share {share:g}")
        points = [point for point in result.points if point.share == share]
        _marks(axes, [(point.pulses, point.runs_caught, point.runs) for point in points], look)
    axes.plot([], [], **_PLAIN, label="plain rule")
    small = [size for size in sizes if result.odds(0.0, size).key < 0.5]
    if small:
        axes.axvspan(sizes[0], small[-1], color=FAINT, alpha=0.4, lw=0, zorder=0)
        axes.annotate(
            "no key from so few,\nEve or not",
            (sizes[0], 0.5),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8,
            color=MUTED,
            va="center",
            path_effects=[withStroke(linewidth=3.0, foreground=PAPER)],
        )
    axes.set_xlim(sizes[0], sizes[-1])
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    _probability(axes)
    axes.set_xlabel(f"{_light(result)} of a block")


def _marks(axes: Axes, counts: Iterable[tuple[float, int, int]], look: _Look) -> None:
    known = [(x, count / runs, *interval(count, runs)) for x, count, runs in counts if runs]
    if not known:
        return
    x, y, low, high = np.array(known).T
    axes.errorbar(
        x,
        y,
        yerr=[np.maximum(0.0, y - low), np.maximum(0.0, high - y)],
        color=look.colour,
        marker=look.marker,
        ms=4.0,
        mew=0.6,
        ls="none",
        elinewidth=1.0,
        capsize=1.5,
    )


def _probability(axes: Axes) -> None:
    axes.set_ylim(-0.04, 1.04)
    axes.set_ylabel("probability")
    axes.grid(axis="y")


def _dense(result: PowerResult) -> list[float]:
    shares = [point.share for point in result.points]
    dense: list[float] = np.linspace(min(shares), max(shares), _LINE_POINTS).tolist()
    return dense


def _light(result: PowerResult) -> str:
    return "pairs" if Protocol(result.protocol).entangled else "pulses"
