"""The initiator's side of the handshake: it knows whom it wants to reach.

Step numbers are those of spec/channel.md.
"""

import hashlib

from bellwire.base.secret import Secret
from bellwire.channel.errors import ChannelMisuse, HandshakeFailed, HandshakeRefused
from bellwire.channel.macs import answer_retry, finish_hello, mac_key
from bellwire.channel.messages import (
    ALERT_BODY,
    ANSWER_BODY,
    CONFIRM_BODY,
    GRANT_BYTES,
    HELLO_BODY,
    MAX_COUNTER,
    QKD_KEY_BYTES,
    Direction,
    Kind,
    Offer,
    Policy,
    Suite,
    header,
    split_handshake,
)
from bellwire.channel.options import SessionOptions
from bellwire.channel.protections import Protections
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
    opening_state,
)
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES
from bellwire.crypto.errors import AuthenticationFailed, KemRefused
from bellwire.crypto.kem import CIPHERTEXT_BYTES, XWingPrivateKey, XWingPublicKey, encapsulate


class Initiator:
    """The end that knows whom it wants to reach; one object, one handshake."""

    __slots__ = (
        "_alert_key",
        "_certificate",
        "_core",
        "_counter",
        "_ephemeral",
        "_identity",
        "_mac_key",
        "_options",
        "_policy",
        "_progress",
        "_qkd",
        "_responder",
        "_responder_public",
        "_state",
        "_suite",
    )

    def __init__(
        self,
        *,
        identity: XWingPrivateKey,
        responder_name: str,
        responder_public: bytes,
        policy: Policy,
        qkd: QkdKey | None,
        counter: int,
        certificate: bytes = b"",
        suite: Suite = Suite.AES_256_GCM,
        options: SessionOptions | None = None,
    ) -> None:
        """Prepare a handshake.

        Args:
            identity: Our key pair, which the responder must have on its list.
            responder_name: As the responder calls itself; 1 to 255 bytes.
            responder_public: The pinned public key, 1216 bytes.
            policy: What we ask of QKD.
            qkd: The key we drew, or None. Under REQUIRE there must be one, under OFF none.
            counter: Higher than in any handshake of this identity before, also before a restart;
                1 to 2⁶⁴ − 1.
            certificate: For our key, for a responder that has an authority and no list; or empty.
            suite: The cipher; the responder takes it or refuses.
            options: Of the session.

        Raises:
            ChannelMisuse: policy and key do not fit, the counter is out of range, or the pinned
                key is our own.
            LengthError: the pinned key has another length.
            KemRefused: the pinned key is malformed.
        """
        check_policy(policy, qkd)
        if not 1 <= counter <= MAX_COUNTER:
            raise ChannelMisuse(f"expected a counter from 1 to {MAX_COUNTER}, got {counter}")
        if responder_public == identity.public_bytes:
            raise ChannelMisuse("expected the responder's public key, got our own")
        self._responder = XWingPublicKey(responder_public)
        self._options = options or SessionOptions()
        self._state = opening_state(
            suite, self._options.transport, responder_name, responder_public
        )
        self._mac_key = mac_key(responder_public)
        self._identity = identity
        self._responder_public = responder_public
        self._policy = policy
        self._qkd = qkd
        self._counter = counter
        self._certificate = certificate
        self._suite = suite
        self._ephemeral: XWingPrivateKey | None = None
        self._alert_key = Secret(b"")
        self._core = b""
        self._progress = Progress(INITIATOR)

    def __repr__(self) -> str:
        return f"Initiator({self._progress.step.name.lower()})"

    def hello(self) -> bytes:
        """Step 1: the first message.

        Raises:
            ChannelMisuse: it was made before.
            KemRefused: the pinned key is of low order.
        """
        with self._progress.attempt(Event.SEND_HELLO):
            state = self._state
            certificate = self._certificate
            kind = Kind.CERTIFIED_HELLO if certificate else Kind.HELLO
            head = header(kind, self._suite, HELLO_BODY + len(certificate))
            state.mix_hash(head)
            ct_s, ss_s = encapsulate(self._responder)
            state.mix_hash(ct_s)
            state.mix_key(ss_s)
            self._alert_key = state.alert_key()
            self._ephemeral = XWingPrivateKey.generate()
            state.mix_hash(self._ephemeral.public_bytes)
            offer = Offer(
                fingerprint(self._identity.public_bytes),
                self._policy,
                None if self._qkd is None else self._qkd.key_id,
                self._counter,
            )
            sealed = state.seal(offer.encode() + certificate)
            state.mix_hash(self._identity.public_bytes)
            self._core = head + ct_s + self._ephemeral.public_bytes + sealed
            return finish_hello(self._core, self._mac_key, None)

    def receive(self, message: bytes) -> tuple[bytes, Session | None]:
        """Steps 2, 4 and 6: take the responder's answer, or its wish to see the hello again.

        Returns:
            What to send, and the session. The session is None when what to send is the hello
            again, with the cookie; else it is the confirmation, and the responder accepts records
            only after it.

        Raises:
            HandshakeRefused: the responder refuses, and it is the responder that says so.
            HandshakeFailed: the answer is not from the pinned responder to our hello, the QKD keys
                differ, or QKD was not used although our policy requires it.
            ChannelMisuse: no hello was made, or an answer was already taken.
        """
        if self._progress.step is Step.CALLED and message[:1] == bytes([Kind.RETRY]):
            with self._progress.attempt(Event.TAKE_RETRY):
                again = answer_retry(message, self._core, self._mac_key, self._suite)
                return again, None
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
                self._alert_key.wipe()
                self._ephemeral = None

    def _receive_answer(self, message: bytes) -> tuple[bytes, Session]:
        kind, _, head, body = split_handshake(
            message, {Kind.ANSWER: ANSWER_BODY, Kind.ALERT: ALERT_BODY}, {self._suite}
        )
        if kind is Kind.ALERT:
            raise self._open_alert(head, body)
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
            peer=fingerprint(self._responder_public),
            protections=Protections.of(qkd, self._suite),
            policy=self._policy,
            options=self._options,
        )

    def _open_alert(self, head: bytes, body: bytes) -> HandshakeRefused:
        """What the responder's alert means; AuthenticationFailed if it is not the responder's."""
        cipher = self._suite.cipher(self._alert_key.reveal())
        aad = head + hashlib.sha256(self._core).digest()
        cipher.open(body[:NONCE_BYTES], body[NONCE_BYTES:], aad)
        return HandshakeRefused(
            "the responder refused the handshake",
            hint="Is this end enrolled there, and does the responder's link give keys?",
        )
