"""Readings in a cloud's files, for who does not write them.

A file that is being appended to may end in readings that are not durable: who asks says where to
stop.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.iot.messages import MAX_READING_BYTES, MAX_STREAM_BYTES
from bellwire.iot.store import ENTRY, PLACE

NAME_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class StreamKey:
    """Whose stream, and which.

    Attributes:
        device: Fingerprint, 32 bytes.
        stream: Name, 32 bytes.
    """

    device: bytes
    stream: bytes

    def path(self, folder: Path) -> Path:
        """The file of the readings, in the folder of all devices."""
        return folder / self.device.hex() / f"{self.stream.hex()}.readings"


def all_streams(folder: Path) -> Iterator[tuple[StreamKey, int]]:
    """Every stream in the folder of all devices, and how many readings it has at most.

    At most: after a crash, the last ones may be cut off when the stream is next opened.

    Raises:
        OSError: the folder cannot be read.
    """
    for index in folder.glob("*/*.index"):
        try:
            key = StreamKey(bytes.fromhex(index.parent.name), bytes.fromhex(index.stem))
        except ValueError:
            continue
        if len(key.device) == len(key.stream) == NAME_BYTES:
            yield key, index.stat().st_size // ENTRY.size


def read_stored(path: Path, first: int, stop: int, most_bytes: int) -> list[bytes]:
    """Readings `first` to `stop` − 1, as many as are whole and fit into `most_bytes`.

    Args:
        path: File of the readings; its index lies beside it.
        first: Number of the first, from 0.
        stop: Number after the last.
        most_bytes: Of all together; a first reading that is longer comes alone.

    Raises:
        OSError: a file cannot be read.
    """
    readings: list[bytes] = []
    with path.open("rb") as data, path.with_suffix(".index").open("rb") as index:
        begin = 0
        if first:
            index.seek((first - 1) * ENTRY.size)
            entry = index.read(ENTRY.size)
            if len(entry) < ENTRY.size:
                return []
            begin = ENTRY.unpack(entry)[0]
        data.seek(begin)
        left = most_bytes
        for _ in range(first, stop):
            entry = index.read(ENTRY.size)
            if len(entry) < ENTRY.size:
                break
            end, crc, check = ENTRY.unpack(entry)
            size = end - begin
            good = check == zlib.crc32(PLACE.pack(end, crc)) and end <= MAX_STREAM_BYTES
            if not good or not 1 <= size <= MAX_READING_BYTES or (readings and size > left):
                break
            reading = data.read(size)
            if len(reading) != size or zlib.crc32(reading) != crc:
                break
            readings.append(reading)
            begin, left = end, left - size
    return readings
