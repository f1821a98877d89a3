"""One direction of a session: its secret, its epoch, and the records sealed under it.

Each epoch has a key and a nonce mask of its own, derived from the direction's secret; a step to the
next epoch replaces the secret by one that does not give it back, so that what was sent before stays
closed to who takes the machine later. Records of an epoch are numbered from 0 with 64 bits; a nonce
is the mask XOR the number, and cannot repeat because numbers only grow and keys die with the
process. Over a stream the next secret also depends on how many records the epoch had, so that none
can be left out at its end.

Source: RFC 8446, 5.3 (nonces), 7.2 (key update) and 5.5 (limit: 2^24.5 records of 2^10 blocks; an
epoch has at most 2^20 records of 2^12).
"""

from typing import Final

from bellwire.base.secret import Secret
from bellwire.channel.messages import Direction, Kind, Suite, header
from bellwire.channel.symmetric import SECRET_BYTES
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES, Aead
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import CHANNEL_NEXT, CHANNEL_RECORDS

MAX_EPOCH_RECORDS: Final = 2**20
"""A receiver takes no more of one epoch."""

MAX_EPOCHS: Final = 2**32


class Chain:
    """One direction's keys, epoch by epoch.

    Attributes:
        epoch: Counted from 0; its low byte travels.
        number: Of the next record in this epoch.
    """

    __slots__ = ("_cipher", "_context", "_mask", "_secret", "_suite", "epoch", "number")

    _cipher: Aead | None

    def __init__(
        self, suite: Suite, secret: Secret, session_id: bytes, direction: Direction, epoch: int = 0
    ) -> None:
        self._suite = suite
        self._context = session_id + bytes([direction])
        self._enter(secret, epoch)

    def __repr__(self) -> str:
        return f"Chain(epoch {self.epoch}, record {self.number})"

    def _enter(self, secret: Secret, epoch: int) -> None:
        self._secret = secret
        self._cipher = None
        self._mask = 0
        self.epoch = epoch
        self.number = 0

    def _keyed(self) -> Aead:
        """The cipher of this epoch; its keys are derived when the first record needs them."""
        if self._cipher is None:
            okm = hkdf(
                self._secret.reveal(), info=CHANNEL_RECORDS, length=SECRET_BYTES + NONCE_BYTES
            )
            self._cipher = self._suite.cipher(okm[:SECRET_BYTES])
            self._mask = int.from_bytes(okm[SECRET_BYTES:], "big")
        return self._cipher

    def step(self) -> None:
        """Go to the next epoch, for good."""
        info = CHANNEL_NEXT + self._ending()
        following = Secret(hkdf(self._secret.reveal(), info=info, length=SECRET_BYTES))
        self._secret.wipe()
        self._enter(following, self.epoch + 1)

    def _ending(self) -> bytes:
        """How the epoch ends, for both ends to agree on."""
        return self.number.to_bytes(8, "big")

    def renew(self, secret: Secret) -> None:
        """Go to the next epoch under a secret that does not come from this one's."""
        self._secret.wipe()
        self._enter(secret, self.epoch + 1)

    def seal(self, kind: Kind, text: bytes) -> bytes:
        """The next record."""
        head = header(kind, self.epoch & 0xFF, len(text) + TAG_BYTES)
        cipher = self._keyed()
        return head + cipher.seal(self._take_nonce(), text, head + self._context)

    def open(self, head: bytes, sealed: bytes) -> bytes:
        """The text of the next record; AuthenticationFailed if it is another."""
        cipher = self._keyed()
        return cipher.open(self._take_nonce(), sealed, head + self._context)

    def hand_over(self) -> Secret:
        """The secret, for another chain; who calls uses this one no more."""
        secret = Secret(self._secret.reveal())
        self.wipe()
        return secret

    def wipe(self) -> None:
        """Forget the keys; who calls seals and opens nothing after this."""
        self._secret.wipe()
        self._cipher = self._suite.cipher(bytes(SECRET_BYTES))
        self._mask = 0

    def _take_nonce(self) -> bytes:
        nonce = (self._mask ^ self.number).to_bytes(NONCE_BYTES, "big")
        self.number += 1
        return nonce
