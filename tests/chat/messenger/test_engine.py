"""Two messengers over a relay: how messages come, with which pads, and what is told."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.chat.messenger.pairs import (
    User,
    alice_and_bob,
    until,
    until_true,
)
from tests.chat.messenger.proof import EngineProof
from tests.chat.messenger.servers import Link
from tests.chat.relay.running import relay_at, run
from tests.patience import PATIENCE_S

from bellwire.chat.card import Card, read_card
from bellwire.chat.errors import ChatMisuse, ContentMalformed, LinkRefused, MessageUnknown
from bellwire.chat.messenger.harmless import harmless
from bellwire.chat.messenger.views import AlertKind, LineState, Mode
from bellwire.chat.pads import Policy
from bellwire.chat.store.offers import Offer, read_offer
from bellwire.chat.store.waiting import MAX_TRIES

Story = Callable[[User, User, Link], Coroutine[None, None, None]]


def tell(folder: Path, story: Story, link: Link | None = None) -> None:
    link = link or Link()

    async def whole() -> None:
        async with (
            relay_at(folder / "relay", now=time.time()) as url,
            alice_and_bob(folder, url, link) as (alice, bob),
        ):
            await story(alice, bob, link)

    run(whole())


async def shown(to: User, text: str) -> None:
    async def there() -> bool:
        return text in await to.texts()

    await until(there)


async def comes_to(one: User, state: str) -> None:
    async def there() -> bool:
        states = await one.states()
        return bool(states) and set(states) == {state}

    await until(there)


def test_a_contact_link_makes_two_people_know_each_other(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        (to_alice,) = [each for each in await bob.messenger.contacts() if not each.is_notes]
        (to_bob,) = [each for each in await alice.messenger.contacts() if not each.is_notes]
        assert (to_alice.name, to_bob.name) == ("Alice", "Bob")
        assert to_alice.contact == alice.messenger.me
        one = await alice.messenger.safety(to_bob.contact)
        other = await bob.messenger.safety(to_alice.contact)
        assert one.number == other.number
        assert one.code == b"bwsn\x01" + alice.messenger.me + bob.messenger.me
        await bob.messenger.set_verified(to_alice.contact, verified=True)
        assert (await bob.messenger.conversation(to_alice.contact)).verified
        assert [each.kind for each in alice.alerts()] == [AlertKind.CONTACT]

    tell(tmp_path, story)


def test_messages_from_stock_are_under_pad_and_their_states_are_seen(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_policy(peer, Policy.REQUIRE)
        await alice.messenger.set_mode(peer, Mode.POOL)
        for text in ("one", "two", "שלום 👋"):
            await alice.messenger.send(peer, text)
        await shown(bob, "שלום 👋")
        assert await bob.texts() == ["one", "two", "שלום 👋"]
        assert all(each.protection.pad_source == "simulated" for each in await bob.lines())
        await comes_to(alice, "delivered")
        assert (await bob.messenger.conversation(await bob.peer())).unread == 3
        await bob.messenger.mark_read(await bob.peer())
        await comes_to(alice, "read")
        assert (await bob.messenger.conversation(await bob.peer())).unread == 0
        entry = await alice.messenger.conversation(peer)
        assert entry.pad_bytes > 0
        assert entry.pad_messages == entry.pad_bytes // (256 + 16)
        assert link.sessions == 0

    tell(tmp_path, story)


def test_in_fresh_mode_each_message_has_its_own_session_and_record_at_both(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.FRESH)
        for text in ("one", "two", "x" * 7000):  # the last has two parts
            await alice.messenger.send(peer, text)
        await shown(bob, "x" * 7000)
        assert link.sessions == 4
        for mine, theirs in zip(await alice.lines(), await bob.lines(), strict=True):
            record = await alice.messenger.session(peer, mine.message_id)
            assert record == await bob.messenger.session(await bob.peer(), theirs.message_id)
            assert [each.s for each in record] == [2.72] * len(theirs.protection.pad_ids)
        assert not link.waiting or all(key[0] == "app-b" for key in link.waiting)

    tell(tmp_path, story)


def test_while_eve_is_there_nothing_is_sent_both_are_told_and_it_goes_when_she_has_left(
    tmp_path: Path,
) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.FRESH)
        link.eve = True
        said = await alice.messenger.send(peer, "secret")
        await until_true(lambda: AlertKind.EVE in {each.kind for each in alice.alerts()})
        await until_true(lambda: AlertKind.EVE in {each.kind for each in bob.alerts()})
        for one in (alice, bob):
            (alert,) = [each for each in one.alerts() if each.kind is AlertKind.EVE]
            assert alert.record is not None
            assert alert.record.s is not None
            assert alert.record.s < 2
            assert "S = 1.360" in alert.words
        line = await alice.messenger.line(peer, said.message_id)
        assert (line.state, await bob.texts()) == (LineState.NOT_SENT, [])
        assert line.why is not None
        (record,) = await alice.messenger.session(peer, said.message_id)
        assert record.qber is not None
        assert record.qber > 0.11

        link.eve = False
        await shown(bob, "secret")
        await comes_to(alice, "delivered")
        assert AlertKind.CLEAR in {each.kind for each in alice.alerts()}
        (record,) = await alice.messenger.session(peer, said.message_id)
        assert record.accepted

    tell(tmp_path, story)


def test_what_is_not_sent_goes_at_once_when_asked_and_not_at_all_when_taken_back(
    tmp_path: Path,
) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.FRESH)
        link.eve = True
        first = await alice.messenger.send(peer, "first")
        second = await alice.messenger.send(peer, "second")
        await until_true(lambda: AlertKind.EVE in {each.kind for each in alice.alerts()})
        await alice.messenger.delete(peer, first.message_id)
        link.eve = False
        await alice.messenger.resend(peer, second.message_id)
        await shown(bob, "second")
        assert await bob.texts() == ["second"]

    tell(tmp_path, story)


def test_without_key_require_keeps_the_message_and_prefer_sends_it_and_says_so(
    tmp_path: Path,
) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.POOL)
        await alice.messenger.set_policy(peer, Policy.REQUIRE)
        await alice.messenger.send(peer, "kept")
        await until_true(lambda: AlertKind.NO_PAD in {each.kind for each in alice.alerts()})
        assert await alice.states() == ["not sent"]
        await alice.messenger.set_policy(peer, Policy.PREFER)
        await shown(bob, "kept")
        (line,) = await bob.lines()
        assert not line.protection.is_one_time
        assert AlertKind.DEGRADED in {each.kind for each in alice.alerts()}

    tell(tmp_path, story, Link(stock_bytes=0))


def test_words_are_edited_replied_to_and_taken_back_for_both(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        peer = await alice.peer()
        said = await alice.messenger.send(peer, "helo")
        await shown(bob, "helo")
        await bob.messenger.reply(await bob.peer(), said.message_id, "what?")
        await shown(alice, "what?")
        assert (await alice.lines())[-1].target == said.message_id
        await alice.messenger.edit(peer, said.message_id, "hello")
        await shown(bob, "hello")
        await alice.messenger.delete(peer, said.message_id)

        async def deleted() -> bool:
            return (await bob.lines())[0].state is LineState.DELETED

        await until(deleted)
        assert (await alice.lines())[0].text == ""
        with pytest.raises(MessageUnknown):
            await alice.messenger.edit(peer, bytes(16), "x")

    tell(tmp_path, story)


def test_typing_is_told_and_notes_to_self_stay_here(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        await until_true(lambda: alice.messenger.link.sending)
        await alice.messenger.typing(await alice.peer())

        async def is_typing() -> bool:
            return (await bob.messenger.conversation(await bob.peer())).typing

        await until(is_typing)
        note = await alice.messenger.send(alice.messenger.me, "milk")
        assert note.state is LineState.READ
        assert [each.text for each in await alice.messenger.search("MILK")] == ["milk"]
        assert await bob.texts() == []

    tell(tmp_path, story)


@pytest.mark.parametrize("spoil", ["cut", "flip", "other", "own"])
def test_links_that_are_cut_changed_or_our_own_add_nobody(tmp_path: Path, spoil: str) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        link = await alice.messenger.invite()
        bad = {
            "cut": link[:-8],
            "flip": link[:200] + ("A" if link[200] != "A" else "B") + link[201:],
            "other": "https://example.org",
            "own": link,
        }[spoil]
        one = alice if spoil == "own" else bob
        with pytest.raises((LinkRefused, ChatMisuse)):
            await one.messenger.add(bad)
        assert len(await one.messenger.contacts()) == 2

    tell(tmp_path, story)


def test_what_served_of_pads_is_nowhere_afterwards_and_words_are_in_no_file(tmp_path: Path) -> None:
    link = Link()

    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        for mode in (Mode.FRESH, Mode.POOL):
            await alice.messenger.set_mode(peer, mode)
            await alice.messenger.send(peer, f"nobody else reads this, by {mode.value}")
            await comes_to(alice, "delivered")  # what waits goes by the mode of then
        await shown(bob, "nobody else reads this, by pool")
        kept = {name: pads_of(tmp_path / name) for name in ("alice", "bob")}
        for name, one in (("alice", alice), ("bob", bob)):
            lines = await one.lines()
            (single,) = lines[0].protection.pad_ids
            (pool,) = lines[1].protection.pad_ids
            assert single not in kept[name]
            # r stays; behind it what served is zeros.
            served = kept[name][pool][16 : 16 + lines[1].protection.pad_bytes]
            assert not any(served)

    tell(tmp_path, story, link)
    assert link.given
    everything = b"".join(
        each.read_bytes() for each in sorted(tmp_path.rglob("*")) if each.is_file()
    )
    assert b"nobody else reads" not in everything
    for pad in link.given:
        assert pad[:16] not in everything
        assert pad[-16:] not in everything


def pads_of(folder: Path) -> dict[bytes, bytes]:
    """The files of a person's pads, as they are."""
    files = (folder / "pads").iterdir()
    return {bytes.fromhex(each.stem): each.read_bytes() for each in files}


def test_a_message_whose_pad_was_lost_is_sent_again_by_itself_under_another(
    tmp_path: Path,
) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.FRESH)
        link.loses = 2
        said = await alice.messenger.send(peer, "once more")
        await shown(bob, "once more")
        await comes_to(alice, "delivered")
        assert (await alice.messenger.line(peer, said.message_id)).protection.is_one_time
        assert link.sessions == 3
        assert await bob.texts() == ["once more"]
        assert {each.kind for each in bob.alerts()} == {AlertKind.UNSHOWN}
        assert not alice.alerts()[1:]  # the first is that Bob has come

    tell(tmp_path, story)


def test_a_message_whose_pads_are_lost_each_time_counts_as_refused_and_can_be_sent_again(
    tmp_path: Path,
) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.FRESH)
        link.loses = 1 + MAX_TRIES
        said = await alice.messenger.send(peer, "once more")
        await comes_to(alice, "refused")
        assert link.sessions == 1 + MAX_TRIES
        await alice.messenger.send(peer, "behind it")
        await shown(bob, "behind it")
        await alice.messenger.resend(peer, said.message_id)
        await shown(bob, "once more")
        await comes_to(alice, "delivered")

    tell(tmp_path, story)


def test_a_message_refused_by_policy_is_not_sent_again_by_itself(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        await bob.messenger.set_policy(await bob.peer(), Policy.REQUIRE)
        await alice.messenger.set_policy(await alice.peer(), Policy.OFF)
        said = await alice.messenger.send(await alice.peer(), "without pad")
        await comes_to(alice, "refused")
        await until_true(lambda: AlertKind.REFUSED in {each.kind for each in alice.alerts()})
        await alice.messenger.set_policy(await alice.peer(), Policy.REQUIRE)
        await alice.messenger.resend(await alice.peer(), said.message_id)
        await shown(bob, "without pad")
        assert await bob.texts() == ["without pad"]

    tell(tmp_path, story)


def test_while_our_own_key_server_is_down_what_came_waits_in_order(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, link: Link) -> None:
        peer = await alice.peer()
        await alice.messenger.set_mode(peer, Mode.FRESH)
        link.down = "app-b"
        for text in ("one", "two"):
            await alice.messenger.send(peer, text)
        await comes_to(alice, "sent")
        await until_true(lambda: bob.messenger.link.keys_trouble is not None)
        assert await bob.texts() == []
        link.down = ""
        await shown(bob, "two")
        assert await bob.texts() == ["one", "two"]

    tell(tmp_path, story)


def test_messengers_lose_and_double_nothing_over_kills_restarts_and_eve(tmp_path: Path) -> None:
    proof = EngineProof(tmp_path, random.Random(5))

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):  # five processes start
            await proof.run(40, faults=1)

    asyncio.run(bounded())
    assert proof.faults() == []
    assert proof.said == 40
    for kind in ("kill", "crash", "restart", "cut", "eve"):
        assert proof.happened[kind] == 1


def test_cards_and_offers_are_as_the_specification_has_them() -> None:
    card = Card(bytes(range(32)), "wss://r:1", "app-a", "Zoë")
    known = (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        "097773733a2f2f723a31056170702d61045a6fc3ab"
    )
    assert card.encode().hex() == known
    assert read_card(bytes.fromhex(known)) == card
    offer = Offer(b"p" * 16, ("k-1", "k-22"))
    assert offer.encode().hex() == "70" * 16 + "036b2d31" + "046b2d3232"
    assert read_offer(offer.encode()) == offer


@pytest.mark.parametrize("at", [0, 20, 33, 40, 56])
def test_cards_that_are_cut_or_lengthened_are_none(at: int) -> None:
    whole = Card(bytes(32), "ws://host:8765", "app-b", "Bob").encode()
    for bad in (whole[:at], whole + b"x", whole[:32] + b"\xff" + whole[33:]):
        with pytest.raises(ContentMalformed):
            read_card(bad)


@pytest.mark.parametrize("relay", ["http://x:1", "ws://", "ws://x:0", "ws://a@b:1", "ws://x:1/?y"])
def test_cards_name_relays_and_nothing_else(relay: str) -> None:
    with pytest.raises(ContentMalformed):
        read_card(Card(bytes(32), relay, "", "Bob").encode())


@pytest.mark.parametrize(
    ("theirs", "shown_as"),
    [
        ("\x1b[2Jgone", "␛[2Jgone"),
        ("a\rb\nc\x07", "a␍b␊c␇"),
        ("\u202eevil", "<U+202E>evil"),
        ("\x9b31m\x7f", "<U+009B>31m<U+007F>"),
        ("שלום 👩\u200d🚀 é", "שלום 👩\u200d🚀 é"),
        ("z" + "\u0301" * 900 + "a\u0301", "z" + "\u0301" * 6 + "\ufffda\u0301"),
        ("x" + "\u200d" * 900, "x" + "\u200d" * 6 + "\ufffd"),
    ],
)
def test_other_peoples_words_do_nothing_to_a_terminal(theirs: str, shown_as: str) -> None:
    assert harmless(theirs) == shown_as


@pytest.mark.parametrize("moment", ["sealed", "opened"])
def test_a_pad_outlives_whoever_is_cancelled_while_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Else a message went under a pad of zeros, which nobody could open."""

    async def story(alice: User, bob: User, _: Link) -> None:
        began, go_on, served = threading.Event(), threading.Event(), threading.Event()
        user, name = (alice, "seal") if moment == "sealed" else (bob, "receive")
        real = getattr(user.person, name)

        def slowly(*arguments: Any, **more: Any) -> Any:
            if not (more.get("fresh") or more.get("made")):
                return real(*arguments, **more)
            began.set()
            go_on.wait(PATIENCE_S)
            try:
                return real(*arguments, **more)
            finally:
                served.set()

        monkeypatch.setattr(user.person, name, slowly)
        await alice.messenger.send(await alice.peer(), "under its own pad")
        await asyncio.to_thread(began.wait, 30.0)
        workers = (
            [each.task for each in alice.messenger._sending._lines.values()]
            if moment == "sealed"
            else [each.task for each in bob.messenger._fetching._wanted.values()]
        )
        for _again in range(2):
            for each in workers:
                each.cancel()
            await asyncio.sleep(0.05)
        go_on.set()
        await asyncio.gather(*workers, return_exceptions=True)
        await asyncio.to_thread(served.wait, 30.0)  # its thread goes on without whoever waited
        alice.messenger._courier.wake()
        await bob.messenger._courier.retry(await bob.peer())
        await shown(bob, "under its own pad")
        (line,) = await bob.lines()
        assert line.protection.is_one_time

    tell(tmp_path, story)


def test_who_is_blocked_is_added_again_only_once_they_are_heard(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        them = await alice.peer()
        await alice.messenger.requests.block(them)
        with pytest.raises(ChatMisuse, match="unblock first"):
            await alice.messenger.add(await bob.messenger.invite())
        await alice.messenger.requests.unblock(them)
        await alice.messenger.add(await bob.messenger.invite())
        await alice.messenger.send(them, "again")
        await shown(bob, "again")

    tell(tmp_path, story)


def test_no_two_contacts_are_called_the_same(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        await alice.messenger.rename(await alice.peer(), "Bobby")
        (notes,) = [each for each in await alice.messenger.contacts() if each.is_notes]
        with pytest.raises(ChatMisuse, match="no other contact"):
            await alice.messenger.rename(await alice.peer(), f" {notes.name.upper()} ")
        await alice.messenger.rename(await alice.peer(), "BOBBY")
        assert (await alice.messenger.conversation(await alice.peer())).name == "BOBBY"

    tell(tmp_path, story)
