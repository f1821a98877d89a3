"""What a line of the input has done: words are said, commands are obeyed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from textual import on
from textual.content import Content

from bellwire.base.errors import BellwireError, UsageError
from bellwire.chat.content import MAX_TEXT_BYTES
from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.harmless import harmless
from bellwire.chat.messenger.views import Line, LineState
from bellwire.chat.transfer.code import spelt
from bellwire.cli.chat_files import path_of, to_save
from bellwire.cli.chat_history import given_words
from bellwire.cli.chat_screen import words
from bellwire.cli.chat_screen.acts import Acts, Laboratory, named
from bellwire.cli.chat_screen.calling import Caller
from bellwire.cli.chat_screen.commands import parse
from bellwire.cli.chat_screen.completion import complete, complete_path
from bellwire.cli.chat_screen.composer import Composer
from bellwire.cli.chat_screen.groups import Groups
from bellwire.cli.chat_screen.listening import Listening
from bellwire.cli.chat_screen.lists import Messages, name_of
from bellwire.cli.chat_screen.panels import Found, Panel
from bellwire.cli.chat_screen.strangers import Strangers
from bellwire.cli.chat_screen.view import PAGE, THEMES

MAX_CHOICES: Final = 20
"""Ways to go on with an input that are shown."""


class Obeying(Listening):
    """The window while somebody types; what a key does alone has an action of the same name."""

    def __init__(
        self,
        messenger: Messenger,
        lab: Laboratory | None = None,
        theme: str = "dark",
        *,
        to: bytes | None = None,
        caller: Caller | None = None,
    ) -> None:
        super().__init__(messenger, theme, to, caller)
        self._acts = Acts(messenger, lab)

    @on(Composer.Said)
    async def _said(self, said: Composer.Said) -> None:
        if not await self._try(lambda: self._say(said.text)):
            composer = self.query_one(Composer)
            composer.put("\n".join(filter(None, (said.text, composer.text))))

    async def _say(self, text: str) -> str:
        if self._about is not None and self._about[0] == "save":
            await self._save_as(self._about[1], text)
            return ""
        command = parse(text)
        if not isinstance(command, str):
            return await self._obey(command[0].name, command[1])
        if self._about is None:
            await self._messenger.send(self._open, command)
        else:
            kind, line = self._about
            await (self._acts.reply if kind == "reply" else self._acts.edit)(line, command)
            self._about = None
            self._put("about", None)
        self.query_one(Messages).to_end()
        return ""

    async def _try(self, act: Callable[[], Awaitable[str]]) -> bool:
        """Do it and tell what it says, or why it cannot be done; whether it was."""
        try:
            self._tell(await act())
        except BellwireError as error:
            hint = f" {error.hint}" if error.hint else ""
            self._tell(f"✗ {harmless(f'{error}.{hint}')}")
            return False
        return True

    def _beside(self, text: str, act: Callable[[], Awaitable[str]]) -> None:
        """Do what takes its time, and meanwhile go on; what failed can be typed on from `text`."""

        async def work() -> None:
            composer = self.query_one(Composer)
            if not await self._try(act) and not composer.text:
                composer.put(text)

        self.run_worker(work(), group="files")

    async def _obey(self, name: str, rest: str) -> str:
        acts = self._acts
        if name in acts.simple:
            said = await acts.simple[name](self._open, rest)
            self._draw_contacts()
            if "\n" in said:
                self.push_screen(Panel(f"/{name}", Content(said)))
                return ""
            return said
        if rest:
            taking = {
                "reply": lambda: acts.reply(self._latest(ours=False), rest),
                "edit": lambda: acts.edit(self._latest(ours=True), rest),
                "add": lambda: self._add(rest),
                "attach": lambda: self._attach_file(rest),
                "save": lambda: self._save_file(rest),
                "group": lambda: self._group(rest),
                "eve": lambda: self._eve(rest),
                "history": lambda: self._history(rest),
                "search": lambda: self._search(rest),
                "session": lambda: acts.session(self._open, rest),
                "to": lambda: self._to(rest),
                "theme": lambda: self._dress(rest),
            }
            return await taking[name]()
        match name:
            case "delete":
                return await acts.delete(self._latest(ours=True))
            case "resend":
                return await acts.resend(self._open)
            case "requests":
                self.action_requests()
            case "group":
                self.action_groups()
            case "save":
                await self._save_file("")
            case "session":
                lines = [each for each in self._lines.values() if self._records.get(name_of(each))]
                await self._session(lines[-1] if lines else self._latest())
            case _:
                await self.run_action(name)  # of the same name as a key's
        return ""

    async def _group(self, rest: str) -> str:
        done = await self._acts.group(self._open, rest)
        if done.opened is not None:
            self._entries[done.opened] = await self._messenger.conversation(done.opened)
            await self._show(done.opened)
        self._draw_contacts()
        return done.words.replace("\n", " · ")

    async def _eve(self, rest: str) -> str:
        if rest != "passive":
            return await self._acts.eve(rest)
        heard = Content("\n".join(words.overheard(await self._acts.overheard())))
        self.push_screen(Panel("what crosses in the open", heard))
        return ""

    async def _attach_file(self, rest: str) -> str:
        contact = self._open

        def tell(words: str) -> None:
            if self.is_running:
                self._tell(words)

        self._beside(f"/attach {rest}", lambda: self._acts.attach(contact, rest, tell))
        return ""

    async def _save_file(self, rest: str) -> str:
        line, place = await to_save(self._messenger, self._open, rest)
        self._beside(f"/save {rest}", lambda: self._acts.save(line, place))
        return ""

    async def _save_as(self, line: Line, text: str) -> None:
        place = path_of(text)

        async def save() -> str:
            said = await self._acts.save(line, place)
            if self._about is not None and self._about[1] == line:
                self._about = None
                self._put("about", None)
            return said

        self._beside(text, save)

    async def _add(self, rest: str) -> str:
        contact = await self._acts.add(rest)
        self._entries[contact] = await self._messenger.conversation(contact)
        await self._show(contact)
        return "added; compare safety numbers with /verify"

    async def _history(self, rest: str) -> str:
        word, _, file = rest.partition(" ")
        if word != "export":
            raise UsageError("expected /history export FILE, got another word")
        given = await self._messenger.export_history(path_of(file))
        rows = [
            "The code of this file, shown once; without it nobody reads it:",
            f"\n  {spelt(given.code)}\n",
            *given_words(given),
        ]
        self.push_screen(Panel("history for another device", Content("\n".join(rows))))
        return ""

    async def _to(self, rest: str) -> str:
        await self._show(named(self._entries.values(), rest).contact)
        return ""

    async def _dress(self, rest: str) -> str:
        if rest not in THEMES:
            raise UsageError("expected /theme dark or /theme light, got another word")
        self.theme = THEMES[rest]
        return ""

    def _latest(self, *, ours: bool | None = None) -> Line | None:
        found = [
            each
            for each in self._lines.values()
            if each.state is not LineState.DELETED and ours in {None, each.ours}
        ]
        return found[-1] if found else None

    async def _search(self, rest: str) -> str:
        lines = (await self._messenger.search(rest))[-PAGE:]
        if not lines:
            raise UsageError("expected words of some message, got words of none")
        names = {contact: entry.name for contact, entry in self._entries.items()}

        async def opened(line: Line | None) -> None:
            if line is not None:
                await self._show(line.contact, line)
                self.query_one(Messages).focus()

        self.push_screen(Found(rest, lines[::-1], names), opened)
        return ""

    async def _session(self, line: Line | None) -> None:
        if line is None:
            raise UsageError("expected a message, got a conversation without one")
        records = await self._messenger.session(line.contact, line.message_id)
        rows = [row for each in records for row in [*words.session_words(each), ""]]
        if not records:
            rows = words.without_session(line)
        heading = f"session of “{words.quoted(line.text, 30)}”"
        self.push_screen(Panel(heading, Content("\n".join(rows))))

    @on(Composer.Completing)
    async def _complete(self, asked: Composer.Completing) -> None:
        if self._about is not None and self._about[0] == "save":
            found = await asyncio.to_thread(complete_path, "", asked.text)
        else:
            names = [each.name for each in self._entries.values()]
            given = await asyncio.to_thread(complete, asked.text, names)
            if given is None:
                self.screen.focus_next()
                return
            found = given
        composer = self.query_one(Composer)
        if composer.text != asked.text:
            return  # typed on meanwhile
        if found.line != asked.text:
            composer.put(found.line)
        self._tell("  ".join(words.quoted(each, 30) for each in found.choices[:MAX_CHOICES]))

    @on(Composer.Refused)
    def _too_much(self, refused: Composer.Refused) -> None:
        self._tell(
            f"✗ expected at most {MAX_TEXT_BYTES:,} bytes for a message, got "
            f"{refused.characters:,} characters pasted. Send them as a file: /attach PATH"
        )

    def action_requests(self) -> None:
        """Strangers who wrote first and wait."""

        async def ended(accepted: bytes | None) -> None:
            if accepted is not None:
                self._entries[accepted] = await self._messenger.conversation(accepted)
                await self._show(accepted)
                self._tell("a contact now; compare safety numbers with /verify")

        self.push_screen(Strangers(self._messenger.requests), ended)

    def action_groups(self) -> None:
        """Groups, and who is in them."""

        async def ended(chosen: bytes | None) -> None:
            if chosen is not None:
                await self._show(chosen)

        self.push_screen(Groups(self._messenger, self._open), ended)
