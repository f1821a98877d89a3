"""Rows survive every form they are written in; points take them together rightly."""

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from arro3.io import read_parquet
from hypothesis import given
from hypothesis import strategies as st

from bellwire import lab
from bellwire.base.private import PathUnusable
from bellwire.lab import tables
from bellwire.lab.errors import FileUnusable, LibraryMissing
from bellwire.lab.quantities import Quantity
from bellwire.lab.results import FILES, Point
from bellwire.lab.rows import Row

SMALL = lab.sweep("e91", "eve=0:1:3", repeat=2, pulses=4000, seed=1)
ROWS = [row for row in SMALL.rows if isinstance(row, Row)]


def rows() -> st.SearchStrategy[Row]:
    """Rows with any values of their columns' types."""
    kinds: dict[type, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(-(1 << 63), (1 << 63) - 1),
        float: st.floats(allow_nan=False),
        str: st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
    }
    fields = {
        field.name: kinds[tables.columns(Row)[field.name]]
        | (st.none() if "None" in str(field.type) else st.nothing())
        for field in dataclasses.fields(Row)
    }
    return st.builds(Row, **fields)


@given(st.lists(rows(), max_size=4))
def test_a_table_reads_back_as_it_was_written(written: list[Row]) -> None:
    text = tables.header(Row) + "".join(map(tables.line, written))
    assert tables.parse(Row, text) == written
    assert text.count("\n") == len(written) + 1


def test_parquet_holds_the_same_rows_with_their_types(tmp_path: Path) -> None:
    SMALL.save(tmp_path)
    table = read_parquet(tmp_path / "sweep.parquet").read_all()
    read = [dict(zip(table.column_names, cells, strict=True)) for cells in _cells(table)]
    assert [Row(**row) for row in read] == list(SMALL.rows)


def _cells(table: Any) -> Any:
    return zip(
        *([value.as_py() for value in table.column(name)] for name in table.column_names),
        strict=True,
    )


def test_everything_lands_in_the_folder_and_csv_is_what_pandas_shows(tmp_path: Path) -> None:
    written = SMALL.save(tmp_path)
    assert {path.name for path in written} == set(FILES) - {"sweep.json"}
    assert tables.parse(Row, (tmp_path / "sweep.csv").read_text()) == list(SMALL.rows)
    frame = SMALL.to_pandas()
    assert list(frame.columns) == list(tables.columns(Row))
    assert frame["qber"].tolist() == [row.qber for row in SMALL.rows]


def test_results_are_plain_values_for_json() -> None:
    document = json.loads(SMALL.to_json())
    assert document["over"] == ["eve"]
    assert [row["seed"] for row in document["rows"]] == [row.seed for row in SMALL.rows]
    single = lab.run("bb84", pulses=4000, seed=1, eve="ghz:0.2")
    assert json.loads(single.to_json())["eve"] == {"kind": "ghz", "share": 0.2}
    assert single.to_pandas()["qber"].tolist() == [single.qber]


def test_a_row_can_be_run_again_alone() -> None:
    row = ROWS[2]
    again = lab.run("e91", pulses=row.pulses, eve=f"{row.eve}:{row.eve_share}", seed=row.seed)
    assert (again.qber, again.chsh, again.detections) == (row.qber, row.chsh, row.detections)


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(LibraryMissing) as caught:
        SMALL.to_pandas()
    assert caught.value.hint is not None
    assert "pip install pandas" in caught.value.hint


def test_a_point_is_the_mean_of_its_rows_with_the_error_of_the_mean() -> None:
    row = ROWS[0]
    pair = [
        dataclasses.replace(row, qber=0.02, qber_stderr=0.003, key_per_pulse=0.1),
        dataclasses.replace(
            row, qber=0.04, qber_stderr=0.004, key_per_pulse=0.3, verdict="abort", chsh=None
        ),
    ]
    point = Point.of((0.0,), [dataclasses.replace(pair[0], verdict="accept"), pair[1]])
    assert (point.accepted, point.runs) == (0.5, 2)
    assert point.values[Quantity.QBER] == pytest.approx(0.03)
    assert point.stderrs[Quantity.QBER] == pytest.approx(0.0025)
    assert point.values[Quantity.CHSH] == row.chsh, "of those that have one"
    assert point.values[Quantity.KEY] == pytest.approx(0.2)
    assert point.stderrs[Quantity.KEY] == pytest.approx(0.1)


def test_a_quantity_that_no_run_reached_is_absent() -> None:
    none = dataclasses.replace(ROWS[0], qber=None, qber_stderr=None, chsh=None)
    point = Point.of((0.0,), [none])
    assert set(point.values) == {Quantity.KEY}
    assert point.stderrs == {}, "one run says nothing of the key's scatter"


def test_theory_stands_beside_each_row_and_between_them() -> None:
    between = SMALL.theory((0.25,))
    assert between.chsh == pytest.approx(math.sqrt(2) * 0.96 * 1.75)
    assert [row.chsh_theory for row in ROWS[::2]] == [
        SMALL.theory((share,)).chsh for share in (0.0, 0.5, 1.0)
    ]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(PathUnusable, match="nowhere"):
        SMALL.save(tmp_path / "nowhere")
    (tmp_path / "sweep.svg").mkdir()
    with pytest.raises(FileUnusable, match="to write into"):
        SMALL.save(tmp_path)


def test_a_table_of_other_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the columns protocol, pulses"):
        tables.parse(Row, "a,b\n1,2\n")
