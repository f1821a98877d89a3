"""The responder's side of the handshake in full: it admits initiators by a list.

Step numbers are those of spec/channel.md. A hello comes from the gate, which has checked what costs
little.
"""

from collections.abc import Callable
from dataclasses import replace

from bellwire.channel.errors import ChannelMisuse
from bellwire.channel.macs import Hello
from bellwire.channel.messages import ANSWER_BODY, OFFER_BYTES, Kind, Offer, Policy, parse_offer
from bellwire.channel.options import SessionOptions
from bellwire.channel.protections import Protections
from bellwire.channel.responding import RespondingEnd
from bellwire.channel.terms import Event, QkdKey, check_name, fingerprint, opening_state
from bellwire.crypto.kem import XWingPrivateKey, encapsulate


class Responder(RespondingEnd):
    """The end that is reached and admits initiators by a list; one object, one handshake.

    After `receive_confirmation`, and not before, who calls remembers the offer's `counter` as this
    initiator's last.
    """

    __slots__ = ("_certified", "_identity", "_initiators", "_last_counter", "_name", "_public")

    _ANSWER = (Kind.ANSWER, ANSWER_BODY)
    _EXPECTED = "a hello to our public key"

    _public: bytes

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
        super().__init__(policy, options)
        check_name(name)
        self._name = name
        self._identity = identity
        self._initiators = initiators
        self._last_counter = last_counter
        self._certified = certified

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
            opened = self._open_hello(
                hello,
                opening_state(
                    hello.suite, self._options.transport, self._name, self._identity.public_bytes
                ),
            )
            with self._refusing():
                offer = parse_offer(opened[:OFFER_BYTES])
            self._public = self._admit(offer, opened[OFFER_BYTES:])
            self._settle(offer.policy, offer.key_id)
            self._state.mix_hash(self._public)
            return replace(offer, key_id=self._key_id)

    def _mix_opening(self, opening: bytes) -> None:
        self._state.mix_key(self._identity.decapsulate(opening))

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
        with self._refusing():
            return self._certified(certificate)

    def _seal_grant(self, used: bytes) -> bytes:
        ct_c, ss_c = encapsulate(self._public)
        grant = self._state.seal(ct_c + used)
        self._state.mix_key(ss_c)
        return grant

    @property
    def _peer(self) -> bytes:
        return fingerprint(self._public)

    def _protections(self, qkd: QkdKey | None) -> Protections:
        return Protections.of(qkd, self._hello.suite)
