"""Lines of a file joined to readings, as long as there are whole ones: JSON lines, or rows of CSV.

A row in quotes may span lines. What a file is, is told by its name or its first byte; how many
columns it has, by its first row.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from bellwire.iot.errors import DataError
from bellwire.iot.messages import MAX_READING_BYTES
from bellwire.iot.readings import JSON_SUFFIXES, check_line


class _NeedsMore(Exception):
    """A row in quotes goes on in the next line."""


class RowForm:
    """What a file's readings are, from its name or its first byte on."""

    def __init__(self, path: Path, first: bytes) -> None:
        self.json = path.suffix.lower() in JSON_SUFFIXES or first in (b"{", b"[")
        self._path = path
        self._columns = 0

    def learn(self, beginning: bytes) -> None:
        """See how many columns there are, in lines that were taken before."""
        next(self.rows(io.BytesIO(beginning), 0))

    def rows(self, lines: Iterable[bytes], number: int) -> Iterator[bytes]:
        """Lines joined to readings, as long as there are whole ones; DataError if one is none.

        Args:
            lines: With their ends.
            number: How many lines are before them.
        """
        return self._json_rows(lines, number) if self.json else self._csv_rows(lines, number)

    def _json_rows(self, lines: Iterable[bytes], number: int) -> Iterator[bytes]:
        for line in lines:
            number += 1
            check_line(self._path, number, line)
            try:
                msgspec.json.decode(line)
            except (msgspec.DecodeError, RecursionError) as error:
                raise DataError(
                    self._path, number, f"expected a line of JSON, got another: {error}"
                ) from error
            yield line

    def _csv_rows(self, lines: Iterable[bytes], number: int) -> Iterator[bytes]:
        row: list[bytes] = []
        first = number + 1
        reader = csv.reader(self._texts(lines, number, row), strict=True)
        while True:
            try:
                columns = len(next(reader))
            except _NeedsMore:
                return
            except csv.Error as error:
                raise DataError(
                    self._path, first, f"expected a row of CSV, got: {error}"
                ) from error
            self._columns = self._columns or columns
            if columns != self._columns:
                raise DataError(
                    self._path,
                    first,
                    f"expected {self._columns} columns as in line 1, got {columns}",
                )
            yield b"".join(row)
            first += len(row)
            row.clear()

    def _texts(self, lines: Iterable[bytes], number: int, row: list[bytes]) -> Iterator[str]:
        """Lines as text, each also at the end of `row`, which their reader empties."""
        size = 0
        for line in lines:
            number += 1
            check_line(self._path, number, line)
            size = size + len(line) if row else len(line)
            if size > MAX_READING_BYTES:
                first = number - len(row)
                raise DataError(
                    self._path, first, f"expected at most {MAX_READING_BYTES:,} bytes, got more"
                )
            row.append(line)
            yield line.decode()
        raise _NeedsMore
