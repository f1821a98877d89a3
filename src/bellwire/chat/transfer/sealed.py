"""A stream of records in a file, sealed piece by piece, whose end is authenticated.

The key comes from a code that is drawn for this file alone. Pieces are of one size, numbered, and
the last one says that it is the last, so that what is cut, repeated, moved or altered does not
open: the construction STREAM (Hoang, Reyhanitabar, Rogaway and Vizár, CRYPTO 2015). The beginning
has a value of the code alone, by which another file's code is told from damage.

Source: spec/history.md, 2.
"""

import hmac
import os
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from bellwire.base.secret import Secret
from bellwire.chat.errors import HistoryRefused, HistoryUnusable
from bellwire.crypto.aead import KEY_BYTES, TAG_BYTES, AesGcm
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import CHAT_HISTORY

MAGIC: Final = b"bwhs"
VERSION: Final = 1
ID_BYTES: Final = 16
CHECK_BYTES: Final = 16
HEADER_BYTES: Final = len(MAGIC) + 1 + ID_BYTES + CHECK_BYTES
PIECE_BYTES: Final = 65_536
MAX_FILE_BYTES: Final = 1 << 30
MAX_RECORD_BYTES: Final = 1 << 18

_LENGTH: Final = struct.Struct(">I")


class SealedWriter:
    """Writes records; the file is whole once `finish` has returned.

    Args:
        file: Open for writing, empty.
        code: 16 bytes, of this file alone.
    """

    def __init__(self, file: BinaryIO, code: Secret) -> None:
        file_id = os.urandom(ID_BYTES)
        check, self._cipher = _keys(code, file_id)
        self._header = MAGIC + bytes([VERSION]) + file_id + check
        self._file, self._count, self._total = file, 0, HEADER_BYTES
        self._waiting = bytearray()
        file.write(self._header)

    def add(self, record: bytes) -> None:
        """Write one record; HistoryUnusable if it, or the file, is too large."""
        if len(record) > MAX_RECORD_BYTES:
            raise HistoryUnusable(
                f"expected records of at most {MAX_RECORD_BYTES} bytes, got {len(record)}"
            )
        self._waiting += _LENGTH.pack(len(record)) + record
        while len(self._waiting) > PIECE_BYTES:  # the last piece is never an empty one
            self._seal(bytes(self._waiting[:PIECE_BYTES]), is_last=False)
            del self._waiting[:PIECE_BYTES]

    def finish(self) -> None:
        """Write the end."""
        self._seal(bytes(self._waiting), is_last=True)
        self._waiting.clear()

    def _seal(self, piece: bytes, *, is_last: bool) -> None:
        self._total += len(piece) + TAG_BYTES
        if self._total > MAX_FILE_BYTES:
            raise HistoryUnusable(
                f"expected a history of at most {MAX_FILE_BYTES >> 20} MiB, got a larger one"
            )
        self._file.write(self._cipher.seal(_nonce(self._count, is_last), piece, self._header))
        self._count += 1


def read_sealed(
    file: BinaryIO, code: Secret, advance: Callable[[int], None] = lambda _: None
) -> Iterator[bytes]:
    """The records of a file, in order; what was given counts only once the iterator has ended.

    Args:
        file: Open for reading, at its beginning.
        code: 16 bytes.
        advance: Is told of bytes that were read.

    Raises:
        HistoryRefused: it is none, of another version, cut, altered, or the code is another's.
    """
    header = file.read(HEADER_BYTES)
    if len(header) != HEADER_BYTES or not header.startswith(MAGIC):
        raise HistoryRefused(
            "expected a file of `bellwire chat history export`, got another, or less than one"
        )
    if header[len(MAGIC)] != VERSION:
        raise HistoryRefused(
            f"expected a history of version {VERSION}, got version {header[len(MAGIC)]}",
            hint="Use the version of bellwire that made it, or a later one.",
        )
    rest = header[len(MAGIC) + 1 :]
    check, cipher = _keys(code, rest[:ID_BYTES])
    if not hmac.compare_digest(check, rest[ID_BYTES:]):
        raise HistoryRefused(
            "expected the code of this file, got another, or the file's beginning was changed",
            hint="Each file has a code of its own.",
        )
    waiting = bytearray()
    for piece in _pieces(file, cipher, header, advance):
        waiting += piece
        yield from _cut(waiting)
    if waiting:
        raise HistoryRefused("expected whole records up to the end, got a part of one")


def _pieces(
    file: BinaryIO, cipher: AesGcm, header: bytes, advance: Callable[[int], None]
) -> Iterator[bytes]:
    """Each piece as it was sealed; the last is known by nothing being behind it."""
    count, total = 0, HEADER_BYTES
    sealed = file.read(PIECE_BYTES + TAG_BYTES)
    while True:
        following = file.read(PIECE_BYTES + TAG_BYTES)
        total += len(sealed)
        if total > MAX_FILE_BYTES:
            raise HistoryRefused(
                f"expected a history of at most {MAX_FILE_BYTES >> 20} MiB, got a larger file"
            )
        try:
            yield cipher.open(_nonce(count, not following), sealed, header)
        except AuthenticationFailed as error:
            raise HistoryRefused(
                "expected the whole file as it was exported, got one that was cut or changed"
            ) from error
        advance(len(sealed))
        if not following:
            return
        sealed, count = following, count + 1


def _cut(waiting: bytearray) -> Iterator[bytes]:
    """Take the whole records from the front."""
    while len(waiting) >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(waiting)
        if length > MAX_RECORD_BYTES:
            raise HistoryRefused(
                f"expected records of at most {MAX_RECORD_BYTES} bytes, got one of {length}"
            )
        if len(waiting) < _LENGTH.size + length:
            return
        record = bytes(waiting[_LENGTH.size : _LENGTH.size + length])
        del waiting[: _LENGTH.size + length]
        yield record


def _keys(code: Secret, file_id: bytes) -> tuple[bytes, AesGcm]:
    okm = hkdf(code.reveal(), salt=file_id, info=CHAT_HISTORY, length=CHECK_BYTES + KEY_BYTES)
    return okm[:CHECK_BYTES], AesGcm(okm[CHECK_BYTES:])


def _nonce(count: int, is_last: bool) -> bytes:
    return count.to_bytes(11, "big") + bytes([is_last])
