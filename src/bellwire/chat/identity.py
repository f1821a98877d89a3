"""Who somebody is: a pair of signing keys, Ed25519 and ML-DSA-65, which count only together.

An identity signs two things: prekeys, to which others may seal while their owner is away, and the
first message of each session. It is known by the SHA-256 of both public keys. Compare it by safety
number (`bellwire.chat.safety`); until then it is whoever the contact card came from.

Source: RFC 8032; FIPS 204; spec/chat.md, 1.
"""

from typing import Final

from bellwire.base.secret import Secret
from bellwire.chat.errors import BundleRefused, ChatMisuse
from bellwire.crypto import ed25519, signatures
from bellwire.crypto.composite import CompositeKey, CompositePublicKey
from bellwire.crypto.errors import SignatureInvalid

PUBLIC_BYTES: Final = ed25519.PUBLIC_BYTES + signatures.PUBLIC_BYTES
SIGNATURE_BYTES: Final = ed25519.SIGNATURE_BYTES + signatures.SIGNATURE_BYTES
SEED_BYTES: Final = ed25519.SEED_BYTES + signatures.SEED_BYTES
FINGERPRINT_BYTES: Final = 32


class IdentityPublic:
    """Somebody else's identity, or the public half of ours.

    Args:
        public: The Ed25519 key (32 bytes), then the ML-DSA-65 key (1952 bytes).

    Raises:
        ChatMisuse: another length.
    """

    __slots__ = ("_keys", "fingerprint", "public_bytes")

    def __init__(self, public: bytes) -> None:
        if len(public) != PUBLIC_BYTES:
            raise ChatMisuse(f"expected an identity of {PUBLIC_BYTES} bytes, got {len(public)}")
        cut = ed25519.PUBLIC_BYTES
        self._keys = CompositePublicKey(public[:cut], public[cut:])
        self.public_bytes = public
        self.fingerprint = self._keys.fingerprint

    def __repr__(self) -> str:
        return f"IdentityPublic({self.fingerprint.hex()[:16]}…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdentityPublic) and self.public_bytes == other.public_bytes

    def __hash__(self) -> int:
        return hash(self.public_bytes)

    def verify(self, signature: bytes, text: bytes, label: bytes) -> None:
        """Return only if this identity signed `text` for `label`, with both keys.

        Raises:
            BundleRefused: one of the two signatures is missing or another's.
        """
        try:
            self._keys.verify(signature, text, label)
        except SignatureInvalid as error:
            raise BundleRefused(
                f"expected both signatures of the identity {self.fingerprint.hex()[:16]}…, "
                "got others"
            ) from error


class Identity:
    """Our own identity; its repr shows nothing secret.

    Args:
        seed: The seed of Ed25519 (32 bytes), then that of ML-DSA-65 (32 bytes).

    Raises:
        ChatMisuse: another length.
    """

    __slots__ = ("_keys", "public", "seed")

    def __init__(self, seed: Secret) -> None:
        if len(seed) != SEED_BYTES:
            raise ChatMisuse(f"expected a seed of {SEED_BYTES} bytes, got {len(seed)}")
        raw = seed.reveal()
        first = ed25519.Ed25519Key(raw[: ed25519.SEED_BYTES])
        second = signatures.SigningKey(raw[ed25519.SEED_BYTES :])
        self._keys = CompositeKey(first, second)
        self.public = IdentityPublic(first.public_bytes + second.public_bytes)
        self.seed = seed

    def __repr__(self) -> str:
        return f"Identity({self.public.fingerprint.hex()[:16]}…)"

    def sign(self, text: bytes, label: bytes) -> bytes:
        """Both signatures of `text` for one purpose, 3373 bytes."""
        return self._keys.sign(text, label)
