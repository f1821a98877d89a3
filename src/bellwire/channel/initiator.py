"""The initiator's side of the handshake: it knows whom it wants to reach.

Step numbers are those of spec/channel.md.
"""

import hashlib

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse, HandshakeFailed, HandshakeRefused
from bellwire.channel.messages import (
    ALERT_BODY,
    ANSWER_BODY,
    CONFIRM_BODY,
    GRANT_BYTES,
    HELLO_BODY,
    QKD_KEY_BYTES,
    Direction,
    Kind,
    Offer,
    Policy,
    header,
    split_handshake,
)
from bellwire.channel.session import Protections, Session
from bellwire.channel.terms import QkdKey, Step, fingerprint, opening_state, require_step
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES, open_sealed
from bellwire.crypto.errors import AuthenticationFailed, KemRefused
from bellwire.crypto.kem import CIPHERTEXT_BYTES, XWingPrivateKey, check_public, encapsulate


class Initiator:
    """The end that knows whom it wants to reach; one object, one handshake."""

    __slots__ = (
        "_alert_key",
        "_ephemeral",
        "_hello_hash",
        "_identity",
        "_policy",
        "_qkd",
        "_responder_public",
        "_state",
        "_step",
    )

    def __init__(
        self,
        *,
        identity: XWingPrivateKey,
        responder_name: str,
        responder_public: bytes,
        policy: Policy,
        qkd: QkdKey | None,
    ) -> None:
        """Prepare a handshake.

        Args:
            identity: Our key pair, which the responder must have on its list.
            responder_name: As the responder calls itself; 1 to 255 bytes.
            responder_public: The pinned public key, 1216 bytes.
            policy: What we ask of QKD.
            qkd: The key we drew, or None. Under REQUIRE there must be one, under OFF none.

        Raises:
            ChannelMisuse: policy and key do not fit, or the pinned key is our own.
            LengthError: the pinned key has another length.
            KemRefused: the pinned key is malformed.
        """
        if (policy is Policy.REQUIRE and qkd is None) or (policy is Policy.OFF and qkd is not None):
            raise ChannelMisuse(
                f"policy {policy.name.lower()} "
                + ("needs a QKD key" if qkd is None else "takes no QKD key")
            )
        if responder_public == identity.public_bytes:
            raise ChannelMisuse("expected the responder's public key, got our own")
        check_public(responder_public)
        self._state = opening_state(responder_name, responder_public)
        self._identity = identity
        self._responder_public = responder_public
        self._policy = policy
        self._qkd = qkd
        self._ephemeral: XWingPrivateKey | None = None
        self._alert_key = Secret(b"")
        self._hello_hash = b""
        self._step = Step.START

    def __repr__(self) -> str:
        return f"Initiator({self._step.name.lower()})"

    def hello(self) -> bytes:
        """Step 1: the first message.

        Raises:
            ChannelMisuse: it was made before.
            KemRefused: the pinned key is of low order.
        """
        require_step(self._step, Step.START)
        self._step = Step.HELLO
        state = self._state
        head = header(Kind.HELLO, HELLO_BODY)
        state.mix_hash(head)
        ct_s, ss_s = encapsulate(self._responder_public)
        state.mix_hash(ct_s)
        state.mix_key(ss_s)
        self._alert_key = state.alert_key()
        self._ephemeral = XWingPrivateKey.generate()
        state.mix_hash(self._ephemeral.public_bytes)
        offer = Offer(
            fingerprint(self._identity.public_bytes),
            self._policy,
            None if self._qkd is None else self._qkd.key_id,
        )
        sealed = state.seal(offer.encode())
        state.mix_hash(self._identity.public_bytes)
        message = head + ct_s + self._ephemeral.public_bytes + sealed
        self._hello_hash = hashlib.sha256(message).digest()
        return message

    def receive_answer(self, message: bytes) -> tuple[bytes, Session]:
        """Steps 3 and 4: check the responder's answer.

        Returns:
            The confirmation to send, and the session. The responder accepts records only after
            the confirmation.

        Raises:
            HandshakeRefused: the responder refuses, and it is the responder that says so.
            HandshakeFailed: the answer is not from the pinned responder to our hello, the QKD keys
                differ, or QKD was not used although our policy requires it.
            ChannelMisuse: no hello was made, or an answer was already taken.
        """
        require_step(self._step, Step.HELLO)
        self._step = Step.DONE
        try:
            return self._receive_answer(message)
        except (AuthenticationFailed, KemRefused) as error:
            raise HandshakeFailed(
                "expected an answer from the pinned responder under the same QKD key, got another"
            ) from error
        finally:
            self._state.wipe()
            self._alert_key.wipe()
            self._ephemeral = None

    def _receive_answer(self, message: bytes) -> tuple[bytes, Session]:
        kind, head, body = split_handshake(
            message, {Kind.ANSWER: ANSWER_BODY, Kind.ALERT: ALERT_BODY}
        )
        if kind is Kind.ALERT:
            open_sealed(
                self._alert_key.reveal(),
                body[:NONCE_BYTES],
                body[NONCE_BYTES:],
                head + self._hello_hash,
            )
            raise HandshakeRefused(
                "the responder refused the handshake",
                hint="Is this end enrolled there, and does the responder's link give keys?",
            )
        assert self._ephemeral is not None
        state = self._state
        state.mix_hash(head)
        ct_e = body[:CIPHERTEXT_BYTES]
        state.mix_hash(ct_e)
        state.mix_key(self._ephemeral.decapsulate(ct_e))
        cut = CIPHERTEXT_BYTES + GRANT_BYTES + TAG_BYTES
        grant = state.open(body[CIPHERTEXT_BYTES:cut])
        used = grant[CIPHERTEXT_BYTES]
        state.mix_key(self._identity.decapsulate(grant[:CIPHERTEXT_BYTES]))
        qkd = self._judge(used)
        state.mix_key_and_hash(Secret(bytes(QKD_KEY_BYTES)) if qkd is None else qkd.key)
        session_id = state.open(body[cut:])
        head = header(Kind.CONFIRM, CONFIRM_BODY)
        state.mix_hash(head)
        confirm = head + state.seal(b"")
        return confirm, Session(
            state.split(),
            sending=Direction.TO_RESPONDER,
            session_id=session_id,
            peer=fingerprint(self._responder_public),
            protections=Protections(None if qkd is None else qkd.source),
        )

    def _judge(self, used: int) -> QkdKey | None:
        """The QKD key to mix in, by what the responder says and our policy allows."""
        if used == 1 and self._qkd is not None:
            return self._qkd
        if used == 0 and self._policy is not Policy.REQUIRE:
            return None
        raise HandshakeFailed(
            f"our policy is {self._policy.name.lower()}, and the responder says that QKD was "
            + ("not used" if used == 0 else f"used ({used}) although we named no key")
        )
