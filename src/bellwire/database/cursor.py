"""What a transaction is written with, whichever database it is of."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Cursor(Protocol):
    """Takes statements with `?` placeholders; otherwise as DB-API 2.0 (PEP 249) has it."""

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> "Cursor":
        """Run one statement."""

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object:
        """Run one statement for each row."""

    def fetchone(self) -> Any:
        """The next row of the answer; None behind the last."""

    def fetchall(self) -> list[Any]:
        """All rows of the answer."""
