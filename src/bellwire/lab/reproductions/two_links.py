"""One repeater between two links, its memories dephasing: simulation on its closed form.

The waiting time is the mean of the larger of two geometric numbers, (3 − 2p)/(p(2 − p)) attempts;
the decay is the mean of an exponential of their difference. The bound is PLOB's.
"""

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bellwire.base.style import BLUE, GREEN, INK, LOOK, VERMILION
from bellwire.lab.figures import power_of_ten
from bellwire.lab.repeater import RepeaterResult, repeater
from bellwire.lab.reproductions.model import Fact, Reproduction, Row, in_standard_errors, panels
from bellwire.link.repeater_theory import delivered, repeaterless_bound

CLOCK_HZ = 1e6
"""Modes per second that the same emitters would send over one fibre, at a microsecond each."""

MODES = 10
"""Attempts at once on a link."""

MEMORIES_S = (1.0, 10.0, 100.0)
_COLOURS = (BLUE, VERMILION, GREEN)


def reproduce(seed: int, *, quick: bool) -> Reproduction:
    """Key per second against distance for three memories."""
    rows, runs = [], {}
    for place, memory in enumerate(MEMORIES_S):
        found = repeater(
            "25:450:9" if quick else "25:450:18", 2, pairs=2000 if quick else 100_000,
            memory_s=memory, modes=MODES, clock=CLOCK_HZ, seed=seed + place,
        )  # fmt: skip
        runs[memory] = found
        for each in found.rows:
            if each.key_rate_bps and each.key_rate_theory:
                key, stderr = each.key_rate_bps, each.key_rate_stderr
                rows.append(Row.of(_name(memory), each.km, key, stderr, each.key_rate_theory))
    (at_200,) = repeater(200.0, 2, pairs=2000 if quick else 100_000, modes=MODES, seed=seed).rows
    p = at_200.success
    by_hand = p * (2.0 - p) / (3.0 - 2.0 * p) / at_200.attempt_s
    assert at_200.rate_hz is not None
    facts = (Fact("pairs per second over 200 km, by (3 − 2p)/(p(2 − p))", by_hand, at_200.rate_hz),)
    with rc_context(LOOK):
        figure, main, below = panels(5.0)
        main.set_yscale("log")
        groups = []
        for memory, colour in zip(MEMORIES_S, _COLOURS, strict=True):
            mine = [row for row in rows if row.curve == _name(memory)]
            _theory(main, runs[memory], colour)
            main.errorbar(
                [row.x for row in mine], [row.ours for row in mine],
                yerr=[row.stderr or 0.0 for row in mine], color=colour, marker="o", ms=4.0,
                ls="none", capsize=2, label=_name(memory),
            )  # fmt: skip
            groups.append((mine, colour, "o"))
        at = np.linspace(25.0, 450.0, 200)
        bound = [CLOCK_HZ * repeaterless_bound(10.0 ** (-0.02 * km)) for km in at]
        main.plot(at, bound, color=INK, lw=1.6, label="PLOB bound, 10⁶ modes/s")
        main.set_ylim(1e-4, 1e6)
        main.set_ylabel("secret bits per second")
        main.yaxis.set_major_locator(LogLocator(numticks=7))
        main.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
        main.yaxis.set_minor_formatter(NullFormatter())
        main.grid(axis="y")
        main.legend()
        in_standard_errors(below, groups)
        below.set_xlabel("Alice to Bob along the fibre (km)")
    return Reproduction(
        name="two-links",
        title="One repeater between two links, and the repeaterless bound",
        facts=facts,
        rows=tuple(rows),
        figure=figure,
    )


def _name(memory_s: float) -> str:
    return f"memories of {memory_s:g} s"


def _theory(axes: Axes, run: RepeaterResult, colour: str) -> None:
    good = []
    for km in np.linspace(25.0, 450.0, 300).tolist():
        exact = delivered(run.chain(km, 2))
        if exact is not None and exact.key_rate_bps:
            good.append((km, exact.key_rate_bps))
    axes.plot(*zip(*good, strict=True), color=colour, lw=1.2)
