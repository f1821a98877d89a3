"""The responder's side of a resumption: it knows who comes by the ticket.

Step numbers are those of spec/channel.md. Nothing here waits, as in `Responder`.
"""

import os

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse, HandshakeFailed
from bellwire.channel.macs import Hello
from bellwire.channel.messages import (
    ALERT_BODY,
    CONFIRM_BODY,
    NO_KEY,
    QKD_KEY_BYTES,
    RESUME_ANSWER_BODY,
    SESSION_ID_BYTES,
    Direction,
    Kind,
    Policy,
    header,
    parse_policy,
    split_handshake,
)
from bellwire.channel.options import SessionOptions
from bellwire.channel.resumption import Ticket
from bellwire.channel.session import Session
from bellwire.channel.terms import (
    RESPONDER,
    Event,
    Progress,
    QkdKey,
    reconcile,
    resumption_state,
)
from bellwire.crypto.aead import NONCE_BYTES
from bellwire.crypto.errors import AuthenticationFailed, KemRefused
from bellwire.crypto.kem import encapsulate

_REFUSED = b"\x00"


class ResumptionResponder:
    """The end that is reached with a ticket; one object, one attempt.

    Args:
        hello: That the gate let through, and whose handle named the ticket.
        ticket: Forgotten wherever it was kept.
        name: What initiators call us.
        own_public: Our public key.
        policy: What we ask of QKD.
        options: Of the session.

    Raises:
        ChannelMisuse: the ticket is another than the hello names.
    """

    __slots__ = (
        "_alert_key",
        "_hello",
        "_key_id",
        "_options",
        "_policy",
        "_progress",
        "_qkd",
        "_session_id",
        "_state",
        "_ticket",
        "_wants",
    )

    def __init__(
        self,
        hello: Hello,
        ticket: Ticket,
        *,
        name: str,
        own_public: bytes,
        policy: Policy,
        options: SessionOptions | None = None,
    ) -> None:
        if hello.kind is not Kind.RESUME or hello.opening != ticket.handle:
            raise ChannelMisuse("expected the ticket that the hello names, got another")
        self._hello = hello
        self._ticket = ticket
        self._options = options or SessionOptions()
        transport = self._options.transport
        self._state = resumption_state(ticket.suite, transport, name, own_public, ticket.peer)
        self._policy = policy
        self._wants = Policy.OFF
        self._key_id: bytes | None = None
        self._qkd: QkdKey | None = None
        self._session_id = b""
        self._alert_key = Secret(os.urandom(32))
        self._progress = Progress(RESPONDER)

    def __repr__(self) -> str:
        return f"ResumptionResponder({self._progress.step.name.lower()})"

    def receive_hello(self) -> bytes | None:
        """Step R2: open the hello; which QKD key to fetch before `answer`, or None.

        Raises:
            HandshakeFailed: who sent it has not the ticket, or policies exclude each other; send
                `alert`.
            ChannelMisuse: it was done before.
        """
        with self._progress.attempt(Event.TAKE_HELLO):
            hello, state = self._hello, self._state
            state.mix_hash(hello.head)
            state.mix_hash(hello.opening)
            state.mix_key_and_hash(self._ticket.psk)
            self._ticket.psk.wipe()
            self._alert_key = state.alert_key()
            state.mix_hash(hello.ephemeral)
            try:
                opened = state.open(hello.sealed_offer)
                self._wants = parse_policy(opened[0])
                named = None if opened[1:] == NO_KEY else opened[1:]
                self._key_id = reconcile(self._policy, self._wants, named)
            except AuthenticationFailed as error:
                raise self._failure("expected a hello by the holder of the ticket") from error
            except HandshakeFailed as error:
                raise self._failure(str(error)) from error
            return self._key_id

    def answer(self, qkd: QkdKey | None) -> bytes:
        """Step R2: the answer; `qkd` and errors as `Responder.answer`."""
        with self._progress.attempt(Event.SEND_ANSWER):
            if qkd is not None and qkd.key_id != self._key_id:
                raise ChannelMisuse("expected the QKD key that the hello names, got another")
            if qkd is None and Policy.REQUIRE in (self._policy, self._wants):
                raise self._failure("expected a QKD key because a policy requires it, got none")
            state = self._state
            head = header(Kind.RESUME_ANSWER, self._ticket.suite, RESUME_ANSWER_BODY)
            state.mix_hash(head)
            try:
                ct_e, ss_e = encapsulate(self._hello.ephemeral)
            except KemRefused as error:
                raise self._failure(str(error)) from error
            state.mix_hash(ct_e)
            state.mix_key(ss_e)
            used = state.seal(bytes([qkd is not None]))
            state.mix_key_and_hash(Secret(bytes(QKD_KEY_BYTES)) if qkd is None else qkd.key)
            self._session_id = os.urandom(SESSION_ID_BYTES)
            self._qkd = qkd
            self._alert_key.wipe()
            return head + ct_e + used + state.seal(self._session_id)

    def refuse(self) -> bytes:
        """Instead of the answer: the alert; ChannelMisuse if there is nothing to refuse."""
        with self._progress.attempt(Event.REFUSE):
            return self._make_alert()

    def receive_confirmation(self, message: bytes) -> Session:
        """Step R4: the session is established; errors as `Responder.receive_confirmation`."""
        with self._progress.attempt(Event.TAKE_CONFIRM):
            state, ticket = self._state, self._ticket
            try:
                _, _, head, body = split_handshake(
                    message, {Kind.CONFIRM: CONFIRM_BODY}, {ticket.suite}
                )
                state.mix_hash(head)
                state.open(body)
                secrets = state.split()
            except AuthenticationFailed as error:
                raise HandshakeFailed(
                    "expected the initiator's confirmation under the same QKD key, got another"
                ) from error
            finally:
                state.wipe()
            return Session(
                secrets,
                sending=Direction.TO_INITIATOR,
                session_id=self._session_id,
                peer=ticket.peer,
                protections=ticket.protections.resume(self._qkd),
                policy=self._policy,
                options=self._options,
            )

    def _failure(self, message: str) -> HandshakeFailed:
        return HandshakeFailed(message, alert=self._make_alert())

    def _make_alert(self) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        head = header(Kind.ALERT, self._ticket.suite, ALERT_BODY)
        cipher = self._ticket.suite.cipher(self._alert_key.reveal())
        sealed = cipher.seal(nonce, _REFUSED, head + self._hello.digest)
        self._alert_key.wipe()
        self._state.wipe()
        return head + nonce + sealed
