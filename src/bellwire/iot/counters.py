"""The numbers of handshakes: a device's own, which only rise, and the last that a cloud confirmed.

A cloud turns back a hello whose number is not above the last that this device confirmed, before it
spends anything dear on it: a replay. A device's number is durable before it is used, and is at
least the time in nanoseconds, so that a device whose state was put back is not shut out.

The cloud's file is appended to without waiting for the disk: what a power cut takes away costs the
work of replays that end without a session, and nothing else.
"""

import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bellwire.base.private import own_folder, read_own_file, unusable, write_whole

_NUMBER = struct.Struct(">Q")
_ENTRY = struct.Struct(">32sQI")
_CHECKED: Final = _ENTRY.size - 4
MAX_FILE_BYTES: Final = 16 * 2**20
LATEST_NS: Final = 2**63
"""The year 2262: a clock that says more must not use up the numbers."""

SPARE_ENTRIES: Final = 65_536
"""The cloud's file is written anew when it has this many entries more than twice those in use."""


class CallCounter:
    """A device's numbers.

    Args:
        path: The file that keeps the last one, in the device's folder; None keeps it in memory.
        clock_ns: Nanoseconds since the epoch.
    """

    def __init__(
        self, path: Path | None = None, *, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._path = path
        self._clock_ns = clock_ns
        self._last = 0

    def take(self) -> int:
        """The next number, never given before.

        Raises:
            PathUnusable: it cannot be kept; none is given.
            PathExposed: others may read the file.
        """
        last = self._last
        if self._path is not None:
            kept = read_own_file(self._path, _NUMBER.size) or b""
            if len(kept) == _NUMBER.size:
                last = max(last, int(_NUMBER.unpack(kept)[0]))
        number = max(last + 1, min(self._clock_ns(), LATEST_NS))
        if self._path is not None:
            write_whole(self._path, _NUMBER.pack(number), replace=True)
        self._last = number
        return number


class SeenCounters:
    """The last confirmed number of each device; one process uses the file at a time.

    Args:
        path: The file, in the cloud's folder.

    Raises:
        PathUnusable, PathExposed: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        own_folder(path.parent)
        self._path = path
        self._last = _read(read_own_file(path, MAX_FILE_BYTES) or b"")
        self._file = -1
        self._write_anew()

    def last(self, device: bytes) -> int:
        """The last confirmed number of the device with this fingerprint; 0 before its first."""
        return self._last.get(device, 0)

    def confirm(self, device: bytes, number: int) -> None:
        """Remember a confirmed number; a lower one than the last changes nothing.

        Raises:
            PathUnusable: the disk does not take it; it is remembered until the end all the same.
        """
        if number <= self.last(device):
            return
        self._last[device] = number
        if self._entries > 2 * len(self._last) + SPARE_ENTRIES:
            self._write_anew()
            return
        try:
            written = os.write(self._file, _encode(device, number))
        except OSError as error:
            raise unusable(self._path, error) from error
        self._entries += 1
        if written < _ENTRY.size:
            self._write_anew()

    def close(self) -> None:
        """Give the file back; again is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write_anew(self) -> None:
        self.close()
        content = b"".join(_encode(device, number) for device, number in self._last.items())
        write_whole(self._path, content, replace=True)
        self._entries = len(self._last)
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            raise unusable(self._path, error) from error


def _encode(device: bytes, number: int) -> bytes:
    head = device + _NUMBER.pack(number)
    return head + struct.pack(">I", zlib.crc32(head))


def _read(content: bytes) -> dict[bytes, int]:
    """Each device's highest number; an entry that a crash spoilt, and what follows, is left out."""
    last: dict[bytes, int] = {}
    for at in range(0, len(content) - _ENTRY.size + 1, _ENTRY.size):
        device, number, check = _ENTRY.unpack_from(content, at)
        if check != zlib.crc32(content[at : at + _CHECKED]):
            break
        last[device] = max(number, last.get(device, 0))
    return last
