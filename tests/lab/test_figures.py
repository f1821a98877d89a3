"""Figures show the points where they are, with their errors, on theory."""

import dataclasses
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.collections import QuadMesh
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from bellwire import lab
from bellwire.lab import figures
from bellwire.lab.quantities import Quantity
from bellwire.lab.results import SweepResult
from bellwire.link import theory
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve, EveKind

CURVE = lab.sweep("e91", "eve=0:1:5", repeat=2, pulses=20_000, seed=1)
GRID = lab.sweep("bb84", ["eve=0:0.4:3", "pulses=2000:20000:4:log"], seed=1)


def bars(axes: Any) -> list[ErrorbarContainer]:
    return [each for each in axes.containers if isinstance(each, ErrorbarContainer)]


@pytest.mark.parametrize("quantity", ["qber", "chsh", "key"])
def test_every_point_stands_at_its_mean_with_its_standard_error(quantity: str) -> None:
    axes = CURVE.plot(quantity=quantity)
    drawn = {}
    for bar in bars(axes):
        line, _, (error,) = bar.lines
        assert line is not None
        for (x, y), segment in zip(
            np.asarray(line.get_xydata()), error.get_segments(), strict=True
        ):
            drawn[x] = (y, (segment[1, 1] - segment[0, 1]) / 2)
    for point in CURVE.points():
        value, error = drawn[point.at[0]]
        assert value == pytest.approx(point.values[Quantity(quantity)])
        assert error == pytest.approx(point.stderrs[Quantity(quantity)], abs=1e-12)


def test_the_line_is_theorys() -> None:
    line = CURVE.plot(quantity="chsh").lines[0]
    assert line.get_label() == "theory"
    for share, s in np.asarray(line.get_xydata())[::40]:
        eve = Eve(EveKind.INTERCEPT_RESEND, float(share))
        assert s == pytest.approx(theory.e91_chsh(LinkConfig(), eve))


def test_accepted_and_rejected_differ_in_shape_and_colour_and_are_named_once() -> None:
    figure = CURVE.figure()
    marks = {bar.get_label(): bar.lines[0] for bar in bars(figure.axes[0])}
    assert len(marks) > 1
    assert len({line.get_marker() for line in marks.values()}) == len(marks)
    assert len({line.get_color() for line in marks.values()}) == len(marks)
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named[:2] == ["theory", "theory, long blocks"]
    assert set(marks) <= set(named)
    assert len(named) == len(set(named))


def test_e91_has_five_panels_and_bb84_three() -> None:
    assert len(CURVE.figure().axes) == 5
    single = lab.sweep("bb84", "km=0:10:2", pulses=4000, seed=1)
    assert len(single.figure().axes) == 3


def test_residuals_are_in_standard_errors() -> None:
    axes = CURVE.figure().axes[1]
    shown = {x: y for line in axes.lines for x, y in np.asarray(line.get_xydata()) if y != 0}
    for point in CURVE.points():
        expected = CURVE.theory(point.at).qber
        assert expected is not None
        off = point.values[Quantity.QBER] - expected
        assert shown[point.at[0]] == pytest.approx(off / point.stderrs[Quantity.QBER])


def test_a_key_over_decades_is_logarithmic_and_lost_keys_stand_on_the_edge() -> None:
    rows = tuple(
        dataclasses.replace(row, key_per_pulse=key)
        for row, key in zip(CURVE.rows[::2], (0.1, 0.01, 0.001, 0.0, 0.0), strict=True)
    )
    axes = dataclasses.replace(CURVE, rows=rows).plot(quantity="key")
    assert axes.get_yscale() == "log"
    edge = [line for line in axes.lines if line.get_transform() == axes.get_xaxis_transform()]
    assert sorted(x for line in edge for x in np.asarray(line.get_xdata())) == [0.75, 1.0]
    assert axes.yaxis.get_major_formatter()(0.01) == "10⁻²"


def test_a_map_has_a_cell_per_place_and_theory_as_contours(tmp_path: Path) -> None:
    figure = GRID.figure()
    mesh = next(c for c in figure.axes[0].collections if isinstance(c, QuadMesh))
    values = np.asarray(mesh.get_array())
    assert values.shape == (4, 3)
    for point in GRID.points():
        column = [0.0, 0.2, 0.4].index(point.at[0])
        row = sorted({p.at[1] for p in GRID.points()}).index(point.at[1])
        expected = point.values.get(Quantity.QBER, math.nan)
        assert values[row, column] == pytest.approx(expected, nan_ok=True)
    assert figure.axes[0].get_yscale() == "log"
    GRID.save(tmp_path)
    assert (tmp_path / "sweep.png").stat().st_size > 10_000


def test_one_row_of_places_is_still_a_map() -> None:
    thin = lab.sweep("bb84", ["km=0:0:1", "misalignment=0:0.02:2"], pulses=4000, seed=1)
    assert len(thin.figure().axes) == 4, "two maps, two scales"
    flat = lab.sweep("bb84", ["epsilon=1e-9:1e-8:2:log", "pulses=2000:4000:2"], seed=1)
    assert flat.plot(quantity="qber").get_xscale() == "log"


def test_a_figure_of_ones_own_is_drawn_upon_and_nothing_global_changes() -> None:
    before = dict(rcParams)
    axes = Figure().add_subplot()
    assert CURVE.plot(axes, quantity="chsh") is axes
    assert GRID.plot(quantity="key").get_title(loc="left") == "secret bits per pulse"
    assert dict(rcParams) == before
    with pytest.raises(ValueError, match="speed"):
        CURVE.plot(quantity="speed")


def test_the_same_sweep_gives_the_same_file(tmp_path: Path) -> None:
    def saved(result: SweepResult, name: str) -> bytes:
        (tmp_path / name).mkdir()
        result.save(tmp_path / name)
        return (tmp_path / name / "sweep.svg").read_bytes()

    assert saved(CURVE, "a") == saved(dataclasses.replace(CURVE), "b")


def test_points_of_several_runs_with_different_ends_have_a_shape_of_their_own() -> None:
    first = CURVE.rows[0]
    mixed = (first, dataclasses.replace(first, repeat=1, verdict="abort"), *CURVE.rows[2:])
    axes = dataclasses.replace(CURVE, rows=mixed).plot()
    assert "key made in some runs" in [bar.get_label() for bar in bars(axes)]


def test_cells_touch_and_hold_their_values() -> None:
    edges = figures._edges([1.0, 10.0, 100.0], logarithmic=True)
    assert edges == pytest.approx([10**-0.5, 10**0.5, 10**1.5, 10**2.5])
    assert all(a < b for a, b in pairwise(figures._edges([0.0], logarithmic=False)))


def test_gains_share_a_panel_and_key_falls_on_a_logarithmic_axis() -> None:
    over = lab.sweep("decoy-bb84", "km=0:120:4", pulses=1e7, dark=1e-6, efficiency=0.5, seed=1)
    figure = over.figure()
    assert len(figure.axes) == 7, "gains, QBER and yield with residuals, and the key"
    assert {text.get_text() for text in figure.axes[0].texts} == {"signal", "decoy", "vacuum decoy"}
    assert [figure.axes[k].get_yscale() for k in (0, 2, 4, 6)] == ["log", "linear", "log", "log"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()][:3] == [
        "theory",
        "PLOB bound",
        "accepted",
    ]
    single = lab.sweep("wcp-bb84", ["km=0:20:2", "signal=0.1:0.2:2"], pulses=1e4, seed=1)
    assert len(single.figure().axes) == 8, "four maps, four scales"
    without = lab.sweep("wcp-bb84", "km=0:20:2", pulses=1e4, afterpulse=0.1, seed=1)
    assert len(without.figure().axes) == 7


def bound_of(protocol: str, over: str, **words: Any) -> list[Any]:
    axes = lab.sweep(protocol, over, seed=1, **words).plot(quantity="key")
    return [line for line in axes.lines if line.get_label() == "PLOB bound"]


def test_key_against_distance_stands_below_the_bound_that_nobody_exceeds() -> None:
    (line,) = bound_of("bb84", "km=10:69:3", pulses=400_000, insertion_loss=1.0)
    for km, bound in np.asarray(line.get_xydata())[::50]:
        eta = 10 ** (-(0.2 * km + 1.0) / 10)
        assert bound == pytest.approx(-math.log2(1 - eta))
    assert line.axes.get_ylim()[1] > bound_at(line, 10.0)


def bound_at(line: Any, km: float) -> float:
    x, y = np.asarray(line.get_xydata()).T
    return float(np.interp(km, x, y))


def test_there_is_no_such_bound_for_pairs_nor_where_distance_is_fixed() -> None:
    assert bound_of("bbm92", "km=1:60:3", pulses=300_000) == []
    assert bound_of("bb84", "efficiency=0.02:1:3", pulses=300_000) == []
    assert bound_of("bb84", "km=10:69:3", pulses=400_000, loss=0.0) == []
