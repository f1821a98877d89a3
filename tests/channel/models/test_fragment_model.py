"""A hello in pieces, in every order: mixed with another's, altered, under another's cookie.

A device calls twice over datagrams. Whoever has the wire knows every knock, cookie and piece, has a
cookie for an address of its own, and says pieces of one hello under the name and cookie of another,
from the device's address. What comes together is read, or waits.
"""

from collections.abc import Callable, Hashable
from copy import copy
from typing import Any

import pytest
from tests.channel.models.exploring import Move, Pieces, Violation, explore
from tests.channel.pair import CLOUD, Pair

from bellwire.channel.errors import HandshakeFailed
from bellwire.channel.fragments import (
    FRAGMENT_HEAD,
    Assembly,
    Fragment,
    cookie_for,
    knock_of,
    make_knock,
)
from bellwire.channel.gate import Gate
from bellwire.channel.macs import finish_hello, mac_key
from bellwire.channel.messages import MAC_BYTES
from bellwire.iot import datagram_wire
from bellwire.iot.datagram_wire import AnsweringWire

ROOM = 1
"""Messages that may wait; the product's wire has room for a few more."""

OWN, OTHER = "192.0.2.7", "198.51.100.1"
CALLS = (1, 2)
BARE = {call: Pair(counter=call).initiator.hello() for call in CALLS}


def _gate() -> Gate:
    return Gate(CLOUD.public_bytes, random=lambda length: b"s" * length)


def _cookie(call: int, source: str) -> bytes:
    knock = knock_of(BARE[call])
    retry = _gate().knock(make_knock(knock, CLOUD.public_bytes), source, 0.0)
    return cookie_for(knock, retry, CLOUD.public_bytes)


COOKIES = {(call, source): _cookie(call, source) for call in CALLS for source in (OWN, OTHER)}
HELLOS = {
    call: finish_hello(bare[: -2 * MAC_BYTES], mac_key(CLOUD.public_bytes), COOKIES[call, OWN])
    for call, bare in BARE.items()
}
HALF = len(HELLOS[1]) // 2
SAID = {
    **{f"call {call}": hello for call, hello in HELLOS.items()},
    "altered": HELLOS[1][:100] + b"?" + HELLOS[1][101:-40] + b"?" + HELLOS[1][-39:],
    "without a cookie": BARE[1],
}


class Inbox:
    """In the place of the wire's queue."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []

    def full(self) -> bool:
        """As of a queue."""
        return len(self.waiting) >= ROOM

    def put_nowait(self, message: bytes) -> None:
        """As of a queue."""
        self.waiting.append(message)


def _nothing(*_: object) -> Any:
    return None


def _wire() -> AnsweringWire:
    wire = object.__new__(AnsweringWire)
    wire._carry = wire._establish = _nothing
    wire._datagram_bytes = FRAGMENT_HEAD + HALF + 1
    wire._inbox = Inbox()  # type: ignore[assignment] # a queue has a loop
    wire._assembly = Assembly()
    wire._digest = wire._cookie = wire._hello = b""
    wire._answer = ()
    return wire


class Wire:
    """What a responder keeps of one address, and what it has read."""

    def __init__(self) -> None:
        self.kept = Pieces()
        self.kept.put("wire", _wire())
        self.read: frozenset[bytes] = frozenset()

    def fork(self) -> "Wire":
        other = copy(self)
        other.kept = self.kept.fork()
        return other

    def key(self) -> Hashable:
        return self.kept.key(), self.read

    def moves(self) -> list[Move]:
        found: list[Move] = [
            ("say", text, index, call, source)
            for text in SAID
            for index in (0, 1)
            for call in CALLS
            for source in (OWN, OTHER)
        ]
        if self.kept["wire"]._inbox.waiting:
            found.append(("take",))
        return found

    def do(self, move: Move) -> None:
        getattr(self, f"_{move[0]}")(*move[1:])

    def _say(self, text: str, index: int, call: int, source: str) -> None:
        piece = SAID[text][HALF:] if index else SAID[text][:HALF]
        digest = knock_of(BARE[call]).digest
        fragment = Fragment(digest, COOKIES[call, source], index, 2, piece)
        try:
            _gate().recognise(fragment, OWN, 0.0)
        except HandshakeFailed:
            return
        assert source == OWN, "another's cookie serves"
        try:
            self.kept.touch("wire").feed(fragment)
        except HandshakeFailed:
            return

    def _take(self) -> None:
        message = self.kept.touch("wire")._inbox.waiting.pop(0)
        self.read |= {message}
        try:
            _gate().admit(message, OWN, 0.0)
        except HandshakeFailed:
            return
        assert message in HELLOS.values(), "what nobody said so passes the gate"

    def check(self) -> None:
        wire = self.kept["wire"]
        assert len(wire._inbox.waiting) <= ROOM
        assert sum(map(len, wire._assembly._pieces.values())) <= len(HELLOS[1]), "pieces pile up"
        if wire._hello:
            assert knock_of(wire._hello).digest == wire._digest, "answered under another's name"
        for call in CALLS:
            self.fork().check_next_call(call)

    def check_next_call(self, call: int) -> None:
        """What the device says twice comes through, once what waits is taken."""
        while self.kept["wire"]._inbox.waiting:
            self._take()
        for _ in range(2):
            for index in (0, 1):
                self._say(f"call {call}", index, call, OWN)
        while self.kept["wire"]._inbox.waiting:
            self._take()
        assert HELLOS[call] in self.read, "the device does not come through"


def test_no_order_of_pieces_brings_another_hello_or_keeps_one_away() -> None:
    assert explore(Wire(), most=20_000) > 50


def _known_before_there_is_room(wire: AnsweringWire, fragment: Fragment) -> None:
    message = wire._assembly.add(fragment)
    if message is not None and message != wire._hello:
        wire._hello, wire._digest = message, knock_of(message).digest
        if not wire._inbox.full():
            wire._inbox.put_nowait(message)


class Anything:
    """Equal to everything."""

    digest: "Anything"

    def __init__(self, *_: object) -> None:
        self.digest = self

    def __ne__(self, other: object) -> bool:
        return False

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def _keep_all(assembly: Assembly, fragment: Fragment) -> bytes | None:
    assembly._count = fragment.count
    assembly._pieces.setdefault(len(assembly._pieces), fragment.piece)
    if len(assembly._pieces) < 3:
        return None
    return b"".join(assembly._pieces[index] for index in range(fragment.count))


MUTANTS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "nobody looks at the cookie": (
        "another's cookie",
        lambda patch: patch.setattr(Gate, "recognise", lambda *_: None),
    ),
    "nobody looks at the hello's name": (
        "another's name|come through",
        lambda patch: patch.setattr(datagram_wire, "knock_of", Anything),
    ),
    "a hello without a cookie is taken": (
        "nobody said so",
        lambda patch: patch.setattr(datagram_wire, "NO_MAC", b"none"),
    ),
    "a hello is known although there was no room for it": (
        "come through",
        lambda patch: patch.setattr(AnsweringWire, "feed", _known_before_there_is_room),
    ),
    "pieces are kept for ever": (
        "pile up|come through",
        lambda patch: patch.setattr(Assembly, "add", _keep_all),
    ),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_the_search_finds_what_is_broken_on_purpose(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    says, breaks = MUTANTS[fault]
    breaks(monkeypatch)
    with pytest.raises(Violation, match=says):
        explore(Wire(), most=20_000)
