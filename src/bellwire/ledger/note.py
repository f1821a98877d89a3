"""Signed notes: a text, an empty line, and signature lines that name their keys.

Parsing says nothing about who signed: the text of a note is to be ignored until a signature of a
key that is trusted has been verified (`policy`).

Source: C2SP signed-note, "Format" and "Signatures".
"""

import re
from dataclasses import dataclass
from typing import Final

from bellwire.ledger.errors import NoteMalformed
from bellwire.ledger.text import from_base64, to_base64

MAX_NOTE_BYTES: Final = 1 << 18
MAX_SIGNATURES: Final = 64
"""The specification asks for at least 16; 64 of ML-DSA-44 fit the bytes above."""
KEY_ID_BYTES: Final = 4
MAX_NAME_BYTES: Final = 255
"""What the message of an ML-DSA-44 cosignature can carry of a name."""
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DASH: Final = "— "


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature of a note.

    Attributes:
        name: Of the key.
        key_id: (4,) of the key.
        signature: What follows the id; its form is the key's matter.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signatures, none of them verified.

    Attributes:
        text: With its final newline.
        signatures: In the order of their lines.
    """

    text: str
    signatures: tuple[SignatureLine, ...]

    def encode(self) -> bytes:
        """As a file."""
        return (self.text + "\n" + "".join(map(str, self.signatures))).encode()

    def with_signatures(self, *more: SignatureLine) -> "Note":
        """The note with further signatures at its end."""
        return Note(self.text, (*self.signatures, *more))


def parse_note(data: bytes) -> Note:
    """Read a signed note.

    Raises:
        NoteMalformed: it is none, or over 256 KiB or 64 signatures.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise NoteMalformed(f"note: expected at most {MAX_NOTE_BYTES:,} bytes, got {len(data):,}")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise NoteMalformed("note: expected UTF-8, got other bytes") from error
    if _CONTROL.search(whole):
        raise NoteMalformed("note: expected no control character but newline, got one")
    before, gap, after = whole.rpartition("\n\n")
    if not gap or not before or not after.endswith("\n"):
        raise NoteMalformed(
            "note: expected a text, an empty line and whole signature lines, got something else"
        )
    lines = after[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteMalformed(f"note: expected at most {MAX_SIGNATURES} signatures, got {len(lines)}")
    return Note(before + "\n", tuple(parse_signature(line) for line in lines))


def parse_signature(line: str) -> SignatureLine:
    """Read a signature line, without its newline.

    Raises:
        NoteMalformed: it is none.
    """
    name, gap, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not gap:
        raise NoteMalformed(
            f"signature line: expected an em dash, a key's name and base64, got {line[:60]!r}"
        )
    try:
        check_name(name)
        data = from_base64(encoded)
    except ValueError as error:
        raise NoteMalformed(f"signature line {line[:60]!r}: {error}") from error
    if len(data) <= KEY_ID_BYTES:
        raise NoteMalformed(f"signature: expected over {KEY_ID_BYTES} bytes, got {len(data)}")
    return SignatureLine(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def check_name(name: str) -> str:
    """A key's name, if it can be one.

    Raises:
        ValueError: it is empty or over 255 bytes, or has a space, a plus or a control character.
    """
    wrong = any(each.isspace() or each == "+" for each in name) or not name.isprintable()
    if not name or wrong or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        raise ValueError(
            f"key's name: expected 1 to {MAX_NAME_BYTES} bytes without space, plus and control"
            f" characters, got {name[:60]!r}"
        )
    return name
