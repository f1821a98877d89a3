"""The panel of those who wrote first and wait: what is known of each, to accept or turn away."""

import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from bellwire.base.errors import BellwireError
from bellwire.chat.messenger.harmless import harmless
from bellwire.chat.messenger.requests import Requests
from bellwire.chat.messenger.views import Request
from bellwire.cli.chat_screen import words
from bellwire.cli.chat_screen.panels import FRAME
from bellwire.cli.chat_words import clock

NAME_CELLS: Final = 30
SAID_CELLS: Final = 300
NOBODY: Final = "Nobody waits. Whoever writes first to your handle at the relay is listed here."


class Strangers(ModalScreen[bytes | None]):
    """Ends with whoever was accepted; nothing is sent to those who are not.

    Args:
        requests: The messenger's.
    """

    AUTO_FOCUS = "*"
    CSS = f"""
    Strangers {{ {FRAME} }}
    Strangers OptionList {{ border: none; height: auto; max-height: 7; }}
    #known {{ height: auto; max-height: 12; }}
    #answer {{ height: auto; text-style: bold; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "accept", "accept"),
        Binding("d", "decline", "turn away"),
        Binding("b", "block", "block"),
        Binding("pagedown", "scroll(1)", show=False),
        Binding("pageup", "scroll(-1)", show=False),
        Binding("escape,q,f2", "leave", "close", key_display="Esc"),
    ]

    def __init__(self, requests: Requests) -> None:
        super().__init__()
        self._requests = requests
        self._waiting: dict[str, Request] = {}
        self._has_parts = False
        self._doomed: tuple[str, str] | None = None

    def compose(self) -> ComposeResult:
        """The list, what is known of the chosen one, and what a key has done."""
        with Vertical(classes="panel") as frame:
            frame.border_title = "requests"
            frame.border_subtitle = "a accepts, d turns away, b blocks, Esc closes"
            yield OptionList(id="waiting", markup=False)
            with VerticalScroll(id="known", can_focus=False):
                yield Static(id="stranger")
            yield Static(id="answer")

    async def on_mount(self) -> None:
        """Show who waits."""
        self._has_parts = True
        await self.look()

    async def look(self) -> None:
        """Show who waits now; the chosen one stays chosen while they wait."""
        if not self._has_parts:
            return  # it is about to open, and looks then
        listed = self.query_one("#waiting", OptionList)
        chosen = self._chosen()
        self._waiting = {each.contact.hex(): each for each in await self._requests.waiting()}
        listed.set_options(Option(_row(each), id=name) for name, each in self._waiting.items())
        if self._waiting:
            name = None if chosen is None else chosen.contact.hex()
            listed.highlighted = listed.get_option_index(name) if name in self._waiting else 0
            listed.focus()
        listed.display = bool(self._waiting)
        self._tell_of(self._chosen())

    @on(OptionList.OptionHighlighted, "#waiting")
    def _look_at(self) -> None:
        self._doomed = None
        self._tell_of(self._chosen())

    def _tell_of(self, request: Request | None) -> None:
        said = Content(NOBODY) if request is None else about(request)
        self.query_one("#stranger", Static).update(said)

    def _chosen(self) -> Request | None:
        option = self.query_one("#waiting", OptionList).highlighted_option
        return None if option is None else self._waiting.get(option.id or "")

    def _say(self, text: str) -> None:
        self.query_one("#answer", Static).update(Content(text))

    async def action_accept(self) -> None:
        """Have the chosen one as a contact."""
        request = self._chosen()
        if request is not None and await self._done(self._requests.accept(request.contact)):
            self.dismiss(request.contact)

    async def action_decline(self) -> None:
        """Forget the chosen one, at the second time."""
        await self._rid("d", "turns them away: what they said is forgotten, they are not told",
                        self._requests.decline)  # fmt: skip

    async def action_block(self) -> None:
        """Hear the chosen one no more, at the second time."""
        await self._rid("b", "blocks them: this identity is not heard again, and is not told",
                        self._requests.block)  # fmt: skip

    async def _rid(self, key: str, does: str, act: Callable[[bytes], Awaitable[None]]) -> None:
        request = self._chosen()
        if request is None:
            return
        doomed = (key, request.contact.hex())
        if self._doomed != doomed:
            self._doomed = doomed
            self._say(f"{key} once more {does}")
            return
        self._doomed = None
        if await self._done(act(request.contact)):
            self._say("")
            await self.look()

    async def _done(self, act: Awaitable[object]) -> bool:
        try:
            await act
        except BellwireError as error:
            self._say(f"✗ {harmless(str(error))}")
            return False
        return True

    def action_scroll(self, pages: int) -> None:
        """What they said, page by page."""
        self.query_one("#known").scroll_relative(y=pages * 8, animate=False)

    def action_leave(self) -> None:
        """They go on waiting."""
        self.dismiss(None)


def _row(request: Request) -> Content:
    count = len(request.lines)
    return Content.assemble(
        (words.quoted(request.name, NAME_CELLS), "bold"),
        (f"  {count} message{'' if count == 1 else 's'}", "dim"),
        ("  NOT your contact of that name", "bold $text-error") if request.is_like_contact else "",
    )


def about(request: Request) -> Content:
    """What is known of somebody who waits, and what is not."""
    number = request.contact.hex()
    came = clock(request.came_s * 1000, time.time())
    like = (
        [("\nA contact of yours is called the same, and is somebody else.", "bold $text-error")]
        if request.is_like_contact
        else []
    )
    said = [("\n" + words.quoted(each.text, SAID_CELLS), "") for each in request.lines]
    named = [
        ("They say that they are ", ""),
        (words.quoted(request.name, NAME_CELLS), "bold"),
        ("; nobody has verified that.", ""),
    ]
    if number.startswith(request.name):
        named = [("They have not said who they are.", "")]
    return Content.assemble(
        *named,
        *like,
        (f"\nidentity  {' '.join(number[at : at + 4] for at in range(0, 32, 4))} …", "dim"),
        (f"\nsince     {came}, through your handle; they know no more of you than it", "dim"),
        ("\nThey have heard nothing of you, not even that this came:\n", "dim"),
        *(said or [("\n(no words yet)", "dim")]),
    )
