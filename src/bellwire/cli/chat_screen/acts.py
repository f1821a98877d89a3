"""What commands of the input line have the messenger do; each returns what to tell, in words."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from bellwire.base.errors import UsageError
from bellwire.base.private import write_whole
from bellwire.chat.card import MAX_LINK_CHARACTERS, SCHEME
from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.views import Conversation, Line, Mode
from bellwire.chat.pads import Policy
from bellwire.cli import chat_groups, chat_session
from bellwire.cli.chat_files import path_of
from bellwire.cli.chat_groups import Done, one_person
from bellwire.cli.chat_requests import ACTS
from bellwire.cli.chat_screen import files, words

if TYPE_CHECKING:
    from bellwire.node.overheard import Message

MAX_TIMER_S: Final = 366 * 86_400


class Laboratory(Protocol):
    """A hand on the light, where there is one."""

    async def eve(self, kind: str | None, share: float) -> str:
        """Let Eve in, or send her away (None); what is so now, in words."""

    async def overheard(self) -> "list[Message]":
        """What crossed the public channel of the latest sessions, oldest first."""


class Acts:
    """Of one person.

    Args:
        messenger: Theirs.
        lab: Where Eve can be let in; None: nowhere.
    """

    def __init__(self, messenger: Messenger, lab: Laboratory | None) -> None:
        self._messenger = messenger
        self._lab = lab
        self.simple: Mapping[str, Callable[[bytes, str], Awaitable[str]]] = {
            "mode": self._mode,
            "policy": self._policy,
            "timer": self._timer,
            "link": self._link,
            "rename": self._rename,
            **{
                name: partial(self._stranger, act)
                for name, act in ACTS.items()
                if name != "requests"
            },
        }
        """Those that need a conversation and what stands behind the command, no more."""

    async def _stranger(
        self, act: Callable[[Messenger, str], Awaitable[str]], _: bytes, rest: str
    ) -> str:
        return await act(self._messenger, rest)

    async def reply(self, line: Line | None, text: str) -> str:
        """Say something about a message."""
        found = _some(line, "of theirs to reply to")
        await self._messenger.reply(found.contact, found.message_id, text)
        return ""

    async def edit(self, line: Line | None, text: str) -> str:
        """Put other words in place of a message of ours."""
        found = _some(line, "of yours to edit")
        await self._messenger.edit(found.contact, found.message_id, text)
        return ""

    async def delete(self, line: Line | None) -> str:
        """Take a message of ours back."""
        found = _some(line, "of yours to take back")
        await self._messenger.delete(found.contact, found.message_id)
        return f"taken back: “{words.quoted(found.text)}”"

    async def attach(self, contact: bytes, rest: str, tell: Callable[[str], None]) -> str:
        """Send a file, and say meanwhile how much of it is read."""
        loop = asyncio.get_running_loop()

        def progress(done: int, size: int) -> None:
            loop.call_soon_threadsafe(tell, files.reading(done, size))

        await self._messenger.attach(contact, path_of(rest), progress)
        return ""

    async def save(self, line: Line, place: Path) -> str:
        """Write a file of theirs to a folder or a new file."""
        saved = await self._messenger.save(line.contact, line.message_id, place)
        return f"saved {await asyncio.to_thread(saved.absolute)}"

    async def resend(self, contact: bytes) -> str:
        """Try now what was not sent."""
        lines = await self._messenger.history(contact)
        kept = [each for each in lines if each.ours and each.state in words.KEPT_BACK]
        for each in kept:
            await self._messenger.resend(contact, each.message_id)
        return f"trying {len(kept)} again" if kept else "everything here was sent"

    async def session(self, contact: bytes, rest: str) -> str:
        """Begin anew with somebody whose messages cannot be opened here any more."""
        if rest != "renew":
            raise UsageError("expected /session, or /session renew, got another word")
        return await chat_session.renew(self._messenger, contact)

    async def add(self, rest: str) -> bytes:
        """Know whoever made a link; their fingerprint."""
        given, _, name = rest.partition(" ")
        link = (
            given if given.startswith((SCHEME, "@")) else await asyncio.to_thread(_from_file, given)
        )
        return (await self._messenger.add(link.strip(), name.strip() or None)).contact

    async def eve(self, rest: str) -> str:
        """Let Eve in, or send her away."""
        word, _, attack = rest.partition(" ")
        if word == "off":
            return await self._required().eve(None, 1.0)
        kind, _, share = (attack.strip() or "intercept-resend").partition(":")
        try:
            part = float(share or "1")
        except ValueError:
            part = -1.0
        if word != "active" or not 0 < part <= 1:
            raise UsageError(
                "expected /eve off, /eve passive or /eve active KIND:SHARE, with a share above 0, "
                "at most 1"
            )
        return await self._required().eve(kind, part)

    async def overheard(self) -> "list[Message]":
        """What a passive Eve has of the latest sessions."""
        return await self._required().overheard()

    def _required(self) -> Laboratory:
        if self._lab is None:
            raise UsageError(
                "expected a link of the lab, got one that takes no order from a chat",
                hint="/eve alone says what was seen of her.",
            )
        return self._lab

    async def group(self, conversation: bytes, rest: str) -> Done:
        """Make, change or leave a group."""
        return await chat_groups.run(self._messenger, conversation, rest)

    async def _mode(self, contact: bytes, rest: str) -> str:
        contact = one_person(contact)
        if rest not in {each.value for each in Mode}:
            raise UsageError("expected /mode pool or /mode fresh, got another word")
        await self._messenger.set_mode(contact, Mode(rest))
        fresh = "each message has a session of its own from now on"
        return fresh if rest == "fresh" else "pads come from stock from now on"

    async def _policy(self, contact: bytes, rest: str) -> str:
        contact = one_person(contact)
        if rest not in {each.value for each in Policy}:
            raise UsageError("expected /policy require, prefer or off, got another word")
        await self._messenger.set_policy(contact, Policy(rest))
        return f"policy: {words.POLICIES[Policy(rest)]}"

    async def _timer(self, contact: bytes, rest: str) -> str:
        if not (rest.isascii() and rest.isdigit() and len(rest) < 10 and int(rest) <= MAX_TIMER_S):
            raise UsageError(f"expected /timer 0 to {MAX_TIMER_S} seconds, got another word")
        await self._messenger.set_timer(contact, int(rest))
        return "messages stay" if not int(rest) else f"messages go {rest} s after they were read"

    async def _link(self, _: bytes, rest: str) -> str:
        link = await self._messenger.invite()
        if not await asyncio.to_thread(_to_file, rest, link):
            raise UsageError("expected the name of a new file, got one that is there")
        return f"{rest}: give it to one person and nobody else; it holds for 30 days"

    async def _rename(self, contact: bytes, rest: str) -> str:
        await self._messenger.rename(contact, rest)
        return ""


def named(entries: Iterable[Conversation], name: str) -> Conversation:
    """The conversation of that name, or whose name alone begins so; `me` are the notes.

    Raises:
        UsageError: there is none, or there are several.
    """
    wanted = name.casefold()
    there = list(entries)
    found = [each for each in there if each.name.casefold() == wanted]
    found = found or [each for each in there if each.is_notes and wanted == "me"]
    found = found or [each for each in there if each.name.casefold().startswith(wanted)]
    if len(found) != 1:
        raise UsageError(f"expected the name of one contact, got that of {len(found)}")
    return found[0]


def _some(line: Line | None, which: str) -> Line:
    if line is None:
        raise UsageError(f"expected a message {which}, got none")
    return line


def _to_file(name: str, link: str) -> bool:
    try:
        path = Path(name).expanduser()
    except RuntimeError as error:
        raise UsageError("expected the name of a new file, got a home of nobody") from error
    return write_whole(path, f"{link}\n".encode(), replace=False)


def _from_file(name: str) -> str:
    try:
        with Path(name).expanduser().open(encoding="ascii") as file:
            return file.read(MAX_LINK_CHARACTERS + 1)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError("expected a contact link, or a file with one, got another") from error
