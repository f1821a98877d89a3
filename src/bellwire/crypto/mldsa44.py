"""ML-DSA-44: the smallest signatures of FIPS 204, which a quantum computer does not help to forge.

The log's formats ask for this set (C2SP tlog-cosignature); everything else of ours signs with
ML-DSA-65. A private key is its 32-byte seed. The context is empty, as that format has it: what is
signed begins with a label of its own. Signing is hedged by the operating system's randomness.

Source: FIPS 204 (5.2 and 5.3; 3.6.2: hedged).
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from bellwire.base.secret import Secret
from bellwire.crypto.errors import SignatureInvalid, require_length

SEED_BYTES: Final = 32
PUBLIC_BYTES: Final = 1312
SIGNATURE_BYTES: Final = 2420


class MlDsa44Key:
    """A key pair; its repr shows nothing secret.

    Raises:
        LengthError: the seed has not 32 bytes.
    """

    __slots__ = ("_key", "_public")

    def __init__(self, seed: bytes | Secret) -> None:
        raw = seed.reveal() if isinstance(seed, Secret) else seed
        require_length("an ML-DSA-44 seed", raw, SEED_BYTES)
        self._key = MLDSA44PrivateKey.from_seed_bytes(raw)
        self._public = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"MlDsa44Key({self._public.hex()[:16]}…)"

    @property
    def public_bytes(self) -> bytes:
        """The public key, 1312 bytes."""
        return self._public

    def sign(self, text: bytes) -> bytes:
        """Sign `text`, of any length; 2420 bytes, others each time."""
        return self._key.sign(text)


def verify(public: bytes, signature: bytes, text: bytes) -> None:
    """Return only if the holder of `public`'s private key signed `text`.

    Raises:
        LengthError: public has not 1312 bytes, or signature not 2420.
        SignatureInvalid: text, signature or key was altered.
    """
    require_length("an ML-DSA-44 public key", public, PUBLIC_BYTES)
    require_length("an ML-DSA-44 signature", signature, SIGNATURE_BYTES)
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, text)
    except InvalidSignature as error:
        raise SignatureInvalid("expected the signature of this text, got another") from error
