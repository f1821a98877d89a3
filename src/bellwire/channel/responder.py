"""The responder's side of the handshake: it admits initiators by a list.

Step numbers are those of spec/channel.md. Nothing here waits: between `receive_hello` and `answer`,
who calls fetches the QKD key. A hello comes from the gate, which has checked what costs little.
"""

import os
from collections.abc import Callable
from dataclasses import replace

from bellwire.base.secret import Secret
from bellwire.channel.errors import CertificateRefused, ChannelMisuse, HandshakeFailed
from bellwire.channel.macs import Hello
from bellwire.channel.messages import (
    ALERT_BODY,
    ANSWER_BODY,
    CONFIRM_BODY,
    OFFER_BYTES,
    QKD_KEY_BYTES,
    SESSION_ID_BYTES,
    Direction,
    Kind,
    Offer,
    Policy,
    Suite,
    header,
    parse_offer,
    split_handshake,
)
from bellwire.channel.options import SessionOptions
from bellwire.channel.protections import Protections
from bellwire.channel.session import Session
from bellwire.channel.symmetric import SymmetricState
from bellwire.channel.terms import (
    RESPONDER,
    Event,
    Progress,
    QkdKey,
    check_name,
    fingerprint,
    opening_state,
    reconcile,
)
from bellwire.crypto.aead import NONCE_BYTES
from bellwire.crypto.errors import AuthenticationFailed, KemRefused
from bellwire.crypto.kem import XWingPrivateKey, encapsulate

_REFUSED = b"\x00"


class Responder:
    """The end that is reached and admits initiators by a list; one object, one handshake.

    What fails once the hello has been decapsulated has an alert, of one form whatever the reason.
    """

    __slots__ = (
        "_alert_key",
        "_certified",
        "_hello",
        "_identity",
        "_initiators",
        "_last_counter",
        "_name",
        "_offer",
        "_options",
        "_policy",
        "_progress",
        "_public",
        "_qkd",
        "_session_id",
        "_state",
        "_suite",
    )

    def __init__(
        self,
        *,
        identity: XWingPrivateKey,
        name: str,
        initiators: Callable[[bytes], bytes | None],
        policy: Policy,
        last_counter: Callable[[bytes], int],
        certified: Callable[[bytes], bytes] | None = None,
        options: SessionOptions | None = None,
    ) -> None:
        """Wait for a hello.

        Args:
            identity: Our key pair, which initiators have pinned.
            name: What initiators call us; 1 to 255 bytes.
            initiators: Gives the public key of an initiator that is admitted, by its `fingerprint`;
                None for any other.
            policy: What we ask of QKD.
            last_counter: Of the last handshake that an initiator confirmed, by its fingerprint; 0
                before its first. A hello that is not above it is a replay.
            certified: Gives the public key in a certificate that holds, or raises
                CertificateRefused; None if certificates do not count here.
            options: Of the session.

        Raises:
            ChannelMisuse: the name is empty or too long.
        """
        check_name(name)
        self._name = name
        self._identity = identity
        self._initiators = initiators
        self._policy = policy
        self._last_counter = last_counter
        self._certified = certified
        self._options = options or SessionOptions()
        # Both are replaced by the hello's own.
        self._suite = Suite.AES_256_GCM
        self._state = SymmetricState(self._suite, b"")
        self._alert_key = Secret(b"")
        self._hello: Hello | None = None
        self._offer: Offer | None = None
        self._public = b""
        self._qkd: QkdKey | None = None
        self._session_id = b""
        self._progress = Progress(RESPONDER)

    def __repr__(self) -> str:
        return f"Responder({self._progress.step.name.lower()})"

    def receive_hello(self, hello: Hello) -> Offer:
        """Step 3: open the hello and check the initiator against the list and both policies.

        Args:
            hello: That the gate let through.

        Returns:
            The offer, whose `key_id` says which QKD key to fetch before `answer`, or None if none
            is to be fetched. Who sent it is not proven before `receive_confirmation`.

        Raises:
            HandshakeFailed: not a hello for us, an unknown initiator, a replay, or policies that
                exclude each other; send `alert` if there is one.
            ChannelMisuse: a hello was already taken, or this one resumes a session.
        """
        if hello.kind is Kind.RESUME:
            raise ChannelMisuse("expected a hello of a full handshake, got a resumption")
        with self._progress.attempt(Event.TAKE_HELLO):
            self._hello = hello
            self._suite = hello.suite
            state = self._state = opening_state(
                hello.suite, self._options.transport, self._name, self._identity.public_bytes
            )
            state.mix_hash(hello.head)
            state.mix_hash(hello.opening)
            try:
                ss_s = self._identity.decapsulate(hello.opening)
            except KemRefused as error:
                self._alert_key = Secret(os.urandom(32))
                raise self._failure("expected a hello to our public key, got another") from error
            state.mix_key(ss_s)
            self._alert_key = state.alert_key()
            state.mix_hash(hello.ephemeral)
            try:
                opened = state.open(hello.sealed_offer)
                offer = parse_offer(opened[:OFFER_BYTES])
            except AuthenticationFailed as error:
                raise self._failure("expected a hello to our public key, got another") from error
            except HandshakeFailed as error:
                raise self._failure(str(error)) from error
            self._public = self._admit(offer, opened[OFFER_BYTES:])
            self._offer = self._reconcile(offer)
            state.mix_hash(self._public)
            return self._offer

    def _admit(self, offer: Offer, certificate: bytes) -> bytes:
        """The initiator's public key, if it is admitted and this is no replay."""
        public = self._vouched(certificate) if certificate else self._initiators(offer.initiator)
        if public is not None and fingerprint(public) != offer.initiator:
            raise self._failure("expected the certificate of who calls, got another's")
        if public is None or public == self._identity.public_bytes:
            raise self._failure(
                f"expected an enrolled initiator, got {offer.initiator.hex()[:16]}…"
            )
        last = self._last_counter(offer.initiator)
        if offer.counter <= last:
            raise self._failure(
                f"expected a handshake after number {last}, got {offer.counter}: a replay"
            )
        return public

    def _vouched(self, certificate: bytes) -> bytes:
        if self._certified is None:
            raise self._failure("expected an enrolled initiator, got one with a certificate")
        try:
            return self._certified(certificate)
        except CertificateRefused as error:
            raise self._failure(str(error)) from error

    def _reconcile(self, offer: Offer) -> Offer:
        """The offer as far as our policy takes it, or a refusal."""
        try:
            key_id = reconcile(self._policy, offer.policy, offer.key_id)
        except HandshakeFailed as error:
            raise self._failure(str(error)) from error
        return replace(offer, key_id=key_id)

    def answer(self, qkd: QkdKey | None) -> bytes:
        """Step 4: the answer.

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
            assert self._offer is not None
            assert self._hello is not None
            offer = self._offer
            if qkd is not None and qkd.key_id != offer.key_id:
                raise ChannelMisuse("expected the QKD key that the hello names, got another")
            if qkd is None and Policy.REQUIRE in (self._policy, offer.policy):
                raise self._failure("expected a QKD key because a policy requires it, got none")
            state = self._state
            head = header(Kind.ANSWER, self._suite, ANSWER_BODY)
            state.mix_hash(head)
            try:
                ct_e, ss_e = encapsulate(self._hello.ephemeral)
                ct_c, ss_c = encapsulate(self._public)
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
            return head + ct_e + grant + parameters

    def refuse(self) -> bytes:
        """Instead of step 4: the alert, because the source of keys refuses the named key.

        Raises:
            ChannelMisuse: no hello was accepted, or it has been answered.
        """
        with self._progress.attempt(Event.REFUSE):
            return self._make_alert()

    def receive_confirmation(self, message: bytes) -> Session:
        """Step 6: the initiator is who it says, and the session is established.

        From here on, who calls remembers the offer's `counter` as this initiator's last.

        Raises:
            HandshakeFailed: not the initiator's confirmation of our answer.
            ChannelMisuse: no answer was made, or a confirmation was already taken.
        """
        with self._progress.attempt(Event.TAKE_CONFIRM):
            assert self._offer is not None
            state = self._state
            try:
                _, _, head, body = split_handshake(
                    message, {Kind.CONFIRM: CONFIRM_BODY}, {self._suite}
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
                peer=self._offer.initiator,
                protections=Protections.of(self._qkd, self._suite),
                policy=self._policy,
                options=self._options,
            )

    def _failure(self, message: str) -> HandshakeFailed:
        return HandshakeFailed(message, alert=self._make_alert())

    def _make_alert(self) -> bytes:
        assert self._hello is not None
        nonce = os.urandom(NONCE_BYTES)
        head = header(Kind.ALERT, self._suite, ALERT_BODY)
        cipher = self._suite.cipher(self._alert_key.reveal())
        sealed = cipher.seal(nonce, _REFUSED, head + self._hello.digest)
        self._alert_key.wipe()
        self._state.wipe()
        return head + nonce + sealed
