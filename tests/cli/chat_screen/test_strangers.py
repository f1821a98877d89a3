"""The panel of strangers who wrote first, at the relay that `bellwire relay` runs."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chat.accounts.people import secret
from tests.chat.messenger.pairs import User, until, user
from tests.chat.messenger.servers import Link
from tests.chat.relay.running import Process
from tests.cli.chat_screen.windows import Seat
from tests.patience import PATIENCE_S

from bellwire.chat.accounts import password
from bellwire.cli.chat_screen.window import ChatWindow

HOSTILE = "[bold]Eve[/] ../../x"


@pytest.fixture(autouse=True)
def _light_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password, "MEMORY_KIB", 64)
    monkeypatch.setattr(password, "ITERATIONS", 1)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "relay")
    yield process
    assert process.stop() == 0


async def writes(stranger: User, text: str) -> None:
    known = [each for each in await stranger.messenger.contacts() if not each.is_notes]
    to = known[0] if known else await stranger.messenger.add("@daniel")
    await stranger.messenger.send(to.contact, text)


async def wait_to_be_heard(dan: User, *counts: int) -> None:
    async def there() -> bool:
        found = await dan.messenger.requests.waiting()
        return sorted(len(each.lines) for each in found) == sorted(counts)

    await until(there)


def test_strangers_are_counted_looked_at_accepted_and_turned_away(
    tmp_path: Path, relay: Process
) -> None:
    async def story() -> None:
        async with contextlib.AsyncExitStack() as people:
            dan, eve, ann, ben = [
                await people.enter_async_context(user(tmp_path / name[:1], name, relay.url, None))
                for name in ("Dan", HOSTILE, "Ann", "Ben")
            ]
            await dan.messenger.account.sign_up("daniel", secret(), "laptop")
            window = ChatWindow(dan.messenger)
            async with window.run_test(size=(80, 24)) as pilot:
                seat = Seat(pilot, window, dan, eve, Link())
                assert seat.shown("badge") == ""
                await seat.says("/requests")
                await seat.sees(lambda: "Nobody waits" in seat.panel())
                await seat.press("escape")

                await writes(eve, "look: \x1b[2J [red]x[/]\nsecond row")
                await wait_to_be_heard(dan, 1)
                await seat.sees(lambda: seat.shown("badge") == " 1 request: F2 ")
                await seat.press("f2")
                await seat.sees(lambda: f"They say that they are {HOSTILE};" in seat.panel())
                said = seat.panel()
                assert "nobody has verified" in said
                assert "look: ␛[2J [red]x[/] second row" in said
                assert eve.messenger.me.hex()[:4] in said

                await writes(ann, "it is Ann")
                await wait_to_be_heard(dan, 1, 1)
                await seat.sees(lambda: "Ann" in seat.panel())
                assert "look:" in seat.panel(), "the chosen one stays chosen"
                await seat.press("b")
                assert "b once more" in seat.panel()
                await seat.press("d")
                assert "d once more" in seat.panel(), "two different keys are no confirmation"
                assert len(await dan.messenger.requests.waiting()) == 2
                await seat.press("d")
                await seat.sees(lambda: "look:" not in seat.panel())
                assert "it is Ann" in seat.panel()

                await seat.press("a")
                await seat.sees(lambda: "Dan → Ann" in seat.shown("who"))
                await seat.message("it is Ann")
                await seat.sees(lambda: seat.shown("badge") == "")
                assert "/verify" in seat.shown("notice")

                await writes(ben, "buy this")
                await wait_to_be_heard(dan, 1)
                await seat.sees(lambda: "request" in seat.shown("badge"))
                await seat.says("/requests")
                await seat.sees(lambda: "buy this" in seat.panel())
                await seat.press("b", "b")
                await seat.sees(lambda: "Nobody waits" in seat.panel())
                await seat.press("a", "d", "escape")
                await seat.says("/block")
                await seat.sees(lambda: ben.messenger.me.hex() in seat.shown("notice"))

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story()

    asyncio.run(bounded())
