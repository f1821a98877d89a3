"""What a sweep found: one row per experiment, and what rows of one point say together.

Rows hold nothing that depends on the machine or on when they were made, so that one seed gives one
table.
"""

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bellwire.base.detections import Protocol
from bellwire.base.private import write_whole
from bellwire.lab import tables
from bellwire.lab.errors import FileUnusable
from bellwire.lab.experiment import Result
from bellwire.lab.parameters import (
    DEFAULTS,
    Prediction,
    eve_kind,
    experiment,
    predict,
    settle,
    vary,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FILES = ("sweep.csv", "sweep.parquet", "sweep.svg", "sweep.png", "sweep.json")
"""What a sweep leaves in its folder."""


class Quantity(StrEnum):
    """What a figure shows."""

    QBER = "qber"
    CHSH = "chsh"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One experiment of a sweep: its parameters, what came of it, and what theory expects.

    Attributes:
        eve: Her kind, or `none`.
        eve_share: Her share; 0 without her.
        repeat: Number among the experiments with these parameters.
        seed: This experiment's own, for `lab run`.
        key_per_pulse: Secret bits over pulses.
        key_theory: The same for long blocks (`parameters.Prediction`).

    The others are those of `lab run`; fields that the protocol has not, or the run did not reach,
    are None.
    """

    protocol: str
    pulses: int
    km: float
    loss: float
    insertion_loss: float
    efficiency: float
    dark: float
    misalignment: float
    eve: str
    eve_share: float
    eve_axis: str | None
    sample_share: float
    epsilon: float
    repeat: int
    seed: int
    detections: int
    sifted_bits: int
    qber: float | None
    qber_stderr: float | None
    qber_theory: float
    chsh: float | None
    chsh_stderr: float | None
    chsh_theory: float | None
    leaked_bits: int | None
    secret_bits: int
    key_per_pulse: float
    key_theory: float
    verdict: str
    reason: str | None
    keys_match: bool | None

    @classmethod
    def of(cls, words: Mapping[str, Any], repeat: int, result: Result) -> "Row":
        """The row of an experiment with these words."""
        plain = settle(words)
        expected = predict(experiment(result.protocol, plain))
        eve = result.eve or {"kind": "none", "share": 0.0}
        plain |= {"eve": str(eve["kind"]), "eve_share": float(eve["share"])}
        leaked = (result.reconciliation or {}).get("leaked_bits")
        return cls(
            protocol=result.protocol,
            **plain,
            repeat=repeat,
            detections=int(result.detections),
            sifted_bits=int(result.sifted_bits),
            qber=result.qber,
            qber_stderr=result.qber_stderr,
            qber_theory=expected.qber,
            chsh=result.chsh,
            chsh_stderr=result.chsh_stderr,
            chsh_theory=expected.chsh,
            leaked_bits=None if leaked is None else int(leaked),
            secret_bits=int(result.secret_bits),
            key_per_pulse=result.secret_bits / result.pulses,
            key_theory=expected.key,
            verdict=result.verdict,
            reason=result.reason,
            keys_match=result.keys_match,
        )

    def swept(self, name: str) -> float:
        """Value of a swept parameter."""
        value: float = getattr(self, "eve_share" if name == "eve" else name)
        return value


@dataclass(frozen=True, slots=True)
class Point:
    """The rows at one place of the sweep, taken together.

    Attributes:
        at: Values of the swept parameters.
        accepted: Share of the experiments that gave a key.
        runs: Experiments.
        values: Mean of each quantity; absent where no experiment reached it.
        stderrs: Its standard error: from the runs' own for QBER and S, from their scatter for the
            key, so absent for the key of a single run.
    """

    at: tuple[float, ...]
    accepted: float
    runs: int
    values: Mapping[Quantity, float]
    stderrs: Mapping[Quantity, float]

    @classmethod
    def of(cls, at: tuple[float, ...], rows: list[Row]) -> "Point":
        """Take rows of one place together."""
        keys = [row.key_per_pulse for row in rows]
        values, stderrs = {Quantity.KEY: statistics.fmean(keys)}, {}
        if len(keys) > 1:
            stderrs[Quantity.KEY] = statistics.stdev(keys) / math.sqrt(len(keys))
        for quantity in (Quantity.QBER, Quantity.CHSH):
            measured = [
                (value, error)
                for row in rows
                if (value := getattr(row, quantity)) is not None
                and (error := getattr(row, f"{quantity}_stderr")) is not None
            ]
            if measured:
                values[quantity] = statistics.fmean(value for value, _ in measured)
                stderrs[quantity] = math.hypot(*(e for _, e in measured)) / len(measured)
        accepted = sum(row.verdict == "accept" for row in rows) / len(rows)
        return cls(at, accepted, len(rows), values, stderrs)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """A finished sweep.

    Attributes:
        protocol: Of every experiment.
        over: The one or two swept parameters.
        logarithmic: For each, whether its values are spread logarithmically.
        fixed: All the other parameters.
        seed: What every experiment's seed derives from.
        rows: One per experiment, ordered by place and repeat.
    """

    protocol: str
    over: tuple[str, ...]
    logarithmic: tuple[bool, ...]
    fixed: Mapping[str, Any]
    seed: int
    rows: tuple[Row, ...]

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What this protocol has to show."""
        if Protocol(self.protocol).judged_on_chsh:
            return (Quantity.QBER, Quantity.CHSH, Quantity.KEY)
        return (Quantity.QBER, Quantity.KEY)

    def points(self) -> list[Point]:
        """The places of the sweep, in order."""
        groups: dict[tuple[float, ...], list[Row]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row.swept(name) for name in self.over), []).append(row)
        return [Point.of(at, groups[at]) for at in sorted(groups)]

    def theory(self, at: tuple[float, ...]) -> Prediction:
        """What theory expects at a place of the sweep, also between its points."""
        words = dict(self.fixed)
        for name, value in zip(self.over, at, strict=True):
            words = vary(words, name, value)
        return predict(experiment(self.protocol, words))

    def to_dict(self) -> dict[str, Any]:
        """The sweep as plain values, for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """The sweep as one JSON document."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame.

        Raises:
            LibraryMissing: pandas is not installed.
        """
        return tables.frame(self.rows)

    def plot(self, ax: "Axes | None" = None, *, quantity: str = Quantity.QBER) -> "Axes":
        """Draw one quantity, on `ax` or on a figure of its own.

        Args:
            ax: Where; its figure is left to its owner.
            quantity: `qber`, `chsh` or `key`.
        """
        from bellwire.lab import figures  # noqa: PLC0415 - Matplotlib takes a second to load

        return figures.panel(self, Quantity(quantity), ax)

    def figure(self) -> "Figure":
        """All quantities with their errors and theory, for print."""
        from bellwire.lab import figures  # noqa: PLC0415 - Matplotlib takes a second to load

        return figures.draw(self)

    def save(self, folder: Path) -> list[Path]:
        """Write `sweep.csv`, `sweep.parquet`, `sweep.svg` and `sweep.png` into a folder.

        Raises:
            PathUnusable, FileUnusable: the folder cannot be written.
        """
        from bellwire.base.style import save  # noqa: PLC0415 - Matplotlib takes a second to load

        text = tables.header(Row) + "".join(map(tables.line, self.rows))
        contents = {
            folder / "sweep.csv": text.encode(),
            folder / "sweep.parquet": tables.parquet(Row, self.rows),
        }
        for path, content in contents.items():
            write_whole(path, content, 0o644, replace=True)
        try:
            return [*contents, *save({"sweep": self.figure()}, folder)]
        except OSError as error:
            raise FileUnusable(folder, "to write into", error.strerror or str(error)) from error


def fixed_words(words: Mapping[str, Any], over: tuple[str, ...]) -> dict[str, Any]:
    """What stays the same in a sweep: of a swept Eve her kind, and never a seed."""
    plain = settle(words)
    if "eve" in over:
        plain["eve"] = eve_kind(plain["eve"])
    return {
        name: plain[name]
        for name in DEFAULTS
        if name != "seed" and (name not in over or name == "eve")
    }
