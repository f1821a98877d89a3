"""What a device has taken and the cloud may not have yet: encrypted on disk, in segments.

A segment is a stream of the cloud's (spec/channel.md), named by 32 random bytes. It grows to 4 MiB;
then another begins, and it is removed when the cloud has all of it. A reading counts as taken once
it is on the disk; only then may it be sent, so that a device that was killed never has less than
the cloud.

A segment's file is `"bwbuf1" ‖ stream 32`, and for each reading `length 4 ‖ nonce 12 ‖
AES-256-GCM(key, nonce, ad = stream ‖ number 8, reading)`, under `HKDF(identity's seed, salt =
stream, "bellwire device buffer")`. Nonces are random, as what a crash cut off is written anew. What
is cut off at the end of a file is what was being written when the device died.
"""

import contextlib
import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bellwire.base.lock import held
from bellwire.base.private import own_folder, read_own_file, sync_folder, unusable, write_whole
from bellwire.base.secret import Secret
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES, AesGcm
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import DEVICE_BUFFER
from bellwire.iot.errors import BufferSpoilt, StateInUse
from bellwire.iot.messages import MAX_READING_BYTES
from bellwire.iot.readings import Readings

_MAGIC: Final = b"bwbuf1"
_STREAM_BYTES: Final = 32
_HEAD_BYTES: Final = len(_MAGIC) + _STREAM_BYTES
_ENTRY: Final = struct.Struct(f">I{NONCE_BYTES}s")
ENTRY_OVERHEAD: Final = _ENTRY.size + TAG_BYTES
SEGMENT_BYTES: Final = 4 * 2**20
"""Of a file; a segment is full beyond."""

MAX_SEGMENT_FILE: Final = SEGMENT_BYTES + MAX_READING_BYTES + ENTRY_OVERHEAD
MIN_BUFFER: Final = 2 * MAX_SEGMENT_FILE


class Segment:
    """One stream of readings that are on the disk.

    Args:
        path: Its file, which exists.
        seed: Of the device's identity.

    Attributes:
        stream: Its name at the cloud.

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
        for text, end in self._entries(data):
            self._keep(text, end)
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
        return Readings(bytes(self._data), self._ends)

    def append(self, readings: Sequence[bytes]) -> None:
        """Take readings of 1 to 32,768 bytes; they are on the disk when this returns.

        Raises:
            PathUnusable: the disk does not take them; none of them counts.
        """
        parts, size = [], self.size
        ends = []
        for number, reading in enumerate(readings, len(self)):
            nonce = os.urandom(NONCE_BYTES)
            sealed = self._cipher.seal(nonce, reading, self._about(number))
            parts.append(_ENTRY.pack(len(sealed), nonce) + sealed)
            size += len(parts[-1])
            ends.append(size)
        try:
            _write_all(self._file, b"".join(parts), self.size)
            os.fdatasync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise unusable(self.path, error) from error
        for reading, end in zip(readings, ends, strict=True):
            self._keep(reading, end)

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

    def _keep(self, reading: bytes, end: int) -> None:
        self._data += reading
        self._ends.append(len(self._data))
        self.size = end

    def _about(self, number: int) -> bytes:
        return self.stream + number.to_bytes(8, "big")

    def _entries(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """Readings that are whole, and where each ends in the file.

        Raises:
            BufferSpoilt: one that is not the last does not open.
        """
        at, number = _HEAD_BYTES, 0
        while at + _ENTRY.size <= len(data):
            length, nonce = _ENTRY.unpack_from(data, at)
            end = at + _ENTRY.size + length
            if end > len(data):
                return
            try:
                text = self._cipher.open(nonce, data[at + _ENTRY.size : end], self._about(number))
            except AuthenticationFailed as error:
                if any(data[end:]):
                    raise BufferSpoilt(
                        f"expected reading {number} of {self.path} as it was written, got another"
                    ) from error
                return
            yield text, end
            at, number = end, number + 1


class Buffer:
    """A device's segments, oldest first; the newest grows.

    Args:
        folder: Of the buffer; one process uses it at a time.
        seed: Of the device's identity, under which everything in it is encrypted.
        limit: Bytes on disk, MIN_BUFFER or more.

    Raises:
        StateInUse: another process uses it.
        BufferSpoilt: a file in it is not what this device wrote.
        PathUnusable, PathExposed: it cannot be read or written.
    """

    def __init__(self, folder: Path, seed: Secret, *, limit: int) -> None:
        self._folder = own_folder(folder)
        self._seed = seed
        self._limit = max(limit, MIN_BUFFER)
        self._stack = contextlib.ExitStack()
        try:
            self._stack.enter_context(held(folder / "lock"))
        except BlockingIOError as error:
            raise StateInUse(
                f"expected the buffer {folder} for this process alone, got one in use",
                hint="Another `bellwire device run` has this state folder.",
            ) from error
        with self._stack:
            self.segments: list[Segment] = []
            for path in sorted(folder.glob("*.segment")):
                self.segments.append(self._open(path))
            self._stack = self._stack.pop_all()

    def __enter__(self) -> "Buffer":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def has_room(self) -> bool:
        """Whether readings may be taken: the limit is not reached with one more segment's worth."""
        used = sum(segment.size for segment in self.segments)
        return used + MAX_READING_BYTES + ENTRY_OVERHEAD <= self._limit

    def append(self, readings: Sequence[bytes]) -> None:
        """Take readings; as `Segment.append`."""
        if not self.segments or self.segments[-1].full:
            self.segments.append(self._begin())
        self.segments[-1].append(readings)

    def remove_first(self) -> None:
        """The cloud has all of the oldest segment, and it is full or not needed any more."""
        self.segments.pop(0).remove()

    def _begin(self) -> Segment:
        last = int(self.segments[-1].path.stem) if self.segments else 0
        path = self._folder / f"{last + 1:010d}.segment"
        write_whole(path, _MAGIC + os.urandom(_STREAM_BYTES), replace=False)
        return self._open(path)

    def _open(self, path: Path) -> Segment:
        segment = Segment(path, self._seed)
        self._stack.callback(segment.close)
        return segment


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
