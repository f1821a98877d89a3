"""Repeaters in the lab: rows, crossings, files, refusals."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arro3.io import read_parquet

from bellwire import lab
from bellwire.base.errors import UsageError
from bellwire.lab.repeater import FILES, ChainRow
from bellwire.lab.tables import parse
from bellwire.link.errors import ParameterError
from bellwire.link.repeater import RepeaterConfig
from bellwire.link.repeater_theory import chain_bound, delivered, repeaterless_bound

RUN = lab.repeater("100:500:5", (1, 2, 4), pairs=500, memory_s=10.0, seed=1)


def test_rows_are_what_theory_says_where_it_says_something() -> None:
    for row in RUN.rows:
        theory = delivered(RepeaterConfig(km=row.km, links=row.links, memory_s=10.0))
        assert row.rate_hz is not None
        assert row.rate_stderr is not None
        assert row.rate_theory is not None
        assert abs(row.rate_hz - row.rate_theory) < 5 * row.rate_stderr
        if theory is None:
            assert (row.fidelity_theory, row.key_rate_theory) == (None, None)
            continue
        assert row.rate_theory == pytest.approx(1 / theory.time_s)
        assert row.key_rate_theory == pytest.approx(theory.key_rate_bps)
        assert row.fidelity_theory == pytest.approx(theory.fidelity)


def test_a_rows_bounds_are_plobs_per_mode_and_at_the_clock() -> None:
    for row in RUN.rows:
        bound = repeaterless_bound(10 ** (-0.02 * row.km))
        assert row.bound_per_mode == pytest.approx(bound)
        assert row.bound_bps == pytest.approx(1e9 * bound)
        assert row.key_per_mode == pytest.approx((row.key_rate_bps or 0) * row.attempt_s / 2)
        assert row.direct_bps is not None
        assert row.direct_bps < 1e9 * bound
        ceiling = chain_bound(10 ** (-0.02 * row.km), row.links)
        assert row.chain_bound_per_mode == pytest.approx(ceiling)
        assert (row.key_per_mode or 0.0) < ceiling


def test_repeaters_cross_the_bound_and_a_bare_link_never_does() -> None:
    found = {(each.links, each.measure): each for each in RUN.crossings()}
    assert {links for links, _ in found} == {2, 4}
    assert 300 < found[4, "bps"].from_km < 500
    assert found[4, "per-mode"].from_km < found[4, "bps"].from_km
    for each in found.values():
        beyond = [
            row.km
            for row in RUN.series()[each.links, 0]
            if (row.key_rate_bps or 0) > 1.5 * (row.bound_bps or 0) and each.measure == "bps"
        ]
        assert all(each.from_km <= km <= (each.to_km or math.inf) for km in beyond)


def test_a_crossing_lies_where_the_straight_line_of_the_logarithms_is_zero() -> None:
    rows = {row.km: row for row in RUN.series()[4, 0]}
    (crossing,) = [c for c in RUN.crossings() if (c.links, c.measure) == (4, "bps")]
    before = max(km for km in rows if km <= crossing.from_km)
    after = min(km for km in rows if km > crossing.from_km)
    logs = []
    for km in (before, after):
        row = rows[km]
        assert row.key_rate_bps is not None
        assert row.key_rate_stderr is not None
        assert row.bound_bps is not None
        clear = row.key_rate_bps - 3 * row.key_rate_stderr
        logs.append(math.log(clear / row.bound_bps))
    assert np.interp(0.0, logs, [before, after]) == pytest.approx(crossing.from_km)


def test_memories_that_forget_leave_no_crossing() -> None:
    short = lab.repeater("200:500:4", (2, 4), pairs=200, memory_s=1e-3, seed=1)
    assert short.crossings() == ()
    assert all(row.key_rate_bps == 0 for row in short.rows)


def test_without_loss_there_is_no_bound_and_nothing_to_cross() -> None:
    clear = lab.repeater("10:30:3", 2, pairs=50, loss=0.0, seed=1)
    assert {(r.bound_per_mode, r.chain_bound_per_mode, r.bound_bps) for r in clear.rows} == {
        (None, None, None)
    }
    assert clear.crossings() == ()
    json.loads(clear.to_json(), parse_constant=pytest.fail)
    assert len(clear.figure().axes) == 3


def test_more_modes_bring_the_crossing_nearer() -> None:
    one, many = (
        lab.repeater("200:500:7", 4, pairs=300, modes=m, memory_s=10.0, seed=1) for m in (1, 100)
    )
    nearest = [
        min(c.from_km for c in each.crossings() if c.measure == "bps") for each in (one, many)
    ]
    assert nearest[1] < nearest[0] - 50


def test_a_run_is_repeated_by_its_seed_and_a_finer_range_keeps_its_rows() -> None:
    finer = lab.repeater("100:500:9", 4, pairs=500, memory_s=10.0, seed=1)
    rows = {row.km: row for row in finer.rows}
    for row in RUN.series()[4, 0]:
        assert rows[row.km] == row
    assert lab.repeater(100.0, 4, pairs=500, memory_s=10.0, seed=2).rows[0] != rows[100.0]


def test_a_chain_that_never_delivers_is_a_row_with_its_reason() -> None:
    (row,) = lab.repeater("20000", 1, pairs=10, dark=0.0, seed=1).rows
    assert row.reason == "no photon ever reaches the middle of a link"
    assert (row.pairs, row.rate_hz, row.key_rate_bps, row.direct_bps) == (0, None, None, None)


def test_table_figure_and_description_are_written(tmp_path: Path) -> None:
    written = RUN.save(tmp_path / "new" / "folder")
    assert {path.name for path in written} == set(FILES)
    assert parse(ChainRow, (tmp_path / "new/folder/repeater.csv").read_text()) == list(RUN.rows)
    assert read_parquet(tmp_path / "new/folder/repeater.parquet").read_all().num_rows == len(
        RUN.rows
    )
    document = json.loads((tmp_path / "new/folder/repeater.json").read_text())
    assert document["seed"] == 1
    assert "numpy" in document["versions"]
    assert len(document["crossings"]) == len(RUN.crossings())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        RUN.save(tmp_path / "file")


def test_the_figure_shows_every_point_the_bound_and_the_crossing() -> None:
    rate, fidelity, ratio = RUN.figure().axes
    drawn = {
        (float(x), float(y))
        for bar in rate.containers
        for x, y in np.asarray(bar.lines[0].get_xydata())  # type: ignore[attr-defined]
    }
    assert drawn == {(r.km, r.key_rate_bps) for r in RUN.rows if r.key_rate_bps}
    km, bound = np.asarray(rate.lines[0].get_xydata())[50]
    assert bound == pytest.approx(1e9 * repeaterless_bound(10 ** (-0.02 * km)))
    marked = {text.get_text() for text in rate.texts}
    found = [c for c in RUN.crossings() if c.measure == "bps"]
    assert marked == {f"{c.from_km:.0f} km" for c in found}
    assert len(fidelity.containers) == len(ratio.containers) == 3


def test_the_result_is_plain_values_and_a_frame() -> None:
    document = json.loads(RUN.to_json())
    assert document["parameters"]["cutoff_s"] is None
    assert document["parameters"]["memory_s"] == 10.0
    assert len(document["rows"]) == len(RUN.rows)
    assert list(RUN.to_pandas()["km"]) == [row.km for row in RUN.rows]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"km": "0:100:3"}, "km"),
        ({"km": "a"}, "range"),
        ({"km": "1:2"}, "range"),
        ({"links": 0}, "links"),
        ({"links": ()}, "chains"),
        ({"purify": 7}, "rounds"),
        ({"pairs": 1}, "pairs"),
        ({"clock": 0.0}, "clock"),
        ({"seed": -1}, "seed"),
        ({"memory": "perfect"}, "memory"),
        ({"order": "random"}, "order"),
        ({"memory_s": 0.0}, "memory_s"),
        ({"tea": 1}, "words"),
    ],
)
def test_what_cannot_be_is_refused_by_name(words: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        lab.repeater(**{"km": 100.0, "pairs": 10, **words})


def test_refusals_come_before_anything_runs() -> None:
    told: list[int] = []
    with pytest.raises(ParameterError):
        lab.repeater("100:30000:3", 2, pairs=10, progress=told.append)
    assert told == []
