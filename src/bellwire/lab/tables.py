"""Tables as CSV, as Parquet and as a pandas frame: one flat dataclass per row.

A column has the type of its field: int, float, bool or str, each perhaps missing. What is written
as CSV reads back the same, bit for bit.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import Field, asdict, fields
from types import NoneType
from typing import Any, get_args

from arro3.core import Array, DataType, Table
from arro3.io import write_parquet

from bellwire.lab import libraries

_ARROW = {
    bool: DataType.bool,
    int: DataType.int64,
    float: DataType.float64,
    str: DataType.string,
}


def columns(kind: type[Any]) -> dict[str, type]:
    """Name → type of each column of a row's dataclass, missing values aside."""
    return {field.name: _kinds(field)[0] for field in fields(kind)}


def header(kind: type[Any]) -> str:
    """The first line of the CSV, with its end."""
    return _line(columns(kind))


def line(row: Any) -> str:
    """A row as a line of CSV, with its end; a missing value is empty."""
    return _line(_text(getattr(row, field.name)) for field in fields(row))


def parse(kind: type[Any], text: str) -> list[Any]:
    """The rows of a CSV text that begins with `header`.

    Raises:
        ValueError: another header, a line of another length, a value of another type.
    """
    types = {field.name: _kinds(field) for field in fields(kind)}
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        if next(reader, []) != list(types):
            raise ValueError("expected the columns " + ", ".join(types))
        return [
            kind(
                **{n: _value(n, t, cell) for (n, t), cell in zip(types.items(), cells, strict=True)}
            )
            for cells in reader
        ]
    except csv.Error as error:
        raise ValueError(str(error)) from error


def parquet(kind: type[Any], rows: Sequence[Any]) -> bytes:
    """The rows as the content of a Parquet file."""
    arrays = [
        Array([getattr(row, name) for row in rows], _ARROW[of]())
        for name, of in columns(kind).items()
    ]
    content = io.BytesIO()
    write_parquet(Table.from_arrays(arrays, names=list(columns(kind))), content)
    return content.getvalue()


def frame(rows: Iterable[Any]) -> Any:
    """The rows, dataclasses or mappings, as a pandas DataFrame.

    Raises:
        LibraryMissing: pandas is not installed.
    """
    pandas = libraries.load("pandas")
    return pandas.DataFrame([row if isinstance(row, dict) else asdict(row) for row in rows])


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return float.__repr__(value) if isinstance(value, float) else str(value)


def _kinds(field: Field[Any]) -> list[type]:
    """Types that a column's values may have, NoneType last."""
    return [each for each in get_args(field.type) or (field.type,) if isinstance(each, type)]


def _value(name: str, kinds: list[type], cell: str) -> object:
    if not cell:
        if NoneType in kinds:
            return None
        raise ValueError(f"expected a value in the column {name}, got none")
    if kinds[0] is bool:
        if cell not in {"true", "false"}:
            raise ValueError(f"expected true or false in the column {name}, got {cell}")
        return cell == "true"
    value = kinds[0](cell)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"expected 64 bits in the column {name}, got {cell}")
    return value
