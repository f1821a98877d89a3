"""What a sweep found: one row per experiment, and what rows of one point say together."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bellwire.lab import tables
from bellwire.lab.dispatch import experiment, predict, quantities, row_kind
from bellwire.lab.errors import FileUnusable
from bellwire.lab.outputs import write_table
from bellwire.lab.parameters import (
    AnyProtocol,
    either,
    eve_kind,
    protocol_of,
    said_by,
    settle,
    vary,
)
from bellwire.lab.quantities import Prediction, Quantity
from bellwire.lab.rows import AnyRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FILES = ("sweep.csv", "sweep.parquet", "sweep.svg", "sweep.png", "sweep.json")
"""What a sweep leaves in its folder."""


@dataclass(frozen=True, slots=True)
class Point:
    """The rows at one place of the sweep, taken together.

    Attributes:
        at: Values of the swept parameters.
        accepted: Share of the experiments that gave a key.
        runs: Experiments.
        values: Mean of each quantity; absent where no experiment reached it.
        stderrs: Its standard error: from the runs' own where each has one, else from their scatter,
            so absent for the distilled key of a single run.
    """

    at: tuple[float, ...]
    accepted: float
    runs: int
    values: Mapping[Quantity, float]
    stderrs: Mapping[Quantity, float]

    @classmethod
    def of(cls, at: tuple[float, ...], rows: Sequence[AnyRow]) -> "Point":
        """Take rows of one place together."""
        values, stderrs = {}, {}
        for quantity in Quantity:
            measured = [row.measured().get(quantity, (None, None)) for row in rows]
            known = [value for value, _ in measured if value is not None]
            errors = [error for value, error in measured if value is not None and error is not None]
            if known:
                values[quantity] = statistics.fmean(known)
            if known and len(errors) == len(known):
                stderrs[quantity] = math.hypot(*errors) / len(errors)
            elif len(known) > 1:
                stderrs[quantity] = statistics.stdev(known) / math.sqrt(len(known))
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
    rows: tuple[AnyRow, ...]

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What this protocol has to show."""
        return quantities(protocol_of(self.protocol), self.fixed)

    @property
    def estimated(self) -> bool:
        """Whether its experiments end with estimates, and give no key."""
        return self.fixed.get("until") == "estimate"

    def points(self) -> list[Point]:
        """The places of the sweep, in order."""
        groups: dict[tuple[float, ...], list[AnyRow]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row.swept(name) for name in self.over), []).append(row)
        return [Point.of(at, groups[at]) for at in sorted(groups)]

    def theory(self, at: tuple[float, ...]) -> Prediction:
        """What theory expects at a place of the sweep, also between its points."""
        words = dict(self.fixed)
        for name, value in zip(self.over, at, strict=True):
            words = vary(protocol_of(self.protocol), words, name, value)
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
            quantity: One of `quantities`.
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

        written = write_table(folder, "sweep", row_kind(self.protocol, self.fixed), self.rows)
        try:
            return [*written, *save({"sweep": self.figure()}, folder)]
        except OSError as error:
            raise FileUnusable(folder, "to write into", error.strerror or str(error)) from error


def fixed_words(
    protocol: AnyProtocol, words: Mapping[str, Any], over: tuple[str, ...]
) -> dict[str, Any]:
    """What stays the same in a sweep: of a swept Eve her kind, and never a seed.

    Of the intensities all are there, those that are swept too: they give way to the range.
    """
    plain = settle(protocol, words)
    if "eve" in over:
        plain["eve"] = eve_kind(plain["eve"])
    varied = {"seed", *(said_by(name) for name in over if either(name))}
    return {name: value for name, value in plain.items() if name not in varied}
