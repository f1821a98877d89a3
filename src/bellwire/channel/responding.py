"""What the responder does in either handshake, in full or by a ticket.

The two differ in what opens the hello, in who may come, and in how the answer grants the call; a
subclass says these. All else is here. Nothing waits: between hello and `answer`, who calls fetches
the QKD key. Step numbers are those of spec/channel.md.
"""

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse, HandshakeFailed
from bellwire.channel.macs import Hello
from bellwire.channel.messages import (
    ALERT_BODY,
    CONFIRM_BODY,
    QKD_KEY_BYTES,
    SESSION_ID_BYTES,
    Direction,
    Kind,
    Policy,
    header,
    split_handshake,
)
from bellwire.channel.options import SessionOptions
from bellwire.channel.protections import Protections
from bellwire.channel.session import Session
from bellwire.channel.symmetric import SymmetricState, alert_key
from bellwire.channel.terms import RESPONDER, Event, Progress, QkdKey, reconcile
from bellwire.crypto.aead import NONCE_BYTES
from bellwire.crypto.errors import AuthenticationFailed, KemRefused
from bellwire.crypto.kem import encapsulate

_REFUSED = b"\x00"


class RespondingEnd(ABC):
    """One call that is answered.

    What fails once the hello has been opened has an alert, of one form whatever the reason.

    Args:
        policy: What we ask of QKD.
        options: Of the session.
    """

    __slots__ = (
        "_hello",
        "_key_id",
        "_options",
        "_policy",
        "_progress",
        "_qkd",
        "_refusal",
        "_session_id",
        "_state",
        "_wanted",
    )

    _ANSWER: ClassVar[tuple[Kind, int]]
    """Kind of the answer, and the length of its body."""
    _EXPECTED: ClassVar[str]
    """The only kind of hello that opens, for people."""

    # The hello sets these, and the table of steps lets nothing use them before.
    _hello: Hello
    _state: SymmetricState
    _refusal: Secret
    _wanted: Policy
    _key_id: bytes | None
    # And the answer these.
    _qkd: QkdKey | None
    _session_id: bytes

    def __init__(self, policy: Policy, options: SessionOptions | None) -> None:
        self._policy = policy
        self._options = options or SessionOptions()
        self._progress = Progress(RESPONDER)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._progress.step.name.lower()})"

    @abstractmethod
    def _mix_opening(self, opening: bytes) -> None:
        """Mix in the secret that the hello begins with; KemRefused if it is malformed."""

    @abstractmethod
    def _seal_grant(self, used: bytes) -> bytes:
        """Seal what grants the call, with the byte that says whether QKD is used."""

    @property
    @abstractmethod
    def _peer(self) -> bytes:
        """The initiator's fingerprint."""

    @abstractmethod
    def _protections(self, qkd: QkdKey | None) -> Protections:
        """Of a session that mixed in this key."""

    def _open_hello(self, hello: Hello, state: SymmetricState) -> bytes:
        """What is sealed in the hello; HandshakeFailed unless it is for us."""
        self._hello, self._state = hello, state
        # An alert under this key tells nobody anything.
        self._refusal = Secret(os.urandom(32))
        state.mix_hash(hello.head)
        state.mix_hash(hello.opening)
        try:
            self._mix_opening(hello.opening)
            self._refusal = state.chaining_key()
            state.mix_hash(hello.ephemeral)
            return state.open(hello.sealed_offer)
        except (KemRefused, AuthenticationFailed) as error:
            raise self._failure(f"expected {self._EXPECTED}, got another") from error

    def _settle(self, wanted: Policy, key_id: bytes | None) -> None:
        """Take the offer as far as our policy does; HandshakeFailed if the two do not fit."""
        with self._refusing():
            self._key_id = reconcile(self._policy, wanted, key_id)
        self._wanted = wanted

    def answer(self, qkd: QkdKey | None) -> bytes:
        """Step 4 or R2: the answer.

        Args:
            qkd: The key that the offer names, or None if it names none or if the source of keys
                cannot be reached. A source that refuses a named key calls for `refuse` instead:
                answering without it would be a silent downgrade.

        Raises:
            HandshakeFailed: a policy requires a key and there is none, or the initiator's keys
                are malformed; send `alert`.
            ChannelMisuse: no hello was accepted, or the key is not the one named.
        """
        with self._progress.attempt(Event.SEND_ANSWER):
            if qkd is not None and qkd.key_id != self._key_id:
                raise ChannelMisuse("expected the QKD key that the hello names, got another")
            if qkd is None and Policy.REQUIRE in (self._policy, self._wanted):
                raise self._failure("expected a QKD key because a policy requires it, got none")
            try:
                return self._answer(qkd)
            except KemRefused as error:
                raise self._failure(str(error)) from error

    def _answer(self, qkd: QkdKey | None) -> bytes:
        state = self._state
        kind, length = self._ANSWER
        head = header(kind, self._hello.suite, length)
        state.mix_hash(head)
        ct_e, ss_e = encapsulate(self._hello.ephemeral)
        state.mix_hash(ct_e)
        state.mix_key(ss_e)
        grant = self._seal_grant(bytes([qkd is not None]))
        state.mix_key_and_hash(Secret(bytes(QKD_KEY_BYTES)) if qkd is None else qkd.key)
        self._session_id = os.urandom(SESSION_ID_BYTES)
        self._qkd = qkd
        self._refusal.wipe()
        return head + ct_e + grant + state.seal(self._session_id)

    def refuse(self) -> bytes:
        """Step 7, in the place of the answer: the alert, as the source of keys refuses the key.

        Raises:
            ChannelMisuse: no hello was accepted, or it has been answered.
        """
        with self._progress.attempt(Event.REFUSE):
            return self._make_alert()

    def receive_confirmation(self, message: bytes) -> Session:
        """Step 6 or R4: the initiator is who it says, and the session is established.

        Raises:
            HandshakeFailed: not the initiator's confirmation of our answer.
            ChannelMisuse: no answer was made, or a confirmation was already taken.
        """
        with self._progress.attempt(Event.TAKE_CONFIRM):
            state = self._state
            try:
                expected = {Kind.CONFIRM: CONFIRM_BODY}
                _, _, head, body = split_handshake(message, expected, {self._hello.suite})
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
                peer=self._peer,
                protections=self._protections(self._qkd),
                policy=self._policy,
                options=self._options,
            )

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Give a failure that has no alert the one that it needs."""
        try:
            yield
        except HandshakeFailed as error:
            raise self._failure(str(error)) from error

    def _failure(self, message: str) -> HandshakeFailed:
        return HandshakeFailed(message, alert=self._make_alert())

    def _make_alert(self) -> bytes:
        suite = self._hello.suite
        nonce = os.urandom(NONCE_BYTES)
        head = header(Kind.ALERT, suite, ALERT_BODY)
        cipher = suite.cipher(alert_key(self._refusal))
        sealed = cipher.seal(nonce, _REFUSED, head + self._hello.digest)
        self._refusal.wipe()
        self._state.wipe()
        return head + nonce + sealed
