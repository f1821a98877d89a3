"""A circuit as a figure: wires from left to right, and who has the photons above them.

Drawn here, because Qiskit's Matplotlib drawing needs one more library, and knows nothing of Alice,
Bob and Eve. Each party has its colour, and its name on its wire.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, FancyBboxPatch, Rectangle

from bellwire.base.style import BLUE, FAINT, INK, LOOK, MUTED, ORANGE, PAPER, VERMILION
from bellwire.lab.circuit.model import Barrier, Circuit, Gate, GateName, Measure, Stage
from bellwire.lab.circuit.protocols import ALICE, BOB

COLUMN = 0.62
ROW = 0.66
"""Inches from gate to gate, and from wire to wire."""

BOX = 0.78
"""Width and height of a gate, of a column."""

LETTER = 0.09
"""Inches of a letter of the title, at most on the average."""

_LEFT = -1.7
"""Where the figure begins, in columns, left of the wires' names."""

_STAGES = {Stage.EVE: "Eve", Stage.RECEIVERS: "receivers"}


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where everything stands: operations by column, and the column at which each stage begins."""

    operations: tuple[tuple[int, Gate | Measure], ...]
    stages: tuple[tuple[int, str], ...]
    columns: int


def draw(circuit: Circuit) -> Figure:
    """The circuit, with its title."""
    placed = _place(circuit)
    rows = {qubit: -row for row, qubit in enumerate(circuit.qubits)}
    with rc_context(LOOK):
        title = _title(circuit)
        right = max(placed.columns - 0.2, _LEFT + 0.2 + len(title) * LETTER / COLUMN)
        figure = Figure(figsize=((right - _LEFT) * COLUMN, (len(rows) + 1.25) * ROW))
        ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        ax.set_axis_off()
        ax.set_xlim(_LEFT, right)
        ax.set_ylim(-len(rows) + 0.25, 1.5)
        _background(ax, placed, len(rows))
        for qubit, y in rows.items():
            ax.plot([-0.5, placed.columns - 0.5], [y, y], color=MUTED, linewidth=0.9, zorder=1)
            ax.text(-0.65, y, qubit, ha="right", va="center", color=_colour(qubit), weight="bold")
        for column, operation in placed.operations:
            match operation:
                case Gate(GateName.CX):
                    _controlled(ax, column, operation, rows)
                case Gate():
                    (qubit,) = operation.qubits
                    _box(ax, column, rows[qubit], _colour(qubit))
                    ax.text(
                        column,
                        rows[qubit],
                        _label(operation),
                        ha="center",
                        va="center",
                        fontsize=8 if operation.name is GateName.RY else 10,
                        linespacing=1.05,
                        zorder=4,
                    )
                case Measure():
                    _meter(ax, column, rows[operation.qubit], operation)
        ax.text(_LEFT + 0.1, 1.42, title, ha="left", va="top", weight="bold", fontsize=10.5)
    return figure


def _place(circuit: Circuit) -> _Placed:
    """Every operation as far to the left as those before it allow."""
    rows = {qubit: row for row, qubit in enumerate(circuit.qubits)}
    free = [0] * len(rows)
    operations: list[tuple[int, Gate | Measure]] = []
    stages = [(0, "source")]
    for operation in circuit.operations:
        match operation:
            case Barrier():
                column = max(free)
                free = [column] * len(rows)
                stages.append((column, _STAGES[operation.stage]))
            case Gate() | Measure():
                on = operation.qubits if isinstance(operation, Gate) else (operation.qubit,)
                touched = [rows[qubit] for qubit in on]
                span = range(min(touched), max(touched) + 1)
                column = max(free[row] for row in span)
                for row in span:
                    free[row] = column + 1
                operations.append((column, operation))
    return _Placed(tuple(operations), tuple(stages), max(free))


def _background(ax: Axes, placed: _Placed, rows: int) -> None:
    edges = [*(start for start, _ in placed.stages), placed.columns]
    for (start, end), (_, name) in zip(pairwise(edges), placed.stages, strict=True):
        if end == start:
            continue
        eves = name == "Eve"
        ax.add_patch(
            Rectangle(
                (start - 0.5, -rows + 0.4),
                end - start,
                rows + 0.15,
                facecolor=VERMILION if eves else FAINT,
                alpha=0.1 if eves else 0.35,
                edgecolor="none",
                zorder=0,
            )
        )
        ax.plot([end - 0.5] * 2, [-rows + 0.4, 0.55], color=PAPER, linewidth=3, zorder=0)
        ax.text(
            (start + end - 1) / 2,
            0.62,
            name,
            ha="center",
            va="bottom",
            fontsize=9,
            color=VERMILION if eves else MUTED,
        )


def _box(ax: Axes, x: float, y: float, colour: str) -> None:
    corner = x - BOX / 2 + 0.06, y - BOX / 2 + 0.06
    side = BOX - 0.12
    ax.add_patch(
        FancyBboxPatch(
            corner,
            side,
            side,
            boxstyle="round,pad=0.06",
            facecolor=PAPER,
            edgecolor=colour,
            linewidth=1.3,
            zorder=3,
        )
    )


def _controlled(ax: Axes, x: float, gate: Gate, rows: dict[str, int]) -> None:
    control, target = (rows[qubit] for qubit in gate.qubits)
    ax.plot([x, x], [control, target], color=INK, linewidth=1.3, zorder=2)
    ax.add_patch(Circle((x, control), 0.1, facecolor=INK, edgecolor=INK, zorder=3))
    ax.add_patch(Circle((x, target), 0.24, facecolor=PAPER, edgecolor=INK, linewidth=1.3, zorder=3))
    for line in (([x - 0.24, x + 0.24], [target] * 2), ([x] * 2, [target - 0.24, target + 0.24])):
        ax.plot(*line, color=INK, linewidth=1.3, zorder=4)


def _meter(ax: Axes, x: float, y: float, measure: Measure) -> None:
    _box(ax, x, y, _colour(measure.qubit))
    ax.add_patch(
        Arc((x, y - 0.14), 0.46, 0.46, theta1=15, theta2=165, color=INK, linewidth=1.1, zorder=4)
    )
    ax.plot([x, x + 0.17], [y - 0.14, y + 0.16], color=INK, linewidth=1.1, zorder=4)
    ax.text(x - 0.2, y + 0.2, measure.bit, ha="center", va="center", fontsize=7.5, zorder=4)


def _label(gate: Gate) -> str:
    if gate.name is not GateName.RY:
        return gate.name.value.upper()
    degrees = f"{math.degrees(gate.angle):.4g}".replace("-", "−")
    return f"RY\n{degrees}°"


def _colour(qubit: str) -> str:
    return {ALICE: BLUE, BOB: ORANGE}.get(qubit, VERMILION)


def _title(circuit: Circuit) -> str:
    prepared = "" if circuit.bit is None else f", bit {circuit.bit}"
    eve = "" if circuit.eve is None else f", {circuit.eve}".replace("ghz", "GHZ")
    axis = "" if circuit.axis is None else f" along {math.degrees(circuit.axis):g}°"
    settings = f"settings {circuit.alice}, {circuit.bob}"
    return f"{circuit.protocol.upper()}, {settings}{prepared}{eve}{axis}"
