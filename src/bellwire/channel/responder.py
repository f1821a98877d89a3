"""The responder's side of the handshake: it admits initiators by a list.

Step numbers are those of spec/channel.md. Nothing here waits: between `receive_hello` and `answer`,
who calls fetches the QKD key.
"""

import hashlib
import os
from collections.abc import Mapping

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse, HandshakeFailed
from bellwire.channel.messages import (
    ALERT_BODY,
    ANSWER_BODY,
    CONFIRM_BODY,
    HELLO_BODY,
    QKD_KEY_BYTES,
    SESSION_ID_BYTES,
    Direction,
    Kind,
    Offer,
    Policy,
    header,
    parse_offer,
    split_handshake,
)
from bellwire.channel.session import Protections, Session
from bellwire.channel.terms import QkdKey, Step, opening_state, require_step
from bellwire.crypto.aead import NONCE_BYTES, seal
from bellwire.crypto.errors import AuthenticationFailed, KemRefused
from bellwire.crypto.kem import CIPHERTEXT_BYTES, PUBLIC_BYTES, XWingPrivateKey, encapsulate

_REFUSED = b"\x00"


class Responder:
    """The end that is reached and admits initiators by a list; one object, one handshake.

    What fails before the hello has been decapsulated has no alert: the peer's framing is wrong.
    What fails after it has one, of the same form whatever the reason.
    """

    __slots__ = (
        "_alert_key",
        "_ephemeral",
        "_hello_hash",
        "_identity",
        "_initiators",
        "_offer",
        "_policy",
        "_qkd",
        "_session_id",
        "_state",
        "_step",
    )

    def __init__(
        self,
        *,
        identity: XWingPrivateKey,
        name: str,
        initiators: Mapping[bytes, bytes],
        policy: Policy,
    ) -> None:
        """Wait for a hello.

        Args:
            identity: Our key pair, which initiators have pinned.
            name: What initiators call us; 1 to 255 bytes.
            initiators: Public keys that are admitted, by their `fingerprint`.
            policy: What we ask of QKD.

        Raises:
            ChannelMisuse: the name is empty or too long.
        """
        self._state = opening_state(name, identity.public_bytes)
        self._identity = identity
        self._initiators = initiators
        self._policy = policy
        self._alert_key = Secret(b"")
        self._hello_hash = b""
        self._ephemeral = b""
        self._offer: Offer | None = None
        self._qkd: QkdKey | None = None
        self._session_id = b""
        self._step = Step.START

    def __repr__(self) -> str:
        return f"Responder({self._step.name.lower()})"

    def receive_hello(self, message: bytes) -> Offer:
        """Step 2: open the hello and check the initiator against the list and both policies.

        Returns:
            The offer, whose `key_id` says which QKD key to fetch before `answer`, or None if none
            is to be fetched. Who sent it is not proven before `receive_confirmation`.

        Raises:
            HandshakeFailed: not a hello for us, an unknown initiator, or policies that exclude
                each other; send `alert` if there is one.
            ChannelMisuse: a hello was already taken.
        """
        require_step(self._step, Step.START)
        self._step = Step.DONE
        _, head, body = split_handshake(message, {Kind.HELLO: HELLO_BODY})
        self._hello_hash = hashlib.sha256(message).digest()
        state = self._state
        state.mix_hash(head)
        ct_s = body[:CIPHERTEXT_BYTES]
        state.mix_hash(ct_s)
        try:
            ss_s = self._identity.decapsulate(ct_s)
        except KemRefused as error:
            self._alert_key = Secret(os.urandom(32))
            raise self._failure("expected a hello to our public key, got another") from error
        state.mix_key(ss_s)
        self._alert_key = state.alert_key()
        self._ephemeral = body[CIPHERTEXT_BYTES : CIPHERTEXT_BYTES + PUBLIC_BYTES]
        state.mix_hash(self._ephemeral)
        try:
            offer = parse_offer(state.open(body[CIPHERTEXT_BYTES + PUBLIC_BYTES :]))
        except AuthenticationFailed as error:
            raise self._failure("expected a hello to our public key, got another") from error
        except HandshakeFailed as error:
            raise self._failure(str(error)) from error
        public = self._initiators.get(offer.initiator)
        if public is None or public == self._identity.public_bytes:
            raise self._failure(
                f"expected an enrolled initiator, got {offer.initiator.hex()[:16]}…"
            )
        state.mix_hash(public)
        self._offer = self._reconcile(offer)
        self._step = Step.HELLO
        return self._offer

    def _reconcile(self, offer: Offer) -> Offer:
        """The offer as far as our policy takes it, or a refusal."""
        policies = {self._policy, offer.policy}
        if Policy.REQUIRE in policies and (Policy.OFF in policies or offer.key_id is None):
            raise self._failure(
                f"our policy is {self._policy.name.lower()}, the initiator's is "
                f"{offer.policy.name.lower()}, and it named "
                + ("no QKD key" if offer.key_id is None else "a QKD key")
            )
        if Policy.OFF in policies:
            return Offer(offer.initiator, offer.policy, None)
        return offer

    def answer(self, qkd: QkdKey | None) -> bytes:
        """Step 3: the answer.

        Args:
            qkd: The key that the offer names, or None if it names none or if the source of keys
                cannot be reached. A source that refuses a named key calls for `refuse` instead:
                answering without it would be a silent downgrade.

        Raises:
            HandshakeFailed: a policy requires a key and there is none, or the initiator's keys
                are malformed; send `alert`.
            ChannelMisuse: no hello was accepted, or the key is not the one named.
        """
        require_step(self._step, Step.HELLO)
        self._step = Step.DONE
        assert self._offer is not None
        offer = self._offer
        if qkd is not None and qkd.key_id != offer.key_id:
            raise ChannelMisuse("expected the QKD key that the hello names, got another")
        if qkd is None and Policy.REQUIRE in (self._policy, offer.policy):
            raise self._failure("expected a QKD key because a policy requires it, got none")
        state = self._state
        head = header(Kind.ANSWER, ANSWER_BODY)
        state.mix_hash(head)
        try:
            ct_e, ss_e = encapsulate(self._ephemeral)
            ct_c, ss_c = encapsulate(self._initiators[offer.initiator])
        except KemRefused as error:
            raise self._failure(str(error)) from error
        state.mix_hash(ct_e)
        state.mix_key(ss_e)
        grant = state.seal(ct_c + bytes([qkd is not None]))
        state.mix_key(ss_c)
        state.mix_key_and_hash(Secret(bytes(QKD_KEY_BYTES)) if qkd is None else qkd.key)
        self._session_id = os.urandom(SESSION_ID_BYTES)
        parameters = state.seal(self._session_id)
        self._qkd = qkd
        self._alert_key.wipe()
        self._step = Step.ANSWER
        return head + ct_e + grant + parameters

    def refuse(self) -> bytes:
        """Instead of step 3: the alert, because the source of keys refuses the named key.

        Raises:
            ChannelMisuse: no hello was accepted, or it has been answered.
        """
        require_step(self._step, Step.HELLO)
        self._step = Step.DONE
        return self._make_alert()

    def receive_confirmation(self, message: bytes) -> Session:
        """Step 5: the initiator is who it says, and the session is established.

        Raises:
            HandshakeFailed: not the initiator's confirmation of our answer.
            ChannelMisuse: no answer was made, or a confirmation was already taken.
        """
        require_step(self._step, Step.ANSWER)
        self._step = Step.DONE
        assert self._offer is not None
        state = self._state
        try:
            _, head, body = split_handshake(message, {Kind.CONFIRM: CONFIRM_BODY})
            state.mix_hash(head)
            state.open(body)
            keys = state.split()
        except AuthenticationFailed as error:
            raise HandshakeFailed(
                "expected the initiator's confirmation under the same QKD key, got another"
            ) from error
        finally:
            state.wipe()
        return Session(
            keys,
            sending=Direction.TO_INITIATOR,
            session_id=self._session_id,
            peer=self._offer.initiator,
            protections=Protections(None if self._qkd is None else self._qkd.source),
        )

    def _failure(self, message: str) -> HandshakeFailed:
        return HandshakeFailed(message, alert=self._make_alert())

    def _make_alert(self) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        head = header(Kind.ALERT, ALERT_BODY)
        sealed = seal(self._alert_key.reveal(), nonce, _REFUSED, head + self._hello_hash)
        self._alert_key.wipe()
        self._state.wipe()
        return head + nonce + sealed
