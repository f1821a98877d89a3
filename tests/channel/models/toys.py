"""Ciphers and lots for worlds: sound as long as nobody looks into them, and the same every time.

Everything above them is the product's. A toy's ciphertext is as long as the real one, and opens
only under the same key, nonce and associated data, and to whom it was made.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import ClassVar

import pytest

from bellwire.base.secret import Secret
from bellwire.channel.messages import Suite
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kem import CIPHERTEXT_BYTES, PUBLIC_BYTES, XWingPrivateKey


class Lots:
    """What one end draws, one after the other."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.drawn = 0

    def take(self, length: int) -> bytes:
        """The next draw."""
        self.drawn += 1
        return hashlib.shake_256(f"{self.name} {self.drawn}".encode()).digest(length)


_DRAWING: list[Lots] = []


@contextlib.contextmanager
def drawing(lots: Lots) -> Iterator[None]:
    """Within, whatever is drawn is one of these lots."""
    _DRAWING.append(lots)
    try:
        yield
    finally:
        _DRAWING.pop()


def _draw(length: int) -> bytes:
    return _DRAWING[-1].take(length)


class ToyKey:
    """In the place of an X-Wing key pair."""

    def __init__(self, seed: bytes) -> None:
        self.public_bytes = hashlib.shake_256(b"public" + seed).digest(PUBLIC_BYTES)

    def decapsulate(self, ciphertext: bytes) -> Secret:
        """The secret that was made for this key."""
        return _shared(self.public_bytes, ciphertext)


def _shared(public: bytes, ciphertext: bytes) -> Secret:
    return Secret(hashlib.sha256(b"shared" + public + ciphertext).digest())


def toy_encapsulate(public: bytes) -> tuple[bytes, Secret]:
    """In the place of `encapsulate`."""
    ciphertext = _draw(CIPHERTEXT_BYTES)
    return ciphertext, _shared(public, ciphertext)


class ToyAead:
    """In the place of the cipher; `sealed` has what was sealed under which key and nonce."""

    sealed: ClassVar[list[tuple[bytes, bytes]]] = []

    def __init__(self, key: bytes) -> None:
        self.key = key

    def _tag(self, nonce: bytes, text: bytes, aad: bytes) -> bytes:
        parts = (self.key, nonce, hashlib.sha256(aad).digest(), text)
        return hashlib.sha256(b"".join(parts)).digest()[:16]

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """The text, and a tag."""
        self.sealed.append((self.key, nonce))
        return plaintext + self._tag(nonce, plaintext, aad)

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """Undo `seal`."""
        text, tag = sealed[:-16], sealed[-16:]
        if tag != self._tag(nonce, text, aad):
            raise AuthenticationFailed("expected an authentic ciphertext, got another")
        return text


class ToyPublic(bytes):
    """A toy public key that was read."""

    @property
    def public_bytes(self) -> bytes:
        return bytes(self)


def use(patch: pytest.MonkeyPatch) -> None:
    """Put the toys in their places."""
    channel = "bellwire.channel"
    for module in ("initiator", "responder", "responding", "refresh"):
        patch.setattr(f"{channel}.{module}.encapsulate", toy_encapsulate)
    patch.setattr(f"{channel}.initiator.XWingPublicKey", ToyPublic)
    patch.setattr(f"{channel}.responding.os", SimpleNamespace(urandom=_draw))
    patch.setattr(XWingPrivateKey, "generate", lambda: ToyKey(_draw(32)))
    patch.setattr(Suite, "cipher", lambda suite, key: ToyAead(key))
