"""The figure of an estimate: gain over photons per pulse, where splitting shows.

Single photons give gains in proportion to the light. An Eve who lives on pulses with several
photons starves the weak ones, and the decoy falls below the line that joins signal and vacuum.
"""

from matplotlib import rc_context
from matplotlib.axes import Axes

from bellwire.base.style import BLUE, LOOK, MUTED, VERMILION, new_figure
from bellwire.lab.weak import Estimate


def draw(result: Estimate, ax: Axes | None = None) -> Axes:
    """One estimate, on `ax` or on a figure of its own."""
    with rc_context(LOOK):
        if ax is None:
            ax = new_figure(3.4).add_subplot()
        _draw(ax, result)
    return ax


def _draw(ax: Axes, result: Estimate) -> None:
    means = [each.mean for each in result.intensities]
    gains = [each.gain for each in result.intensities]
    if len(means) > 1:
        ax.plot(
            [means[0], means[-1]],
            [gains[0], gains[-1]],
            color=MUTED,
            lw=1.0,
            ls="--",
            label="in proportion to the light",
        )
    expected = [
        (e.mean, e.expected_gain) for e in result.intensities if e.expected_gain is not None
    ]
    if expected:
        ax.plot(*zip(*expected, strict=True), "_", color=MUTED, ms=22, mew=1.6, label="theory")
    accepted = result.verdict == "accept"
    ax.errorbar(
        means,
        gains,
        yerr=[each.gain_stderr for each in result.intensities],
        color=BLUE if accepted else VERMILION,
        marker="o" if accepted else "X",
        ms=5.5,
        ls="none",
        capsize=3,
        label="measured, accepted" if accepted else "measured, rejected",
    )
    for each in result.intensities:
        dark = each.qber is None or not each.mean
        ax.annotate(
            each.name if dark else f"{each.name}\nQBER {each.qber:.2%}",
            (each.mean, each.gain),
            xytext=(0, -10),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8.5,
            color=MUTED,
        )
    ax.set_xlim(-0.1 * max(means), 1.15 * max(means))
    ax.set_ylim(-0.22 * (max(gains) or 1.0), 1.35 * (max(gains) or 1.0))
    ax.set_xlabel("mean photons per pulse")
    ax.set_ylabel("gain (clicks per live gate)")
    ax.set_title(result.protocol + (f" with {result.eve['kind']}" if result.eve else ""))
    ax.grid(axis="y")
    ax.legend(loc="upper left")
