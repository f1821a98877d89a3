"""Tags out of a file, in order, a bounded number at a time; whatever is no tag is named by place.

Binary records lie at fixed distances; text is cut at line ends. Memory is one chunk, whatever the
file's length. Layouts: spec/time-tags.md.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bellwire.link.errors import TagsUnreadable
from bellwire.link.kernels.tags import (
    NO_CHANNEL,
    NO_NUMBER,
    PARSED,
    TOO_LONG,
    TRAILING,
    Times,
    first_fall,
    parse_csv,
)
from bellwire.link.timetags.recording import MAX_CHANNEL, Recording, TagFormat

MAGIC = b"\x89BWTAGS\n"
HEADER = np.dtype(
    [("magic", "S8"), ("version", "<u2"), ("record", "<u2"), ("order", "<u4"), ("rest", "V16")]
)
VERSION = 1
BYTE_ORDER = 0x01020304
TAG = np.dtype(
    [("kind", "u1"), ("reserved", "u1"), ("missed", "<u2"), ("channel", "<i4"), ("time", "<i8")]
)
"""A record of the formats `bellwire` and `swabian-dump`."""

QUTOOLS_TAG = np.dtype([("time", "<u8"), ("channel", "<u2")])
QUTOOLS_HEADER_BYTES = 40
CSV_HEADER = b"time_ps,channel"

ERROR_TAG, LAST_KIND = 1, 4
MAX_TIME_PS = 1 << 60
"""13 days: recordings are of hours, and sums of two times stay within eight bytes."""

MAX_LINE = 64
CHUNK_RECORDS = 1 << 17
_WRONG = {
    NO_NUMBER: "expected TIME,CHANNEL with the time in whole picoseconds",
    TOO_LONG: "expected a time of at most 18 digits",
    NO_CHANNEL: "expected a channel number after the comma",
    TRAILING: "expected the end of the line after the channel",
}


LIVE_PATIENCE_S = 4.0
"""How long one block waits for tags that are still to be written, in all."""

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record begins: byte of the file, and records before it."""

    byte: int
    record: int


BEGINNING = Place(0, 0)
"""Of the first record, behind whatever header there is."""


class Tags(NamedTuple):
    """Consecutive tags of detectors.

    Attributes:
        times: (n,) int64, ps as the file has them; they do not fall.
        channels: (n,) int32.
        bytes: (n,) int64, where each record begins.
        records: (n,) int64, records of the file before each.
    """

    times: Times
    channels: NDArray[np.int32]
    bytes: Times
    records: Times

    def where(self, keep: NDArray[np.bool_]) -> "Tags":
        """Those that an (n,) mask keeps."""
        return Tags(self.times[keep], self.channels[keep], self.bytes[keep], self.records[keep])


def read_tags(
    recording: Recording, start: Place = BEGINNING, chunk: int = CHUNK_RECORDS
) -> Iterator[Tags]:
    """Read a recording's tags from a place on.

    Args:
        recording: The folder.
        start: A record's beginning.
        chunk: Records at a time; changes memory, never the result.

    Raises:
        TagsUnreadable: no file, no such format, a record cut off, a time below the one before it,
            a channel that `tags.toml` does not name; with the byte or the line.
    """
    try:
        with recording.path.open("rb") as file:
            source = Growing(file) if recording.about.live else file
            yield from _checked(recording, _raw(recording, source, start, chunk))
    except OSError as error:
        raise TagsUnreadable(
            recording.path, None, f"cannot be read: {error.strerror or error}"
        ) from error


class Growing:
    """A file that is still written: at its end it waits for more, for a while in all.

    Args:
        file: Open for reading.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left_s = LIVE_PATIENCE_S

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none once the wait is over."""
        while not (data := self._file.read(size)) and self._left_s > 0.0:
            time.sleep(_POLL_S)
            self._left_s -= _POLL_S
        return data

    def readline(self, size: int) -> bytes:
        """The next line, as far as it is there."""
        return self._file.readline(size)

    def seek(self, place: int) -> None:
        """Go to a byte."""
        self._file.seek(place)

    def fileno(self) -> int:
        """Of the file."""
        return self._file.fileno()


Source = BinaryIO | Growing


def _raw(recording: Recording, file: Source, start: Place, chunk: int) -> Iterator[Tags]:
    form = recording.about.format
    if form is TagFormat.CSV:
        return _text(recording, file, start, chunk)
    header = _skip_header(recording, file)
    record = QUTOOLS_TAG if form in {TagFormat.QUTOOLS, TagFormat.QUTOOLS_RAW} else TAG
    return _binary(recording, file, header, record, start, chunk)


def _skip_header(recording: Recording, file: Source) -> int:
    """Bytes before the first record."""
    path, form = recording.path, recording.about.format
    if form is TagFormat.QUTOOLS:
        size = os.fstat(file.fileno()).st_size
        if size < QUTOOLS_HEADER_BYTES:
            raise TagsUnreadable(path, f"byte {size}", "expected a header of 40 bytes")
        return QUTOOLS_HEADER_BYTES
    if form is not TagFormat.BELLWIRE:
        return 0
    data = file.read(HEADER.itemsize)
    if data[: len(MAGIC)] != MAGIC:
        raise TagsUnreadable(path, "byte 0", "expected a file of bellwire's time tags, got another")
    if len(data) < HEADER.itemsize:
        raise TagsUnreadable(path, f"byte {len(data)}", "expected a header of 32 bytes")
    header = np.frombuffer(data, HEADER)[0]
    if header["order"] != BYTE_ORDER:
        raise TagsUnreadable(path, "byte 12", "expected little-endian records, got another order")
    if header["version"] != VERSION or header["record"] != TAG.itemsize:
        raise TagsUnreadable(
            path,
            "byte 8",
            f"expected version {VERSION} with records of {TAG.itemsize} bytes, got version "
            f"{header['version']} with {header['record']}",
        )
    return HEADER.itemsize


def _binary(  # noqa: PLR0917 - the file, and how to read it
    recording: Recording,
    file: Source,
    header: int,
    record: np.dtype[Any],
    start: Place,
    chunk: int,
) -> Iterator[Tags]:
    number = start.record
    size = record.itemsize
    file.seek(header + number * size)
    rest = b""
    while data := file.read(chunk * size):
        data = rest + data
        whole = len(data) - len(data) % size
        rest = data[whole:]
        found = np.frombuffer(data[:whole], record)
        records = np.arange(number, number + found.size, dtype=np.int64)
        yield _kept(recording, found, header + size * records, records)
        number += found.size
    if rest and not recording.about.live:
        raise TagsUnreadable(
            recording.path,
            f"byte {header + number * size}",
            f"expected a record of {size} bytes, got {len(rest)} before the end",
        )


def _kept(recording: Recording, found: NDArray[Any], places: Times, records: Times) -> Tags:
    """The tags among the records; what tells of an overflow is left out, an error ends it."""
    if found.dtype == TAG:
        kinds = found["kind"]
        wrong = np.flatnonzero((kinds == ERROR_TAG) | (kinds > LAST_KIND) | (found["time"] < 0))
        if wrong.size:
            i = int(wrong[0])
            what = (
                f"expected a time from 0, got {found['time'][i]}"
                if found["time"][i] < 0
                else f"expected a tag, got kind {kinds[i]}: the recorder lost its time base"
                if kinds[i] == ERROR_TAG
                else f"expected a kind from 0 to {LAST_KIND}, got {kinds[i]}"
            )
            raise TagsUnreadable(recording.path, f"byte {places[i]}", what)
        times = found["time"].astype(np.int64)
        # 2, 3 and 4 tell of an overflow: tags were lost, as photons are; they are no detections.
        keep = kinds == 0
    else:
        units = found["time"]
        most = MAX_TIME_PS / recording.about.unit_ps
        if (units > most).any():
            i = int(np.argmax(units > most))
            raise TagsUnreadable(
                recording.path, f"byte {places[i]}", f"expected a time up to {most:.0f} units"
            )
        unit = recording.about.unit_ps
        times = (
            units.astype(np.int64)
            if unit == 1.0
            else np.rint(units.astype(np.longdouble) * np.longdouble(unit)).astype(np.int64)
        )
        keep = np.ones(times.size, np.bool_)
    channels = found["channel"].astype(np.int32)
    tags = Tags(times, channels, places, records)
    return tags if keep.all() else tags.where(keep)


def _text(recording: Recording, file: Source, start: Place, chunk: int) -> Iterator[Tags]:
    line = file.readline(MAX_LINE + 1)
    header = len(line) if line.rstrip(b"\r\n") == CSV_HEADER else 0
    first = 2 if header else 1
    number = start.record
    at = max(start.byte, header)
    file.seek(at)
    rest = b""
    while data := file.read(chunk * 16):
        text = rest + data
        end = text.rfind(b"\n") + 1
        whole, rest = text[:end], text[end:]
        if len(rest) > MAX_LINE:
            lines = whole.count(b"\n")
            raise TagsUnreadable(
                recording.path,
                f"line {first + number + lines}",
                f"expected a line of at most {MAX_LINE} bytes",
            )
        count = whole.count(b"\n")
        times, channels = np.empty(count, np.int64), np.empty(count, np.int32)
        starts = np.empty(count, np.int64)
        read, how, _ = parse_csv(np.frombuffer(whole, np.uint8), times, channels, starts)
        if how != PARSED:
            raise TagsUnreadable(recording.path, f"line {first + number + read}", _WRONG[how])
        records = np.arange(number, number + count, dtype=np.int64)
        yield Tags(times, channels, at + starts, records)
        number += count
        at += end
    if rest and not recording.about.live:
        raise TagsUnreadable(
            recording.path, f"line {first + number}", "expected the line to end, got the file's end"
        )


def _checked(recording: Recording, chunks: Iterator[Tags]) -> Iterator[Tags]:
    """Tags of known channels, in order."""
    about = recording.about
    known = np.zeros(MAX_CHANNEL + 1, np.bool_)
    known[[each.number for each in about.channels]] = True
    before = 0
    for tags in chunks:
        fall = first_fall(tags.times, before)
        if fall >= 0:
            earlier = before if fall == 0 else tags.times[fall - 1]
            raise TagsUnreadable(
                recording.path,
                _where(recording, tags, fall),
                f"expected times that do not fall, got {tags.times[fall]} after {earlier}",
            )
        if tags.times.size:
            before = int(tags.times[-1])
            if before > MAX_TIME_PS:
                i = int(np.argmax(tags.times > MAX_TIME_PS))
                raise TagsUnreadable(
                    recording.path,
                    _where(recording, tags, i),
                    f"expected times up to {MAX_TIME_PS} ps, got {tags.times[i]}",
                )
        inside = (tags.channels >= 0) & (tags.channels <= MAX_CHANNEL)
        ours = inside & known[np.where(inside, tags.channels, 0)]
        if not ours.all():
            foreign = np.flatnonzero(~ours & ~np.isin(tags.channels, about.ignore))
            if foreign.size:
                i = int(foreign[0])
                raise TagsUnreadable(
                    recording.path,
                    _where(recording, tags, i),
                    f"expected a channel that tags.toml names, got {tags.channels[i]}",
                )
        yield tags if ours.all() else tags.where(ours)


def _where(recording: Recording, tags: Tags, i: int) -> str:
    if recording.about.format is TagFormat.CSV:
        with recording.path.open("rb") as file:
            line = file.readline(MAX_LINE + 1)
        header = line.rstrip(b"\r\n") == CSV_HEADER
        return f"line {tags.records[i] + (2 if header else 1)}"
    return f"byte {tags.bytes[i]}"
