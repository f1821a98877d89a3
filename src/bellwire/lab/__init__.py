"""Experiments in one process, for study. Holds both halves; its bits never enter a pool.

    from bellwire import lab

    result = lab.run("e91", pulses=200_000, eve="intercept-resend:0.2", seed=1)
    curve = lab.sweep("bb84", "eve=0:1:21", pulses=100_000, seed=1)
    curve.to_pandas(); curve.plot(quantity="qber")
    many = lab.run("e91", pulses=1e10, until="estimate")
    caught = lab.power("bb84", pulses=(512, 20_000), seed=1)
    proved = lab.bounds("bbm92", pulses="1e4:1e10:13:log", qber=0.03)
    weak = lab.run("decoy-bb84", km=50, pulses=1e9, until="estimate")
    key = lab.run("decoy-bb84", km=5, pulses=1e7, intensities=(0.5, 0.2, 0), rectilinear=0.7)

The words are those of `bellwire lab run`. Results are frozen dataclasses; nothing global changes.
"""

from typing import Literal, Unpack, overload

from bellwire.lab import dispatch as _dispatch
from bellwire.lab.bounds import BoundsResult, Proved, bounds
from bellwire.lab.circuit.choose import circuits
from bellwire.lab.compare import Comparison, Configuration, compare, configuration, read
from bellwire.lab.counting import Counting, Statistics
from bellwire.lab.decoys import DecoyExperiment, DecoyResult
from bellwire.lab.dispatch import AnyResult, predict
from bellwire.lab.experiment import Experiment, Result
from bellwire.lab.parameters import Settings, Words
from bellwire.lab.power import PowerPoint, PowerResult, power
from bellwire.lab.quantities import Prediction, Quantity
from bellwire.lab.repeater import ChainRow, ChainWords, Crossing, RepeaterResult, repeater
from bellwire.lab.results import Point, SweepResult
from bellwire.lab.rows import DecoyRow, Row, WeakRow
from bellwire.lab.sweep import Axis, sweep
from bellwire.lab.weak import Estimate, WeakExperiment

__all__ = [
    "Axis",
    "BoundsResult",
    "ChainRow",
    "ChainWords",
    "Comparison",
    "Configuration",
    "Counting",
    "Crossing",
    "DecoyExperiment",
    "DecoyResult",
    "DecoyRow",
    "Estimate",
    "Experiment",
    "Point",
    "PowerPoint",
    "PowerResult",
    "Prediction",
    "Proved",
    "Quantity",
    "RepeaterResult",
    "Result",
    "Row",
    "Settings",
    "Statistics",
    "SweepResult",
    "WeakExperiment",
    "WeakRow",
    "Words",
    "bounds",
    "circuits",
    "compare",
    "configuration",
    "power",
    "predict",
    "read",
    "repeater",
    "run",
    "sweep",
]


@overload
def run(protocol: Literal["e91", "bbm92", "bb84"], **words: Unpack[Settings]) -> Result: ...
@overload
def run(
    protocol: Literal["e91", "bbm92", "bb84"],
    *,
    until: Literal["estimate"],
    **words: Unpack[Settings],
) -> Statistics: ...
@overload
def run(
    protocol: Literal["wcp-bb84", "decoy-bb84"],
    *,
    until: Literal["estimate"],
    **words: Unpack[Settings],
) -> Estimate: ...
@overload
def run(protocol: Literal["decoy-bb84"], **words: Unpack[Settings]) -> DecoyResult: ...
@overload
def run(protocol: str, **words: Unpack[Words]) -> AnyResult: ...
def run(protocol: str, **words: Unpack[Words]) -> AnyResult:
    """Run one experiment; the words are those of `lab run`.

    Raises:
        UsageError: an unknown word, one of another protocol, or a value that cannot be, by name.
    """
    return _dispatch.run(_dispatch.experiment(protocol, words))
