"""A segment of a device's buffer: a stream of readings in a file, encrypted, that only grows.

A segment's file is `"bwbuf1" ‖ stream 32`, and for each reading `length 4 ‖ nonce 12 ‖
AES-256-GCM(key, nonce, ad = stream ‖ number 8, reading)`, under `HKDF(identity's seed, salt =
stream, "bellwire device buffer")`. Nonces are random, as what a crash cut off is written anew. What
is cut off at the end of a file is what was being written when the device died.

Before readings of a file stands the mark of how far it is taken with them (`iot.marks`): as a
reading, with the highest bit set in its length and in its number, of the text `readings 2 ‖ mark
56`. The readings that it speaks of are there all, or none of them counts.
"""

import contextlib
import itertools
import os
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bellwire.base.private import read_own_file, sync_folder, unusable, write_whole
from bellwire.base.secret import Secret
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES, AesGcm
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import DEVICE_BUFFER
from bellwire.iot.errors import BufferSpoilt
from bellwire.iot.marks import MARK_BYTES, Mark
from bellwire.iot.readings import MAX_GROUP_BYTES, MAX_GROUP_READINGS, Group, Readings

_MAGIC: Final = b"bwbuf1"
_STREAM_BYTES: Final = 32
_HEAD_BYTES: Final = len(_MAGIC) + _STREAM_BYTES
_ENTRY: Final = struct.Struct(f">I{NONCE_BYTES}s")
_COUNT: Final = struct.Struct(">H")
_MARK_LENGTH: Final = 1 << 31
_MARK_NUMBER: Final = 1 << 63
ENTRY_OVERHEAD: Final = _ENTRY.size + TAG_BYTES
SEGMENT_BYTES: Final = 4 * 2**20
"""Of a file; a segment is full beyond."""

MAX_GROUP_FILE: Final = (
    MAX_GROUP_BYTES
    + MAX_GROUP_READINGS * ENTRY_OVERHEAD
    + _COUNT.size
    + MARK_BYTES
    + ENTRY_OVERHEAD
)
"""What a group of readings takes at most, with its mark."""

MAX_SEGMENT_FILE: Final = SEGMENT_BYTES + MAX_GROUP_FILE


class Segment:
    """One stream of readings that are on the disk.

    Args:
        path: Its file, which exists.
        seed: Of the device's identity.

    Attributes:
        stream: Its name at the cloud.
        marks: How far files are taken with its readings, by source.

    Raises:
        BufferSpoilt: the file is not a segment of this device.
        PathUnusable, PathExposed: it cannot be read or written.
    """

    def __init__(self, path: Path, seed: Secret) -> None:
        self.path = path
        data = read_own_file(path, MAX_SEGMENT_FILE) or b""
        if len(data) < _HEAD_BYTES or not data.startswith(_MAGIC):
            raise BufferSpoilt(f"expected a segment of readings in {path}, got something else")
        self.stream = data[len(_MAGIC) : _HEAD_BYTES]
        self._cipher = AesGcm(hkdf(seed.reveal(), salt=self.stream, info=DEVICE_BUFFER, length=32))
        self._data = bytearray()
        self._ends = array("Q")
        self.size = _HEAD_BYTES
        self.marks: dict[bytes, Mark] = {}
        for group, end in self._groups(data):
            self._keep(group, end)
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            os.ftruncate(self._file, self.size)
        except OSError as error:
            raise unusable(path, error) from error

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def full(self) -> bool:
        """Whether no more readings go into it."""
        return self.size >= SEGMENT_BYTES

    def readings(self) -> Readings:
        """What it has now."""
        # The ends first: another thread may be appending, and each end comes after its bytes.
        ends = self._ends[:]
        return Readings(bytes(memoryview(self._data)[: ends[-1] if ends else 0]), ends)

    def append(self, group: Group) -> None:
        """Take readings; they, and their mark, are on the disk when this returns.

        Raises:
            PathUnusable: the disk does not take them; none of them counts.
        """
        parts = []
        if group.mark is not None:
            text = _COUNT.pack(len(group.readings)) + group.mark.pack()
            parts.append(self._seal(text, len(self) | _MARK_NUMBER, _MARK_LENGTH))
        for number, reading in enumerate(group.readings, len(self)):
            parts.append(self._seal(reading, number))
        data = b"".join(parts)
        try:
            _write_all(self._file, data, self.size)
            os.fdatasync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise unusable(self.path, error) from error
        self._keep(group, self.size + len(data))

    def close(self) -> None:
        """Give the file back; again is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def remove(self) -> None:
        """The cloud has all of it: be gone."""
        self.close()
        try:
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)
        except OSError as error:
            raise unusable(self.path, error) from error

    def _keep(self, group: Group, end: int) -> None:
        for reading in group.readings:
            self._data += reading
            self._ends.append(len(self._data))
        if group.mark is not None:
            self.marks.pop(group.mark.source, None)
            self.marks[group.mark.source] = group.mark
        self.size = end

    def _seal(self, text: bytes, number: int, flag: int = 0) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.seal(nonce, text, self._about(number))
        return _ENTRY.pack(len(sealed) | flag, nonce) + sealed

    def _about(self, number: int) -> bytes:
        return self.stream + number.to_bytes(8, "big")

    def _groups(self, data: bytes) -> Iterator[tuple[Group, int]]:
        """Groups of readings that are whole, and where each ends in the file.

        Raises:
            BufferSpoilt: an entry that is not the last does not open.
        """
        entries = self._entries(data)
        for text, marked, end in entries:
            if not marked:
                yield Group([text]), end
                continue
            (count,), mark = _COUNT.unpack_from(text), Mark.unpack(text[_COUNT.size :])
            members = list(itertools.islice(entries, count))
            if len(members) < count:
                return
            yield Group([reading for reading, *_ in members], mark), members[-1][2]

    def _entries(self, data: bytes) -> Iterator[tuple[bytes, bool, int]]:
        """Text, whether it is a mark's, and its end in the file, of each entry that is whole."""
        at, number = _HEAD_BYTES, 0
        while at + _ENTRY.size <= len(data):
            length, nonce = _ENTRY.unpack_from(data, at)
            marked, length = bool(length & _MARK_LENGTH), length & ~_MARK_LENGTH
            start, end = at + _ENTRY.size, at + _ENTRY.size + length
            if end > len(data):
                return
            about = self._about(number | _MARK_NUMBER if marked else number)
            try:
                text = self._cipher.open(nonce, data[start:end], about)
            except AuthenticationFailed as error:
                if any(data[end:]):
                    raise BufferSpoilt(
                        f"expected reading {number} of {self.path} as it was written, got another"
                    ) from error
                return
            yield text, marked, end
            at, number = end, number + (not marked)


def new_segment(path: Path) -> None:
    """Make the file of a segment that has no readings; PathUnusable if it cannot be."""
    write_whole(path, _MAGIC + os.urandom(_STREAM_BYTES), replace=False)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
