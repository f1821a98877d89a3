"""The report's pictures, drawn from the story alone.

Every measured value carries its standard error; accepted and rejected differ in shape as well as in
colour, stages with Eve stand on a marked row, and a status is written out. What a story does not
hold (no E91 stage, no accepted block) is left out by `draw`, never drawn empty.
"""

import math
from collections.abc import Sequence
from textwrap import shorten, wrap

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES, CHSH_TERMS, KEY_PAIRS
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
    SKY,
    VERMILION,
    new_figure,
    save,
)
from bellwire.demo.palette import STATUS_COLOURS, bare
from bellwire.demo.story import (
    BudgetStep,
    Correlation,
    EventKind,
    Stage,
    StepKind,
    Story,
    measured,
)
from bellwire.demo.words import attack
from bellwire.keys.status import Status

__all__ = ["draw", "save"]

EVE_MARKERS = ("X", "D", "s", "P")
_ROLES = {
    **dict.fromkeys(KEY_PAIRS, "key"),
    **{(a, b): "S" for a, b, _ in CHSH_TERMS},
}
_LANES = {
    EventKind.BLOCK_ACCEPTED: (1, "o", BLUE),
    EventKind.BLOCK_REJECTED: (1, "X", VERMILION),
    EventKind.SENT: (2, "^", BLUE),
    EventKind.REFUSED: (2, "s", VERMILION),
}
_HATCHES = {Status.GREEN: "", Status.YELLOW: "//", Status.RED: "xx"}


def draw(story: Story) -> dict[str, Figure]:
    """All pictures that the story has data for, by name, in the order of the report."""
    figures: dict[str, Figure] = {}
    with rc_context(LOOK):
        if story.timeline:
            figures["timeline"] = timeline(story)
        if any(stage.qber is not None for stage in story.stages):
            figures["qber"] = qber(story)
        if any(stage.chsh is not None for stage in story.stages):
            figures["chsh"] = chsh(story)
        if any(stage.correlations for stage in story.stages):
            figures["correlations"] = correlations(story)
        for protocol in (Protocol.E91, Protocol.BBM92, Protocol.BB84):
            stage = story.first(protocol)
            if stage is not None and stage.budget and stage.secret_bits > 0:
                figures[f"budget-{protocol}"] = budget(stage)
    return figures


def correlations(story: Story) -> Figure:
    """E(a, b) of the nine setting pairs against V·cos(a − b), undisturbed and under attack.

    Below, how far the undisturbed values lie from theory, in standard errors: on the scale of the
    upper panel their error bars are smaller than the markers.
    """
    quiet = [s for s in story.stages if s.correlations and s.eve is None][:1]
    attacked = [s for s in story.stages if s.correlations and s.eve is not None]
    figure = new_figure(4.9 if quiet else 3.6)
    grid = figure.add_gridspec(2 if quiet else 1, 1, height_ratios=[2.6, 1] if quiet else [1])
    top = figure.add_subplot(grid[0])
    theory = (quiet or attacked)[0].correlations
    rows = range(len(theory))
    top.axhline(0, color=FAINT, lw=0.8)
    top.hlines(
        [c.ideal for c in theory],
        [x - 0.38 for x in rows],
        [x + 0.38 for x in rows],
        colors=MUTED,
        lw=1.6,
        label="theory, V·cos(a − b)",
    )
    for stage in quiet:
        _points(top, stage, shift=0.0, marker="o", colour=BLUE, label="measured, no Eve")
    for number, stage in enumerate(attacked):
        marker = EVE_MARKERS[number % len(EVE_MARKERS)]
        shift = 0.14 * (number - (len(attacked) - 1) / 2)
        colour = (VERMILION, ORANGE, GREEN, SKY)[number % 4]
        _points(
            top, stage, shift=shift, marker=marker, colour=colour, label=f"Eve: {attack(stage)}"
        )
    top.set_ylim(-1.12, 1.12)
    top.set_ylabel("correlation E(a, b)")
    top.grid(axis="y")
    top.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.4)
    lowest = top
    if quiet:
        lowest = figure.add_subplot(grid[1], sharex=top)
        top.tick_params(labelbottom=False)
        lowest.axhspan(-2, 2, color=SKY, alpha=0.18, lw=0)
        lowest.axhline(0, color=MUTED, lw=0.8)
        offsets = [(c.value - c.ideal) / c.stderr if c.stderr else 0.0 for c in theory]
        lowest.errorbar(rows, offsets, yerr=1, fmt="o", color=BLUE, ms=4.5, lw=1.2, capsize=2)
        limit = max(3.6, *(abs(o) + 1.4 for o in offsets))
        lowest.set_ylim(-limit, limit)
        lowest.set_ylabel("deviation\n(std. errors)")
        lowest.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    lowest.set_xticks(rows, [f"{c.alice_deg:.0f}°\n{c.bob_deg:.0f}°\n{_role(c)}" for c in theory])
    lowest.tick_params(axis="x", labelsize=9, length=0)
    lowest.set_xlabel("Alice's angle / Bob's angle / what the pair serves", fontsize=9, color=MUTED)
    return figure


def chsh(story: Story) -> Figure:
    """S of each E91 stage with its error bar, between the classical bound and Tsirelson's."""
    stages = [stage for stage in story.stages if stage.chsh is not None]
    figure = new_figure(1.75 + 0.38 * len(stages))
    axes = figure.add_subplot()
    limits = story.thresholds
    low = min(1.2, *(s.chsh or 0.0 for s in stages)) - 0.2
    axes.set_xlim(low, limits.tsirelson + 0.22)
    axes.axvspan(low, limits.classical_bound, color=FAINT, alpha=0.45, lw=0)
    axes.axvline(limits.classical_bound, color=INK, lw=1.2)
    axes.axvline(limits.chsh_floor, color=VERMILION, lw=1.3, ls=(0, (5, 2)))
    axes.axvline(limits.tsirelson, color=BLUE, lw=1.3, ls=(0, (1, 1.5)))
    _line_label(axes, limits.classical_bound, "classical\nbound 2", INK, "right")
    _line_label(axes, limits.chsh_floor, f"limit\n{limits.chsh_floor:g}", VERMILION, "center")
    _line_label(axes, limits.tsirelson, "quantum\nbound 2√2", BLUE, "center")
    for row, stage in enumerate(stages):
        _measured(
            axes,
            row,
            stage,
            value=stage.chsh,
            stderr=stage.chsh_stderr,
            expected=stage.chsh_expected,
            percent=False,
        )
    _rows(figure, axes, stages, "S (CHSH value)")
    return figure


def qber(story: Story) -> Figure:
    """QBER of each block with its error bar, against the thresholds of YELLOW and RED."""
    stages = [stage for stage in story.stages if stage.qber is not None]
    figure = new_figure(1.75 + 0.38 * len(stages))
    axes = figure.add_subplot()
    limits = story.thresholds
    high = max(0.2, *((s.qber or 0.0) + 0.04 for s in stages))
    axes.set_xlim(0, high)
    axes.axvspan(limits.red_qber, high, color=VERMILION, alpha=0.07, lw=0)
    axes.axvline(limits.yellow_qber, color=ORANGE, lw=1.3, ls=(0, (5, 2)))
    axes.axvline(limits.red_qber, color=VERMILION, lw=1.3)
    _line_label(axes, limits.yellow_qber, f"YELLOW\n{limits.yellow_qber:.0%}", INK, "right")
    _line_label(axes, limits.red_qber, f"RED\n{limits.red_qber:.0%}", INK, "left")
    for row, stage in enumerate(stages):
        _measured(
            axes,
            row,
            stage,
            value=stage.qber,
            stderr=stage.qber_stderr,
            expected=stage.qber_expected,
            percent=True,
        )
    _rows(figure, axes, stages, "QBER (share of sifted bits that differ)")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    return figure


def budget(stage: Stage) -> Figure:
    """From pulses to secret bits: counts on a logarithmic axis, then what is taken, to scale.

    Two axes, because a loss of 64 bits and 10⁵ pulses fit no single one: losses subtract only on
    a linear scale, and over a fibre the first steps span decades.
    """
    counts = [step for step in stage.budget if step.kind is StepKind.COUNT]
    spent = [counts[-1], *(s for s in stage.budget if s.kind is not StepKind.COUNT)]
    figure = new_figure(1.5 + 0.33 * (len(counts) + len(spent)))
    upper, lower = figure.subplots(2, 1, height_ratios=[len(counts), len(spent)])
    upper.set_xscale("log")
    floor = 10 ** math.floor(math.log10(max(1, min(s.bits for s in counts)) / 3))
    upper.barh(
        range(len(counts)), [max(s.bits - floor, 0) for s in counts], left=floor, color=SKY,
        height=0.62,
    )  # fmt: skip
    for row, step in enumerate(counts):
        _bar_label(upper, row, max(step.bits, floor), f"{step.bits:,}")
    upper.set_xlim(floor, counts[0].bits * (counts[0].bits / floor) ** 0.22)
    upper.xaxis.set_minor_formatter(NullFormatter())
    _bars(upper, counts, "What is left to work with (logarithmic)")
    edge = spent[0].bits
    for row, step in enumerate(spent):
        loss = step.kind is StepKind.LOSS
        start = edge - step.bits if loss else 0
        colour = ORANGE if loss else BLUE if step.kind is StepKind.NET else SKY
        lower.barh(
            row, step.bits, left=start, color=colour, height=0.62, hatch="///" if loss else "",
            edgecolor=PAPER, lw=0,
        )  # fmt: skip
        if loss:
            edge = start
        lower.vlines(edge, row, row + 1 if row + 1 < len(spent) else row, color=MUTED, lw=0.8)
        _bar_label(lower, row, start + step.bits, f"−{step.bits:,}" if loss else f"{step.bits:,}")
    lower.set_xlim(0, max(1, spent[0].bits) * 1.2)
    lower.xaxis.set_major_locator(MaxNLocator(5))
    _bars(lower, spent, "What becomes of it (to scale, bits)")
    return figure


def timeline(story: Story) -> Figure:
    """The link's status over time as a strip, with blocks, the device's sends and Eve above it."""
    figure = new_figure(2.6)
    axes = figure.add_subplot()
    end = max(story.wall_s, *(event.t_s for event in story.timeline))
    marks = [(0.0, None), *((e.t_s, e.status) for e in story.timeline), (end, None)]
    start, current = marks[0]
    for at, status in marks[1:]:
        if status is current and at < end:
            continue
        if current is not None and at > start:
            axes.barh(
                0, at - start, left=start, height=0.62, color=STATUS_COLOURS[current],
                hatch=_HATCHES[current], edgecolor=PAPER, lw=0.8,
            )  # fmt: skip
            if at - start > 0.11 * end:
                axes.text(
                    (start + at) / 2, 0, current.value, ha="center", va="center", fontsize=9,
                    fontweight="bold", color=INK,
                    bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.6},
                )  # fmt: skip
        start, current = at, status
    since: float | None = None
    for event in (*story.timeline, None):
        if event is not None and event.kind is EventKind.EVE_ON and since is None:
            since = event.t_s
        elif since is not None and (event is None or event.kind is EventKind.EVE_OFF):
            until = end if event is None else event.t_s
            axes.barh(3, until - since, left=since, height=0.4, color=VERMILION, alpha=0.85)
            axes.axvspan(since, until, color=VERMILION, alpha=0.07, lw=0)
            since = None
        if event is not None and event.kind in _LANES:
            lane, marker, colour = _LANES[event.kind]
            axes.plot(event.t_s, lane, marker, color=colour, ms=8, mec=PAPER, mew=0.6)
    for lane in (1, 2):
        axes.axhline(lane, color=FAINT, lw=0.8, zorder=0)
    axes.set_yticks(range(4), ["link status", "blocks", "device", "Eve"])
    axes.set_ylim(-0.55, 3.5)
    axes.set_xlim(0, end * 1.01)
    axes.set_xlabel("seconds since the start")
    bare(axes)
    handles = [
        Line2D([], [], ls="", marker=marker, color=colour, label=str(kind))
        for kind, (_, marker, colour) in _LANES.items()
    ]
    axes.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.46, 1.0), ncols=4, fontsize=8.5,
        handletextpad=0.1, columnspacing=0.9,
    )  # fmt: skip
    return figure


def _role(pair: Correlation) -> str:
    """What a pair of settings serves: key, S, or neither."""
    for (a, b), role in _ROLES.items():
        angles = (math.degrees(ALICE_ANGLES[a]), math.degrees(BOB_ANGLES[b]))
        if math.dist(angles, (pair.alice_deg, pair.bob_deg)) < 0.01:
            return role
    return "–"


def _points(
    axes: Axes, stage: Stage, *, shift: float, marker: str, colour: str, label: str
) -> None:
    """One stage's correlations with error bars."""
    axes.errorbar(
        [x + shift for x in range(len(stage.correlations))],
        [c.value for c in stage.correlations],
        yerr=[c.stderr for c in stage.correlations],
        fmt=marker, color=colour, ms=6, mec=PAPER, mew=0.5, lw=1.2, capsize=2, label=label,
    )  # fmt: skip


def _line_label(axes: Axes, x: float, text: str, colour: str, align: str) -> None:
    """Name a vertical line above the axes."""
    axes.annotate(
        text, (x, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
        textcoords="offset points", ha=align, va="bottom", fontsize=8.5, color=colour,
    )  # fmt: skip


def _measured(
    axes: Axes,
    row: int,
    stage: Stage,
    *,
    value: float | None,
    stderr: float | None,
    expected: float | None,
    percent: bool,
) -> None:
    """One stage's value: verdict by shape and colour, theory as an open bar, Eve's row marked."""
    if value is None:
        return
    if stage.eve is not None:
        axes.axhspan(row - 0.5, row + 0.5, color=ORANGE, alpha=0.13, lw=0)
    if expected is not None:
        axes.vlines(expected, row - 0.32, row + 0.32, color=INK, lw=1.6)
    axes.errorbar(
        value, row, xerr=stderr or 0.0, fmt="o" if stage.accepted else "X",
        color=BLUE if stage.accepted else VERMILION, ms=7.5, mec=PAPER, mew=0.6, lw=1.6, capsize=3,
    )  # fmt: skip
    # In a column of their own: beside the marks they would hide the limits.
    axes.annotate(
        measured(value, stderr, percent=percent), (1.02, row), xycoords=("axes fraction", "data"),
        ha="left", va="center", fontsize=9, annotation_clip=False,
    )  # fmt: skip


def _rows(figure: Figure, axes: Axes, stages: Sequence[Stage], label: str) -> None:
    """Label rows by stage, and explain the marks beneath."""
    titles = [shorten(stage.title, 60, placeholder="…") for stage in stages]
    axes.set_yticks(range(len(stages)), ["\n".join(wrap(title, 20)[:2]) for title in titles])
    axes.tick_params(axis="y", labelsize=9)
    axes.set_ylim(len(stages) - 0.5, -0.5)
    axes.set_xlabel(label)
    axes.grid(axis="x")
    bare(axes)
    handles = [
        Line2D([], [], ls="", marker="o", color=BLUE, label="accepted"),
        Line2D([], [], ls="", marker="X", color=VERMILION, label="rejected"),
        Line2D([], [], color=ORANGE, lw=7, alpha=0.3, label="Eve on the line"),
    ]
    if any(s.qber_expected is not None or s.chsh_expected is not None for s in stages):
        handles.append(Line2D([], [], ls="", marker="|", ms=10, mew=1.6, color=INK, label="theory"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=4, handletextpad=0.6, columnspacing=1.1
    )


def _bars(axes: Axes, steps: Sequence[BudgetStep], title: str) -> None:
    """Label a waterfall's bars by step."""
    names = [f"− {s.name}" if s.kind is StepKind.LOSS else s.name for s in steps]
    axes.set_yticks(range(len(steps)), names)
    axes.set_ylim(len(steps) - 0.5, -0.5)
    axes.set_title(title)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.tick_params(axis="x", labelsize=8.5)
    bare(axes)


def _bar_label(axes: Axes, row: int, x: float, text: str) -> None:
    axes.annotate(
        text, (x, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9
    )
