"""Other people's programs, each in a process of its own.

Their imports take seconds, they print and warn, and seed generators that everybody shares. A module
here is one of them: run with numbers as arguments, it prints what it sent and how long
that took, imports and set-up aside; its last line is a JSON array with each thing that it did.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

TIMEOUT_S = 120.0
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Rival:
    """Somebody else's library.

    Attributes:
        module: Of this package.
        libraries: Distribution → the library's own name.
        does: Each thing that it does, in a few words.
    """

    module: str
    libraries: Mapping[str, str]
    does: tuple[str, ...]


SEQUENCE = Rival("sequence_bb84", {"sequence": "SeQUeNCe"}, ("1 km", "50 km"))
QKDPY = Rival("qkdpy_bb84", {"qkdpy": "QKDpy"}, ("no loss",))
QISKIT = Rival(
    "qiskit_e91",
    {"qiskit": "Qiskit", "qiskit-aer": "Aer"},
    ("one transpiled circuit a pair", "9 circuits of many shots"),
)
TLS13 = Rival(
    "tls13",
    {"pyopenssl": "pyOpenSSL"},
    (
        "TLS 1.3, X25519MLKEM768, ML-DSA-65 certificates",
        "TLS 1.3, X25519MLKEM768, Ed25519 certificates",
    ),
)


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that a rival did.

    Attributes:
        against: Library and version, and what it did; or, in words, why nothing came of it.
        rate: What it did per second, None without a result.
        said: All that it said, empty without a result.
    """

    against: str
    rate: float | None
    said: Mapping[str, float] = field(default_factory=dict, compare=False)


def measure(rival: Rival, *arguments: float) -> tuple[Result, ...]:
    """Run a rival: a result for each thing it does. What is missing or fails is told in words."""
    names = []
    for distribution, name in rival.libraries.items():
        try:
            names.append(f"{name} {version(distribution)}")
        except PackageNotFoundError:
            missing = Result(f"{name}, which is not installed (./bellwire extras)", None)
            return (missing,) * len(rival.does)
    library = " and ".join(names)
    try:
        done = said(rival.module, *arguments)
    except subprocess.TimeoutExpired:
        failed = f"not done after {TIMEOUT_S:g} s"
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:] or [f"code {error.returncode}"]
        failed = f"failed here, {last[0][:_SHOWN]}"
    else:
        return tuple(
            Result(f"{library}, {what}", each["sent"] / each["seconds"], each)
            for what, each in zip(rival.does, done, strict=True)
        )
    return (Result(f"{library}: {failed}", None),) * len(rival.does)


def said(module: str, *arguments: float) -> list[dict[str, float]]:
    """What a module of this package says of each thing it did.

    Raises:
        CalledProcessError: it failed.
        TimeoutExpired: it took too long.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"{__name__}.{module}", *map(repr, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    answer: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return answer
