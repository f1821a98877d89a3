"""Fresh keys within a session: a new KEM secret and, where there is one, a new QKD key.

The initiator offers an ephemeral public key and names a QKD key; the responder encapsulates to it.
Both mix what they got into the session's root, from which come new secrets of both directions and a
new root. Who knew all of a session's secrets before, and only listens, knows none of them after.
Records on their way stay readable: each end changes over at a place in its own direction that the
other end sees, and nothing waits. The wire is in spec/channel.md.
"""

from dataclasses import dataclass
from typing import Final

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse, SessionEnded
from bellwire.channel.messages import KEY_ID_BYTES, NO_KEY, QKD_KEY_BYTES, Direction, Policy
from bellwire.channel.symmetric import SECRET_BYTES
from bellwire.channel.terms import QkdKey, check_policy
from bellwire.crypto.errors import KemRefused
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.kem import CIPHERTEXT_BYTES, PUBLIC_BYTES, XWingPrivateKey, encapsulate
from bellwire.crypto.labels import CHANNEL_REFRESH

OFFER_BYTES: Final = PUBLIC_BYTES + KEY_ID_BYTES
ANSWER_BYTES: Final = CIPHERTEXT_BYTES + 1


@dataclass(frozen=True, slots=True)
class RefreshOffered:
    """The initiator wants fresh keys; `key_id` names a QKD key to fetch, or is None."""

    key_id: bytes | None


@dataclass(frozen=True, slots=True)
class RefreshAnswered:
    """Our own offer was answered; `record` is to be sent, unless it is empty."""

    record: bytes


@dataclass(frozen=True, slots=True)
class RefreshDone:
    """Both directions have fresh keys now."""


@dataclass(frozen=True, slots=True)
class FreshSecrets:
    """What a refresh gives: 32 bytes for each direction, and the QKD key that is in them."""

    up: Secret
    down: Secret
    qkd: QkdKey | None


class Refresher:
    """One end's part in refreshes, one after the other.

    Args:
        root: From the handshake.
        sending: Which end this is.
        policy: This end's own, of QKD.
    """

    __slots__ = ("_ephemeral", "_offer", "_policy", "_qkd", "_root", "_sending", "_up")

    def __init__(self, root: Secret, sending: Direction, policy: Policy) -> None:
        self._root = root
        self._sending = sending
        self._policy = policy
        self._offer = b""
        self._ephemeral: XWingPrivateKey | None = None
        self._qkd: QkdKey | None = None
        self._up: Secret | None = None

    @property
    def may_offer(self) -> bool:
        """Whether this end is the initiator, and has no offer open."""
        return self._sending is Direction.TO_RESPONDER and not self._offer

    def offer(self, qkd: QkdKey | None) -> bytes:
        """The text that asks for fresh keys.

        Raises:
            ChannelMisuse: this end may not offer, or its policy does not go with the key.
        """
        if not self.may_offer:
            raise ChannelMisuse("expected an initiator without an open offer of fresh keys")
        check_policy(self._policy, qkd)
        self._ephemeral = XWingPrivateKey.generate()
        self._qkd = qkd
        self._offer = self._ephemeral.public_bytes + (NO_KEY if qkd is None else qkd.key_id)
        return self._offer

    def take_offer(self, offer: bytes) -> RefreshOffered:
        """Read the initiator's offer.

        Raises:
            SessionEnded: another refresh has not ended, or the offer names no key, and our policy
                requires one.
        """
        if self._offer or self._up is not None:
            raise SessionEnded("expected one offer of fresh keys at a time, got another")
        named = None if offer[PUBLIC_BYTES:] == NO_KEY else offer[PUBLIC_BYTES:]
        if named is None and self._policy is Policy.REQUIRE:
            raise SessionEnded("our policy is require, and fresh keys were offered without QKD")
        self._offer = offer
        return RefreshOffered(None if self._policy is Policy.OFF else named)

    def answer(self, qkd: QkdKey | None) -> tuple[bytes, FreshSecrets]:
        """The text that answers the offer, and the fresh secrets.

        Raises:
            ChannelMisuse: there is no offer, or the key is not the one it names.
            SessionEnded: the initiator's public key is malformed, or there is no QKD key and our
                policy requires one.
        """
        offer = self._offer
        if not offer or (qkd is not None and qkd.key_id != offer[PUBLIC_BYTES:]):
            raise ChannelMisuse("expected an offer of fresh keys that names this QKD key")
        if qkd is None and self._policy is Policy.REQUIRE:
            raise SessionEnded("our policy is require, and there is no fresh QKD key")
        try:
            ciphertext, shared = encapsulate(offer[:PUBLIC_BYTES])
        except KemRefused as error:
            raise SessionEnded("expected a key to encapsulate to, got a malformed one") from error
        answer = ciphertext + bytes([qkd is not None])
        fresh = self._derive(shared, qkd, answer)
        self._up = fresh.up
        return answer, fresh

    def take_answer(self, answer: bytes) -> FreshSecrets:
        """Read the responder's answer.

        Raises:
            SessionEnded: there was no offer, it is malformed, or it leaves out a QKD key that our
                policy requires.
        """
        used = answer[CIPHERTEXT_BYTES]
        if self._ephemeral is None or used > 1 or (used and self._qkd is None):
            raise SessionEnded("expected an answer to our offer of fresh keys, got another")
        if not used and self._policy is Policy.REQUIRE:
            raise SessionEnded("our policy is require, and the peer left out the fresh QKD key")
        try:
            shared = self._ephemeral.decapsulate(answer[:CIPHERTEXT_BYTES])
        except KemRefused as error:
            raise SessionEnded("expected a ciphertext for our key, got another") from error
        qkd = self._qkd if used else None
        self._ephemeral = self._qkd = None
        return self._derive(shared, qkd, answer)

    def take_switch(self) -> Secret:
        """The initiator's fresh secret, in use from here on; SessionEnded if none is due."""
        up, self._up = self._up, None
        if up is None:
            raise SessionEnded("expected no change of keys, got one")
        return up

    def wipe(self) -> None:
        """Forget what can be forgotten."""
        self._root.wipe()
        self._ephemeral = None

    def _derive(self, shared: Secret, qkd: QkdKey | None, answer: bytes) -> FreshSecrets:
        mixed = shared.reveal() + (bytes(QKD_KEY_BYTES) if qkd is None else qkd.key.reveal())
        info = CHANNEL_REFRESH + self._offer + answer
        okm = hkdf(mixed, salt=self._root.reveal(), info=info, length=3 * SECRET_BYTES)
        self._root.wipe()
        self._offer = b""
        root, up, down = (Secret(okm[at : at + SECRET_BYTES]) for at in (0, 32, 64))
        self._root = root
        return FreshSecrets(up, down, qkd)
