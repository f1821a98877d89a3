"""Two members get one key, once each, whoever calls first, whatever is lost; nobody else does."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
from tests.console.model import RED, Sites
from tests.patience import PATIENCE_S

from bellwire.base.errors import BellwireError
from bellwire.console.book import WINDOW_S
from bellwire.console.errors import (
    KeysAbsent,
    MemberUnknown,
    NoKeyNow,
    PeerConsoleAbsent,
    PeerRefused,
    SessionRefused,
)

T = TypeVar("T")


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    return Sites(tmp_path, {"a": ["alice", "carol", "twin"], "b": ["bob", "dave", "twin"]})


def run(work: Awaitable[T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(PATIENCE_S):
            return await work

    return asyncio.run(bounded())


@pytest.mark.parametrize(
    ("first", "second"), [("alice@a", "bob@b"), ("bob@b", "alice@a"), ("alice@a", "carol@a")]
)
def test_both_members_get_one_session_and_key_once_each(
    sites: Sites, first: str, second: str
) -> None:
    async def work() -> None:
        opened = await sites.call(first, second.partition("@")[0])
        joined = await sites.call(second, first)
        assert opened == joined
        assert len(opened[1]) == 32
        again = [await sites.call(first, second), await sites.call(second, first)]
        assert again[0] == again[1] != opened

    run(work())


def test_a_key_of_two_sites_has_the_source_of_the_link_and_one_of_one_site_is_local(
    sites: Sites,
) -> None:
    async def work() -> None:
        assert (await sites.call("alice@a", "bob"))[2] == "simulated"
        assert (await sites.call("dave@b", "alice"))[2] == "simulated"
        _, key, source = await sites.call("dave@b", "bob")
        assert source == "local"
        assert sites.random["b"].given == [key]
        assert sites.world.drawn.keys()  # nothing of it came from the link
        assert key not in {each.bits for each in sites.world.drawn.values()}

    run(work())


def test_each_key_comes_from_the_site_that_decides_and_is_fetched_at_the_other(
    sites: Sites,
) -> None:
    async def work() -> None:
        _, key, _ = await sites.call("bob@b", "alice")
        (drawn,) = [each for each in sites.world.drawn.values() if each.bits == key]
        assert (drawn.by, drawn.fetched) == ("a", True)
        assert all(key not in each for each in sites.sent)

    run(work())


@pytest.mark.parametrize("seed", range(40))
def test_calls_at_one_moment_at_both_sites_meet_in_one_session(sites: Sites, seed: int) -> None:
    random = Random(seed)
    sites.world.pause = lambda: random.randrange(6)

    async def work() -> None:
        calls = [sites.call("alice@a", "bob"), sites.call("bob@b", "alice")]
        random.shuffle(calls)
        one, other = await asyncio.gather(*calls)
        assert one == other

    run(work())


@pytest.mark.parametrize("seed", range(10))
def test_many_calls_at_once_give_each_session_to_its_two_members_at_most_once(
    sites: Sites, seed: int
) -> None:
    random = Random(seed)
    sites.world.pause = lambda: random.randrange(4)
    pairs = [("alice@a", "bob@b"), ("carol@a", "bob@b"), ("alice@a", "dave@b"), ("bob@b", "dave@b")]

    async def one(who: str, peer: str, given: Counter[tuple[str, str]]) -> tuple[str, bytes]:
        for _ in range(random.randrange(8)):
            await asyncio.sleep(0)
        session, key, _ = await sites.call(who, peer)
        given[session, who] += 1
        return session, key

    async def work() -> None:
        given: Counter[tuple[str, str]] = Counter()
        calls = [one(*rng, given) for pair in pairs for rng in (pair, pair[::-1]) for _ in range(6)]
        random.shuffle(calls)
        got = await asyncio.gather(*calls)
        assert max(given.values()) == 1
        keys: dict[str, set[bytes]] = {}
        for session, key in got:
            keys.setdefault(session, set()).add(key)
        assert all(len(each) == 1 for each in keys.values())
        assert len({next(iter(each)) for each in keys.values()}) == len(keys)
        members: dict[str, set[str]] = {}
        for session, who in given:
            members.setdefault(session, set()).add(who)
        assert all(any(each <= set(pair) for pair in pairs) for each in members.values())
        assert any(len(each) == 2 for each in members.values())

    run(work())


def test_a_session_waits_for_a_minute_and_its_key_is_overwritten_then(sites: Sites) -> None:
    async def work() -> None:
        opened = await sites.call("alice@a", "bob")
        sites.world.now += WINDOW_S
        assert await sites.call("bob@b", "alice") == opened
        opened = await sites.call("bob@b", "alice")
        sites.world.now += WINDOW_S + 0.1
        later = await sites.call("alice@a", "bob")
        assert later != opened
        assert await sites.call("bob@b", "alice") == later

    run(work())


def test_a_member_who_calls_again_puts_a_new_session_in_the_place_of_his_first(
    sites: Sites,
) -> None:
    async def work() -> None:
        for first, second in (("alice@a", "bob@b"), ("bob@b", "alice@a"), ("alice@a", "carol@a")):
            lost = await sites.call(first, second)
            kept = await sites.call(first, second)
            assert lost[:2] != kept[:2]
            assert await sites.call(second, first) == kept

    run(work())


def test_sessions_of_other_pairs_have_nothing_to_do_with_each_other(sites: Sites) -> None:
    async def work() -> None:
        with_bob = await sites.call("alice@a", "bob")
        with_dave = await sites.call("alice@a", "dave")
        assert (await sites.call("carol@a", "bob"))[1] not in {with_bob[1], with_dave[1]}
        assert await sites.call("dave@b", "alice") == with_dave
        assert await sites.call("bob@b", "alice") == with_bob

    run(work())


def test_a_name_means_the_member_of_the_own_site_and_with_its_site_the_one_named(
    sites: Sites,
) -> None:
    async def work() -> None:
        near = await sites.call("alice@a", "twin")
        far = await sites.call("alice@a", "twin@b")
        assert (near[2], far[2]) == ("local", "simulated")
        assert await sites.call("twin@a", "alice") == near
        assert await sites.call("twin@b", "alice") == far
        assert await sites.call("twin@a", "twin@b") == await sites.call("twin@b", "twin@a")

    run(work())


@pytest.mark.parametrize(
    ("who", "peer", "error"),
    [("alice@a", "nobody", MemberUnknown), ("bob@b", "nobody", MemberUnknown),
     ("alice@a", "alice", SessionRefused), ("alice@a", "alice@a", SessionRefused),
     ("alice@a", "bob@a", MemberUnknown), ("alice@a", "bob@c", MemberUnknown),
     ("alice@a", "", MemberUnknown), ("alice@a", "a b", MemberUnknown),
     ("bob@b", "carol@b", MemberUnknown), ("alice@a", "@b", MemberUnknown)],
)  # fmt: skip
def test_there_is_no_session_with_nobody_or_oneself(
    sites: Sites, who: str, peer: str, error: type[BellwireError]
) -> None:
    with pytest.raises(error):
        run(sites.call(who, peer))


def test_on_red_nobody_opens_or_joins_and_what_was_open_can_be_joined_later(sites: Sites) -> None:
    async def work() -> None:
        opened = {
            who: await sites.call(who, peer)
            for who, peer in (("alice@a", "bob"), ("dave@b", "carol"), ("carol@a", "alice"))
        }
        before, green = sites.world.stock, sites.world.link
        sites.world.link = RED
        for who, peer in (("bob@b", "alice"), ("carol@a", "dave"), ("alice@a", "carol")):
            with pytest.raises(NoKeyNow, match="Eve is there"):
                await sites.call(who, peer)
        assert sites.world.stock == before
        sites.world.link = green
        assert await sites.call("bob@b", "alice") == opened["alice@a"]
        assert await sites.call("carol@a", "dave") == opened["dave@b"]
        assert await sites.call("alice@a", "carol") == opened["carol@a"]

    run(work())


def test_without_keys_nobody_gets_a_session(sites: Sites) -> None:
    sites.world.stock = 0
    for who, peer in (("alice@a", "bob"), ("bob@b", "alice")):
        with pytest.raises(KeysAbsent):
            run(sites.call(who, peer))
    sites.world.stock = 1  # enough to ask, and not for the session
    with pytest.raises(KeysAbsent, match="other site's console"):
        run(sites.call("bob@b", "alice"))


@pytest.mark.parametrize("what", ["request", "answer"])
def test_what_is_lost_between_consoles_loses_a_key_and_gives_none_twice(
    sites: Sites, what: str
) -> None:
    async def work() -> None:
        sites.lost = what
        with pytest.raises(PeerConsoleAbsent):
            await sites.call("bob@b", "alice")
        sites.lost = ""
        alice = await sites.call("alice@a", "bob")
        bob = await sites.call("bob@b", "alice")
        if what == "answer":
            # The deciding console took bob for served: alice joined what he never had. Her next
            # call, or his, begins anew.
            assert alice[0] != bob[0]
            assert alice[1] != bob[1]
            alice = await sites.call("alice@a", "bob")
        assert alice == bob

    run(work())


def test_a_console_that_was_started_again_gives_nothing_that_it_gave_before(sites: Sites) -> None:
    async def work() -> None:
        for site in "ab":
            opened = await sites.call("bob@b", "alice")
            sites.consoles[site] = sites.console(site)
            alice = await sites.call("alice@a", "bob")
            bob = await sites.call("bob@b", "alice")
            if site == "a":
                assert alice == bob != opened
            else:
                assert alice == opened != bob
                assert await sites.call("alice@a", "bob") == bob

    run(work())


def test_messages_between_consoles_are_worth_nothing_a_second_time_or_changed(
    sites: Sites,
) -> None:
    async def work() -> None:
        await sites.call("bob@b", "alice")
        request, answer = sites.sent
        for junk in (request, b"", b"{}", request[:-1], b"\xff" * 40, answer, b"[" * 5000):
            with pytest.raises(PeerRefused):
                await sites.consoles["a"].answer(junk)
        await asyncio.sleep(0)
        key = await sites.consoles["b"]._keys.draw()
        told = b'{"version":1,"key_id":"%b","sealed":"AAAA"}' % key.key_id.encode()
        with pytest.raises(PeerRefused):
            await sites.consoles["a"].answer(told)

    run(work())


def test_there_are_never_more_open_sessions_than_the_book_has_pages(tmp_path: Path) -> None:
    names = [f"m{i}" for i in range(12)]
    sites = Sites(tmp_path, {"a": names, "b": ["bob"]}, most=5)

    async def work() -> None:
        opened = {name: await sites.call(f"{name}@a", "bob") for name in names}
        last = [await sites.call("bob@b", name) == opened[name] for name in reversed(names)]
        assert last[:5] == [True] * 5
        assert not any(last[5:])

    run(work())


def test_members_of_the_other_site_are_asked_after_once_a_minute(sites: Sites) -> None:
    async def work() -> None:
        for _ in range(3):
            await sites.call("alice@a", "bob")
        assert len(sites.sent) == 2
        sites.world.now += 61.0
        await sites.call("alice@a", "bob")
        assert len(sites.sent) == 4

    run(work())
