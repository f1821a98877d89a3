"""The figure of bounds: key rate against the size of a block, and how near endless blocks it comes.

A line for each theorem, with its own limit dashed in the same colour; theorems differ in line style
as well.
"""

import math
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bellwire.base.style import BLUE, GREEN, LOOK, MUTED, VERMILION, new_figure
from bellwire.lab.bounds import BoundsResult
from bellwire.lab.figures import WIDTH, power_of_ten


class _Look(NamedTuple):
    colour: str
    marker: str


_LOOKS = (_Look(BLUE, "o"), _Look(VERMILION, "s"), _Look(GREEN, "D"))
_DECADES = 6.0
"""Of key rates that are shown at most."""


def draw(result: BoundsResult) -> Figure:
    """Key rate above, its share of the limit below."""
    with rc_context(LOOK):
        figure = new_figure(6.2, WIDTH)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.0, 1.0))
        _rates(upper, result)
        _shares(lower, result)
        lower.set_xlabel(_sizes(result))
        figure.align_ylabels()
        figure.legend(
            handles=_legend(result), loc="outside upper left", ncols=1, title=_title(result),
            alignment="left", title_fontproperties={"weight": "bold", "size": 10.5},
        )  # fmt: skip
    return figure


def panel(result: BoundsResult, ax: Axes | None = None) -> Axes:
    """Key rate alone."""
    with rc_context(LOOK):
        if ax is None:
            ax = new_figure(3.6, WIDTH).add_subplot()
        _rates(ax, result)
        ax.set_xlabel(_sizes(result))
        ax.legend(handles=_legend(result), loc="lower right", fontsize=8)
    return ax


def _title(result: BoundsResult) -> str:
    shown = f"{result.protocol.upper()}: QBER {100.0 * result.qber:.3g} %"
    if result.chsh is not None:
        shown += f", S = {result.chsh:.3f}"
    round_ = math.isclose(result.epsilon, 10.0 ** round(math.log10(result.epsilon)))
    return f"{shown}, ε = {power_of_ten(result.epsilon) if round_ else f'{result.epsilon:g}'}"


def _sizes(result: BoundsResult) -> str:
    pairs = result.protocol in {"e91", "bbm92"}
    return ("pairs" if pairs else "pulses") + " of a block"


def _rates(axes: Axes, result: BoundsResult) -> None:
    axes.set(xscale="log", yscale="log")
    limits = [each.limit for each in result.curves if each.limit > 0.0]
    for curve, look in zip(result.curves, _LOOKS, strict=False):
        made = [point for point in result.of(curve.theorem) if point.secret_bits]
        axes.plot(
            [point.pulses for point in made],
            [point.rate for point in made],
            color=look.colour,
            lw=1.6,
            marker=look.marker,
            ms=3.2,
        )
        if curve.limit > 0.0:
            axes.axhline(curve.limit, color=look.colour, lw=1.0, ls=(0, (4, 2.5)), alpha=0.9)
    rates = [point.rate for point in result.points if point.rate > 0.0]
    top = max([*limits, *rates, 1e-9])
    low = max(min([*limits, *rates, top / 10.0]), top / 10.0**_DECADES)
    # Whole decades, so that at least two of them are labelled.
    axes.set_ylim(10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(top)) * 1.1)
    axes.set_xlim(_span(result))
    axes.set_ylabel(f"secret bits per {'pair' if 'pairs' in _sizes(result) else 'pulse'}")
    axes.grid(axis="y")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=8))
        axis.set_major_formatter(FuncFormatter(power_of_ten))
        axis.set_minor_formatter(NullFormatter())


def _shares(axes: Axes, result: BoundsResult) -> None:
    axes.set_xscale("log")
    for curve, look in zip(result.curves, _LOOKS, strict=False):
        points = [point for point in result.of(curve.theorem) if point.share is not None]
        axes.plot(
            [point.pulses for point in points],
            [100.0 * (point.share or 0.0) for point in points],
            color=look.colour,
            lw=1.6,
            marker=look.marker,
            ms=3.2,
        )
    axes.set_ylim(-3.0, 103.0)
    axes.set_xlim(_span(result))
    axes.set_ylabel("share of endless\nblocks' (%)")
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(power_of_ten))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _span(result: BoundsResult) -> tuple[float, float]:
    sizes = [point.pulses for point in result.points]
    return min(sizes) / 1.3, max(sizes) * 1.3


def _legend(result: BoundsResult) -> list[Line2D]:
    handles = []
    for curve, look in zip(result.curves, _LOOKS, strict=False):
        endless = curve.length is None
        handles.append(
            Line2D(
                [], [], color=look.colour, lw=1.0 if endless else 1.6,
                ls=(0, (4, 2.5)) if endless else "-", marker="" if endless else look.marker, ms=3.2,
                label=f"{curve.title} ({curve.against})",
            )
        )  # fmt: skip
    handles.append(
        Line2D([], [], color=MUTED, lw=1.0, ls=(0, (4, 2.5)), label="dashed: endless blocks")
    )
    return handles
