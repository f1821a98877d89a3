"""Statements of many rows."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

ROWS: Final = 512
"""Of one statement at most."""


def cut(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """As many at a time as one statement takes."""
    for at in range(0, len(rows), ROWS):
        yield rows[at : at + ROWS]


def marks(rows: int, columns: int) -> str:
    """Placeholders: rows of as many in parentheses, with commas between."""
    row = "(" + ", ".join("?" * columns) + ")"
    return ", ".join([row] * rows)
