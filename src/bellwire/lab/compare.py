"""Two configurations side by side: what differs, and by how many standard errors.

Both experiments are independent, unless both files name the same seed: then they share their
photons, and the standard error of a difference, which takes them for independent, is too large.
"""

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bellwire.base.errors import UsageError
from bellwire.crypto.kdf import hkdf
from bellwire.lab import tables
from bellwire.lab.dispatch import AnyExperiment, AnyResult, experiment, run
from bellwire.lab.errors import FileUnusable, UnknownParameter
from bellwire.lab.parameters import protocol_of, settle
from bellwire.lab.quantities import Measured

MAX_FILE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """An experiment as a file has it.

    Attributes:
        name: The file's.
        protocol: One of those of `lab run`.
        parameters: All other parameters of `lab run` that it has, the defaults too.
    """

    name: str
    protocol: str
    parameters: Mapping[str, Any]

    def experiment(self) -> AnyExperiment:
        """The experiment; raises what `dispatch.experiment` does."""
        return experiment(self.protocol, self.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One quantity of both experiments.

    Attributes:
        quantity: `detected` (share of the slots), one of `quantities.Quantity`, or
            `key_per_pulse`, of weak pulses that of an endless run.
        a: Value of the first, None where it has none.
        a_stderr: Its standard error; None where that is not known (the key's).
        b: Value of the second.
        b_stderr: Its standard error.
        difference: b − a.
        in_stderrs: The difference in standard errors of the difference.
    """

    quantity: str
    a: float | None
    a_stderr: float | None
    b: float | None
    b_stderr: float | None
    difference: float | None
    in_stderrs: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both configurations, both results, and their differences."""

    a: Configuration
    b: Configuration
    a_result: AnyResult
    b_result: AnyResult
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values, for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """The comparison as one JSON document."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_pandas(self) -> Any:
        """The differences as a pandas DataFrame.

        Raises:
            LibraryMissing: pandas is not installed.
        """
        return tables.frame(self.differences)


def read(path: Path) -> Configuration:
    """Read a TOML file that has `protocol` and parameters of `lab run`, and check all of them.

    Raises:
        FileUnusable: it cannot be read, is no TOML, has unknown names or impossible values.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise FileUnusable(path, f"at most {MAX_FILE} bytes in", "more")
        document = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise FileUnusable(path, "to read", error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:  # tomllib: too many digits, too deep
        raise FileUnusable(path, "TOML in", str(error)) from error
    try:
        return configuration(path.name, document)
    except UsageError as error:
        raise FileUnusable(path, "an experiment in", str(error)) from error


def configuration(name: str, document: Mapping[str, Any]) -> Configuration:
    """The configuration that a document describes, checked.

    Raises:
        UnknownParameter: a word that no experiment has.
        UsageError: no protocol, or a value that cannot be.
    """
    words = {key: value for key, value in document.items() if key != "protocol"}
    protocol = document.get("protocol")
    if not isinstance(protocol, str):
        raise UsageError(f"expected protocol as text, got {protocol!r}")
    try:
        kind = protocol_of(protocol)
        found = Configuration(name=name, protocol=str(kind), parameters=settle(kind, words))
    except UnknownParameter as error:
        raise UnknownParameter(error.name, ["protocol", *error.known]) from None
    found.experiment()
    return found


def compare(a: Configuration, b: Configuration, *, seed: int | None = None) -> Comparison:
    """Run both experiments.

    Args:
        a: The first.
        b: The second.
        seed: Gives each a seed of its own, in the place of those they name.

    Raises:
        ParameterError: a seed outside its range.
    """
    if seed is not None:
        experiment(a.protocol, {**a.parameters, "seed": seed})
        a, b = (_reseeded(which, seed, place) for which, place in ((a, "a"), (b, "b")))
    results = run(a.experiment()), run(b.experiment())
    return Comparison(
        a=a, b=b, a_result=results[0], b_result=results[1], differences=_differences(*results)
    )


def _reseeded(which: Configuration, seed: int, place: str) -> Configuration:
    derived = hkdf(seed.to_bytes(16, "big"), info=f"lab compare {place}".encode(), length=8)
    words = {**which.parameters, "seed": int.from_bytes(derived, "big") >> 1}
    return Configuration(name=which.name, protocol=which.protocol, parameters=words)


def _differences(a: AnyResult, b: AnyResult) -> tuple[Difference, ...]:
    first, second, nothing = _measured(a), _measured(b), (None, None)
    return tuple(
        _difference(name, first.get(name, nothing), second.get(name, nothing))
        for name in first | second
    )


def _measured(result: AnyResult) -> dict[str, Measured]:
    """Quantity → (value, standard error)."""
    seen = result.detections / result.pulses
    detected = seen, math.sqrt(seen * (1.0 - seen) / result.pulses)
    named = {"key": "key_per_pulse"}
    rest = {named.get(name, str(name)): each for name, each in result.measured().items()}
    key = rest.pop("key_per_pulse")
    return {"detected": detected, **rest, "key_per_pulse": key}


def _difference(quantity: str, a: Measured, b: Measured) -> Difference:
    difference = None if a[0] is None or b[0] is None else b[0] - a[0]
    in_stderrs = None
    if difference is not None and a[1] is not None and b[1] is not None:
        error = math.hypot(a[1], b[1])
        in_stderrs = difference / error if error else None
    return Difference(
        quantity=quantity,
        a=a[0],
        a_stderr=a[1],
        b=b[0],
        b_stderr=b[1],
        difference=difference,
        in_stderrs=in_stderrs,
    )
