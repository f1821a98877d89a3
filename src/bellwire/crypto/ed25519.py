"""Ed25519: small signatures, which hold until there is a large quantum computer.

A private key is its 32-byte seed. Signing draws nothing: the same text gives the same signature.

Source: RFC 8032, 5.1.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bellwire.base.secret import Secret
from bellwire.crypto.errors import SignatureInvalid, require_length

SEED_BYTES: Final = 32
PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class Ed25519Key:
    """A key pair; its repr shows nothing secret.

    Raises:
        LengthError: the seed has not 32 bytes.
    """

    __slots__ = ("_key", "_public")

    def __init__(self, seed: bytes | Secret) -> None:
        raw = seed.reveal() if isinstance(seed, Secret) else seed
        require_length("an Ed25519 seed", raw, SEED_BYTES)
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self._public = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"Ed25519Key({self._public.hex()[:16]}…)"

    @classmethod
    def generate(cls) -> "Ed25519Key":
        """A new key pair from the operating system's generator."""
        return cls(os.urandom(SEED_BYTES))

    @property
    def public_bytes(self) -> bytes:
        """The public key, 32 bytes."""
        return self._public

    def sign(self, text: bytes) -> bytes:
        """Sign `text`, of any length; 64 bytes."""
        return self._key.sign(text)


def verify(public: bytes, signature: bytes, text: bytes) -> None:
    """Return only if the holder of `public`'s private key signed `text`.

    Raises:
        LengthError: public has not 32 bytes, or signature not 64.
        SignatureInvalid: text, signature or key was altered, or the key is no point.
    """
    require_length("an Ed25519 public key", public, PUBLIC_BYTES)
    require_length("an Ed25519 signature", signature, SIGNATURE_BYTES)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError) as error:
        raise SignatureInvalid("expected the signature of this text, got another") from error
