"""Signatures of Ed25519, of ML-DSA-65, or of both, which then count only together.

Which, is a matter of the public key: all that it has must verify, so that no signature can be left
out. Every signed text names the whole public key, so that a signature made under two keys says
nothing under one of them alone. A label separates purposes.

Source: RFC 8032; FIPS 204, 5.2 (context); spec/channel.md, Certificates.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from bellwire.crypto import ed25519, signatures
from bellwire.crypto.errors import LengthError, SignatureInvalid, require_length

MAX_SIGNATURE_BYTES: Final = ed25519.SIGNATURE_BYTES + signatures.SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class CompositePublicKey:
    """A public key of Ed25519 (32 bytes), of ML-DSA-65 (1952 bytes), or of both.

    Raises:
        LengthError: there is neither, or one has another length.
    """

    ed25519: bytes | None
    ml_dsa_65: bytes | None

    def __post_init__(self) -> None:
        if self.ed25519 is None and self.ml_dsa_65 is None:
            raise LengthError("a public key", "Ed25519, ML-DSA-65 or both", 0)
        if self.ed25519 is not None:
            require_length("an Ed25519 public key", self.ed25519, ed25519.PUBLIC_BYTES)
        if self.ml_dsa_65 is not None:
            require_length("an ML-DSA-65 public key", self.ml_dsa_65, signatures.PUBLIC_BYTES)

    def __repr__(self) -> str:
        return f"CompositePublicKey({self.fingerprint.hex()[:16]}…)"

    @property
    def fingerprint(self) -> bytes:
        """The 32 bytes by which the key is known, with all its parts."""
        parts = [key or b"" for key in (self.ed25519, self.ml_dsa_65)]
        return hashlib.sha256(
            b"".join(len(part).to_bytes(2, "big") + part for part in parts)
        ).digest()

    @property
    def signature_bytes(self) -> int:
        """How long its signatures are together."""
        return (ed25519.SIGNATURE_BYTES if self.ed25519 else 0) + (
            signatures.SIGNATURE_BYTES if self.ml_dsa_65 else 0
        )

    def verify(self, found: bytes, text: bytes, label: bytes) -> None:
        """Return only if every part of this key signed `text` for `label`.

        Raises:
            SignatureInvalid: one of the signatures is missing or another's.
        """
        if len(found) != self.signature_bytes:
            raise SignatureInvalid(
                f"expected {self.signature_bytes} bytes of signatures, got {len(found)}"
            )
        text = self.fingerprint + text
        cut = ed25519.SIGNATURE_BYTES if self.ed25519 else 0
        try:
            if self.ed25519:
                ed25519.verify(self.ed25519, found[:cut], label + text)
            if self.ml_dsa_65:
                signatures.verify(self.ml_dsa_65, found[cut:], text, label)
        except ValueError as error:  # A key that is no point, or the like.
            raise SignatureInvalid("expected the signatures of this key, got others") from error


class CompositeKey:
    """The key pairs behind a `CompositePublicKey`; its repr shows nothing secret.

    Raises:
        LengthError: there is neither.
    """

    __slots__ = ("_ed25519", "_ml_dsa_65", "public")

    def __init__(
        self, first: ed25519.Ed25519Key | None, second: signatures.SigningKey | None
    ) -> None:
        self._ed25519 = first
        self._ml_dsa_65 = second
        self.public = CompositePublicKey(
            None if first is None else first.public_bytes,
            None if second is None else second.public_bytes,
        )

    def __repr__(self) -> str:
        return f"CompositeKey({self.public.fingerprint.hex()[:16]}…)"

    def sign(self, text: bytes, label: bytes) -> bytes:
        """The signatures of all its keys, one after the other."""
        text = self.public.fingerprint + text
        return (self._ed25519.sign(label + text) if self._ed25519 else b"") + (
            self._ml_dsa_65.sign(text, label) if self._ml_dsa_65 else b""
        )
