"""The initiator's side of a resumption: a ticket in the place of both static keys.

Step numbers are those of spec/channel.md.
"""

import hashlib

from bellwire.base.secret import Secret
from bellwire.channel.errors import (
    ChannelMisuse,
    HandshakeFailed,
    HandshakeRefused,
    TicketUnknown,
)
from bellwire.channel.macs import answer_retry, check_unknown, finish_hello, mac, mac_key
from bellwire.channel.messages import (
    ALERT_BODY,
    CONFIRM_BODY,
    NO_KEY,
    QKD_KEY_BYTES,
    RESUME_ANSWER_BODY,
    RESUME_BODY,
    UNKNOWN_BODY,
    Direction,
    Kind,
    Policy,
    header,
    split_handshake,
)
from bellwire.channel.options import SessionOptions
from bellwire.channel.resumption import Ticket
from bellwire.channel.session import Session
from bellwire.channel.terms import (
    INITIATOR,
    Event,
    Progress,
    QkdKey,
    Step,
    check_policy,
    fingerprint,
    judge_used,
    resumption_state,
)
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES
from bellwire.crypto.errors import AuthenticationFailed, KemRefused
from bellwire.crypto.kem import CIPHERTEXT_BYTES, XWingPrivateKey


class Resumer:
    """The end that has a ticket; one object, one attempt, and the ticket is spent.

    Args:
        ticket: Of our last session with this responder, forgotten wherever it was kept.
        own_public: Our public key.
        responder_name: As for `Initiator`.
        responder_public: The pinned public key.
        policy: What we ask of QKD.
        qkd: The key we drew, or None, as for `Initiator`.
        options: Of the session.

    Raises:
        ChannelMisuse: policy and key do not fit, or the ticket is of another responder.
    """

    __slots__ = (
        "_alert_key",
        "_core",
        "_ephemeral",
        "_mac_key",
        "_options",
        "_policy",
        "_progress",
        "_qkd",
        "_state",
        "_ticket",
    )

    def __init__(
        self,
        *,
        ticket: Ticket,
        own_public: bytes,
        responder_name: str,
        responder_public: bytes,
        policy: Policy,
        qkd: QkdKey | None,
        options: SessionOptions | None = None,
    ) -> None:
        check_policy(policy, qkd)
        if ticket.peer != fingerprint(responder_public):
            raise ChannelMisuse("expected a ticket of the pinned responder, got another's")
        self._ticket = ticket
        self._options = options or SessionOptions()
        self._state = resumption_state(
            ticket.suite,
            self._options.transport,
            responder_name,
            responder_public,
            fingerprint(own_public),
        )
        self._mac_key = mac_key(responder_public)
        self._policy = policy
        self._qkd = qkd
        self._ephemeral: XWingPrivateKey | None = None
        self._alert_key = Secret(b"")
        self._core = b""
        self._progress = Progress(INITIATOR)

    def __repr__(self) -> str:
        return f"Resumer({self._progress.step.name.lower()})"

    def hello(self) -> bytes:
        """Step R1: the first message; ChannelMisuse if it was made before."""
        with self._progress.attempt(Event.SEND_HELLO):
            state, ticket = self._state, self._ticket
            head = header(Kind.RESUME, ticket.suite, RESUME_BODY)
            state.mix_hash(head)
            state.mix_hash(ticket.handle)
            state.mix_key_and_hash(ticket.psk)
            ticket.psk.wipe()
            self._alert_key = state.alert_key()
            self._ephemeral = XWingPrivateKey.generate()
            state.mix_hash(self._ephemeral.public_bytes)
            key_id = NO_KEY if self._qkd is None else self._qkd.key_id
            sealed = state.seal(bytes([self._policy]) + key_id)
            self._core = head + ticket.handle + self._ephemeral.public_bytes + sealed
            return finish_hello(self._core, self._mac_key, None)

    def receive(self, message: bytes) -> tuple[bytes, Session | None]:
        """Steps 2 and R3: as `Initiator.receive`.

        Raises:
            TicketUnknown: the responder does not know the ticket: shake hands in full, by the same
                QKD key, which nobody has used.
            HandshakeRefused, HandshakeFailed, ChannelMisuse: as `Initiator.receive`.
        """
        if self._progress.step is Step.CALLED and message[:1] == bytes([Kind.RETRY]):
            with self._progress.attempt(Event.TAKE_RETRY):
                again = answer_retry(message, self._core, self._mac_key, self._ticket.suite)
                return again, None
        with self._progress.attempt(Event.TAKE_ANSWER):
            try:
                return self._receive_answer(message)
            except (AuthenticationFailed, KemRefused) as error:
                raise HandshakeFailed(
                    "expected an answer from who has our ticket, under the same QKD key, "
                    "got another"
                ) from error
            finally:
                self._state.wipe()
                self._alert_key.wipe()
                self._ephemeral = None

    def _receive_answer(self, message: bytes) -> tuple[bytes, Session]:
        suite = self._ticket.suite
        kinds = {
            Kind.RESUME_ANSWER: RESUME_ANSWER_BODY,
            Kind.UNKNOWN: UNKNOWN_BODY,
            Kind.ALERT: ALERT_BODY,
        }
        kind, _, head, body = split_handshake(message, kinds, {suite})
        if kind is Kind.UNKNOWN:
            check_unknown(head, body, self._mac_key, mac(self._mac_key, self._core))
            raise TicketUnknown("the responder does not know our ticket")
        if kind is Kind.ALERT:
            aad = head + hashlib.sha256(self._core).digest()
            cipher = suite.cipher(self._alert_key.reveal())
            cipher.open(body[:NONCE_BYTES], body[NONCE_BYTES:], aad)
            raise HandshakeRefused(
                "the responder refused to resume the session",
                hint="Is this end enrolled there, and does the responder's link give keys?",
            )
        assert self._ephemeral is not None
        state = self._state
        state.mix_hash(head)
        ct_e = body[:CIPHERTEXT_BYTES]
        state.mix_hash(ct_e)
        state.mix_key(self._ephemeral.decapsulate(ct_e))
        cut = CIPHERTEXT_BYTES + 1 + TAG_BYTES
        qkd = judge_used(state.open(body[CIPHERTEXT_BYTES:cut])[0], self._policy, self._qkd)
        state.mix_key_and_hash(Secret(bytes(QKD_KEY_BYTES)) if qkd is None else qkd.key)
        session_id = state.open(body[cut:])
        head = header(Kind.CONFIRM, suite, CONFIRM_BODY)
        state.mix_hash(head)
        confirm = head + state.seal(b"")
        return confirm, Session(
            state.split(),
            sending=Direction.TO_RESPONDER,
            session_id=session_id,
            peer=self._ticket.peer,
            protections=self._ticket.protections.resume(qkd),
            policy=self._policy,
            options=self._options,
        )
