"""The pictures of a followed block: where its bits go, and how its errors are found."""

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bellwire.base.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    LOOK,
    MUTED,
    ORANGE,
    SKY,
    VERMILION,
    new_figure,
)
from bellwire.lab.figures import WIDTH
from bellwire.lab.follow import Followed

_TOLD = {
    "detected": "detected",
    "sifted": "settings fit",
    "key": "not compared",
    "phase errors": "less phase errors",
    "leaked": "less leaked parities",
    "verification": "less the hash",
    "amplification": "less 2·log₂(1/2ε)",
    "tags": "less the tags: net",
}
_TAKEN = {
    "sifted": FAINT,
    "key": SKY,
    "phase errors": VERMILION,
    "leaked": ORANGE,
    "verification": MUTED,
    "amplification": MUTED,
    "tags": MUTED,
}

_RIGHT = 1.4
"""Right end of the axis, where what a stage takes is written, in widths of the first bar."""


def figures(followed: Followed) -> dict[str, Figure]:
    """The pictures that a block has, by the names that its story gives them."""
    with rc_context(LOOK):
        found = {}
        if followed.parts:
            found["bits"] = _bits(followed)
        if followed.layout is not None and len(followed.rounds) > 1:
            found["rounds"] = _rounds(followed)
        return found


def _bits(followed: Followed) -> Figure:
    """A bar for each stage: what is left, and beside it what the stage took."""
    stages = followed.stages[1:]  # most of what is sent may be lost, and would dwarf the rest
    figure = new_figure(0.34 * len(stages) + 0.9, WIDTH)
    axes = figure.add_subplot()
    widest = stages[0].left
    for row, (before, stage) in enumerate(zip((stages[0], *stages), stages, strict=False)):
        last = row == len(stages) - 1
        taken = before.left - stage.left
        axes.barh(row, stage.left, height=0.62, color=GREEN if last else BLUE)
        if taken > 0:
            axes.barh(
                row,
                taken,
                left=stage.left,
                height=0.62,
                color=_TAKEN[stage.name],
                edgecolor="white",
                linewidth=0.5,
            )
        axes.annotate(
            f"{stage.left:,.0f}",
            (before.left, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            fontweight="bold" if last else "normal",
            color=INK,
        )
        if taken > 0:
            axes.text(
                _RIGHT * widest, row, f"−{taken:,.0f}", ha="right", va="center", fontsize=8.5,
                color=MUTED,
            )  # fmt: skip
    axes.set_yticks(range(len(stages)), [_TOLD[stage.name] for stage in stages])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0.0, _RIGHT * widest)
    axes.set_xticks([tick for tick in MaxNLocator(4).tick_values(0.0, widest) if tick <= widest])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda bits, _: f"{bits:,.0f}"))
    light = "pairs" if followed.protocol.entangled else "pulses"
    axes.set_xlabel("slots, then bits", x=0.5 / _RIGHT)
    sent = f"{followed.report.pulses:,} {light}"
    axes.set_title(f"{followed.protocol.upper()}: what becomes of {sent}")
    return figure


def _rounds(followed: Followed) -> Figure:
    """Errors found, and parities announced, against the round."""
    figure = new_figure(3.9, WIDTH)
    above, below = figure.subplots(2, 1, sharex=True)
    numbers = [each.number for each in followed.rounds]
    found = [each.found for each in followed.rounds]
    above.step(numbers, found, where="post", color=BLUE, lw=1.5)
    above.axhline(found[-1], color=MUTED, lw=0.8, ls=":")
    above.set_ylabel("errors found")
    above.set_ylim(0.0, None)
    above.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    above.grid(axis="y")
    above.set_title(f"{followed.protocol.upper()}: Cascade, round by round")
    below.set_yscale("log")
    below.plot(numbers, [each.parities for each in followed.rounds], color=BLUE, lw=1.2,
               label="announced by each side")  # fmt: skip
    different = [(each.number, each.different) for each in followed.rounds if each.different]
    below.plot(*zip(*different, strict=True), color=VERMILION, lw=0, marker=".", ms=3,
               label="of them different")  # fmt: skip
    below.set_ylabel("parities")
    below.set_xlabel("round")
    below.set_xlim(1, numbers[-1])
    below.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    below.grid(axis="y")
    below.legend(loc="upper right")
    figure.align_ylabels()
    return figure
