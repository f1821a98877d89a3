"""A window on one of two people's messengers, at work over a relay in this process."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.chat.messenger.pairs import User, alice_and_bob
from tests.chat.messenger.servers import Link
from tests.chat.relay.running import relay_at
from tests.patience import PATIENCE_S
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import OptionList, Static, TextArea

from bellwire.cli.chat_screen.acts import Laboratory
from bellwire.cli.chat_screen.calling import Caller
from bellwire.cli.chat_screen.window import ChatWindow


class Seat:
    """Somebody in front of Alice's window; Bob is far away."""

    def __init__(
        self, pilot: Pilot[None], window: ChatWindow, alice: User, bob: User, link: Link
    ) -> None:
        self.pilot, self.window = pilot, window
        self.alice, self.bob, self.link = alice, bob, link

    async def says(self, text: str) -> None:
        """Type it, and press Enter."""
        composer = self.window.screen.query_one("#composer", TextArea)
        composer.focus()
        composer.load_text(text)
        composer.move_cursor(composer.document.end)
        await self.pilot.press("enter")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    def shown(self, name: str) -> str:
        place = self._main().query_one(f"#{name}", Static)
        return str(place.content) if place.display else ""

    def messages(self) -> list[str]:
        found = self._main().query_one("#messages", OptionList)
        return [str(each.prompt).replace("\u00a0", " ") for each in found.options]

    def contacts(self) -> list[str]:
        found = self._main().query_one("#contacts", OptionList)
        return [str(each.prompt).rstrip() for each in found.options]

    def panel(self) -> str:
        """All text of what lies over the window."""
        screen = self.window.screen
        if screen is self._main():
            return ""
        texts = [str(each.content) for each in screen.query(Static)]
        texts += [str(each.prompt) for found in screen.query(OptionList) for each in found.options]
        return "\n".join(texts)

    async def sees(self, ask: Callable[[], bool]) -> None:
        """Wait for it; who runs this bounds the time."""
        try:
            while not ask():
                await self.pilot.pause()
                await asyncio.sleep(0.01)
        except asyncio.CancelledError as late:  # the time is over: say what there was instead
            late.add_note(self._all())
            raise

    async def message(self, *words: str) -> str:
        """Wait for one with these words in it."""

        def found() -> list[str]:
            return [each for each in self.messages() if all(word in each for word in words)]

        await self.sees(lambda: bool(found()))
        return found()[0]

    def _all(self) -> str:
        names = ("who", "corner", "alert", "about", "notice", "session", "facts")
        rows = [f"{name}: {self.shown(name)}" for name in names]
        return "\n".join([*rows, *self.contacts(), *self.messages(), self.panel()])

    def _main(self) -> Screen[object]:
        return self.window.screen_stack[0]


Story = Callable[[Seat], Awaitable[None]]


def at_window(
    folder: Path,
    story: Story,
    *,
    size: tuple[int, int] = (80, 24),
    link: Link | None = None,
    lab: Laboratory | None = None,
    meet: bool = True,
    caller: Caller | None = None,
) -> None:
    link = link or Link()

    async def whole() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            relay_at(folder / "relay", now=time.time()) as url,
            alice_and_bob(folder, url, link, meet=meet) as (alice, bob),
        ):
            window = ChatWindow(alice.messenger, lab, caller=caller)
            async with window.run_test(size=size) as pilot:
                await story(Seat(pilot, window, alice, bob, link))

    asyncio.run(whole())
