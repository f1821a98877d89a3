"""The line mode of `bellwire chat`: a line in is a message, a line out is one, too.

Standard output has messages and what commands answer; notes go to standard error. With `--json`
every line of standard output is one JSON document, and there are no notes. Nothing that others
wrote reaches a terminal as it is.
"""

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bellwire.base.errors import BellwireError, UsageError
from bellwire.cli.chat_commands import Commands, Leave
from bellwire.cli.chat_words import document, file_words, line_words, note_words, record_words

if TYPE_CHECKING:
    from bellwire.chat.messenger.engine import Messenger
    from bellwire.chat.messenger.views import Conversation, Event, Line
    from bellwire.cli.record import LogPlace
    from bellwire.node.settings import Settings

MAX_LINE_BYTES: Final = 65_536
NOBODY: Final = 2
REFUSED: Final = 3
UNREACHABLE: Final = 4


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line says."""

    to: str | None
    add: str | None
    mode: str | None
    policy: str | None
    stay: bool
    wait_s: float
    json: bool
    record: "LogPlace | None" = None
    notify: str | None = None


class Plain:
    """One run of the line mode.

    Args:
        messenger: At work.
        choices: What the command line says.
    """

    def __init__(self, messenger: "Messenger", choices: Choices) -> None:
        self.messenger = messenger
        self.choices = choices
        self.to: bytes | None = None
        self.code = 0
        self._names: dict[bytes, str] = {}
        self._sent: list[tuple[bytes, bytes]] = []
        self._shown: set[tuple[bytes, bytes, bool]] = set()

    # Printing

    def answer(self, words: str, **more: Any) -> None:
        """What a command says."""
        self._print(words, {"event": "answer", "words": words, **more})

    def note(self, words: str, **more: Any) -> None:
        """What one should know beside the messages."""
        if self.choices.json:
            self._print("", {"event": "note", "words": words, **more})
        else:
            sys.stderr.write(f"* {note_words(words)}\n")
            sys.stderr.flush()

    def _print(self, words: str, told: dict[str, Any]) -> None:
        sys.stdout.write((json.dumps(told) if self.choices.json else words) + "\n")
        sys.stdout.flush()

    # Conversations

    async def conversations(self) -> "list[Conversation]":
        """All, and what we call them is known from now on."""
        found = await self.messenger.contacts()
        self._names = {each.contact: each.name for each in found}
        return found

    async def choose(self, name: str | None) -> bytes:
        """The conversation of a name, or the only one.

        Raises:
            UsageError: there is none, or there are several.
        """
        found = await self.conversations()
        if name is None:
            found = [each for each in found if not each.is_notes]
        else:
            wanted = name.removeprefix("@").casefold()
            found = [
                each
                for each in found
                if each.name.casefold() == wanted
                or (len(wanted) >= 8 and each.contact.hex().startswith(wanted))
                or (each.is_notes and wanted in {"me", "notes"})
            ]
        if len(found) != 1:
            there = ", ".join(self._names[each.contact] for each in found) or "nobody"
            raise UsageError(
                f"expected one person or group to write to, got {note_words(there)}",
                hint="/contacts lists them, /to NAME chooses, /add LINK or @HANDLE adds one.",
            )
        return found[0].contact

    async def partner(self) -> bytes:
        """With whom we talk; UsageError if that is not clear."""
        if self.to is None:
            self.to = await self.choose(self.choices.to)
        return self.to

    # Work

    async def begin(self) -> None:
        """Do what the command line asks for, and show what was not read."""
        from bellwire.chat.messenger.views import Mode
        from bellwire.chat.pads import Policy

        if self.choices.add is not None:
            added = await self.messenger.add(self.choices.add)
            self.to = added.contact
            self.note(f"{added.name} is a contact now")
        for each in await self.conversations():
            if each.is_notes:
                continue
            if self.choices.mode is not None and not each.is_group:
                await self.messenger.set_mode(each.contact, Mode(self.choices.mode))
            if self.choices.policy is not None and not each.is_group:
                await self.messenger.set_policy(each.contact, Policy(self.choices.policy))
            if each.unread:
                lines = await self.messenger.history(each.contact, limit=max(100, each.unread))
                for line in lines:
                    if line.state.value == "received":
                        await self._show(line)
        if self.choices.to is not None and not await self._has_come():
            self.note(f"there is no contact called {self.choices.to} yet")
        waiting = await self.messenger.requests.waiting()
        if waiting:
            self.note(f"{len(waiting)} wait to be accepted; /requests lists them")

    async def _has_come(self) -> bool:
        """Whether there is whom `--to` names."""
        try:
            await self.partner()
        except UsageError:
            return False
        return True

    async def listen(self, queue: "asyncio.Queue[Event]") -> None:
        """Show what happens, until cancelled."""
        while True:
            await self._happened(await queue.get())

    async def _happened(self, event: "Event") -> None:
        from bellwire.chat.messenger.views import (
            Alert,
            AlertKind,
            AttachmentChanged,
            LineChanged,
            LinkChanged,
            SessionEnded,
            TypingChanged,
        )

        match event:
            case LineChanged(line, is_new) if is_new and not line.ours:
                await self._show(line)
            case LineChanged(line, _) if self.choices.json:
                self._print("", document("state", line, await self._name(line.contact)))
            case LineChanged(line, False) if not line.ours:
                name = line.author_name or await self._name(line.contact)
                words = "took a message back" if not line.text else "changed a message:"
                self.note(f"{name} {words} {line.text}".rstrip())
            case AttachmentChanged(line) if self.choices.json:
                self._print("", document("attachment", line, await self._name(line.contact)))
            case AttachmentChanged(line) if line.attachment and line.attachment.state.value in {
                "here",
                "stopped",
            }:
                name = await self._name(line.contact)
                self.note(f"{name}: {file_words(line)}")
            case Alert(kind, contact, words, record):
                if kind is AlertKind.CONTACT and self.to is None:
                    self._names.clear()
                told = {"kind": kind.value, "session": record_words(record)}
                who = None if contact is None else await self._name(contact)
                self.note(words, alert=told, name=who)
            case SessionEnded(_, message_id, record) if self.choices.json and record is not None:
                self._print(
                    "",
                    {
                        "event": "session",
                        "id": message_id.hex(),
                        "session": record_words(record),
                    },
                )
            case TypingChanged(contact, typing, who) if self.choices.json:
                told = {"event": "typing", "name": await self._name(contact), "typing": typing}
                if who != contact:
                    told["author"] = await self._name(who)
                self._print("", told)
            case LinkChanged(status) if self.choices.json:
                self._print("", {"event": "link", "receiving": status.receiving,
                                 "sending": status.sending, "keys": status.keys,
                                 "source": status.source})  # fmt: skip

    async def _show(self, line: "Line") -> None:
        place = line.contact, line.message_id, line.ours
        if place in self._shown:
            return
        self._shown.add(place)
        name = await self._name(line.contact)
        records = await self.messenger.session(line.contact, line.message_id)
        told = document("message", line, name)
        told["sessions"] = [record_words(each) for each in records]
        self._print(line_words(line, name, records), told)
        await self.messenger.mark_read(line.contact)

    async def _name(self, contact: bytes) -> str:
        if contact not in self._names:
            await self.conversations()
        return self._names.get(contact, contact.hex()[:16])

    async def take(self, text: str) -> None:
        """Say one line; `//` says `/`."""
        if text.strip():
            text = text[1:] if text.startswith("//") else text
            self.sent(await self.messenger.send(await self.partner(), text))

    def sent(self, line: "Line") -> None:
        """A line of ours is on its way: we do not end before it is with the relay."""
        self._sent.append((line.contact, line.message_id))

    async def settle(self) -> None:
        """Wait until what we said is with the relay; the exit code says whether it is."""
        left = list(self._sent)
        if self.choices.to is not None and not left and not await self._has_come():
            self.code = self.code or NOBODY
            self.note(f"nobody called {self.choices.to} has come", code=self.code)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.choices.wait_s):
                while left:
                    left = [each for each in left if await self._is_ours_still(*each)]
                    if left:
                        await asyncio.sleep(0.02)
        if not left:
            return
        lines = [await self.messenger.line(*each) for each in left]
        aborted = [
            each for each in lines
            if each.state.value == "not sent"
            and await self.messenger.session(each.contact, each.message_id)
        ]  # fmt: skip
        why = next((each.why for each in lines if each.why), "the relay does not answer")
        self.note(f"{len(left)} not sent: {why}; kept, and sent when the chat is open again")
        self.code = REFUSED if aborted else UNREACHABLE

    async def _is_ours_still(self, contact: bytes, message_id: bytes) -> bool:
        state = (await self.messenger.line(contact, message_id)).state.value
        return state in {"waiting", "not sent", "queued"}


async def run_plain(settings: "Settings", who: str | None, choices: Choices) -> int:
    """Talk until standard input ends or `/quit`; the exit code.

    Raises:
        BellwireError: the store, the key server's profile or a choice cannot be used.
    """
    from bellwire.chat.messenger.home import find, opened
    from bellwire.cli.chat_place import recorded, relay_of
    from bellwire.node.settings import credentials_folder

    state = settings.state.dir
    name = find(state, who)
    relay = await relay_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        record = stack.enter_context(recorded(choices.record))
        opening = opened(state, name, relay, credentials_folder(), record)
        messenger = await stack.enter_async_context(opening)
        plain = Plain(messenger, choices)
        commands = Commands.of(plain, settings, name)
        queue = messenger.subscribe()
        await plain.begin()
        listening = asyncio.create_task(plain.listen(queue))
        try:
            with contextlib.suppress(Leave):
                async for text in _lines():
                    try:
                        await (commands.run(text) if _is_command(text) else plain.take(text))
                    except BellwireError as error:
                        plain.code = error.exit_code
                        plain.note(f"error: {error}", code=error.exit_code)
                if choices.stay:
                    await asyncio.Event().wait()
            await plain.settle()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    return plain.code


def _is_command(text: str) -> bool:
    return text.startswith("/") and not text.startswith("//")


def check(choices: Choices) -> None:
    """Refuse words that are none of those permitted; UsageError."""
    if choices.mode not in {None, "pool", "fresh"}:
        raise UsageError(f"--mode: expected pool or fresh, got {choices.mode!r}")
    if choices.policy not in {None, "require", "prefer", "off"}:
        raise UsageError(f"--policy: expected require, prefer or off, got {choices.policy!r}")


async def _lines() -> AsyncIterator[str]:
    """Lines of standard input, whatever it is; too long ones end the run by an error."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(64)

    def put(piece: bytes | None) -> None:
        with contextlib.suppress(RuntimeError):  # nobody listens any more
            asyncio.run_coroutine_threadsafe(queue.put(piece), loop).result()

    def read() -> None:
        # Not through sys.stdin: a thread that waits in it would hold its lock when we end.
        with contextlib.suppress(OSError):
            while piece := os.read(0, 65_536):
                put(piece)
        put(None)

    threading.Thread(target=read, daemon=True).start()
    kept = b""
    while (piece := await queue.get()) is not None:
        *lines, kept = (kept + piece).split(b"\n")
        for each in lines:
            yield _text(each)
        if len(kept) > MAX_LINE_BYTES:
            _text(kept)
    if kept:
        yield _text(kept)


def _text(line: bytes) -> str:
    if len(line) > MAX_LINE_BYTES:
        raise UsageError(f"expected lines of at most {MAX_LINE_BYTES} bytes, got a longer one")
    return line.decode("utf-8", errors="replace").removesuffix("\r")
