"""Records of an established session over datagrams: in any order, each at most once.

What opens is the peer's, and new; what was altered, doubled, reflected, is too old or of another
session is dropped, and the session goes on. Nothing here brings back what was lost: that is who
sends its text again, in a new record. Epochs go by in each direction as over a stream, and records
of the epoch before still count for a while, as they may have been overtaken.

Fresh keys (`bellwire.channel.refresh`) need no switch in a fixed place: a direction has changed
over when a record opens under the new secret. The initiator repeats its offer until it has the
answer; the responder repeats the answer to the same offer.
"""

import bisect
import os
from dataclasses import dataclass

from bellwire.channel.datagram_chain import (
    DATAGRAM_OVERHEAD,
    DatagramChain,
    DatagramRecord,
    indices,
    split_datagram,
)
from bellwire.channel.datagram_epochs import ReceivedEpochs
from bellwire.channel.errors import ChannelMisuse, RecordDropped, SessionEnded
from bellwire.channel.key_age import KeyAge
from bellwire.channel.messages import Direction, Kind
from bellwire.channel.options import SessionOptions
from bellwire.channel.padding import Padding, padded_length
from bellwire.channel.protections import Protections
from bellwire.channel.refresh import (
    FreshSecrets,
    RefreshAnswered,
    RefreshDone,
    Refresher,
    RefreshOffered,
)
from bellwire.channel.resumption import Ticket
from bellwire.channel.terms import QkdKey
from bellwire.channel.texts import KINDS, bare, wrap
from bellwire.channel.window import Dropped


@dataclass(frozen=True, slots=True)
class SendAgain:
    """The peer repeats itself; `record` is our answer once more."""

    record: bytes


DatagramOpened = bytes | RefreshOffered | RefreshAnswered | RefreshDone | SendAgain | None
"""A text, something about fresh keys, or the peer's close."""


class DatagramSession:
    """One end of an established session over datagrams; `Session.over_datagrams` makes it.

    Attributes:
        session_id: 16 bytes, the same at both ends, known to nobody else.
        peer: SHA-256 of the peer's public key.
        protections: What the keys rest on.
        ticket: With which the next session may begin.
        index: By which the peer's records name this end, 4 bytes.
        dropped: What came and did not count.
    """

    __slots__ = (
        "_age",
        "_answer",
        "_ended",
        "_fresh",
        "_last_offer",
        "_offer",
        "_options",
        "_pid",
        "_receive",
        "_refresher",
        "_send",
        "_sending",
        "dropped",
        "index",
        "peer",
        "protections",
        "session_id",
        "ticket",
    )

    def __init__(
        self,
        send: DatagramChain,
        receive: DatagramChain,
        refresher: Refresher,
        *,
        sending: Direction,
        session_id: bytes,
        peer: bytes,
        protections: Protections,
        ticket: Ticket,
        options: SessionOptions,
    ) -> None:
        self._send = send
        self._receive = ReceivedEpochs(receive, options.clock)
        self._refresher = refresher
        self._sending = sending
        self._options = options
        self._age = KeyAge(options)
        self._fresh: FreshSecrets | None = None
        self._offer = self._answer = self._last_offer = b""
        self._pid = os.getpid()
        self._ended = False
        self.dropped = Dropped()
        self.index = indices(session_id)[1 - sending]
        self.session_id = session_id
        self.peer = peer
        self.protections = protections
        self.ticket = ticket

    def __repr__(self) -> str:
        return f"DatagramSession(protections={self.protections.names})"

    @property
    def epochs(self) -> tuple[int, int]:
        """The epochs of what we send and of what we receive, each from 0."""
        return self._send.epoch, self._receive.epoch

    @property
    def newest(self) -> bool:
        """Whether the record that opened last is the newest so far."""
        return self._receive.newest

    @property
    def ended(self) -> bool:
        """Whether either end has closed."""
        return self._ended

    def room(self, datagram_bytes: int) -> int:
        """How many bytes of text go into a datagram of this size."""
        room = datagram_bytes - DATAGRAM_OVERHEAD
        if self._options.padding is Padding.OFF:
            return room
        return bisect.bisect_right(range(room), room, key=padded_length) - 1

    def seal(self, text: bytes) -> bytes:
        """A record with this text, to be sent at most once.

        Raises:
            ChannelMisuse: too long, the session has ended or spent its epochs, or this process
                is a fork that would use the nonces of its parent.
        """
        return self._seal(*wrap(text, self._options.padding))

    def close(self) -> bytes:
        """A record that says that this end is gone; nothing is sealed or opened after it."""
        record = self._seal(Kind.CLOSE, b"")
        self._end()
        return record

    def open(self, datagram: bytes) -> DatagramOpened:
        """What a datagram brings: a text, or None if the peer is gone.

        Raises:
            RecordDropped: it is no new record of the peer's; the session is as it was.
            SessionEnded: it is, and breaks the rules: the session is over.
        """
        try:
            return self._open(split_datagram(datagram))
        except RecordDropped as error:
            self.dropped.count(error)
            raise
        except SessionEnded:
            self._end()
            raise

    def _open(self, record: DatagramRecord) -> DatagramOpened:
        if self._ended:
            raise RecordDropped("expected nothing after the end of the session, got a record")
        if record.kind not in KINDS[Direction(1 - self._sending)]:
            raise RecordDropped(f"expected a record, got a message of kind {record.kind}")
        if record.index != self.index:
            raise RecordDropped("expected a record of this session, got another's")
        text = self._receive.open(record)
        if self._fresh is not None and self._receive.due is None:
            self._changed_over()
        return self._take(Kind(record.kind), text)

    @property
    def refresh_due(self) -> bool:
        """Whether this end, the initiator, should offer fresh keys now."""
        if self._ended or self._fresh is not None or not self._refresher.may_offer:
            return False
        return self._age.refresh_due

    def offer_refresh(self, qkd: QkdKey | None) -> bytes:
        """The record that asks for fresh keys; `offer_again` until it is answered.

        Raises:
            ChannelMisuse: this end is the responder, an offer has no answer yet, policy and key do
                not fit, or the session has ended.
        """
        self._check_sending()
        if self._fresh is not None:
            raise ChannelMisuse("expected the change of keys before to be done, got another")
        self._offer = self._refresher.offer(qkd)
        return self._seal(Kind.REFRESH_OFFER, self._offer)

    def offer_again(self) -> bytes:
        """The same offer in a new record, or nothing if there is none without an answer."""
        return self._seal(Kind.REFRESH_OFFER, self._offer) if self._offer else b""

    def answer_refresh(self, qkd: QkdKey | None) -> bytes:
        """The record that answers the peer's offer; we change over when the peer has.

        Args:
            qkd: As `Session.answer_refresh`.

        Raises:
            ChannelMisuse: there is no offer, the key is another, or the session has ended.
            SessionEnded: as `Session.answer_refresh`.
        """
        self._check_sending()
        try:
            self._answer, self._fresh = self._refresher.answer(qkd)
            self._receive.due = self._fresh.up
        except SessionEnded:
            self._end()
            raise
        return self._seal(Kind.REFRESH_ANSWER, self._answer)

    def _changed_over(self) -> None:
        """The peer sends under fresh keys; the responder does so too from here on."""
        fresh, self._fresh = self._fresh, None
        assert fresh is not None
        if self._sending is Direction.TO_INITIATOR:
            self._answer = b""
            self._refresher.take_switch()
            self._send.renew(fresh.down)
            self._note_fresh(fresh.qkd)

    def _take(self, kind: Kind, text: bytes) -> DatagramOpened:
        text = bare(kind, text)
        match kind:
            case Kind.DATA | Kind.PADDED:
                return text
            case Kind.REFRESH_OFFER:
                return self._take_offer(text)
            case Kind.REFRESH_ANSWER:
                return self._take_answer(text)
            case Kind.REFRESH_SWITCH:
                return RefreshDone()
        self._end()
        return None

    def _take_offer(self, offer: bytes) -> DatagramOpened:
        if offer == self._last_offer:
            # The answer is on its way, or the offer was overtaken by what came of it.
            if not self._answer:
                return RefreshDone()
            return SendAgain(self._seal(Kind.REFRESH_ANSWER, self._answer))
        if self._receive.overtaken:
            # It may be of a change of keys that is done; if it is not, it comes again.
            return RefreshDone()
        offered = self._refresher.take_offer(offer)
        self._last_offer = offer
        return offered

    def _take_answer(self, answer: bytes) -> DatagramOpened:
        if not self._offer or self._receive.overtaken:
            # It may be to an offer before this one; if it is not, it comes again.
            return RefreshDone()
        fresh = self._refresher.take_answer(answer)
        self._offer = b""
        self._fresh = fresh
        self._receive.due = fresh.down
        self._send.renew(fresh.up)
        self._note_fresh(fresh.qkd)
        return RefreshAnswered(self._seal(Kind.REFRESH_SWITCH, b""))

    def _note_fresh(self, qkd: QkdKey | None) -> None:
        self.protections = self.protections.refreshed(qkd)
        self._age.renew()

    # What goes out.

    def _seal(self, kind: Kind, text: bytes) -> bytes:
        self._check_sending()
        self._age.count(self._send, len(text))
        return self._send.seal(kind, text)

    def _check_sending(self) -> None:
        if self._ended:
            raise ChannelMisuse("expected an open session, got one that has ended")
        if os.getpid() != self._pid:
            raise ChannelMisuse("expected the process that made the session, got a fork of it")

    def _end(self) -> None:
        self._ended = True
        for each in (self._send, self._receive, self._refresher):
            each.wipe()
