"""AES-256-GCM and ChaCha20-Poly1305: encryption that notices every change.

A nonce must never return under one key: two texts under one nonce give away their difference and
the authentication key. Who calls counts nonces.

Source: NIST SP 800-38D; RFC 5116, 5.2; RFC 8439, 2.8.
"""

from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from bellwire.crypto.errors import AuthenticationFailed, require_length

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


class Aead(Protocol):
    """A cipher under one key."""

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """The ciphertext and its tag of 16 bytes; the nonce has 12, and serves once."""

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """Undo `seal`, or raise AuthenticationFailed."""


class AesGcm:
    """The cipher under one key, for whoever uses it often: setting it up takes two microseconds.

    Args:
        key: 32 bytes. Secret.

    Raises:
        LengthError: the key has another length.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        require_length("an AES-256-GCM key", key, KEY_BYTES)
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return "AesGcm()"

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """As the function `seal`, under this key."""
        require_length("an AES-256-GCM nonce", nonce, NONCE_BYTES)
        return self._cipher.encrypt(nonce, plaintext, aad)

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """As the function `open_sealed`, under this key."""
        require_length("an AES-256-GCM nonce", nonce, NONCE_BYTES)
        try:
            return self._cipher.decrypt(nonce, sealed, aad)
        except InvalidTag as error:
            raise AuthenticationFailed("expected an authentic ciphertext, got another") from error


class ChaCha20:
    """ChaCha20-Poly1305 under one key: for machines without instructions for AES.

    Args:
        key: 32 bytes. Secret.

    Raises:
        LengthError: the key has another length.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        require_length("a ChaCha20-Poly1305 key", key, KEY_BYTES)
        self._cipher = ChaCha20Poly1305(key)

    def __repr__(self) -> str:
        return "ChaCha20()"

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """The ciphertext followed by its 16-byte tag; LengthError unless the nonce has 12 bytes."""
        require_length("a ChaCha20-Poly1305 nonce", nonce, NONCE_BYTES)
        return self._cipher.encrypt(nonce, plaintext, aad)

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """Undo `seal`.

        Raises:
            LengthError: the nonce has another length.
            AuthenticationFailed: anything differs by a bit.
        """
        require_length("a ChaCha20-Poly1305 nonce", nonce, NONCE_BYTES)
        try:
            return self._cipher.decrypt(nonce, sealed, aad)
        except InvalidTag as error:
            raise AuthenticationFailed("expected an authentic ciphertext, got another") from error


def seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Encrypt `plaintext` and authenticate it together with `aad`.

    Args:
        key: 32 bytes. Secret.
        nonce: 12 bytes, never twice under one key.
        plaintext: Any length. Secret.
        aad: Authenticated, not encrypted.

    Returns:
        The ciphertext followed by its 16-byte tag.

    Raises:
        LengthError: key or nonce has another length.
    """
    return AesGcm(key).seal(nonce, plaintext, aad)


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Return the plaintext that `seal` took under the same key, nonce and aad.

    Raises:
        LengthError: key or nonce has another length.
        AuthenticationFailed: anything differs by a bit, or `sealed` is shorter than a tag.
    """
    return AesGcm(key).open(nonce, sealed, aad)
