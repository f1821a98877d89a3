"""Opens the window on a person of this machine."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bellwire.chat.messenger.home import find, opened, read
from bellwire.chat.messenger.views import Mode
from bellwire.chat.pads import Policy
from bellwire.cli.chat_place import Lab, recorded, relay_of
from bellwire.cli.chat_screen.acts import named
from bellwire.cli.chat_screen.calling import Caller
from bellwire.cli.chat_screen.window import ChatWindow
from bellwire.node.settings import credentials_folder

if TYPE_CHECKING:
    from bellwire.chat.messenger.engine import Messenger
    from bellwire.cli.chat_plain import Choices
    from bellwire.node.overheard import Message
    from bellwire.node.settings import Settings

_LIGHT: Final = frozenset({"7", "15"})


class LabHere:
    """The lab of this machine, as somebody at one of its sites has it."""

    def __init__(self, state: Path, site: str) -> None:
        self._lab, self._site = Lab(state), site

    async def eve(self, kind: str | None, share: float) -> str:
        """As `Lab.eve`."""
        return await self._lab.eve(kind, share)

    async def overheard(self) -> "list[Message]":
        """What crossed the public channel of the latest sessions at our site's node."""
        return await self._lab.overheard(self._site, 0)


async def run_window(settings: "Settings", who: str | None, choices: "Choices") -> None:
    """Talk until somebody leaves.

    Raises:
        BellwireError: the store, the key server's profile or a choice cannot be used.
    """
    state = settings.state.dir
    name = find(state, who)
    caller = None if choices.notify is None else Caller(choices.notify)
    site = "b" if read(state, name).profile.endswith("-b") else "a"
    relay = await relay_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        record = stack.enter_context(recorded(choices.record))
        opening = opened(state, name, relay, credentials_folder(), record)
        messenger = await stack.enter_async_context(opening)
        to = await _choose(messenger, choices)
        theme = theme_of(os.environ.get("COLORFGBG", ""))
        window = ChatWindow(messenger, LabHere(state, site), theme, to=to, caller=caller)
        if caller is not None:
            stack.push_async_callback(caller.close)
        await window.run_async()
    if window.failure is not None:
        raise window.failure


async def _choose(messenger: "Messenger", choices: "Choices") -> bytes | None:
    """Do what the command line asks for; with whom to begin, if it says so."""
    added = None if choices.add is None else (await messenger.add(choices.add)).contact
    entries = await messenger.contacts()
    for each in entries:
        if each.is_notes:
            continue
        if choices.mode is not None:
            await messenger.set_mode(each.contact, Mode(choices.mode))
        if choices.policy is not None:
            await messenger.set_policy(each.contact, Policy(choices.policy))
    return added if choices.to is None else named(entries, choices.to).contact


def theme_of(colours: str) -> str:
    """`light` if the terminal says that its background is (`COLORFGBG`, as rxvt has it)."""
    return "light" if colours.rpartition(";")[2] in _LIGHT else "dark"
