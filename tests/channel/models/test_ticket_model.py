"""Tickets in every order: used, used again, after another session, too late.

Three devices and a cloud that has room for two tickets. Any handle can be sent by anybody, as often
as it likes, at any time.
"""

from collections.abc import Callable, Hashable
from copy import copy
from typing import NamedTuple

import pytest
from tests.channel.models.exploring import Move, Pieces, Violation, explore

from bellwire.base.secret import Secret
from bellwire.channel import resumption
from bellwire.channel.protections import Protections
from bellwire.channel.resumption import TICKET_LIFE_S, Ticket, TicketBox, make_ticket

DEVICES = (b"a" * 32, b"b" * 32, b"c" * 32)
ROOM = 2
SESSIONS = 3


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Issued(NamedTuple):
    """What is true of a ticket, whatever the box thinks."""

    peer: bytes
    at: float


class Tickets:
    """What the cloud keeps, and what is true."""

    def __init__(self) -> None:
        self.cloud = Pieces()
        self.cloud.put("box", TicketBox(Clock()))
        self.issued: dict[bytes, Issued] = {}
        self.newest: dict[bytes, bytes] = {}
        self.used: frozenset[bytes] = frozenset()

    def fork(self) -> "Tickets":
        other = copy(self)
        other.cloud = self.cloud.fork()
        other.issued, other.newest = self.issued.copy(), self.newest.copy()
        return other

    def key(self) -> Hashable:
        told = (frozenset(self.issued.items()), frozenset(self.newest.items()))
        return self.cloud.key(), told, self.used

    @property
    def now(self) -> float:
        return float(self.cloud["box"]._clock.now)

    def moves(self) -> list[Move]:
        found: list[Move] = [("present", handle) for handle in self.issued]
        if len(self.issued) < SESSIONS:
            found += [("meet", device) for device in DEVICES]
        if self.now < TICKET_LIFE_S:
            found.append(("wait",))
        return found

    def do(self, move: Move) -> None:
        getattr(self, f"_{move[0]}")(*move[1:])

    def _meet(self, device: bytes) -> None:
        """A session, and the ticket that it leaves at both ends."""
        secret = Secret(bytes([len(self.issued)]) * 32)
        ticket = make_ticket(secret, device, Protections(None))
        self.cloud.touch("box").keep(ticket)
        self.issued[ticket.handle] = Issued(device, self.now)
        self.newest[device] = ticket.handle

    def _present(self, handle: bytes) -> None:
        found = self.cloud.touch("box").take(handle)
        if found is None:
            return
        truth = self.issued[handle]
        assert handle not in self.used, "a ticket serves twice"
        assert found[0].handle == handle, "another ticket serves"
        assert found[0].peer == truth.peer, "a ticket is taken for another's"
        assert self.newest[truth.peer] == handle, "an old ticket serves"
        assert self.now - truth.at < TICKET_LIFE_S, "a ticket serves too long"
        self.used |= {handle}

    def _wait(self) -> None:
        self.cloud.touch("box")._clock.now += TICKET_LIFE_S

    def check(self) -> None:
        box = self.cloud["box"]
        assert len(box) <= ROOM, "more tickets than there is room for"
        kept = {each.ticket.peer: handle for handle, each in box._by_handle.items()}
        assert kept == box._of_peer, "the box has lost count"


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(resumption, "MAX_TICKETS", ROOM)
    return monkeypatch


def test_no_order_of_uses_makes_a_ticket_serve_twice(patch: pytest.MonkeyPatch) -> None:
    assert explore(Tickets(), most=20_000) > 1000


def _keeping(box: TicketBox, handle: bytes) -> tuple[Ticket, bytes] | None:
    kept = box._by_handle.get(handle)
    return None if kept is None or box._clock() >= kept.expires else (kept.ticket, kept.vouched)


def _whenever(box: TicketBox, handle: bytes) -> tuple[Ticket, bytes] | None:
    kept = box._forget(handle)
    return None if kept is None else (kept.ticket, kept.vouched)


def _beside_the_old(box: TicketBox, ticket: Ticket, vouched: bytes = b"") -> None:
    if len(box._by_handle) >= resumption.MAX_TICKETS:
        box._forget(next(iter(box._by_handle)))
    box._by_handle[ticket.handle] = resumption._Kept(ticket, vouched, box._clock() + TICKET_LIFE_S)
    box._of_peer[ticket.peer] = ticket.handle


def _half_forget(box: TicketBox, handle: bytes | None) -> object:
    return None if handle is None else box._by_handle.pop(handle, None)


MUTANTS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "a ticket stays when it is taken": (
        "serves twice",
        lambda patch: patch.setattr(TicketBox, "take", _keeping),
    ),
    "nobody looks at the age": (
        "serves too long",
        lambda patch: patch.setattr(TicketBox, "take", _whenever),
    ),
    "a new ticket stands beside the old": (
        "lost count|old ticket",
        lambda patch: patch.setattr(TicketBox, "keep", _beside_the_old),
    ),
    "who had a ticket stays known": (
        "lost count",
        lambda patch: patch.setattr(TicketBox, "_forget", _half_forget),
    ),
    "there is always room": (
        "more tickets than there is room",
        lambda patch: patch.setattr(resumption, "MAX_TICKETS", ROOM + 1),
    ),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_the_search_finds_what_is_broken_on_purpose(fault: str, patch: pytest.MonkeyPatch) -> None:
    says, breaks = MUTANTS[fault]
    breaks(patch)
    with pytest.raises(Violation, match=says):
        explore(Tickets(), most=20_000)
