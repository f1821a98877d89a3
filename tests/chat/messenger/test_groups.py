"""Groups of real messengers over a real relay: who sees what, and under which pads."""

import random
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from tests.chat.messenger.pairs import User, until, until_true
from tests.chat.messenger.servers import Link
from tests.chat.messenger.trios import lines, people, shows, the_group, told
from tests.chat.relay.running import run

from bellwire.chat.errors import GroupUnusable, MessageUnknown
from bellwire.chat.messenger.views import AlertKind, AttachmentState, Line, LineState, Mode
from bellwire.cli.chat_screen.words import typing

Story = Callable[[User, User, User, Link], Coroutine[None, None, None]]


def tell(folder: Path, story: Story) -> None:
    link = Link()

    async def whole() -> None:
        async with people(folder, link, "alice", "bob", "carol") as found:
            await story(found["alice"], found["bob"], found["carol"], link)

    run(whole())


async def made(alice: User, *others: User, name: str = "lab") -> bytes:
    """A group of all of them, who have met."""
    group = await alice.messenger.groups.new(name, [each.messenger.me for each in others])
    for each in (alice, *others):
        await the_group(each, size=1 + len(others))
    return group


async def comes_to(one: User, group: bytes, message_id: bytes, *states: str) -> None:
    async def there() -> bool:
        line = await one.messenger.line(group, message_id)
        return sorted(each.state.value for each in line.copies) == sorted(states)

    await until(there)


def test_members_who_did_not_know_each_other_meet_and_all_see_the_same(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, carol: User, link: Link) -> None:
        group = await made(alice, bob, carol)
        ids = [(await alice.messenger.send(group, "one")).message_id]
        await shows(carol, group, "one")
        await shows(bob, group, "one")
        ids.append((await bob.messenger.send(group, "two")).message_id)
        await shows(alice, group, "two")
        await shows(carol, group, "two")
        ids.append((await carol.messenger.reply(group, ids[1], "three")).message_id)
        for one in (alice, bob, carol):
            await shows(one, group, "three")
            assert await told(one, group) == [("Alice", "one"), ("Bob", "two"), ("Carol", "three")]
            assert [each.message_id for each in await lines(one, group)] == ids
            assert (await lines(one, group))[2].target == ids[1]
        mine = await carol.messenger.safety(bob.messenger.me)
        assert mine.number == (await bob.messenger.safety(carol.messenger.me)).number
        (entry,) = [each for each in await carol.messenger.contacts() if each.is_group]
        assert (entry.name, entry.members, entry.unread) == ("lab", 3, 2)
        await carol.messenger.mark_read(group)
        await comes_to(alice, group, ids[0], "delivered", "read")
        assert (await carol.messenger.conversation(group)).unread == 0
        # Nothing of the group is in the conversations of two.
        assert await bob.messenger.history(alice.messenger.me) == []
        assert await bob.messenger.history(bob.messenger.me) == []

    tell(tmp_path, story)


def test_who_types_in_a_group_is_seen_by_its_members_and_takes_no_pad(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, carol: User, link: Link) -> None:
        group = await made(alice, bob, carol)
        await until_true(lambda: alice.messenger.link.sending)
        before = link.sessions
        await alice.messenger.typing(group)
        for one in (bob, carol):

            async def typists(one: User = one) -> bool:
                return (await one.messenger.conversation(group)).typists == ("Alice",)

            await until(typists)
            entry = await one.messenger.conversation(group)
            assert "Alice is typing" in typing(entry)
            assert not (await one.messenger.conversation(alice.messenger.me)).typing
        assert link.sessions == before
        await alice.messenger.send(group, "here")
        await shows(bob, group, "here")

        async def over() -> bool:
            return not (await bob.messenger.conversation(group)).typing

        await until(over)

    tell(tmp_path, story)


def test_each_copy_has_a_session_and_a_record_of_its_own_or_pad_from_stock(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, carol: User, link: Link) -> None:
        group = await made(alice, bob, carol)
        before = link.sessions
        said = await alice.messenger.send(group, "under two pads")
        await comes_to(alice, group, said.message_id, "delivered", "delivered")
        assert link.sessions == before + 2
        records = await alice.messenger.session(group, said.message_id)
        assert {each.slave for each in records} == {"app-bob", "app-carol"}
        for one in (bob, carol):
            (record,) = await one.messenger.session(group, said.message_id)
            assert record in records
        await alice.messenger.set_mode(bob.messenger.me, Mode.POOL)
        again = await alice.messenger.send(group, "one from stock")
        await comes_to(alice, group, again.message_id, "delivered", "delivered")
        line = await alice.messenger.line(group, again.message_id)
        assert link.sessions == before + 3
        assert all(each.protection.is_one_time for each in line.copies)
        pads = [name for each in line.copies for name in each.protection.pad_ids]
        assert len(set(pads)) == 2

    tell(tmp_path, story)


def test_what_was_said_is_edited_and_taken_back_for_all_by_its_author_alone(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, carol: User, _: Link) -> None:
        group = await made(alice, bob, carol)
        said = await bob.messenger.send(group, "helo")
        for one in (alice, carol):
            await shows(one, group, "helo")
            with pytest.raises(MessageUnknown):
                await one.messenger.edit(group, said.message_id, "mine")
            with pytest.raises(MessageUnknown):
                await one.messenger.delete(group, said.message_id)
        await bob.messenger.edit(group, said.message_id, "hello")
        for one in (alice, carol):
            assert (await shows(one, group, "hello")).edited
        await bob.messenger.delete(group, said.message_id)
        for one in (alice, bob, carol):

            async def gone(one: User = one) -> bool:
                return (await lines(one, group))[0].state is LineState.DELETED

            await until(gone)

    tell(tmp_path, story)


def test_who_is_removed_gets_nothing_afterwards_and_is_not_heard(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, carol: User, _: Link) -> None:
        group = await made(alice, bob, carol)
        await alice.messenger.send(group, "for all")
        await shows(carol, group, "for all")
        await alice.messenger.groups.remove(group, carol.messenger.me)
        for one in (bob, carol):
            await the_group(one, size=2, ready=False)
        await bob.messenger.send(group, "without her")
        await alice.messenger.send(group, "nor this")
        await shows(alice, group, "without her")
        await shows(bob, group, "nor this")
        with pytest.raises(GroupUnusable):
            await carol.messenger.send(group, "and I?")
        # What is said between two comes after it: so nothing of the group is on its way.
        for one in (alice, bob):
            sent = await one.messenger.send(carol.messenger.me, "beside it")
            await until(lambda one=one, sent=sent: is_there(one, carol, sent.message_id))  # type: ignore[misc]
        assert await told(carol, group) == [("Alice", "for all")]
        assert not (await carol.messenger.conversation(group)).is_in

    async def is_there(one: User, other: User, message_id: bytes) -> bool:
        line = await one.messenger.line(other.messenger.me, message_id)
        return line.state is LineState.DELIVERED

    tell(tmp_path, story)


def test_one_encrypted_file_goes_to_all_members_its_key_to_each(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, carol: User, _: Link) -> None:
        group = await made(alice, bob, carol)
        data = random.Random(1).randbytes(200_000)
        (tmp_path / "raw.bin").write_bytes(data)
        (tmp_path / "small.txt").write_bytes(b"a few words")
        large = await alice.messenger.attach(group, tmp_path / "raw.bin")
        small = await alice.messenger.attach(group, tmp_path / "small.txt")
        with alice.messenger._person.working() as work:
            sealed = work.cursor.execute("SELECT count(*) FROM chunks").fetchone()
        assert sealed == (17,)  # once, not for each member
        for one in (bob, carol):
            out = tmp_path / one.messenger.name
            out.mkdir()
            for said, wanted in ((large, data), (small, b"a few words")):

                async def here(one: User = one, said: Line = said) -> bool:
                    found = [
                        each for each in await lines(one, group)
                        if each.message_id == said.message_id
                    ]  # fmt: skip
                    return bool(found and found[0].attachment) and (
                        found[0].attachment.state is AttachmentState.HERE  # type: ignore[union-attr]
                    )

                await until(here)
                saved = await one.messenger.save(group, said.message_id, out)
                assert saved.read_bytes() == wanted

        async def all_have() -> bool:
            found = (await alice.messenger.line(group, large.message_id)).attachment
            return found is not None and found.state is AttachmentState.HERE

        await until(all_have)
        with alice.messenger._person.working() as work:
            assert work.cursor.execute("SELECT count(*) FROM chunks").fetchone() == (0,)

    tell(tmp_path, story)


def test_a_group_goes_on_under_another_admin_who_may_remove_the_first_one(tmp_path: Path) -> None:
    async def story(alice: User, bob: User, carol: User, _: Link) -> None:
        group = await made(alice, bob, carol)
        await alice.messenger.groups.hand_over(group, bob.messenger.me)

        for one in (bob, carol):

            async def bobs(one: User = one) -> bool:
                found = await one.messenger.groups.members(group)
                return found[0].contact == bob.messenger.me and found[0].is_admin

            await until(bobs)
        with pytest.raises(GroupUnusable, match="we are the admin"):
            await alice.messenger.rename(group, "still mine")
        await bob.messenger.rename(group, "laboratory")
        await bob.messenger.groups.remove(group, alice.messenger.me)
        entry = await the_group(carol, size=2)
        assert entry.name == "laboratory"
        await until_true(
            lambda: any(
                each.kind is AlertKind.GROUP and "you are not in" in each.words
                for each in alice.alerts()
            )
        )

    tell(tmp_path, story)


def test_a_group_whose_admin_is_lost_is_made_anew_by_a_member_without_that_one(
    tmp_path: Path,
) -> None:
    async def story(alice: User, bob: User, carol: User, _: Link) -> None:
        group = await made(alice, bob, carol)
        with pytest.raises(GroupUnusable, match="one of ours"):
            await alice.messenger.groups.renew(group)
        fresh = await bob.messenger.groups.renew(group)
        found = await bob.messenger.groups.members(fresh)
        assert [(each.name, each.is_admin) for each in found] == [("Bob", True), ("Carol", False)]

        async def there() -> bool:
            known = {each.contact: each for each in await carol.messenger.contacts()}
            return fresh in known and known[fresh].name == "lab"

        await until(there)
        with pytest.raises(GroupUnusable):
            await bob.messenger.send(group, "to the old one")

    tell(tmp_path, story)


def test_while_eve_is_on_one_pair_only_that_copy_is_held_back_and_goes_when_she_leaves(
    tmp_path: Path,
) -> None:
    async def story(alice: User, bob: User, carol: User, link: Link) -> None:
        group = await made(alice, bob, carol)
        link.eve_at = "app-carol"
        said = await alice.messenger.send(group, "through")
        await shows(bob, group, "through")
        await comes_to(alice, group, said.message_id, "delivered", "not sent")
        await until_true(lambda: AlertKind.EVE in {each.kind for each in alice.alerts()})
        line = await alice.messenger.line(group, said.message_id)
        assert line.state is LineState.NOT_SENT
        (kept,) = [each for each in line.copies if each.state is LineState.NOT_SENT]
        assert (kept.name, await lines(carol, group)) == ("Carol", [])
        assert any(
            each.s is not None and each.s < 2
            for each in await alice.messenger.session(group, said.message_id)
        )
        link.eve_at = ""
        await shows(carol, group, "through")
        await comes_to(alice, group, said.message_id, "delivered", "delivered")

    tell(tmp_path, story)
