"""Experiments in one process, for study. Holds both halves; its bits never enter a pool.

    from bellwire import lab

    result = lab.run("e91", pulses=200_000, eve="intercept-resend:0.2", seed=1)
    curve = lab.sweep("bb84", "eve=0:1:21", pulses=100_000, seed=1)
    curve.to_pandas(); curve.plot(quantity="qber")

The words are those of `bellwire lab run`. Results are frozen dataclasses; nothing global changes.
"""

from typing import Unpack

from bellwire.lab import experiment as _experiment
from bellwire.lab.compare import Comparison, Configuration, compare, configuration, read
from bellwire.lab.experiment import Experiment, Result
from bellwire.lab.parameters import Prediction, Words, predict
from bellwire.lab.parameters import experiment as _described
from bellwire.lab.results import Point, Quantity, Row, SweepResult
from bellwire.lab.sweep import Axis, sweep

__all__ = [
    "Axis",
    "Comparison",
    "Configuration",
    "Experiment",
    "Point",
    "Prediction",
    "Quantity",
    "Result",
    "Row",
    "SweepResult",
    "Words",
    "compare",
    "configuration",
    "predict",
    "read",
    "run",
    "sweep",
]


def run(protocol: str, **words: Unpack[Words]) -> Result:
    """Run one experiment; the words are those of `lab run`.

    Raises:
        UsageError: an unknown word, or a value that cannot be, by name.
    """
    return _experiment.run(_described(protocol, words))
