"""Attachments: what the messages say that carry them, and the chunks of large ones.

Up to `MAX_PADDED_BYTES` a file travels inside a message, under one-time pad like words. A larger
one is cut into chunks, each under AES-256-GCM with a key drawn for this file alone; the key, the
hash and the size travel inside a message, under pad. Chunks go as the receiver asks for them, in
any order and as often as it takes. Layouts are in spec/chat.md, 8.
"""

import os
import struct
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bellwire.chat.content import CHUNK_BYTES, MAX_NAME_BYTES, MAX_PADDED_BYTES
from bellwire.chat.errors import ChatMisuse, ContentMalformed
from bellwire.crypto.aead import open_sealed, seal
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.labels import CHAT_FILE

MAX_FILE_BYTES: Final = 100 << 20
MAX_RANGES: Final = 16
MAX_ASKED: Final = 64
"""Chunks that are asked for at once."""

_SHAPELESS: Final = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Letters and marks, by their category, that leave a blank or nothing."""

_KEY: Final = struct.Struct(">32s32sQ")
_RANGE: Final = struct.Struct(">II")
_NUMBER: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class FileKey:
    """What a receiver must know of a file that comes in chunks; its repr shows no key.

    Attributes:
        key: Of all its chunks, 32 bytes; of no other file. Secret.
        sha256: Of the whole file, 32 bytes.
        size: In bytes, at most `MAX_FILE_BYTES`.
        name: As its sender calls it; not yet made safe.
    """

    key: bytes
    sha256: bytes
    size: int
    name: str

    def __repr__(self) -> str:
        return f"FileKey({self.size} bytes)"

    @property
    def chunks(self) -> int:
        """In how many chunks it comes."""
        return chunks_of(self.size)

    def encode(self) -> bytes:
        """The text of the message that has it."""
        return _KEY.pack(self.key, self.sha256, self.size) + _name_bytes(self.name)


def read_file_key(text: bytes) -> FileKey:
    """Undo `FileKey.encode`.

    Raises:
        ContentMalformed: it is none, or of a file that is too large or goes inside a message.
    """
    try:
        key, sha256, size = _KEY.unpack_from(text)
        name = text[_KEY.size :].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise ContentMalformed("expected the key of a file, got other bytes") from error
    if not MAX_PADDED_BYTES < size <= MAX_FILE_BYTES or not 1 <= len(name.encode()) <= 255:
        raise ContentMalformed(
            f"expected a file of {MAX_PADDED_BYTES + 1} to {MAX_FILE_BYTES} bytes with a name, "
            f"got one of {size}"
        )
    return FileKey(key, sha256, size, name)


def small_file(name: str, data: bytes) -> bytes:
    """The text of a message that has a whole file in it; ChatMisuse if it is too large."""
    if len(data) > MAX_PADDED_BYTES:
        raise ChatMisuse(f"expected a file of at most {MAX_PADDED_BYTES} bytes, got {len(data)}")
    named = _name_bytes(name)
    return bytes([len(named)]) + named + data


def read_small_file(text: bytes) -> tuple[str, bytes]:
    """Undo `small_file`: the name, not yet made safe, and the file; ContentMalformed."""
    length = text[0] if text else 0
    try:
        name = text[1 : 1 + length].decode()
    except UnicodeDecodeError:
        name = ""
    data = text[1 + length :]
    if not name or len(text) < 1 + length or len(data) > MAX_PADDED_BYTES:
        raise ContentMalformed("expected a file with a name in UTF-8, got other bytes")
    return name, data


def chunks_of(size: int) -> int:
    """How many chunks a file of that size has."""
    return -(-size // CHUNK_BYTES)


def seal_chunk(key: bytes, file_id: bytes, size: int, number: int, chunk: bytes) -> bytes:
    """One chunk; the same key never seals another under the same number."""
    return seal(key, number.to_bytes(12, "big"), chunk, _context(file_id, size))


def open_chunk(key: bytes, file_id: bytes, size: int, number: int, sealed: bytes) -> bytes:
    """Undo `seal_chunk`; ContentMalformed if it is not that chunk of that file."""
    wanted = min(CHUNK_BYTES, size - number * CHUNK_BYTES)
    try:
        chunk = open_sealed(key, number.to_bytes(12, "big"), sealed, _context(file_id, size))
    except AuthenticationFailed as error:
        raise ContentMalformed("expected a chunk of this file, got another") from error
    if len(chunk) != wanted:
        raise ContentMalformed(f"expected a chunk of {wanted} bytes, got {len(chunk)}")
    return chunk


def chunk_text(number: int, sealed: bytes) -> bytes:
    """The text of a message that has a chunk."""
    return _NUMBER.pack(number) + sealed


def read_chunk_text(text: bytes) -> tuple[int, bytes]:
    """Undo `chunk_text`; ContentMalformed."""
    if len(text) < _NUMBER.size:
        raise ContentMalformed("expected a chunk, got less")
    return _NUMBER.unpack_from(text)[0], text[_NUMBER.size :]


def ask_text(ranges: Sequence[tuple[int, int]]) -> bytes:
    """The text of a message that asks for chunks: (first, how many)…; none: all are here."""
    return b"".join(_RANGE.pack(*each) for each in ranges)


def read_ask_text(text: bytes, chunks: int) -> list[int]:
    """The numbers of the chunks that are asked for, of a file of so many; ContentMalformed."""
    if len(text) % _RANGE.size or len(text) > MAX_RANGES * _RANGE.size:
        raise ContentMalformed(f"expected at most {MAX_RANGES} ranges of chunks, got other bytes")
    ranges = list(_RANGE.iter_unpack(text))
    if sum(count for _, count in ranges) > MAX_ASKED:
        raise ContentMalformed(f"expected at most {MAX_ASKED} chunks to be asked for, got more")
    numbers = [first + at for first, count in ranges for at in range(count)]
    if numbers and max(numbers) >= chunks:
        raise ContentMalformed(f"expected chunks of {chunks}, got others to be asked for")
    return numbers


def ranges_of(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """At most `MAX_RANGES` ranges of the first of these numbers, `MAX_ASKED` in all."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers)[:MAX_ASKED]:
        if ranges and number == sum(ranges[-1]):
            ranges[-1] = ranges[-1][0], ranges[-1][1] + 1
        elif len(ranges) == MAX_RANGES:
            break
        else:
            ranges.append((number, 1))
    return ranges


def safe_name(name: str) -> str:
    """A name of a file that is none of a path, hides nothing and turns nothing around.

    Only what is behind the last separator stays, without control characters, signs that change
    direction or have no shape, and dots or spaces at its ends; a hyphen in front, which commands
    take for an option, becomes an underscore; at most 200 bytes, with the ending kept.
    """
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(
        each
        for each in base
        if each == " " or (unicodedata.category(each)[0] not in "CZ" and each not in _SHAPELESS)
    )
    if shown.strip(" .").startswith("-"):
        shown = shown.replace("-", "_", 1)
    stem, dot, ending = shown.strip(" .").rpartition(".")
    if not dot or len(ending.encode()) > 20:
        stem, dot, ending = shown.strip(" ."), "", ""
    room = 200 - len(ending.encode()) - len(dot)
    stem = stem.encode()[:room].decode(errors="ignore").strip(" .")
    return stem + dot + ending if stem else "attachment"


def _name_bytes(name: str) -> bytes:
    named = os.path.basename(name).encode(errors="replace")[:MAX_NAME_BYTES]  # noqa: PTH119 - words
    return named.decode(errors="ignore").encode() or b"attachment"


def _context(file_id: bytes, size: int) -> bytes:
    return CHAT_FILE + file_id + size.to_bytes(8, "big")
