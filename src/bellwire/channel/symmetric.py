"""The handshake's running state: a transcript hash, a chaining key and the key of the moment.

Noise's SymmetricState with two changes: h starts as SHA256(name) whatever the name's length, and
the session keys at the end are derived from the transcript hash as well as from the chaining key.
A nonce is big-endian under either cipher.

Source: The Noise Protocol Framework, revision 34, 5.1 to 5.2; RFC 8446, 7.1 (transcript in keys).
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from bellwire.base.secret import Secret
from bellwire.channel.messages import Suite
from bellwire.crypto.aead import NONCE_BYTES, Aead
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import CHANNEL_ALERT, CHANNEL_SPLIT

SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SessionSecrets:
    """What a handshake leaves behind: 32 bytes each, and none gives another.

    Attributes:
        up: Records to the responder.
        down: Records to the initiator.
        root: What fresh keys within the session are mixed into.
        resume: What the next session may begin with.
    """

    up: Secret
    down: Secret
    root: Secret
    resume: Secret


class SymmetricState:
    """Both ends feed it the same things in the same order, or nothing opens any more."""

    __slots__ = ("_cipher", "_ck", "_hash", "_key", "_nonce", "_suite")

    def __init__(self, suite: Suite, name: bytes) -> None:
        self._suite = suite
        self._hash = hashlib.sha256(name).digest()
        # Overwritten in place, so that what was there before is gone.
        self._ck = bytearray(self._hash)
        self._key = bytearray(SECRET_BYTES)
        self._cipher: Aead | None = None
        self._nonce = 0

    def __repr__(self) -> str:
        return "SymmetricState()"

    def mix_hash(self, data: bytes) -> None:
        """Bind `data` to everything after it."""
        self._hash = hashlib.sha256(self._hash + data).digest()

    def mix_key(self, secret: Secret) -> None:
        """Take in a shared secret; what is sealed from here on needs it."""
        self._key_by(self._mix(secret, 2 * SECRET_BYTES))

    def mix_key_and_hash(self, secret: Secret) -> None:
        """Take in a pre-shared key, and commit the transcript to it (the AEAD alone would not)."""
        okm = self._mix(secret, 3 * SECRET_BYTES)
        self.mix_hash(okm[SECRET_BYTES : 2 * SECRET_BYTES])
        self._key_by(okm)

    def seal(self, plaintext: bytes) -> bytes:
        """Seal under the key of the moment and the transcript; the result joins the transcript."""
        sealed = self._keyed().seal(self._take_nonce(), plaintext, self._hash)
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        """Undo the peer's `seal`; AuthenticationFailed if anything differs."""
        plaintext = self._keyed().open(self._take_nonce(), sealed, self._hash)
        self.mix_hash(sealed)
        return plaintext

    def chaining_key(self) -> Secret:
        """As it is now: `alert_key` makes the key of a refusal at this point from it."""
        return Secret(self._ck)

    def split(self) -> SessionSecrets:
        """The session's secrets, bound to the whole transcript; the state is wiped."""
        okm = hkdf(
            self._hash,
            salt=bytes(self._ck),
            info=CHANNEL_SPLIT + self._hash,
            length=4 * SECRET_BYTES,
        )
        self.wipe()
        return SessionSecrets(*_cut(okm))

    def wipe(self) -> None:
        """Forget what can be forgotten."""
        self._ck[:] = self._key[:] = bytes(SECRET_BYTES)
        self._cipher = None

    def _mix(self, secret: Secret, length: int) -> bytes:
        """What comes of the chaining key and a secret; its beginning is the new chaining key."""
        okm = hkdf(secret.reveal(), salt=bytes(self._ck), info=b"", length=length)
        self._ck[:] = okm[:SECRET_BYTES]
        return okm

    def _key_by(self, okm: bytes) -> None:
        """Seal under the last bytes of `okm` from here on; some keys seal nothing."""
        self._key[:] = okm[-SECRET_BYTES:]
        self._cipher = None
        self._nonce = 0

    def _keyed(self) -> Aead:
        if self._cipher is None:
            self._cipher = self._suite.cipher(bytes(self._key))
        return self._cipher

    def _take_nonce(self) -> bytes:
        nonce = self._nonce.to_bytes(NONCE_BYTES, "big")
        self._nonce += 1
        return nonce


def alert_key(chaining_key: Secret) -> bytes:
    """The key of a refusal, by the chaining key of both ends after the hello's secret."""
    return hkdf(chaining_key.reveal(), info=CHANNEL_ALERT, length=SECRET_BYTES)


def _cut(okm: bytes) -> list[Secret]:
    return [Secret(okm[at : at + SECRET_BYTES]) for at in range(0, len(okm), SECRET_BYTES)]
