"""How far a device has taken a file: kept with the readings, so that no death comes in between.

A mark says that the readings of a file before an offset were taken, and the SHA-256 of the bytes
before it: another file under the same name is told by its content.

The newest marks of segments that are gone are in one file, `"bwmrk1" ‖ nonce 12 ‖
AES-256-GCM(key, nonce, ad = "bwmrk1", marks)`, under `HKDF(identity's seed, salt = "marks",
"bellwire device buffer")`: a digest of readings tells who can guess them.
"""

import hashlib
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.base.private import read_own_file, write_whole
from bellwire.base.secret import Secret
from bellwire.crypto.aead import NONCE_BYTES, AesGcm
from bellwire.crypto.errors import AuthenticationFailed, LengthError
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import DEVICE_BUFFER
from bellwire.iot.errors import BufferSpoilt

_MAGIC: Final = b"bwmrk1"
_FORM: Final = struct.Struct(">16sQ32s")
MARK_BYTES: Final = _FORM.size
MAX_MARKS: Final = 64
"""Files whose marks are kept; that of the one longest not taken from is forgotten."""

MAX_FILE: Final = 8192


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a file is taken.

    Attributes:
        source: Which file, 16 bytes; `source_of` its path.
        offset: Bytes before it are taken.
        digest: SHA-256 of these, 32 bytes.
    """

    source: bytes
    offset: int
    digest: bytes

    def pack(self) -> bytes:
        """Its MARK_BYTES bytes."""
        return _FORM.pack(self.source, self.offset, self.digest)

    @classmethod
    def unpack(cls, data: bytes) -> "Mark":
        """Undo `pack`."""
        return cls(*_FORM.unpack(data))


def source_of(path: Path) -> bytes:
    """What names the file at this path, 16 bytes."""
    return hashlib.sha256(b"bellwire file of readings" + os.fsencode(path.resolve())).digest()[:16]


class MarkFile:
    """The marks whose segments are gone.

    Args:
        path: The file.
        seed: Of the device's identity.

    Raises:
        BufferSpoilt: it is not what this device wrote.
        PathUnusable, PathExposed: it cannot be read.
    """

    def __init__(self, path: Path, seed: Secret) -> None:
        self._path = path
        self._cipher = AesGcm(hkdf(seed.reveal(), salt=b"marks", info=DEVICE_BUFFER, length=32))
        data = read_own_file(path, MAX_FILE)
        self._marks = {} if data is None else {each.source: each for each in self._open(data)}

    def get(self, source: bytes) -> Mark | None:
        """That of a file, if it is kept."""
        return self._marks.get(source)

    def keep(self, marks: Iterable[Mark]) -> None:
        """Keep these as the newest; PathUnusable if they cannot be written."""
        for mark in marks:
            self._marks.pop(mark.source, None)
            self._marks[mark.source] = mark
        for source in list(self._marks)[:-MAX_MARKS]:
            del self._marks[source]
        nonce = os.urandom(NONCE_BYTES)
        text = b"".join(mark.pack() for mark in self._marks.values())
        sealed = self._cipher.seal(nonce, text, _MAGIC)
        write_whole(self._path, _MAGIC + nonce + sealed, replace=True)

    def _open(self, data: bytes) -> list[Mark]:
        start = len(_MAGIC) + NONCE_BYTES
        try:
            text = self._cipher.open(data[len(_MAGIC) : start], data[start:], data[: len(_MAGIC)])
        except (AuthenticationFailed, LengthError) as error:
            raise BufferSpoilt(
                f"expected {self._path} as this device wrote it, got another"
            ) from error
        return [Mark(*each) for each in _FORM.iter_unpack(text)]
