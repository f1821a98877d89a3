"""The cloud's memory: each stream a file of readings and an index that says how far it is sound.

The readings file is the device's bytes and nothing else, so its SHA-256 is the input's. The index
has 16 bytes a reading: where it ends (8), CRC-32 of the reading (4), CRC-32 of these 12 bytes (4),
big-endian. Both are synced before a reading is acknowledged. After a crash, whatever order the disk
wrote in, the longest run of index entries that agree with the readings counts, and the rest is cut
off: every acknowledged reading is there, and none of another content.
"""

import contextlib
import fcntl
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from bellwire.base.closing import Closing
from bellwire.base.private import own_folder, sync_folder, unusable
from bellwire.iot.errors import OutOfStep, StateInUse, StoreFailed, StreamFull
from bellwire.iot.messages import MAX_READING_BYTES, MAX_READINGS, MAX_STREAM_BYTES

MAX_STREAMS = 10_000
"""Per device."""

PLACE = struct.Struct(">QI")
ENTRY = struct.Struct(">QII")
"""An entry of the index: where the reading ends, its CRC, and the CRC of both."""


class StreamFile:
    """One stream, open for appending; not for use by two threads at once.

    Its two files may `rest` in between: what is known of them stays; the next append opens them.

    Args:
        folder: The device's.
        stream: Its name, 32 bytes.

    Raises:
        StreamFull: the device has too many streams.
        StoreFailed: the files cannot be opened or mended.
    """

    def __init__(self, folder: Path, stream: bytes) -> None:
        self.path = folder / f"{stream.hex()}.readings"
        self._index_path = self.path.with_suffix(".index")
        self._data = self._index = -1
        if not self._index_path.exists() and sum(1 for _ in folder.glob("*.index")) >= MAX_STREAMS:
            raise StreamFull(f"expected at most {MAX_STREAMS:,} streams of a device, got another")
        try:
            self._wake(os.O_CREAT)
            sync_folder(folder)
            self._recover()
        except OSError as error:
            self.close()
            raise StoreFailed(f"cannot open {self.path}: {error.strerror}") from error

    @property
    def resting(self) -> bool:
        """Whether its files are closed."""
        return self._data < 0

    def _wake(self, more_flags: int = 0) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | more_flags
        self._data = os.open(self.path, flags, 0o600)
        try:
            self._index = os.open(self._index_path, flags, 0o600)
        except OSError:
            self.rest()
            raise

    def _recover(self) -> None:
        """Count the readings that are whole, and cut off what is not."""
        self.count = 0
        self.size = 0
        self._sha256 = hashlib.sha256()
        index = _pread_all(self._index, 0, ENTRY.size * MAX_READINGS)
        for at in range(0, len(index) - ENTRY.size + 1, ENTRY.size):
            end, crc, check = ENTRY.unpack_from(index, at)
            if check != zlib.crc32(PLACE.pack(end, crc)):
                break
            if not 1 <= end - self.size <= MAX_READING_BYTES or end > MAX_STREAM_BYTES:
                break
            reading = _pread_all(self._data, self.size, end - self.size)
            if len(reading) != end - self.size or zlib.crc32(reading) != crc:
                break
            self._sha256.update(reading)
            self.size = end
            self.count += 1
        self._cut()

    def _cut(self) -> None:
        os.ftruncate(self._index, self.count * ENTRY.size)
        os.ftruncate(self._data, self.size)
        os.fsync(self._index)
        os.fsync(self._data)

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the readings, joined."""
        return self._sha256.digest()

    def append(self, first: int, readings: Sequence[bytes]) -> int:
        """Store readings durably.

        Args:
            first: Number of the first, which must be `count`.
            readings: Of 1 to 32,768 bytes each.

        Returns:
            The new count.

        Raises:
            OutOfStep: the batch begins elsewhere.
            StreamFull: the stream would be over 64 MiB or 2,097,152 readings.
            StoreFailed: the disk failed; none of the batch counts.
        """
        if first != self.count:
            raise OutOfStep(f"expected reading {self.count} next, got {first}")
        data = b"".join(readings)
        if self.size + len(data) > MAX_STREAM_BYTES or self.count + len(readings) > MAX_READINGS:
            raise StreamFull(f"expected a stream of at most {MAX_STREAM_BYTES:,} bytes, got more")
        try:
            if self.resting:
                self._wake()
            _pwrite_all(self._data, data, self.size)
            _pwrite_all(self._index, self._entries(readings), self.count * ENTRY.size)
            os.fsync(self._data)
            os.fsync(self._index)
        except OSError as error:
            if not self.resting:
                with contextlib.suppress(OSError):
                    self._cut()
            raise StoreFailed(f"cannot write {self.path}: {error.strerror}") from error
        self._sha256.update(data)
        self.size += len(data)
        self.count += len(readings)
        return self.count

    def _entries(self, readings: Sequence[bytes]) -> bytes:
        entries, end = [], self.size
        for reading in readings:
            end += len(reading)
            place = PLACE.pack(end, zlib.crc32(reading))
            entries.append(place + struct.pack(">I", zlib.crc32(place)))
        return b"".join(entries)

    def rest(self) -> None:
        """Close the files until they are needed; all that is acknowledged is durable."""
        for descriptor in (self._data, self._index):
            if descriptor >= 0:
                os.close(descriptor)
        self._data = self._index = -1

    def close(self) -> None:
        """Give the files back; again is harmless."""
        self.rest()


class CloudStore(Closing):
    """All devices' folders under one state folder, which one process uses at a time.

    Raises:
        PathUnusable, PathExposed: the folder cannot be used.
        StateInUse: another cloud uses it.
    """

    def __init__(self, state: Path) -> None:
        self._folder = own_folder(own_folder(state) / "devices")
        lock = state / "lock"
        try:
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(lock, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise StateInUse(
                f"expected the folder {state} for this cloud alone, got one in use by another",
                hint="Stop the other cloud, or choose another state folder.",
            ) from error

    def open(self, device: bytes, stream: bytes) -> StreamFile:
        """A device's stream, recovered; StoreFailed as `StreamFile`, or as `own_folder`."""
        return StreamFile(own_folder(self._folder / device.hex()), stream)

    def streams(self, device: bytes) -> Iterator[Path]:
        """The readings files of a device, by name."""
        yield from sorted((self._folder / device.hex()).glob("*.readings"))

    def close(self) -> None:
        """Let another process have the folder."""
        os.close(self._lock)


def latest(path: Path, most: int, *, end: int | None = None) -> list[tuple[int, bytes]]:
    """The latest readings of a stream that are whole, ascending, each with its number.

    Args:
        path: Its readings file; who writes it may go on meanwhile.
        most: At most so many.
        end: Those below this number; None: of all.

    Raises:
        StoreFailed: its files cannot be read.
    """
    found: list[tuple[int, bytes]] = []
    try:
        with path.open("rb") as data, path.with_suffix(".index").open("rb") as index:
            size = os.fstat(index.fileno()).st_size // ENTRY.size
            end = size if end is None else min(end, size)
            first = max(0, end - most)
            before = max(0, first - 1)
            entries = _pread_all(index.fileno(), before * ENTRY.size, (end - before) * ENTRY.size)
            begin = 0
            for number, (stop, crc, check) in enumerate(ENTRY.iter_unpack(entries), before):
                if check != zlib.crc32(PLACE.pack(stop, crc)):
                    break  # it is being written
                if number >= first:
                    length = stop - begin
                    if not 1 <= length <= MAX_READING_BYTES:
                        break
                    reading = _pread_all(data.fileno(), begin, length)
                    if len(reading) != length or zlib.crc32(reading) != crc:
                        break
                    found.append((number, reading))
                begin = stop
    except OSError as error:
        raise StoreFailed(f"cannot read {path}: {error.strerror}") from error
    return found


def _pread_all(descriptor: int, offset: int, most: int) -> bytes:
    """Up to `most` bytes from `offset`, less only at the end of the file."""
    parts, left = [], most
    while left and (part := os.pread(descriptor, min(left, 1 << 20), offset)):
        parts.append(part)
        offset += len(part)
        left -= len(part)
    return b"".join(parts)


def _pwrite_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
