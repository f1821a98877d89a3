"""The error rates at which key ends: 11 % for BB84, 7.1 % without trust in the devices.

The curves are closed forms, that without trust `bellwire.distill.theorems.acin_2007`; the points
are the engine's error rates, and S, put into the same forms.
"""

import math
from collections.abc import Callable

import numpy as np
from matplotlib import rc_context
from matplotlib.ticker import FuncFormatter

from bellwire.base.bits import binary_entropy
from bellwire.base.detections import Protocol
from bellwire.base.style import BLUE, LOOK, MUTED, VERMILION
from bellwire.distill.theorems import acin_2007
from bellwire.distill.theorems.acin_2007 import TSIRELSON
from bellwire.lab.experiment import Experiment, Result, run
from bellwire.lab.reproductions.model import Fact, Reproduction, Row, in_standard_errors, panels
from bellwire.link.config import LinkConfig

_BB84, _DEVICES = "BB84", "device-independent"


def bb84(error: float) -> float:
    """1 − 2h(e), which is negative beyond the threshold."""
    return 1.0 - 2.0 * binary_entropy(error)


def device_independent(error: float) -> float:
    """The fraction of pairs of visibility 1 − 2e, whose S is 2√2(1 − 2e)."""
    return acin_2007.key_fraction(error, TSIRELSON * (1.0 - 2.0 * error))


def threshold(fraction: Callable[[float], float]) -> float:
    """The error rate at which a falling fraction reaches 0."""
    low, high = 0.0, 0.5
    while high - low > 1e-12:
        middle = (low + high) / 2.0
        if fraction(middle) > 0.0:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def reproduce(seed: int, *, quick: bool) -> Reproduction:
    """Both thresholds by root-finding, both curves, and simulated points on them."""
    facts = (
        Fact("threshold of BB84 (QBER)", 0.11, threshold(bb84)),
        Fact("threshold without trust in devices (QBER)", 0.071, threshold(device_independent)),
    )
    pulses = 50_000 if quick else 500_000
    rows = [_bb84_row(k / 100.0, pulses, seed + k) for k in range(1, 11)]
    rows += [_devices_row(k / 100.0, pulses, seed + 100 + k) for k in range(1, 8)]
    with rc_context(LOOK):
        figure, main, below = panels()
        at = np.linspace(1e-6, 0.12, 300)
        groups = []
        for name, curve, colour, marker in (
            (_BB84, bb84, BLUE, "o"),
            (_DEVICES, device_independent, VERMILION, "D"),
        ):
            end = threshold(curve)
            main.plot(at, [max(0.0, curve(float(e))) for e in at], color=colour, lw=1.4)
            mine = [row for row in rows if row.curve == name]
            main.errorbar(
                [row.x for row in mine], [row.ours for row in mine],
                yerr=[row.stderr or 0.0 for row in mine], color=colour, marker=marker, ms=4.2,
                ls="none", capsize=2, label=name,
            )  # fmt: skip
            main.annotate(
                f"{100.0 * end:.3f} %", (end, 0.0), xytext=(4, 7), textcoords="offset points",
                fontsize=8.5, color=colour,
            )  # fmt: skip
            groups.append((mine, colour, marker))
        main.axhline(0.0, color=MUTED, lw=0.8)
        main.set_ylabel("secret bits per key bit")
        main.legend()
        in_standard_errors(below, groups)
        below.xaxis.set_major_formatter(FuncFormatter(lambda e, _: f"{100.0 * e:g} %"))
        below.set_xlabel("QBER")
    return Reproduction(
        name="thresholds",
        title="Error rates at which key ends",
        facts=facts,
        rows=tuple(rows),
        figure=figure,
    )


def _slope(error: float) -> float:
    """dh/de."""
    return math.log2((1.0 - error) / error)


def _bb84_row(error: float, pulses: int, seed: int) -> Row:
    result = _run(Protocol.BB84, error, pulses, seed)
    assert result.qber is not None
    assert result.qber_stderr is not None
    stderr = 2.0 * _slope(error) * result.qber_stderr
    return Row.of(_BB84, error, bb84(result.qber), stderr, bb84(error))


def _devices_row(error: float, pairs: int, seed: int) -> Row:
    result = _run(Protocol.E91, error, pairs, seed)
    assert result.qber is not None
    assert result.qber_stderr is not None
    assert result.chsh is not None
    assert result.chsh_stderr is not None
    chsh = TSIRELSON * (1.0 - 2.0 * error)
    root = math.sqrt((chsh / 2.0) ** 2 - 1.0)
    by_chsh = _slope((1.0 - root) / 2.0) * chsh / (8.0 * root)
    stderr = math.hypot(_slope(error) * result.qber_stderr, by_chsh * result.chsh_stderr)
    found = acin_2007.key_fraction(result.qber, result.chsh)
    return Row.of(_DEVICES, error, found, stderr, device_independent(error))


def _run(protocol: Protocol, error: float, pulses: int, seed: int) -> Result:
    config = LinkConfig(misalignment=error)
    return run(Experiment(protocol=protocol, pulses=pulses, config=config, seed=seed))
