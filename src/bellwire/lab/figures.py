"""The figure of a sweep: what was measured, with its errors, on what theory expects.

One swept parameter gives curves, with the residuals below them, since on the curves' scale the
error bars are smaller than the markers; two give maps, with theory as contours. Accepted and
rejected differ in shape as well as in colour.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from bellwire.base.detections import Protocol
from bellwire.base.style import (
    BLUE,
    FAINT,
    INK,
    LOOK,
    MUTED,
    ORANGE,
    PAPER,
    SKY,
    VERMILION,
    new_figure,
)
from bellwire.distill.verdict import CLASSICAL, Rules
from bellwire.lab.parameters import SWEEPABLE, WEAK, protocol_of
from bellwire.lab.quantities import Prediction, Quantity
from bellwire.lab.results import Point, SweepResult
from bellwire.link.repeater_theory import repeaterless_bound

WIDTH = 6.4
"""Inches: a page's text width, or one and a half columns."""

_LABELS = {
    Quantity.GAIN_SIGNAL: "gain of the signal",
    Quantity.GAIN_DECOY: "gain of the decoy",
    Quantity.GAIN_VACUUM: "gain of the vacuum decoy",
    Quantity.QBER: "QBER",
    Quantity.CHSH: "S (CHSH value)",
    Quantity.SINGLE_PHOTON_YIELD: "proved yield of\nsingle photons",
    Quantity.KEY: "secret bits per pulse",
}
_GAINS = {
    Quantity.GAIN_SIGNAL: "signal",
    Quantity.GAIN_DECOY: "decoy",
    Quantity.GAIN_VACUUM: "vacuum decoy",
}
"""Quantities that share a panel, each with its name there."""

_LINEAR = (Quantity.QBER, Quantity.CHSH)
_LINE_POINTS = 200
_MAP_POINTS = 60
_WIDE = 30.0
"""What spans more than this factor is drawn on a logarithmic axis, but for QBER and S."""

_THEORY = "theory"
_LIMIT = "theory, long blocks"
_BOUND = "PLOB bound"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Verdict(NamedTuple):
    """How the points of one verdict are drawn."""

    marker: str
    colour: str
    words: str


_ACCEPTED = Verdict("o", BLUE, "key made")
_DIVIDED = Verdict("D", ORANGE, "key made in some runs")
_REJECTED = Verdict("X", VERMILION, "rejected, no key")
_DISTILLED = (_ACCEPTED, _DIVIDED, _REJECTED)
_ESTIMATED = (
    _ACCEPTED._replace(words="accepted"),
    _DIVIDED._replace(words="accepted in some runs"),
    _REJECTED._replace(words="rejected"),
)
_LEGEND = (_THEORY, _LIMIT, _BOUND, *(each.words for each in (*_DISTILLED, *_ESTIMATED)))


def draw(result: SweepResult) -> Figure:
    """All quantities of a sweep."""
    with rc_context(LOOK):
        return _curves(result) if len(result.over) == 1 else _maps(result)


def panel(result: SweepResult, quantity: Quantity, ax: Axes | None = None) -> Axes:
    """One quantity of a sweep, on `ax` or on a figure of its own."""
    with rc_context(LOOK):
        if ax is None:
            ax = new_figure(3.4, WIDTH).add_subplot()
        if len(result.over) == 1:
            _curve(ax, result, (quantity,))
            _name_x(ax, result)
            ax.legend()
        else:
            _map(ax, result, quantity)
    return ax


Panel = tuple[Quantity, ...]
"""What one panel shows: a quantity, or the gains of all intensities."""


def _panels(result: SweepResult) -> list[Panel]:
    gains = tuple(each for each in result.quantities if each in _GAINS)
    rest: list[Panel] = [(each,) for each in result.quantities if each not in _GAINS]
    return [gains, *rest] if gains else rest


def _curves(result: SweepResult) -> Figure:
    shown = _panels(result)
    heights: list[float] = []
    for panel in shown:
        heights += [2.0] if panel == (Quantity.KEY,) else [2.0, 0.75]
    figure = new_figure(0.9 + 0.95 * sum(heights), WIDTH)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights).tolist()
    _name_x(axes[-1], result)
    row = iter(axes)
    for panel in shown:
        _curve(next(row), result, panel)
        if panel != (Quantity.KEY,):
            _residuals(next(row), result, panel)
    figure.align_ylabels()
    named: dict[str, Artist] = {}
    for each in axes:
        handles, labels = each.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    order = [label for label in _LEGEND if label in named]
    figure.legend(
        [named[label] for label in order],
        order,
        loc="outside upper center",
        ncols=len(order) if len(order) < 4 else (len(order) + 1) // 2,
        columnspacing=1.3,
        handletextpad=0.5,
    )
    return figure


def _curve(axes: Axes, result: SweepResult, panel: Panel) -> None:
    points = result.points()
    at = _dense([p.at[0] for p in points], _LINE_POINTS, logarithmic=result.logarithmic[0])
    if result.logarithmic[0]:
        _logarithmic(axes, "x", [p.at[0] for p in points])
    values = [p.values[each] for p in points for each in panel if each in p.values]
    logarithmic = panel[0] not in _LINEAR and _spans_much(values)
    if logarithmic:
        _logarithmic(axes, "y", values)
        above = [value for value in values if value > 0.0]
        axes.set_ylim(min(above) / 2.5, max(above) * 2.5)
    highest = _theory(axes, result, panel, at)
    if logarithmic and panel == (Quantity.KEY,):
        _bound(axes, result, at)
    for quantity in panel:
        for verdict, group in _by_verdict(result, points):
            _points(axes, verdict, group, quantity, logarithmic=logarithmic)
    axes.set_ylabel("gain" if len(panel) > 1 else _LABELS[panel[0]])
    axes.grid(axis="y")
    if panel[0] is Quantity.QBER:
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.set_ylim(bottom=0)
    elif panel[0] is Quantity.CHSH:
        axes.set_ylim(min([1.3, *values]) - 0.1, 3.0)
    elif not logarithmic:
        most = max([highest, *values])
        axes.set_ylim(-0.03 * (most or 1.0), 1.06 * (most or 1.0))
    _limits(axes, result, panel[0])


def _theory(axes: Axes, result: SweepResult, panel: Panel, at: NDArray[np.float64]) -> float:
    """Theory's line of each quantity of a panel; gives its highest value."""
    highest = 0.0
    distilled = not result.estimated
    for quantity in panel:
        expected = np.array([_expected(result.theory((float(x),)), quantity) for x in at])
        known = np.flatnonzero(expected > 0.0)
        if not known.size:
            continue
        limit = distilled and quantity is Quantity.KEY
        label, style = (_LIMIT, "--") if limit else (_THEORY, "-")
        axes.plot(at, expected, color=MUTED, lw=1.3, ls=style, label=label, zorder=1)
        highest = max(highest, float(np.nanmax(expected)))
        if len(panel) > 1:
            axes.annotate(
                _GAINS[quantity],
                (at[known[-1]], expected[known[-1]]),
                xytext=(9, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=MUTED,
            )
    return highest


def _bound(axes: Axes, result: SweepResult, at: NDArray[np.float64]) -> None:
    """What no protocol exceeds over that fibre, a pulse being a mode; not of a source between."""
    protocol = protocol_of(result.protocol)
    if result.over[0] != "km" or (protocol not in WEAK and Protocol(protocol).entangled):
        return
    loss, rest = (float(result.fixed[name]) for name in ("loss", "insertion_loss"))
    bounds = [repeaterless_bound(10.0 ** (-(km * loss + rest) / 10.0)) for km in at.tolist()]
    finite = [each for each in bounds if math.isfinite(each)]
    if not finite:
        return
    axes.plot(at, bounds, color=INK, lw=1.1, ls=":", label=_BOUND, zorder=1)
    low, high = axes.get_ylim()
    axes.set_ylim(low, max(high, 2.0 * min(1.0, max(finite))))


def _points(
    axes: Axes, verdict: Verdict, group: list[Point], quantity: Quantity, *, logarithmic: bool
) -> None:
    """Points of one verdict; on a logarithmic axis those at zero stand on its lower edge."""
    zero = [p for p in group if logarithmic and p.values.get(quantity, 0.0) <= 0.0]
    rest = [p for p in group if quantity in p.values and p not in zero]
    axes.errorbar(
        [p.at[0] for p in rest],
        [p.values[quantity] for p in rest],
        yerr=[p.stderrs.get(quantity, 0.0) for p in rest],
        color=verdict.colour,
        marker=verdict.marker,
        ms=4.5,
        mew=0.6,
        ls="none",
        elinewidth=1.1,
        capsize=2,
        label=verdict.words,
    )
    if not zero:
        return  # an empty line that is not clipped would upset the layout
    axes.plot(
        [p.at[0] for p in zero],
        [0.0] * len(zero),
        transform=axes.get_xaxis_transform(),
        clip_on=False,
        color=verdict.colour,
        marker=verdict.marker,
        ms=4.5,
        mew=0.6,
        ls="none",
    )


def _residuals(axes: Axes, result: SweepResult, panel: Panel) -> None:
    """How far each point lies from theory, in standard errors."""
    axes.axhspan(-2, 2, color=SKY, alpha=0.18, lw=0)
    axes.axhline(0, color=MUTED, lw=0.8)
    far = 3.6
    for verdict, group in _by_verdict(result, result.points()):
        known = [
            (p.at[0], (p.values[each] - expected) / p.stderrs[each])
            for p in group
            for each in panel
            if p.stderrs.get(each)
            and math.isfinite(expected := _expected(result.theory(p.at), each))
        ]
        axes.plot(
            [at for at, _ in known],
            [off for _, off in known],
            color=verdict.colour,
            marker=verdict.marker,
            ms=3.5,
            ls="none",
        )
        far = max([far, *(abs(off) * 1.15 for _, off in known)])
    axes.set_ylim(-far, far)
    axes.set_ylabel("deviation\n(std. errors)", fontsize=8.5)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _limits(axes: Axes, result: SweepResult, quantity: Quantity) -> None:
    """What a block must keep to, where the figure comes near it."""
    rules, top = Rules(), axes.get_ylim()[1]
    judged = Quantity.CHSH not in result.quantities
    if quantity is Quantity.QBER and judged and top > rules.red_qber / 2:
        axes.axhline(rules.red_qber, color=VERMILION, lw=1.0, ls=":", zorder=0.9)
        _name(axes, rules.red_qber, f"rejected from {_percent(rules.red_qber)}", VERMILION)
    elif quantity is Quantity.CHSH:
        axes.axhspan(0, CLASSICAL, color=FAINT, alpha=0.4, lw=0, zorder=0)
        axes.axhline(rules.chsh_floor, color=VERMILION, lw=1.0, ls=":", zorder=0.9)
        _name(axes, rules.chsh_floor, f"rejected below {rules.chsh_floor:g}", VERMILION)
        low = axes.get_ylim()[0]
        _name(axes, low, "S up to 2 is possible without entanglement", MUTED, left=True)


def _name(axes: Axes, y: float, words: str, colour: str, *, left: bool = False) -> None:
    axes.annotate(
        words,
        (0.0 if left else 1.0, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(4 if left else -2, 3),
        textcoords="offset points",
        ha="left" if left else "right",
        va="bottom",
        fontsize=8,
        color=colour,
    )


def _maps(result: SweepResult) -> Figure:
    quantities = result.quantities
    columns = 2 if len(quantities) == 4 else min(3, len(quantities))
    rows = len(quantities) // columns
    figure = new_figure(0.5 + 2.9 * rows, 0.5 + 3.1 * columns)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, quantity in zip(panels, quantities, strict=True):
        _map(axes, result, quantity)
        axes.label_outer()
    line = Line2D([], [], color=PAPER, lw=0.9, path_effects=_outline())
    cross = Line2D([], [], color=PAPER, ls="none", marker="x", ms=4, path_effects=_outline())
    figure.legend(
        [line, cross], ["theory (key: long blocks)", _REJECTED.words], loc="outside lower center",
        ncols=2,
    )  # fmt: skip
    return figure


def _map(axes: Axes, result: SweepResult, quantity: Quantity) -> None:
    points = result.points()
    columns, rows = (sorted({p.at[k] for p in points}) for k in (0, 1))
    grid = np.full((len(rows), len(columns)), np.nan)
    for p in points:
        grid[rows.index(p.at[1]), columns.index(p.at[0])] = p.values.get(quantity, math.nan)
    across, up = (
        _edges(side, logarithmic=log)
        for side, log in zip((columns, rows), result.logarithmic, strict=True)
    )
    for name, side, logarithmic in zip("xy", (columns, rows), result.logarithmic, strict=True):
        if logarithmic:
            _logarithmic(axes, name, side)
    mesh = axes.pcolormesh(across, up, grid, cmap="cividis", rasterized=True)
    bar = axes.get_figure(root=True).colorbar(mesh, ax=axes)  # type: ignore[union-attr]  # it has one
    if quantity is Quantity.QBER:
        bar.ax.yaxis.set_major_formatter(FuncFormatter(_percent))
    _contours(axes, result, quantity, (columns, rows))
    none = [p.at for p in points if p.accepted == 0.0]
    axes.plot(
        [x for x, _ in none], [y for _, y in none], ls="none", marker="x", ms=3.5, mew=0.8,
        color=PAPER, path_effects=_outline(),
    )  # fmt: skip
    axes.set_title(_LABELS[quantity])
    axes.set_xlabel(SWEEPABLE[result.over[0]].label)
    axes.set_ylabel(SWEEPABLE[result.over[1]].label)


def _contours(
    axes: Axes, result: SweepResult, quantity: Quantity, sides: tuple[list[float], list[float]]
) -> None:
    """Theory's lines of equal value, where it is not the same everywhere."""
    if min(map(len, sides)) < 2:
        return
    across, up = (
        _dense(side, _MAP_POINTS, logarithmic=log)
        for side, log in zip(sides, result.logarithmic, strict=True)
    )
    expected = np.array(
        [[_expected(result.theory((float(x), float(y))), quantity) for x in across] for y in up]
    )
    low, high = float(expected.min()), float(expected.max())
    levels = [float(x) for x in MaxNLocator(6).tick_values(low, high) if low < x < high]
    if high - low <= 1e-12 or not levels:
        return
    lines = axes.contour(across, up, expected, levels=levels, colors=PAPER, linewidths=0.9)
    lines.set_path_effects(_outline())
    form = _percent if quantity is Quantity.QBER else "{:.3g}".format
    for label in axes.clabel(lines, fontsize=7.5, fmt=form):
        label.set_path_effects(_outline())


def _outline() -> list[AbstractPathEffect]:
    """A dark rim, so that white stands out on every colour of a map."""
    return [withStroke(linewidth=2.0, foreground=INK)]


def _percent(value: float, _position: int = 0) -> str:
    return f"{100.0 * value:.4g} %"


def _logarithmic(axes: Axes, name: str, values: Iterable[float]) -> None:
    """A logarithmic axis, labelled at powers of ten, and between them where there are few."""
    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(power_of_ten))
    above = [value for value in values if value > 0.0]
    narrow = max(above) / min(above) < 10.0
    axis.set_minor_formatter(FuncFormatter(lambda v, _: f"{v:g}") if narrow else NullFormatter())


def power_of_ten(value: float, _position: int = 0) -> str:
    """10ⁿ nearest to the value, as the label of an axis."""
    exponent = round(math.log10(value))
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def _by_verdict(result: SweepResult, points: Iterable[Point]) -> list[tuple[Verdict, list[Point]]]:
    accepted, divided, rejected = _ESTIMATED if result.estimated else _DISTILLED
    groups: dict[Verdict, list[Point]] = {accepted: [], divided: [], rejected: []}
    for p in points:
        verdict = accepted if p.accepted == 1.0 else rejected if p.accepted == 0.0 else divided
        groups[verdict].append(p)
    return [(verdict, group) for verdict, group in groups.items() if group]


def _expected(prediction: Prediction, quantity: Quantity) -> float:
    value = getattr(prediction, quantity)
    return math.nan if value is None else float(value)


def _spans_much(values: list[float]) -> bool:
    above = [value for value in values if value > 0.0]
    return len(above) > 1 and max(above) / min(above) > _WIDE


def _dense(values: list[float], count: int, *, logarithmic: bool) -> NDArray[np.float64]:
    spread = np.geomspace if logarithmic else np.linspace
    return np.asarray(spread(min(values), max(values), count))


def _edges(values: list[float], *, logarithmic: bool) -> NDArray[np.float64]:
    """Borders of the cells around the values."""
    at = np.log(values) if logarithmic else np.asarray(values)
    if len(at) == 1:
        inner, half = at[:0], np.array([0.5 * abs(at[0]) or 0.5] * 2)
    else:
        inner, half = (at[1:] + at[:-1]) / 2, np.array([at[1] - at[0], at[-1] - at[-2]]) / 2
    edges = np.concatenate([[at[0] - half[0]], inner, [at[-1] + half[1]]])
    return np.exp(edges) if logarithmic else edges


def _name_x(axes: Axes, result: SweepResult) -> None:
    axes.set_xlabel(SWEEPABLE[result.over[0]].label)
