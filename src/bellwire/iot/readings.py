"""A file of readings: checked before anything is sent, and cut into readings byte by byte.

JSON lines have a reading a line. CSV has a reading a row (a row in quotes may span lines), and the
header row travels like any other. The readings joined together are the file exactly, line ends and
all; nothing is parsed into another form.
"""

import csv
import hashlib
import itertools
import stat
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bellwire.iot.errors import DataError
from bellwire.iot.marks import Mark
from bellwire.iot.messages import (
    MAX_BATCH_BYTES,
    MAX_BATCH_READINGS,
    MAX_READING_BYTES,
    MAX_READINGS,
    MAX_STREAM_BYTES,
)

JSON_SUFFIXES: Final = frozenset({".jsonl", ".ndjson", ".json"})


MAX_GROUP_READINGS: Final = 1024
MAX_GROUP_BYTES: Final = 256 * 1024
"""Of a group's readings together."""


@dataclass(frozen=True, slots=True)
class Group:
    """Readings that are taken at once, all or none: at most MAX_GROUP_READINGS, MAX_GROUP_BYTES.

    Attributes:
        readings: Each with its line end.
        mark: How far their file is taken with them; None where they are of no file.
    """

    readings: Sequence[bytes]
    mark: Mark | None = None


class Readings:
    """Readings in order, numbered from 0, each with its line end; never empty of bytes.

    Args:
        data: The readings, joined.
        ends: Where each ends in `data`, increasing; the last is the length of `data`.
    """

    __slots__ = ("_data", "_ends")

    def __init__(self, data: bytes, ends: Iterable[int]) -> None:
        self._data = data
        self._ends = array("Q", ends)

    def __len__(self) -> int:
        return len(self._ends)

    def __repr__(self) -> str:
        return f"Readings({len(self)} readings, {len(self._data)} bytes)"

    @property
    def data(self) -> bytes:
        """The file."""
        return self._data

    def __getitem__(self, number: int) -> bytes:
        return self._data[self._offset(number) : self._ends[number]]

    def sha256(self, count: int) -> bytes:
        """SHA-256 of the first `count` readings, joined."""
        return hashlib.sha256(memoryview(self._data)[: self._offset(count)]).digest()

    def batches(self, first: int, stop: int) -> Iterator[tuple[int, tuple[bytes, ...]]]:
        """Readings `first` to `stop` − 1 in runs that fit a record each: (number, readings)."""
        while first < stop:
            end = first + 1
            limit = self._offset(first) + MAX_BATCH_BYTES
            most = min(stop, first + MAX_BATCH_READINGS)
            while end < most and self._ends[end] <= limit:
                end += 1
            yield first, tuple(self[number] for number in range(first, end))
            first = end

    def _offset(self, number: int) -> int:
        return self._ends[number - 1] if number else 0


def read_readings(path: Path) -> Readings:
    """Read and check a file: JSON lines if its name or its first byte says so, else CSV.

    Raises:
        DataError: missing, unreadable, empty, over 64 MiB, not UTF-8, a line over 32 KiB, over
            2,097,152 readings, an empty line, a row with another number of columns, or a line that
            is not JSON.
    """
    data = _read(path)
    lines = data.split(b"\n")
    lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    texts = _decode(path, data, lines)
    if path.suffix.lower() in JSON_SUFFIXES or data[:1] in (b"{", b"["):
        sizes = _json_lines(path, lines)
    else:
        sizes = _csv_rows(path, lines, texts)
    ends = list(itertools.islice(itertools.accumulate(sizes), MAX_READINGS + 1))
    if len(ends) > MAX_READINGS:
        raise DataError(path, None, f"expected at most {MAX_READINGS:,} readings, got more")
    return Readings(data, ends)


def check_line(path: Path, number: int, line: bytes) -> None:
    """DataError unless a line, counted from 1, is of UTF-8, of 32 KiB at most, and not empty."""
    if len(line) > MAX_READING_BYTES:
        raise DataError(path, number, f"expected at most {MAX_READING_BYTES:,} bytes, got more")
    if not line.strip():
        raise DataError(path, number, "expected a reading, got an empty line")
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            path, number, f"expected UTF-8, got byte 0x{line[error.start]:02x}"
        ) from error


def _read(path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DataError(path, None, "expected a file of readings, got something else")
        with path.open("rb") as file:
            data = file.read(MAX_STREAM_BYTES + 1)
    except OSError as error:
        raise DataError(
            path, None, f"expected a file of readings, got: {error.strerror}"
        ) from error
    if not data:
        raise DataError(path, None, "expected readings, got an empty file")
    if len(data) > MAX_STREAM_BYTES:
        raise DataError(path, None, f"expected at most {MAX_STREAM_BYTES:,} bytes, got more")
    return data


def _decode(path: Path, data: bytes, lines: list[bytes]) -> Iterator[str]:
    """Check every line's length and the whole's UTF-8, and give the lines as text."""
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_READING_BYTES:
            raise DataError(
                path, number, f"expected at most {MAX_READING_BYTES:,} bytes, got {len(line):,}"
            )
        if not line.strip():
            raise DataError(path, number, "expected a reading, got an empty line")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            path, number, f"expected UTF-8, got byte 0x{data[error.start]:02x}"
        ) from error
    return (line.decode() for line in lines)


def _json_lines(path: Path, lines: list[bytes]) -> Iterator[int]:
    decoder = msgspec.json.Decoder()
    for number, line in enumerate(lines, 1):
        try:
            decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise DataError(path, number, f"expected a line of JSON, got another: {error}") from (
                error
            )
        yield len(line)


def _csv_rows(path: Path, lines: list[bytes], texts: Iterator[str]) -> Iterator[int]:
    reader = csv.reader(texts, strict=True)
    columns = taken = 0
    while taken < len(lines):
        try:
            row = next(reader)
        except csv.Error as error:
            raise DataError(path, taken + 1, f"expected a row of CSV, got: {error}") from error
        columns = columns or len(row)
        if len(row) != columns:
            raise DataError(
                path, taken + 1, f"expected {columns} columns as in line 1, got {len(row)}"
            )
        size = sum(len(line) for line in lines[taken : reader.line_num])
        if size > MAX_READING_BYTES:
            raise DataError(
                path, taken + 1, f"expected at most {MAX_READING_BYTES:,} bytes, got {size:,}"
            )
        taken = reader.line_num
        yield size
