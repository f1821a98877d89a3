"""What the initiator does in either handshake, in full or by a ticket.

The two differ in what opens the hello, what is sealed into it, and how the answer grants the call;
a subclass says these. All else is here. Step numbers are those of spec/channel.md.
"""

import hashlib
from abc import ABC, abstractmethod
from typing import ClassVar

from bellwire.base.secret import Secret
from bellwire.channel.errors import HandshakeFailed, HandshakeRefused
from bellwire.channel.macs import answer_retry, finish_hello, mac_key
from bellwire.channel.messages import (
    ALERT_BODY,
    CONFIRM_BODY,
    QKD_KEY_BYTES,
    Direction,
    Kind,
    Policy,
    Suite,
    header,
    split_handshake,
)
from bellwire.channel.options import SessionOptions
from bellwire.channel.protections import Protections
from bellwire.channel.session import Session
from bellwire.channel.symmetric import alert_key
from bellwire.channel.terms import (
    INITIATOR,
    Event,
    Progress,
    QkdKey,
    Step,
    check_policy,
    fingerprint,
    judge_used,
    opening_state,
)
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES
from bellwire.crypto.errors import AuthenticationFailed, KemRefused
from bellwire.crypto.kem import CIPHERTEXT_BYTES, XWingPrivateKey


class InitiatingEnd(ABC):
    """One call of a responder whose public key is pinned.

    Args:
        suite: The cipher.
        responder_name: As the responder calls itself.
        responder_public: The pinned key.
        resuming: Our fingerprint, if this is a resumption.
        policy: What we ask of QKD.
        qkd: The key we drew, or None.
        options: Of the session.

    Raises:
        ChannelMisuse: policy and key do not fit, or the name is empty or too long.
    """

    __slots__ = (
        "_core",
        "_ephemeral",
        "_mac_key",
        "_options",
        "_peer",
        "_policy",
        "_progress",
        "_qkd",
        "_refusal",
        "_state",
        "_suite",
    )

    _ANSWERS: ClassVar[dict[Kind, int]]
    """How the responder may answer, beside an alert, with the lengths of bodies."""
    _GRANT_BYTES: ClassVar[int]
    """Of what is sealed first in a good answer."""
    _REFUSED: ClassVar[str]
    """What an alert means, for people."""

    def __init__(
        self,
        *,
        suite: Suite,
        responder_name: str,
        responder_public: bytes,
        resuming: bytes = b"",
        policy: Policy,
        qkd: QkdKey | None,
        options: SessionOptions | None,
    ) -> None:
        check_policy(policy, qkd)
        self._options = options or SessionOptions()
        self._state = opening_state(
            suite, self._options.transport, responder_name, responder_public, resuming=resuming
        )
        self._suite = suite
        self._peer = fingerprint(responder_public)
        self._mac_key = mac_key(responder_public)
        self._policy = policy
        self._qkd = qkd
        self._ephemeral: XWingPrivateKey | None = None
        self._refusal = Secret(b"")
        self._core = b""
        self._progress = Progress(INITIATOR)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._progress.step.name.lower()})"

    @abstractmethod
    def _header(self) -> bytes:
        """Of the hello."""

    @abstractmethod
    def _open_call(self) -> bytes:
        """Mix in, and give, what the hello begins with."""

    @abstractmethod
    def _seal_offer(self) -> bytes:
        """The offer, sealed; and mix in what belongs to it and does not travel."""

    @abstractmethod
    def _take_grant(self, grant: bytes) -> int:
        """Mix in what the answer grants; whether it says that a QKD key is used."""

    @abstractmethod
    def _protections(self, qkd: QkdKey | None) -> Protections:
        """Of a session that mixed in this key."""

    def hello(self) -> bytes:
        """Step 1 or R1: the first message.

        Raises:
            ChannelMisuse: it was made before.
            KemRefused: the pinned key is of low order.
        """
        with self._progress.attempt(Event.SEND_HELLO):
            state = self._state
            head = self._header()
            state.mix_hash(head)
            opening = self._open_call()
            self._refusal = state.chaining_key()
            self._ephemeral = XWingPrivateKey.generate()
            state.mix_hash(self._ephemeral.public_bytes)
            self._core = head + opening + self._ephemeral.public_bytes + self._seal_offer()
            return finish_hello(self._core, self._mac_key, None)

    def receive(self, message: bytes) -> tuple[bytes, Session | None]:
        """Steps 2, 4 and 5, or R2 and R3: take the answer, or the wish to see the hello again.

        Returns:
            What to send, and the session. The session is None when what to send is the hello
            again, with the cookie; else it is the confirmation, and the responder accepts records
            only after it.

        Raises:
            HandshakeRefused: the responder refuses, and it is the responder that says so.
            TicketUnknown: the responder does not know the ticket: shake hands in full, by the same
                QKD key, which nobody has used.
            HandshakeFailed: the answer is not from the pinned responder to our hello, the QKD keys
                differ, or QKD was not used although our policy requires it.
            ChannelMisuse: no hello was made, or an answer was already taken.
        """
        if self._progress.step is Step.CALLED and message[:1] == bytes([Kind.RETRY]):
            with self._progress.attempt(Event.TAKE_RETRY):
                return answer_retry(message, self._core, self._mac_key, self._suite), None
        with self._progress.attempt(Event.TAKE_ANSWER):
            try:
                return self._receive_answer(message)
            except (AuthenticationFailed, KemRefused) as error:
                raise HandshakeFailed(
                    "expected an answer from the pinned responder under the same QKD key, "
                    "got another"
                ) from error
            finally:
                self._state.wipe()
                self._refusal.wipe()
                self._ephemeral = None

    def _receive_answer(self, message: bytes) -> tuple[bytes, Session]:
        expected = self._ANSWERS | {Kind.ALERT: ALERT_BODY}
        kind, _, head, body = split_handshake(message, expected, {self._suite})
        self._check_not_refused(kind, head, body)
        assert self._ephemeral is not None
        state = self._state
        state.mix_hash(head)
        ct_e = body[:CIPHERTEXT_BYTES]
        state.mix_hash(ct_e)
        state.mix_key(self._ephemeral.decapsulate(ct_e))
        cut = CIPHERTEXT_BYTES + self._GRANT_BYTES + TAG_BYTES
        used = self._take_grant(state.open(body[CIPHERTEXT_BYTES:cut]))
        qkd = judge_used(used, self._policy, self._qkd)
        state.mix_key_and_hash(Secret(bytes(QKD_KEY_BYTES)) if qkd is None else qkd.key)
        session_id = state.open(body[cut:])
        head = header(Kind.CONFIRM, self._suite, CONFIRM_BODY)
        state.mix_hash(head)
        confirm = head + state.seal(b"")
        return confirm, Session(
            state.split(),
            sending=Direction.TO_RESPONDER,
            session_id=session_id,
            peer=self._peer,
            protections=self._protections(qkd),
            policy=self._policy,
            options=self._options,
        )

    def _check_not_refused(self, kind: Kind, head: bytes, body: bytes) -> None:
        """Step 7: return only if this is no alert; AuthenticationFailed for one of another."""
        if kind is not Kind.ALERT:
            return
        cipher = self._suite.cipher(alert_key(self._refusal))
        aad = head + hashlib.sha256(self._core).digest()
        cipher.open(body[:NONCE_BYTES], body[NONCE_BYTES:], aad)
        raise HandshakeRefused(
            self._REFUSED,
            hint="Is this end enrolled there, and does the responder's link give keys?",
        )
