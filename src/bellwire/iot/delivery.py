"""Messages over records that may be lost or reordered: each arrives whole, in order, and once.

A message is cut into segments; each record's text is one segment, or an acknowledgement alone. All
have the form `flags 1 ‖ next expected 4 ‖ which of the 32 after it came 4`, and a segment goes on
with `number 4 ‖ piece`. What is not acknowledged is sent again, in a new record: after the
retransmission time, or at once when three later ones arrived. How much is under way at once adapts
to losses, as in TCP. It is under the seal of the session: nobody on the way sees or makes any of
it.

No input or output; `now` is passed in, seconds of a clock that never goes back.

Source: RFC 6298 (retransmission time), RFC 6675 (loss by selective acknowledgement), RFC 5681
(window), RFC 8085, 3.1 (that UDP needs one).
"""

import struct
from collections import deque
from dataclasses import dataclass
from typing import Final

from bellwire.iot.errors import ProtocolError

_ACK = struct.Struct(">BII")
_NUMBER = struct.Struct(">I")
SEGMENT_HEAD: Final = _ACK.size + _NUMBER.size
SEGMENT, LAST, END = 1, 2, 4
"""Flags: a segment is there; it is a message's last; nothing follows it."""

WINDOW: Final = 32
"""Segments that may be under way."""

MAX_MESSAGE: Final = 2**16
MAX_UNREAD: Final = 2**18
"""Bytes of messages that nobody has taken yet; beyond, what comes is as if lost."""

FIRST_RTO_S: Final = 1.0
MIN_RTO_S: Final = 0.2
MAX_RTO_S: Final = 4.0
ACK_DELAY_S: Final = 0.02
REORDERED: Final = 3
FIRST_WINDOW: Final = 10.0


@dataclass(slots=True)
class _Flight:
    """A segment under way."""

    flags: int
    piece: bytes
    sent: float
    tries: int = 1
    lost: bool = False


class Delivery:
    """Both directions of one end.

    Args:
        room: Bytes of text in a record.

    Attributes:
        ended: Whether the peer's last message has arrived.
    """

    def __init__(self, room: int) -> None:
        self._piece_bytes = room - SEGMENT_HEAD
        self._queue: deque[tuple[int, bytes]] = deque()
        self._flights: dict[int, _Flight] = {}
        self._next = 0
        self._recover = 0
        self._window = FIRST_WINDOW
        self._threshold = float(WINDOW)
        self._rto = FIRST_RTO_S
        self._smoothed: float | None = None
        self._variation = 0.0
        self._timer: float | None = None
        self._expected = 0
        self._early: dict[int, tuple[int, bytes]] = {}
        self._partial: list[bytes] = []
        self._unread: deque[bytes] = deque()
        self._owing = 0
        self._ack_at: float | None = None
        self.ended = False

    def __repr__(self) -> str:
        return f"Delivery({len(self._flights)} under way, {len(self._queue)} to go)"

    # What goes out.

    def send(self, message: bytes) -> None:
        """Take a message of up to 65,536 bytes."""
        size = self._piece_bytes
        pieces = [message[at : at + size] for at in range(0, len(message), size)] or [b""]
        self._queue.extend((SEGMENT, piece) for piece in pieces[:-1])
        self._queue.append((SEGMENT | LAST, pieces[-1]))

    def end(self) -> None:
        """Say that no message follows."""
        self._queue.append((SEGMENT | LAST | END, b""))

    @property
    def waiting(self) -> bool:
        """Whether something has not been sent for the first time."""
        return bool(self._queue)

    @property
    def settled(self) -> bool:
        """Whether all that was sent has arrived."""
        return not self._queue and not self._flights

    def due(self, now: float) -> list[bytes]:
        """The texts to send now, each in a record of its own."""
        if self._timer is not None and now >= self._timer:
            self._time_out()
        texts = [self._again(number, now) for number in self._lost()]
        while self._queue and self._may_send():
            flags, piece = self._queue.popleft()
            self._flights[self._next] = _Flight(flags, piece, now)
            texts.append(self._text(self._next))
            self._next += 1
        if self._flights and self._timer is None:
            self._timer = now + self._rto
        if not texts and self._ack_at is not None and now >= self._ack_at:
            texts.append(self._ack(0))
        if texts:
            self._ack_at, self._owing = None, 0
        return texts

    @property
    def next_at(self) -> float | None:
        """When `due` has something again if nothing comes in, or None."""
        times = [each for each in (self._timer, self._ack_at) if each is not None]
        return min(times, default=None)

    def _may_send(self) -> bool:
        first = next(iter(self._flights), self._next)
        under_way = sum(not flight.lost for flight in self._flights.values())
        return under_way < int(self._window) and self._next - first < WINDOW

    def _lost(self) -> list[int]:
        """Those that are to be sent again, as many as may be under way."""
        under_way = sum(not flight.lost for flight in self._flights.values())
        room = max(1, int(self._window) - under_way)
        return [number for number, flight in self._flights.items() if flight.lost][:room]

    def _again(self, number: int, now: float) -> bytes:
        flight = self._flights[number]
        flight.sent, flight.lost = now, False
        flight.tries += 1
        return self._text(number)

    def _text(self, number: int) -> bytes:
        flight = self._flights[number]
        return self._ack(flight.flags) + _NUMBER.pack(number) + flight.piece

    def _time_out(self) -> None:
        self._timer = None
        self._threshold = max(2.0, self._window / 2)
        self._window = 2.0
        self._rto = min(MAX_RTO_S, self._rto * 2)
        self._recover = self._next
        for flight in self._flights.values():
            flight.lost = True

    # What comes in.

    def take(self, text: bytes, now: float) -> None:
        """Take the text of a record.

        Raises:
            ProtocolError: it has not this form, or a message is too long.
        """
        if len(text) < _ACK.size:
            raise ProtocolError(f"expected {_ACK.size} bytes of acknowledgement, got less")
        flags, expected, seen = _ACK.unpack_from(text)
        if expected > self._next:
            raise ProtocolError("expected what was sent to be acknowledged, got more")
        self._acknowledge(expected, seen, now)
        if flags & SEGMENT:
            if len(text) < SEGMENT_HEAD:
                raise ProtocolError(f"expected a segment of {SEGMENT_HEAD} bytes, got less")
            (number,) = _NUMBER.unpack_from(text, _ACK.size)
            self._arrive(number, flags, text[SEGMENT_HEAD:], now)

    def read(self) -> bytes | None:
        """The next message, if one is there."""
        return self._unread.popleft() if self._unread else None

    def _arrive(self, number: int, flags: int, piece: bytes, now: float) -> None:
        fresh = self._expected <= number < self._expected + WINDOW and number not in self._early
        if fresh and sum(map(len, self._unread)) > MAX_UNREAD:
            return
        self._owing += 1
        in_order = fresh and number == self._expected
        if fresh:
            self._early[number] = flags, piece
            while self._expected in self._early:
                self._join(*self._early.pop(self._expected))
                self._expected += 1
        at_once = not in_order or self._early or self._owing >= 2
        if self._ack_at is None or at_once:
            self._ack_at = now if at_once else now + ACK_DELAY_S

    def _join(self, flags: int, piece: bytes) -> None:
        if self.ended:
            raise ProtocolError("expected nothing after the last message, got more")
        if flags & END:
            self.ended = True
            return
        self._partial.append(piece)
        if sum(map(len, self._partial)) > MAX_MESSAGE:
            raise ProtocolError(f"expected a message of at most {MAX_MESSAGE} bytes, got more")
        if flags & LAST:
            self._unread.append(b"".join(self._partial))
            self._partial.clear()

    def _ack(self, flags: int) -> bytes:
        seen = sum(1 << (number - self._expected - 1) for number in self._early)
        return _ACK.pack(flags, self._expected, seen)

    def _acknowledge(self, expected: int, seen: int, now: float) -> None:
        came = [
            number
            for number in self._flights
            if number < expected or (number > expected and seen >> (number - expected - 1) & 1)
        ]
        for number in came:
            flight = self._flights.pop(number)
            if flight.tries == 1:
                self._measure(now - flight.sent)
            self._grow()
        if came:
            self._rto = self._estimate()
            self._timer = None
        newest = expected + seen.bit_length() if seen else expected - 1
        overtaken = [
            flight
            for number, flight in self._flights.items()
            if newest - number >= REORDERED and flight.tries == 1 and not flight.lost
        ]
        for flight in overtaken:
            flight.lost = True
        if overtaken and expected >= self._recover:
            self._threshold = self._window = max(2.0, self._window / 2)
            self._recover = self._next

    def _grow(self) -> None:
        if self._window < self._threshold:
            self._window += 1
        else:
            self._window += 1 / self._window
        self._window = min(self._window, float(WINDOW))

    def _measure(self, took: float) -> None:
        """RFC 6298, 2.2 and 2.3."""
        if self._smoothed is None:
            self._smoothed, self._variation = took, took / 2
            return
        self._variation += (abs(self._smoothed - took) - self._variation) / 4
        self._smoothed += (took - self._smoothed) / 8

    def _estimate(self) -> float:
        if self._smoothed is None:
            return FIRST_RTO_S
        return min(MAX_RTO_S, max(MIN_RTO_S, self._smoothed + 4 * self._variation + ACK_DELAY_S))
