"""Records of an established session: in strict order, each exactly once, with an explicit end.

A record's number never travels: it is counted on both sides, so that a lost, repeated, reordered,
reflected or altered record does not open, and the session is over. The end is a record too; a
transport that ends without it has truncated the session. A sender steps to its next epoch on its
own, by records, bytes and age; the receiver sees the epoch in the header and follows, one by one.
The initiator may also ask for fresh keys (`bellwire.channel.refresh`).
"""

import os

from bellwire.channel.datagram_chain import DatagramChain
from bellwire.channel.datagrams import DatagramSession
from bellwire.channel.errors import ChannelMisuse, SessionEnded, Truncated
from bellwire.channel.key_age import KeyAge
from bellwire.channel.messages import (
    Direction,
    Kind,
    Policy,
    Transport,
    split_record,
)
from bellwire.channel.options import SessionOptions
from bellwire.channel.protections import Protections
from bellwire.channel.records import MAX_EPOCH_RECORDS, Chain
from bellwire.channel.refresh import RefreshAnswered, RefreshDone, Refresher, RefreshOffered
from bellwire.channel.resumption import make_ticket
from bellwire.channel.symmetric import SessionSecrets
from bellwire.channel.terms import QkdKey
from bellwire.channel.texts import KINDS, bare, wrap
from bellwire.crypto.errors import AuthenticationFailed

Opened = bytes | RefreshOffered | RefreshAnswered | RefreshDone | None
"""A message, something about fresh keys, or the peer's close."""


class Session:
    """One end of an established session.

    Attributes:
        session_id: 16 bytes, the same at both ends, known to nobody else.
        peer: SHA-256 of the peer's public key.
        protections: What the keys rest on.
        ticket: With which the next session may begin.
    """

    __slots__ = (
        "_age",
        "_ended",
        "_options",
        "_peer_closed",
        "_pid",
        "_receive",
        "_refresher",
        "_send",
        "_sending",
        "_we_closed",
        "peer",
        "protections",
        "session_id",
        "ticket",
    )

    def __init__(
        self,
        secrets: SessionSecrets,
        *,
        sending: Direction,
        session_id: bytes,
        peer: bytes,
        protections: Protections,
        policy: Policy,
        options: SessionOptions | None = None,
    ) -> None:
        suite = protections.suite
        chains = (
            Chain(suite, secrets.up, session_id, Direction.TO_RESPONDER),
            Chain(suite, secrets.down, session_id, Direction.TO_INITIATOR),
        )
        self._sending = sending
        self._send = chains[sending]
        self._receive = chains[1 - sending]
        self._refresher = Refresher(secrets.root, sending, policy)
        self._options = options or SessionOptions()
        self._age = KeyAge(self._options)
        self._pid = os.getpid()
        self._peer_closed = False
        self._we_closed = False
        self._ended = False
        self.session_id = session_id
        self.peer = peer
        self.protections = protections
        self.ticket = make_ticket(secrets.resume, peer, protections)

    def __repr__(self) -> str:
        return f"Session(protections={self.protections.names})"

    @property
    def ended(self) -> bool:
        """Whether it was broken off, or is another now: nothing is sealed or opened any more."""
        return self._ended

    @property
    def epochs(self) -> tuple[int, int]:
        """The epochs of what we send and of what we receive, each from 0."""
        return self._send.epoch, self._receive.epoch

    def seal(self, plaintext: bytes) -> bytes:
        """The next record, to be sent exactly once and in order.

        Args:
            plaintext: At most 65,519 bytes, one less when texts are padded. Secret.

        Raises:
            ChannelMisuse: too long, the session has ended or spent its epochs, or this process
                is a fork that would use the nonces of its parent.
        """
        return self._seal(*wrap(plaintext, self._options.padding))

    def close(self) -> bytes:
        """The last record: nothing more follows from this end, and nothing more is sealed.

        Raises:
            ChannelMisuse: the session has ended already.
        """
        record = self._seal(Kind.CLOSE, b"")
        self._we_closed = True
        self._send.wipe()
        return record

    @property
    def refresh_due(self) -> bool:
        """Whether this end, the initiator, should offer fresh keys now."""
        if self._ended or self._we_closed or self._peer_closed or not self._refresher.may_offer:
            return False
        return self._age.refresh_due

    def offer_refresh(self, qkd: QkdKey | None) -> bytes:
        """The record that asks for fresh keys; messages go on as before.

        Args:
            qkd: A key drawn for this, or None.

        Raises:
            ChannelMisuse: this end is the responder, an offer has no answer yet, policy and key do
                not fit, or the session has ended.
        """
        self._check_sending()
        return self._seal(Kind.REFRESH_OFFER, self._refresher.offer(qkd))

    def answer_refresh(self, qkd: QkdKey | None) -> bytes:
        """The record that answers the peer's offer; what we send after it has fresh keys.

        Args:
            qkd: The key that the offer names, or None if it names none or if the source of keys
                cannot be reached; one that refuses calls for the end of the session.

        Raises:
            ChannelMisuse: there is no offer, the key is another, or the session has ended.
            SessionEnded: the peer's key is malformed, or a QKD key is missing that our policy
                requires; the session is over.
        """
        self._check_sending()
        try:
            answer, fresh = self._refresher.answer(qkd)
        except SessionEnded:
            self._abort()
            raise
        record = self._seal(Kind.REFRESH_ANSWER, answer)
        self._send.renew(fresh.down)
        self._note_fresh(fresh.qkd)
        return record

    def open(self, record: bytes) -> Opened:
        """What the peer's next record holds: its text, or None if it closes the session.

        A record about fresh keys says what to do: answer an offer (`answer_refresh`), send a
        record, or nothing.

        Raises:
            SessionEnded: it is not the peer's next record; the session is over for both directions.
        """
        if self._peer_closed or self._ended:
            raise SessionEnded("expected nothing after the end of the session, got a record")
        try:
            kind, epoch, head, sealed = split_record(record, KINDS[Direction(1 - self._sending)])
            self._follow(epoch)
            return self._take(kind, self._receive.open(head, sealed))
        except SessionEnded:
            self._abort()
            raise
        except AuthenticationFailed as error:
            number = self._receive.number - 1
            self._abort()
            raise SessionEnded(
                f"expected the peer's record {number}, "
                "got one that was altered, repeated, reordered or left out"
            ) from error

    def transport_ended(self) -> None:
        """Say that no more bytes come; returns only if the peer had closed the session.

        Raises:
            Truncated: it had not: records may be missing at the end.
        """
        if not self._peer_closed:
            self._abort()
            raise Truncated("expected the peer's close, got the end of the transport")

    def over_datagrams(self) -> DatagramSession:
        """The same session for a transport that loses, doubles and reorders; this one is over.

        Raises:
            ChannelMisuse: records of this one were made or opened, or its handshake was for a
                stream.
        """
        used = self._send.number or self._receive.number or any(self.epochs) or self._ended
        if used or self._options.transport is Transport.STREAM:
            raise ChannelMisuse("expected a new session whose handshake went over datagrams")
        self._ended = True
        suite, receiving = self.protections.suite, Direction(1 - self._sending)
        return DatagramSession(
            DatagramChain(suite, self._send.hand_over(), self.session_id, self._sending),
            DatagramChain(suite, self._receive.hand_over(), self.session_id, receiving),
            self._refresher,
            sending=self._sending,
            session_id=self.session_id,
            peer=self.peer,
            protections=self.protections,
            ticket=self.ticket,
            options=self._options,
        )

    def _follow(self, epoch: int) -> None:
        """Be in the epoch that a header names, if it is this one or the next."""
        chain = self._receive
        if epoch == (chain.epoch + 1) & 0xFF:
            chain.step()
        elif epoch != chain.epoch & 0xFF:
            raise SessionEnded(
                f"expected a record of epoch {chain.epoch & 0xFF} or the next, got {epoch}"
            )
        if chain.number >= MAX_EPOCH_RECORDS:
            raise SessionEnded(f"expected at most {MAX_EPOCH_RECORDS} records in an epoch")

    def _take(self, kind: Kind, text: bytes) -> Opened:
        text = bare(kind, text)
        match kind:
            case Kind.DATA | Kind.PADDED:
                return text
            case Kind.REFRESH_OFFER:
                return self._refresher.take_offer(text)
            case Kind.REFRESH_ANSWER:
                return self._take_answer(text)
            case Kind.REFRESH_SWITCH:
                self._receive.renew(self._refresher.take_switch())
                return RefreshDone()
        self._peer_closed = True
        self._receive.wipe()
        return None

    def _take_answer(self, answer: bytes) -> RefreshAnswered:
        fresh = self._refresher.take_answer(answer)
        self._receive.renew(fresh.down)
        record = b""
        if not self._we_closed:
            record = self._seal(Kind.REFRESH_SWITCH, b"")
            self._send.renew(fresh.up)
        self._note_fresh(fresh.qkd)
        return RefreshAnswered(record)

    def _note_fresh(self, qkd: QkdKey | None) -> None:
        self.protections = self.protections.refreshed(qkd)
        self._age.renew()

    def _seal(self, kind: Kind, text: bytes) -> bytes:
        self._check_sending()
        self._age.count(self._send, len(text))
        return self._send.seal(kind, text)

    def _check_sending(self) -> None:
        if self._ended or self._we_closed:
            raise ChannelMisuse("expected an open session, got one that has ended")
        if os.getpid() != self._pid:
            raise ChannelMisuse("expected the process that made the session, got a fork of it")

    def _abort(self) -> None:
        self._ended = True
        for each in (self._send, self._receive, self._refresher):
            each.wipe()
