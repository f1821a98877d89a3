"""ML-DSA-65: signatures that a quantum computer does not help to forge.

A private key is its 32-byte seed and is stored as nothing else. Every signature has a context, a
text of its own for each use, so that what was signed for one purpose says nothing in another.
Signing is hedged: it mixes in fresh randomness of the operating system.

Source: FIPS 204 (5.2 and 5.3: signing and verifying with a context; 3.6.2: hedged).
"""

import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bellwire.base.secret import Secret
from bellwire.crypto.errors import SignatureInvalid, require_length

ALGORITHM: Final = "ML-DSA-65"
SEED_BYTES: Final = 32
PUBLIC_BYTES: Final = 1952
SIGNATURE_BYTES: Final = 3309
FINGERPRINT_BYTES: Final = 32


class SigningKey:
    """A key pair; its repr shows nothing secret.

    Raises:
        LengthError: the seed has not 32 bytes.
    """

    __slots__ = ("_key", "_public")

    def __init__(self, seed: bytes | Secret) -> None:
        raw = seed.reveal() if isinstance(seed, Secret) else seed
        require_length("an ML-DSA-65 seed", raw, SEED_BYTES)
        self._key = MLDSA65PrivateKey.from_seed_bytes(raw)
        self._public = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"SigningKey({fingerprint(self._public).hex()[:16]}…)"

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new key pair from the operating system's generator."""
        return cls(os.urandom(SEED_BYTES))

    @property
    def public_bytes(self) -> bytes:
        """The public key, 1952 bytes."""
        return self._public

    @property
    def public_pem(self) -> bytes:
        """The public key as PEM, for other programs."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, text: bytes, context: bytes) -> bytes:
        """Sign `text` for one purpose; 3309 bytes, others each time.

        Args:
            text: Any length.
            context: Names the purpose; at most 255 bytes.
        """
        return self._key.sign(text, context)


def verify(public: bytes, signature: bytes, text: bytes, context: bytes) -> None:
    """Return only if the holder of `public`'s private key signed `text` in `context`.

    Raises:
        LengthError: public has not 1952 bytes, or signature not 3309.
        SignatureInvalid: text, context, signature or key was altered.
        ValueError: context, which is our own label, is over 255 bytes (FIPS 204, 5.2).
    """
    require_length("an ML-DSA-65 public key", public, PUBLIC_BYTES)
    require_length("an ML-DSA-65 signature", signature, SIGNATURE_BYTES)
    try:
        MLDSA65PublicKey.from_public_bytes(public).verify(signature, text, context)
    except InvalidSignature as error:
        raise SignatureInvalid("expected the signature of this text, got another") from error


def fingerprint(public: bytes) -> bytes:
    """The 32 bytes by which people compare a public key: its SHA-256."""
    return hashlib.sha256(public).digest()
