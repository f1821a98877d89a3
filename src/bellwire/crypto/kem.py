"""X-Wing: a key encapsulation that holds if X25519 or ML-KEM-768 holds.

A private key is its 32-byte seed and is stored as nothing else: expanded ML-KEM keys can be made to
open to other keys' secrets (Schmieg, "Unbindable Kemmy Schmidt", 2024). A ciphertext that was
altered mostly decapsulates to another secret without an error (implicit rejection, FIPS 203, 6.3);
only a later authentication tells. Both halves draw from the operating system's generator, which
`cryptography` offers no way to replace.

Source: draft-connolly-cfrg-xwing-kem (HPKE KEM 0x647a); FIPS 203; RFC 7748.
"""

import hashlib
import os

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from bellwire.base.secret import Secret
from bellwire.crypto.errors import KemRefused, require_length
from bellwire.crypto.labels import XWING

SEED_BYTES = 32
PUBLIC_BYTES = 1216
CIPHERTEXT_BYTES = 1120
SECRET_BYTES = 32

_MLKEM_PUBLIC_BYTES = 1184
_MLKEM_CIPHERTEXT_BYTES = 1088


def _combine(ss_m: bytes, ss_x: bytes, ct_x: bytes, pk_x: bytes) -> Secret:
    # ML-KEM's ciphertext may stay out of the hash because ML-KEM resists second preimages of
    # ciphertexts; for another KEM this combiner would be wrong.
    return Secret(hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + XWING).digest())


class XWingPrivateKey:
    """A key pair; expanding the seed is dear, so keep the object. Its repr shows nothing secret."""

    __slots__ = ("_mlkem", "_public", "_seed", "_x25519")

    def __init__(self, seed: bytes | Secret) -> None:
        raw = seed.reveal() if isinstance(seed, Secret) else seed
        require_length("an X-Wing seed", raw, SEED_BYTES)
        expanded = hashlib.shake_256(raw).digest(96)
        self._seed = Secret(raw)
        self._mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self._x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self._public = (
            self._mlkem.public_key().public_bytes_raw()
            + self._x25519.public_key().public_bytes_raw()
        )

    def __repr__(self) -> str:
        return "XWingPrivateKey()"

    @classmethod
    def from_seed(cls, seed: bytes | Secret) -> "XWingPrivateKey":
        """The key pair of a 32-byte seed; LengthError for another length."""
        return cls(seed)

    @classmethod
    def generate(cls) -> "XWingPrivateKey":
        """A new key pair from the operating system's generator."""
        return cls(os.urandom(SEED_BYTES))

    @property
    def seed(self) -> Secret:
        """The 32 bytes that the key pair comes from."""
        return self._seed

    @property
    def halves(self) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        """Both private keys, to prove each by itself; secret."""
        return self._mlkem, self._x25519

    @property
    def public_bytes(self) -> bytes:
        """The public key: ML-KEM-768's 1184 bytes, then X25519's 32."""
        return self._public

    def decapsulate(self, ciphertext: bytes) -> Secret:
        """Recover the 32-byte secret that `encapsulate` made for this key.

        Raises:
            KemRefused: the ciphertext has another length, or its X25519 part is of low order.
        """
        if len(ciphertext) != CIPHERTEXT_BYTES:
            raise KemRefused(
                f"expected a ciphertext of {CIPHERTEXT_BYTES} bytes, got {len(ciphertext)}"
            )
        ct_x = ciphertext[_MLKEM_CIPHERTEXT_BYTES:]
        ss_m = self._mlkem.decapsulate(ciphertext[:_MLKEM_CIPHERTEXT_BYTES])
        try:
            ss_x = self._x25519.exchange(X25519PublicKey.from_public_bytes(ct_x))
        except ValueError as error:
            raise KemRefused("expected a ciphertext of full order, got one of low order") from error
        return _combine(ss_m, ss_x, ct_x, self._public[_MLKEM_PUBLIC_BYTES:])


class XWingPublicKey:
    """A public key, read once: that costs as much as to encapsulate to it.

    Args:
        public: 1216 bytes: ML-KEM-768's 1184, then X25519's 32.

    Raises:
        LengthError: public has another length.
        KemRefused: a coefficient of its ML-KEM part is out of range (FIPS 203, 7.2).

    Attributes:
        public_bytes: As it was read.
    """

    __slots__ = ("_mlkem", "_x25519", "public_bytes")

    def __init__(self, public: bytes) -> None:
        require_length("an X-Wing public key", public, PUBLIC_BYTES)
        self.public_bytes = public
        try:
            self._mlkem = MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC_BYTES])
        except ValueError as error:
            raise KemRefused("expected an ML-KEM-768 public key, got one out of range") from error
        self._x25519 = public[_MLKEM_PUBLIC_BYTES:]

    def encapsulate(self) -> tuple[bytes, Secret]:
        """Make a fresh secret that only the holder of the private key can recover.

        Returns:
            The ciphertext, 1120 bytes, and the secret, 32 bytes.

        Raises:
            KemRefused: the X25519 part is of low order.
        """
        ss_m, ct_m = self._mlkem.encapsulate()
        ephemeral = X25519PrivateKey.generate()
        try:
            ss_x = ephemeral.exchange(X25519PublicKey.from_public_bytes(self._x25519))
        except ValueError as error:
            raise KemRefused("expected a public key of full order, got one of low order") from error
        ct_x = ephemeral.public_key().public_bytes_raw()
        return ct_m + ct_x, _combine(ss_m, ss_x, ct_x, self._x25519)


def check_public(public: bytes) -> None:
    """Return only if `public` can be read; LengthError or KemRefused as `XWingPublicKey`."""
    XWingPublicKey(public)


def encapsulate(public: bytes | XWingPublicKey) -> tuple[bytes, Secret]:
    """As `XWingPublicKey.encapsulate`, to a key that may still be bytes.

    Raises:
        LengthError: public has another length.
        KemRefused: its ML-KEM part is out of range, or its X25519 part is of low order.
    """
    return (XWingPublicKey(public) if isinstance(public, bytes) else public).encapsulate()
