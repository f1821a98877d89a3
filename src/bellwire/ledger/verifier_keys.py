"""Verifier keys: how people hand each other the public key of a log or of a witness, in one line.

    NAME+KEYID+BASE64(type ‖ public key)

Source: C2SP signed-note, "Verifier keys" (v1.0.0) and "Signature types"; tlog-cosignature.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bellwire.crypto import ed25519, mldsa44
from bellwire.ledger.errors import VerifierKeyUnusable
from bellwire.ledger.note import KEY_ID_BYTES, check_name
from bellwire.ledger.text import from_base64, to_base64

MAX_VKEY_BYTES: Final = 4096
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")


class KeyKind(IntEnum):
    """What a key signs, by its number in the formats."""

    ED25519 = 0x01
    """A note's text, by a log."""
    COSIGNATURE_ED25519 = 0x04
    """A checkpoint at a time."""
    COSIGNATURE_MLDSA44 = 0x06
    """A checkpoint at a time, so that a quantum computer does not help to forge it."""


PUBLIC_BYTES: Final = {
    KeyKind.ED25519: ed25519.PUBLIC_BYTES,
    KeyKind.COSIGNATURE_ED25519: ed25519.PUBLIC_BYTES,
    KeyKind.COSIGNATURE_MLDSA44: mldsa44.PUBLIC_BYTES,
}


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name.

    Attributes:
        name: 1 to 255 bytes without spaces and plus.
        kind: What it signs, and how.
        public: 32 bytes for Ed25519, 1312 for ML-DSA-44.

    Raises:
        VerifierKeyUnusable: the name or the length of public cannot be.
    """

    name: str
    kind: KeyKind
    public: bytes

    def __post_init__(self) -> None:
        try:
            check_name(self.name)
        except ValueError as error:
            raise VerifierKeyUnusable(str(error)) from error
        if len(self.public) != PUBLIC_BYTES[self.kind]:
            raise VerifierKeyUnusable(
                f"public key of {self.name}: expected {PUBLIC_BYTES[self.kind]} bytes,"
                f" got {len(self.public)}"
            )

    @property
    def key_id(self) -> bytes:
        """The 4 bytes by which a signature line names the key."""
        text = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(text).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        encoded = to_base64(bytes([self.kind]) + self.public)
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key.

    Raises:
        VerifierKeyUnusable: it is none, of a kind that is not known here, or its id is not its own.
    """
    parts = text.split("+", 2)  # base64 may have a plus, a name may not
    if len(text) > MAX_VKEY_BYTES or len(parts) != 3 or not _KEY_ID.fullmatch(parts[1]):
        raise VerifierKeyUnusable(
            f"verifier key: expected NAME+KEYID+BASE64 with eight digits of id, got {text[:40]!r}"
        )
    try:
        data = from_base64(parts[2])
    except ValueError as error:
        raise VerifierKeyUnusable(f"verifier key {text[:40]!r}: {error}") from error
    if data[:1] not in {bytes([kind]) for kind in KeyKind}:
        raise VerifierKeyUnusable(
            f"verifier key {text[:40]!r}: expected type 01, 04 or 06, got {data[:1].hex()}"
        )
    found = VerifierKey(parts[0], KeyKind(data[0]), data[1:])
    if found.key_id.hex() != parts[1]:
        raise VerifierKeyUnusable(
            f"verifier key {text[:40]!r}: expected the id {found.key_id.hex()} of this name and"
            f" key, got {parts[1]}",
            hint="A character was changed on the way; ask for the key again.",
        )
    return found
