"""S against Eve's share in E91: the line √2(1 − 2e)(2 − share), and the engine on it."""

import math

import numpy as np
from matplotlib import rc_context

from bellwire.base.detections import Protocol
from bellwire.base.style import BLUE, FAINT, GREEN, LOOK, MUTED, VERMILION
from bellwire.lab.experiment import Experiment, run
from bellwire.lab.reproductions.model import Reproduction, Row, in_standard_errors, panels
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve, EveKind, parse_axes

MISALIGNMENT = 0.02


def line(share: float) -> float:
    """S with an Eve who intercepts and resends that share of the pairs, wherever she measures."""
    return math.sqrt(2.0) * (1.0 - 2.0 * MISALIGNMENT) * (2.0 - share)


def reproduce(seed: int, *, quick: bool) -> Reproduction:
    """Shares from 0 to 1 in tenths, for three places where she may measure."""
    pairs = 50_000 if quick else 500_000
    rows = []
    for place, (name, axis) in enumerate(_PLACES):
        for k in range(11):
            share = k / 10.0
            axes = None if axis is None else parse_axes(axis)
            result = run(
                Experiment(
                    protocol=Protocol.E91,
                    pulses=pairs,
                    config=LinkConfig(misalignment=MISALIGNMENT),
                    eve=Eve(EveKind.INTERCEPT_RESEND, share, axes),
                    seed=seed + 100 * place + k,
                )
            )
            assert result.chsh is not None
            rows.append(Row.of(name, share, result.chsh, result.chsh_stderr, line(share)))
    with rc_context(LOOK):
        figure, main, below = panels()
        at = np.array([0.0, 1.0])
        main.axhspan(0.0, 2.0, color=FAINT, alpha=0.4, lw=0, zorder=0)
        main.plot(
            at, [line(float(x)) for x in at], color=MUTED, lw=1.3, label="√2 (1 − 2e)(2 − share)"
        )
        groups = []
        for (name, _), colour, marker in zip(_PLACES, _COLOURS, "oDs", strict=True):
            mine = [row for row in rows if row.curve == name]
            main.errorbar(
                [row.x for row in mine], [row.ours for row in mine],
                yerr=[row.stderr or 0.0 for row in mine], color=colour, marker=marker, ms=4.0,
                ls="none", capsize=2, label=name,
            )  # fmt: skip
            groups.append((mine, colour, marker))
        main.annotate(
            "S up to 2 is possible without entanglement", (0.0, 1.98), fontsize=8, color=MUTED,
            va="top",
        )  # fmt: skip
        main.set_ylim(1.2, 3.0)
        main.set_ylabel("S (CHSH value)")
        main.legend()
        in_standard_errors(below, groups)
        below.set_xlabel("Eve’s share")
    return Reproduction(
        name="eve-share",
        title="S against Eve's share in E91",
        facts=(),
        rows=tuple(rows),
        figure=figure,
    )


_LINE = "√2 (1 − 2e)(2 − share)"
_PLACES = (("along the settings", None), ("between them", "22.5"), ("anywhere", "uniform"))
_COLOURS = (BLUE, VERMILION, GREEN)
