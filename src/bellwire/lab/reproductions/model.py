"""What a reproduction is: statements of a paper beside ours, a table with residuals, a figure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bellwire.base.style import MUTED, SKY, new_figure
from bellwire.lab.figures import WIDTH
from bellwire.lab.outputs import write_outputs


@dataclass(frozen=True, slots=True)
class Fact:
    """A number that somebody states, and ours.

    Attributes:
        quantity: What it is, with its unit.
        stated: The number, as the source gives it.
        ours: The same by this program.
    """

    quantity: str
    stated: float
    ours: float

    @property
    def difference(self) -> float:
        """Relative, ours over stated less 1."""
        return self.ours / self.stated - 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """A point of a figure.

    Attributes:
        curve: Which.
        x: Abscissa.
        ours: What this program finds: by its engine if there is a standard error, else by theory.
        stderr: Of `ours`.
        reference: What it is measured against.
        residual: (ours − reference) over the standard error, or over the reference without one;
            None without a reference.
    """

    curve: str
    x: float
    ours: float
    stderr: float | None
    reference: float | None
    residual: float | None

    @classmethod
    def of(
        cls, curve: str, x: float, ours: float, stderr: float | None, reference: float | None
    ) -> "Row":
        """A row with its residual."""
        residual = None
        if reference is not None:
            scale = stderr if stderr else reference
            residual = (ours - reference) / scale if scale else 0.0
        return cls(curve, x, ours, stderr, reference, residual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A page's numbers and its figure.

    Attributes:
        name: On the command line, and of the files.
        title: In words.
        facts: Statements and ours.
        rows: Of the figure.
        figure: With a panel of residuals.
    """

    name: str
    title: str
    facts: tuple[Fact, ...]
    rows: tuple[Row, ...]
    figure: Figure

    def to_dict(self) -> dict[str, Any]:
        """Names and numbers as plain values, for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "facts": [asdict(each) | {"difference": each.difference} for each in self.facts],
            "rows": [asdict(each) for each in self.rows],
        }

    def save(self, folder: Path) -> list[Path]:
        """Write NAME.csv, .parquet, .svg, .png and .json.

        Raises:
            PathUnusable, FileUnusable: the folder cannot be made or written.
        """
        return write_outputs(
            folder,
            self.name,
            kind=Row,
            rows=self.rows,
            figure=self.figure,
            document=self.to_dict(),
        )


def panels(height: float = 4.6) -> tuple[Figure, Axes, Axes]:
    """A figure with a main panel, and one for residuals below it."""
    figure = new_figure(height, WIDTH)
    main, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.0, 1.0)).tolist()
    return figure, main, below


def in_standard_errors(axes: Axes, groups: Sequence[tuple[Sequence[Row], str, str]]) -> None:
    """Residuals of simulated rows, with the band that holds nearly all of them.

    Args:
        axes: Where.
        groups: (rows, colour, marker).
    """
    axes.axhspan(-2, 2, color=SKY, alpha=0.18, lw=0)
    axes.axhline(0, color=MUTED, lw=0.8)
    far = 3.6
    for rows, colour, marker in groups:
        known = [(row.x, row.residual) for row in rows if row.residual is not None]
        x, y = [x for x, _ in known], [y for _, y in known]
        axes.plot(x, y, color=colour, marker=marker, ms=3.8, ls="none")
        far = max([far, *(1.15 * abs(each) for each in y)])
    axes.set_ylim(-far, far)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_ylabel("deviation\n(std. errors)", fontsize=8.5)
