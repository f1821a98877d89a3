"""Groups in the window: the panel of who is in them, and how each is written to."""

import asyncio
from pathlib import Path

from tests.chat.messenger.servers import Link
from tests.chat.messenger.trios import people, shows, the_group
from tests.cli.chat_screen.windows import Seat
from tests.patience import PATIENCE_S

from bellwire.cli.chat_screen.window import ChatWindow


def test_groups_are_listed_with_their_members_and_states(tmp_path: Path) -> None:
    async def whole() -> None:
        link = Link()
        async with (
            asyncio.timeout(PATIENCE_S),
            people(tmp_path, link, "alice", "bob", "carol") as found,
        ):
            alice, bob, carol = found["alice"], found["bob"], found["carol"]
            window = ChatWindow(alice.messenger)
            async with window.run_test(size=(100, 30)) as pilot:
                seat = Seat(pilot, window, alice, bob, link)
                await seat.sees(lambda: len(seat.contacts()) == 3)
                await seat.press("f3")  # there is none, and so nothing to show
                assert seat.panel() == ""
                await seat.says("/group")
                await seat.sees(lambda: "You are in no group" in seat.panel())
                await seat.press("escape")

                await seat.says("/group new night shift @bob @carol")
                await seat.sees(lambda: "Alice → night shift" in seat.shown("who"))
                group = (await the_group(bob, size=3)).contact
                await alice.messenger.set_verified(bob.messenger.me, verified=True)
                await seat.press("f3")
                await seat.sees(lambda: "Carol" in seat.panel())
                rows = [" ".join(each.split()) for each in seat.panel().splitlines()]
                assert "Alice you, admin" in rows
                assert "○ Bob verified a session each" in rows
                assert "○ Carol not verified a session each" in rows
                assert "night shift 3 people you are the admin" in rows

                await carol.messenger.groups.leave(group)
                await seat.sees(lambda: "Carol" not in seat.panel())  # it follows what happens
                assert "2 people" in seat.panel()
                await seat.press("escape")
                await seat.says("/to Bob")
                await seat.sees(lambda: "Alice → Bob" in seat.shown("who"))
                await seat.press("f3", "enter")
                await seat.sees(lambda: "Alice → night shift" in seat.shown("who"))

                await seat.says("good evening")
                await shows(bob, group, "good evening")
                await bob.messenger.mark_read(group)
                row = await seat.message("good evening", "read")
                assert row.count("read") == 1  # how far it came stands there once

    asyncio.run(whole())
