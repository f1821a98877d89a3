"""`/group` of the line mode, and how groups look in lines and in JSON."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.chat.messenger.pairs import User
from tests.chat.messenger.servers import Link
from tests.chat.messenger.trios import people, shows, the_group
from tests.patience import PATIENCE_S

from bellwire.base.errors import UsageError
from bellwire.chat.errors import GroupUnusable
from bellwire.cli import chat_groups
from bellwire.cli.chat_commands import Commands
from bellwire.cli.chat_place import Lab
from bellwire.cli.chat_plain import Choices, Plain


def line_mode(one: User, *, json: bool) -> tuple[Plain, Commands]:
    choices = Choices(None, None, None, None, stay=False, wait_s=20, json=json)
    plain = Plain(one.messenger, choices)
    return plain, Commands(plain, Lab(Path("/nowhere")), "a")


def test_a_group_is_made_written_to_and_looked_at_line_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said() -> list[str]:
        return capsys.readouterr().out.splitlines()

    def documents() -> list[dict[str, Any]]:
        return [json.loads(each) for each in said()]

    async def story() -> None:
        async with people(tmp_path, Link(), "alice", "bob", "carol") as found:
            alice, bob, carol = found.values()
            plain, commands = line_mode(alice, json=False)
            await commands.run("/group new night shift @bob @Carol")
            assert said() == ["night shift is a group of 3 now, with you as its admin"]
            group = (await the_group(alice, size=3)).contact
            for one in (bob, carol):
                await the_group(one, size=3)
            await plain.take("who is here?")
            await shows(carol, group, "who is here?")
            await plain.settle()
            await commands.run("/group members")
            assert said() == ["Alice: admin, you", "Bob: not verified", "Carol: not verified"]
            await commands.run("/contacts")
            (row,) = [each for each in said() if each.startswith("night")]
            assert row.startswith("night shift: group of 3, 0 unread, mode fresh, policy prefer")
            for each in ("/mode pool", "/session renew"):
                with pytest.raises(UsageError, match="one person"):
                    await commands.run(each)

            theirs, answers = line_mode(carol, json=True)
            theirs.to = await theirs.choose("night shift")
            queue = carol.messenger.subscribe()
            listening = asyncio.create_task(theirs.listen(queue))
            await theirs.begin()
            (message,) = documents()
            assert (message["event"], message["name"]) == ("message", "night shift")
            assert (message["author"], message["text"]) == ("Alice", "who is here?")
            await theirs.take("I am")
            await theirs.settle()
            await shows(bob, group, "I am")
            while True:
                line = (await carol.messenger.history(group))[-1]
                if {each.state.value for each in line.copies} == {"delivered"}:
                    break
                await asyncio.sleep(0.01)
            await answers.run("/history 1")
            (told,) = [each for each in documents() if each["event"] == "answer"]
            assert told["words"].endswith("delivered 2 of 2]")
            assert "you in night shift: I am" in told["words"]
            await commands.run("/group remove @bob")
            assert said() == ["Alice: admin, you", "Carol: not verified"]
            await commands.run("/group rename day shift")
            await commands.run("/group admin @carol")
            await commands.run("/group leave")
            with pytest.raises(GroupUnusable):
                await plain.take("anybody?")
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story()

    asyncio.run(bounded())


WRONG = {
    "": "expected /group new, add",
    "sing": "got sing",
    "new": "at least one contact",
    "new @bob": "at least one contact",
    "new lab": "at least one contact",
    "new lab @nobody": "'nobody', which is that of 0",
    "new lab @me": "'me', which is that of 0",
    "new a\tb @bob": "name of a group",
    "new \x1b[2J @bob": "name of a group",
    f"new {'x' * 121} @bob": "name of a group",
    "add @bob": "expected a group to be chosen",
    "members": "expected a group to be chosen",
}


def test_what_cannot_be_done_is_said_and_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with people(tmp_path, Link(), "alice", "bob") as found:
            alice, bob = found.values()
            for command, why in WRONG.items():
                with pytest.raises(UsageError) as refused:
                    await chat_groups.run(alice.messenger, bob.messenger.me, command)
                assert why in str(refused.value)
                assert "\x1b" not in str(refused.value)
            assert not any(each.is_group for each in await alice.messenger.contacts())

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story()

    asyncio.run(bounded())
