"""Who was blocked and is heard again meets by a link of either, and what waited arrives once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.chat.messenger.pairs import User, until
from tests.chat.messenger.servers import Link
from tests.chat.messenger.test_engine import shown, tell

from bellwire.chat.card import read_link
from bellwire.chat.errors import LinkRefused
from bellwire.chat.messenger.views import AlertKind, Mode
from bellwire.chat.store import fanning


async def cut(one: User, other: User) -> None:
    """Block somebody, and hear them again."""
    await one.messenger.requests.block(other.messenger.me)
    await one.messenger.requests.unblock(other.messenger.me)


async def all_arrived(*people: User) -> None:
    for one in people:

        async def confirmed(one: User = one) -> bool:
            return set(await one.states()) == {"delivered"}

        await until(confirmed)


async def talk(alice: User, bob: User, word: str) -> None:
    """Say something in both directions, and wait until both have it."""
    await alice.messenger.send(await alice.peer(), f"{word}, Bob")
    await bob.messenger.send(await bob.peer(), f"{word}, Alice")
    await shown(bob, f"{word}, Bob")
    await shown(alice, f"{word}, Alice")


@pytest.mark.parametrize("giver", ["who blocked", "who was blocked"])
@pytest.mark.parametrize("mode", [Mode.FRESH, Mode.POOL])
def test_who_was_blocked_and_is_heard_again_meets_by_a_link_of_either(
    tmp_path: Path, giver: str, mode: Mode
) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        for one in (alice, bob):
            await one.messenger.set_mode(await one.peer(), mode)
        await talk(alice, bob, "before")
        await talk(alice, bob, "once more")  # by pad, and by keys that are mixed with pad
        await all_arrived(alice, bob)
        await cut(bob, alice)
        for each in ("one", "two"):
            await alice.messenger.send(await alice.peer(), each)
        if giver == "who blocked":
            await alice.messenger.add(await bob.messenger.invite())
        else:
            await bob.messenger.add(await alice.messenger.invite())
        await shown(bob, "two")
        await talk(alice, bob, "after")
        await talk(alice, bob, "still")
        await all_arrived(alice, bob)
        said = ["before, Bob", "once more, Bob", "one", "two", "after, Bob", "still, Bob"]
        assert await bob.texts() == said
        assert [each for each in await alice.texts() if each.endswith("Alice")] == [
            "before, Alice",
            "once more, Alice",
            "after, Alice",
            "still, Alice",
        ]
        assert all(each.protection.is_one_time for each in await bob.lines())

    tell(tmp_path, story)


def known_of(one: User, contact: bytes) -> tuple[Any, ...]:
    """What somebody has of a contact: name, sessions, card, and what was not confirmed."""
    with one.person.working() as work:
        sessions = [session.session_id for _, session in work.sessions.of(contact)]
        route = work.routes.get(contact)
        assert route is not None
        name, waits = work.contacts.get(contact).name, work.waiting.unconfirmed(contact)
        return name, sessions, route.card, waits


def test_both_may_take_a_link_at_once_while_they_have_a_session(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        for one in (alice, bob):
            await one.messenger.set_mode(await one.peer(), Mode.POOL)
        for turn in range(3):
            links = [await one.messenger.invite() for one in (alice, bob)]
            await asyncio.gather(
                alice.messenger.send(await alice.peer(), f"{turn} before, Bob"),
                bob.messenger.send(await bob.peer(), f"{turn} before, Alice"),
                alice.messenger.add(links[1]),
                bob.messenger.add(links[0]),
            )
            await talk(alice, bob, f"{turn} between")
            await talk(alice, bob, f"{turn} after")
            await all_arrived(alice, bob)
        for one, other in ((alice, "Alice"), (bob, "Bob")):
            said = [
                f"{turn} {when}, {other}"
                for turn in range(3)
                for when in ("before", "between", "after")
            ]
            assert sorted(await one.texts()) == sorted(said)
            assert AlertKind.UNSHOWN not in {each.kind for each in one.alerts()}

    tell(tmp_path, story)


def test_a_link_that_was_used_changes_nothing_and_serves_no_second_meeting(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        link = await alice.messenger.invite()
        for _time in range(2):
            await bob.messenger.add(link)
            await talk(alice, bob, "here")
        await all_arrived(alice, bob)
        before = known_of(bob, alice.messenger.me)
        assert before[2] != read_link(link, 0).card  # Alice has said a mailbox of hers for Bob
        await bob.messenger.add(link)
        assert known_of(bob, alice.messenger.me) == before
        await talk(alice, bob, "still here")
        await cut(bob, alice)
        with pytest.raises(LinkRefused, match="not used yet"):
            await bob.messenger.add(link, "Somebody else")
        assert (await bob.messenger.conversation(alice.messenger.me)).name == "Alice"
        await bob.messenger.add(await alice.messenger.invite())
        await talk(alice, bob, "again")

    tell(tmp_path, story)


def test_who_dies_while_they_take_a_link_has_taken_all_of_it_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(alice: User, bob: User, _: Link) -> None:
        await talk(alice, bob, "before")
        await all_arrived(alice, bob)
        await cut(bob, alice)
        await alice.messenger.send(bob.messenger.me, "waits")

        async def sealed() -> bool:
            return bool(known_of(alice, bob.messenger.me)[3])

        await until(sealed)
        before = known_of(alice, bob.messenger.me)
        link = await bob.messenger.invite()

        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(fanning, "ask_after", dies)  # the last thing in that transaction
            with pytest.raises(KeyboardInterrupt):
                alice.messenger._meet(read_link(link, 0), "Robert")
        assert known_of(alice, bob.messenger.me) == before
        await alice.messenger.add(link)
        await shown(bob, "waits")
        await talk(alice, bob, "after")

    tell(tmp_path, story)
