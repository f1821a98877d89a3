"""A process that runs experiments for somebody who does not load the lab himself.

It reads one JSON line per experiment, `{"protocol": …, "words": {…}}`, from standard input and
answers each with a line: what came of it beside theory, or `{"refused": why}`. It ends when its
input does, so that it outlives nobody who started it, and gives way to every service of the
machine.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any

from bellwire.base.errors import UsageError
from bellwire.lab import dispatch, recipe
from bellwire.lab.decoys import DecoyExperiment
from bellwire.lab.enough import more
from bellwire.lab.experiment import Experiment, Result

_NICE = 10


def answer(protocol: str, words: Mapping[str, Any]) -> dict[str, Any]:
    """Run an experiment that goes on to the key; what came of it, as plain values.

    Raises:
        UsageError: as of `dispatch.experiment`, or an experiment that ends with an estimate.
    """
    what = dispatch.experiment(protocol, words)
    if not isinstance(what, Experiment | DecoyExperiment):
        raise UsageError(f"expected an experiment that goes on to the key, got one of {protocol}")
    result = dispatch.run(what)
    assert isinstance(result, Result)  # of both kinds
    expected = dispatch.predict(what)
    floor = what.chsh_floor if isinstance(what, Experiment) else 0.0
    lacking = more(result, expected, what.red_qber, floor)
    return {
        "detections": int(result.detections),
        "sifted_bits": int(result.sifted_bits),
        "qber": _figure(result.qber, result.qber_stderr, expected.qber),
        "chsh": _figure(result.chsh, result.chsh_stderr, expected.chsh),
        "key_per_pulse": _figure(result.secret_bits / result.pulses, None, expected.key),
        "secret_bits": int(result.secret_bits),
        "secret_rate_bps": result.secret_rate_bps,
        "verdict": result.verdict,
        "reason": result.reason,
        "keys_match": result.keys_match,
        "correlations": result.correlations,
        "red_qber": what.red_qber,
        "more": None if lacking is None else asdict(lacking),
        "wall_s": result.wall_s,
        "command": recipe.command(protocol, words),
        "python": recipe.python(protocol, words),
    }


def _figure(
    value: float | None, stderr: float | None, theory: float | None
) -> dict[str, float | None] | None:
    if value is None and theory is None:
        return None
    return {"value": value, "stderr": stderr, "theory": theory}


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer line by line, until the requests end."""
    for line in requests:
        asked = json.loads(line)
        try:
            found = answer(asked["protocol"], asked["words"])
        except UsageError as error:
            found = {"refused": str(error)}
        answers.write(json.dumps(found).encode() + b"\n")
        answers.flush()


def main() -> None:
    """The whole life of the process."""
    os.nice(_NICE)
    serve(sys.stdin.buffer, sys.stdout.buffer)
