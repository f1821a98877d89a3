"""Announcements: what is believed, of whom, and for how long."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.mesh import identities, random_links

from bellwire.crypto.signatures import SigningKey
from bellwire.keys.status import Status
from bellwire.network.errors import Malformed, MessageRefused, NetworkMisuse, NotAuthentic
from bellwire.network.identity import Roster, sign
from bellwire.network.linkstate import (
    MAX_AGE_S,
    MAX_LINKS,
    MAX_SKEW_S,
    LinkState,
    OwnLink,
    announce,
)

NOW = 1_000_000.0
KEYS, ROSTER = identities(("a", "b", "c"))


def own(peer: str, status: Status = Status.GREEN, stock: int = 5, cost: int = 1) -> OwnLink:
    return OwnLink(peer, status, False, stock, cost)


def said(name: str, *links: OwnLink, after: int = 0, now: float = NOW) -> bytes:
    return announce(KEYS[name], name, links, after=after, now=now)[0]


def test_a_link_is_there_while_both_ends_say_so() -> None:
    state = LinkState(ROSTER)
    assert state.receive(said("a", own("b", stock=7, cost=2)), NOW) == "a"
    assert state.topology(NOW).links() == ()
    assert state.receive(said("b", own("a", Status.YELLOW, stock=9)), NOW) == "b"
    topology = state.topology(NOW)
    there, back = topology.link("a", "b"), topology.link("b", "a")
    assert there is not None
    assert back is not None
    assert (there.status, there.stock_bits, there.cost) == (Status.YELLOW, 7, 2)
    assert (back.status, back.stock_bits, back.cost) == (Status.YELLOW, 9, 2)
    state.receive(said("b", after=int(1000 * NOW)), NOW)
    assert state.topology(NOW).links() == ()


def test_a_made_up_link_attracts_no_route() -> None:
    state = LinkState(ROSTER)
    for message in (said("a", own("b"), own("c", stock=2**40)), said("b", own("a")), said("c")):
        state.receive(message, NOW)
    assert state.topology(NOW).nodes == ("a", "b")


def test_what_another_signs_in_a_members_name_is_refused() -> None:
    state = LinkState(ROSTER)
    forged = announce(KEYS["c"], "a", [own("c", stock=2**40)], after=0, now=NOW)[0]
    with pytest.raises(NotAuthentic):
        state.receive(forged, NOW)
    stranger = announce(SigningKey.generate(), "a", [own("c")], after=0, now=NOW)[0]
    with pytest.raises(NotAuthentic):
        state.receive(stranger, NOW)
    with pytest.raises(NotAuthentic):
        state.receive(announce(KEYS["a"], "d", [], after=0, now=NOW)[0], NOW)
    assert len(state) == 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_an_announcement_that_is_changed_anywhere_is_refused(at: float, flip: int) -> None:
    state = LinkState(ROSTER)
    message = bytearray(said("a", own("b")))
    message[int(at * len(message))] ^= flip
    with pytest.raises(MessageRefused):
        state.receive(bytes(message), NOW)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.binary(max_size=300))
def test_noise_is_no_announcement(data: bytes) -> None:
    with pytest.raises(Malformed):
        LinkState(ROSTER).receive(data, NOW)


def test_a_number_that_was_heard_is_not_taken_again_whatever_comes_with_it() -> None:
    state = LinkState(ROSTER)
    first, number = announce(KEYS["a"], "a", [own("b")], after=0, now=NOW)
    second, later = announce(KEYS["a"], "a", [own("c")], after=number, now=NOW)
    assert later > number
    assert state.receive(second, NOW) == "a"
    assert state.receive(first, NOW) is None
    assert state.receive(second, NOW) is None


def test_what_is_old_or_of_the_future_is_not_believed() -> None:
    state = LinkState(ROSTER)
    for when in (NOW - MAX_AGE_S - 1, NOW + MAX_SKEW_S + 1):
        with pytest.raises(NotAuthentic, match="made up to 100 s ago"):
            state.receive(said("a", own("b"), now=when), NOW)
    state.receive(said("a", own("b")), NOW)
    state.receive(said("b", own("a")), NOW + 50)
    assert len(state.topology(NOW + MAX_AGE_S).links()) == 2
    assert state.topology(NOW + MAX_AGE_S + 1).links() == ()
    assert len(state) == 0


def test_a_node_that_forgot_its_last_number_is_heard_again() -> None:
    state = LinkState(ROSTER)
    state.receive(said("a", own("b"), after=5), NOW)
    assert state.receive(said("a", own("b"), after=0, now=NOW + 1), NOW + 1) == "a"


def test_what_is_too_much_or_twice_is_neither_said_nor_believed() -> None:
    with pytest.raises(NetworkMisuse):
        said("a", *(own(f"n{number}") for number in range(MAX_LINKS + 1)))
    with pytest.raises(NetworkMisuse):
        said("a", own("b"), own("b"))
    for links in ([own("b"), own("b")], [own(f"n{each}") for each in range(MAX_LINKS + 1)]):
        body = msgspec.msgpack.encode((1, NOW, links))
        with pytest.raises(Malformed):
            LinkState(ROSTER).receive(sign(KEYS["a"], "a", b"links", body), NOW)
    body = msgspec.msgpack.encode((1, NOW, [own("b")]))
    with pytest.raises(NotAuthentic):
        LinkState(ROSTER).receive(sign(KEYS["a"], "a", b"transfer", body), NOW)


@pytest.mark.parametrize(
    "members", [{"a b": bytes(32)}, {"a": bytes(31)}, {f"n{n}": bytes(32) for n in range(4097)}]
)
def test_a_roster_is_names_and_fingerprints(members: dict[str, bytes]) -> None:
    with pytest.raises(NetworkMisuse):
        Roster(members)


def test_flooding_tells_everybody_though_a_relay_forges_and_another_is_deaf() -> None:
    """Each node hears its neighbours only and passes on what is news to it."""
    links = random_links(20, 20, 2)
    names = sorted({name for link in links for name in link})
    keys, roster = identities(names)
    near = {name: {*links_of(links, name)} for name in names}
    states = {name: LinkState(roster) for name in names}
    forger, deaf = "n05", "n11"
    draw = random.Random(8)
    waiting: list[tuple[str, bytes]] = []

    def tell(name: str, message: bytes) -> None:
        for peer in near[name]:
            forged = bytearray(message)
            if name == forger:
                forged[draw.randrange(len(message))] ^= 1
            waiting.append((peer, bytes(forged)))

    for name in names:
        told = [own(peer) for peer in near[name]]
        message = announce(keys[name], name, told, after=0, now=NOW)[0]
        states[name].receive(message, NOW)
        tell(name, message)
    sent = 0
    while waiting:
        name, message = waiting.pop(draw.randrange(len(waiting)))
        sent += 1
        try:
            news = states[name].receive(message, NOW)
        except MessageRefused:
            continue
        if news is not None and name != deaf:
            tell(name, message)
    honest = [name for name in names if name != forger]
    assert sent <= 2 * len(links) * len(names), "each is passed on once by each"
    for name in honest:
        assert set(honest) <= {*states[name].topology(NOW).nodes}


def links_of(links: list[tuple[str, str]], name: str) -> list[str]:
    return [one if other == name else other for one, other in links if name in (one, other)]
