"""The window of `bellwire chat`: conversations, messages, what protects them, and where one writes.

It decides nothing: a `Messenger` sends, receives and keeps; the window shows what it tells, and
hands over what is typed. Words of other people come through `words`, which makes them harmless.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar, Final

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, TextArea

from bellwire.base.errors import BellwireError, UsageError
from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.harmless import harmless
from bellwire.chat.messenger.views import Line, LineState
from bellwire.chat.transfer.code import spelt
from bellwire.cli.chat_files import path_of, to_save
from bellwire.cli.chat_history import given_words
from bellwire.cli.chat_screen import words
from bellwire.cli.chat_screen.acts import Acts, Laboratory, named
from bellwire.cli.chat_screen.commands import parse
from bellwire.cli.chat_screen.completion import complete, complete_path
from bellwire.cli.chat_screen.composer import Composer
from bellwire.cli.chat_screen.listening import Listening
from bellwire.cli.chat_screen.lists import Contacts, Messages, name_of
from bellwire.cli.chat_screen.panels import Found, Panel, SafetyPanel, help_content
from bellwire.cli.chat_screen.view import PAGE, THEMES

MAX_CHOICES: Final = 20
"""Ways to go on with an input that are shown."""

_ABOUT: Final = {"reply": "Replying to", "edit": "Editing", "save": "Folder or new file for"}


class ChatWindow(Listening):
    """Use with a messenger that is at work.

    Args:
        messenger: Whose conversations these are.
        lab: Where Eve can be let in; None: nowhere.
        theme: `dark` or `light`.
        to: Fingerprint of whom to begin with; None: whoever has written.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "help"),
        Binding("up", "nothing", "messages", key_display="↑"),
        Binding("ctrl+n", "beside(1)", "next", priority=True),
        Binding("ctrl+p", "beside(-1)", show=False, priority=True),
        Binding("ctrl+r", "resend", "RESEND", priority=True),
        Binding("escape", "put_away", show=False),
        Binding("ctrl+q,ctrl+c", "quit", "quit", key_display="^q", priority=True),
    ]

    def __init__(
        self,
        messenger: Messenger,
        lab: Laboratory | None = None,
        theme: str = "dark",
        *,
        to: bytes | None = None,
    ) -> None:
        super().__init__(messenger, theme, to)
        self._acts = Acts(messenger, lab)
        self._doomed: str | None = None

    # What is done

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
            return said
        if rest:
            taking = {
                "reply": lambda: acts.reply(self._latest(ours=False), rest),
                "edit": lambda: acts.edit(self._latest(ours=True), rest),
                "add": lambda: self._add(rest),
                "attach": lambda: self._attach_file(rest),
                "save": lambda: self._save_file(rest),
                "eve": lambda: self._eve(rest),
                "history": lambda: self._history(rest),
                "search": lambda: self._search(rest),
                "to": lambda: self._to(rest),
                "theme": lambda: self._dress(rest),
            }
            return await taking[name]()
        match name:
            case "delete":
                return await acts.delete(self._latest(ours=True))
            case "resend":
                return await acts.resend(self._open)
            case "contacts":
                self.query_one(Contacts).focus()
            case "save":
                await self._save_file("")
            case "session":
                lines = [each for each in self._lines.values() if self._records.get(name_of(each))]
                await self._session(lines[-1] if lines else self._latest())
            case _:
                await self.run_action(name)  # of the same name as a key's
        return ""

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

    def _chosen(self) -> Line | None:
        option = self.query_one(Messages).highlighted_option
        return None if option is None or option.id is None else self._lines.get(option.id)

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key does anything now; the footer shows those that do."""
        if action in {"beside", "resend", "help"} and len(self.screen_stack) > 1:
            return False
        if action == "resend":
            return self._kept_here() or any(kept for _, kept in self._alerts.values())
        return True

    def action_nothing(self) -> None:
        """Up is the input line's; here it stands for the footer alone."""

    def action_help(self) -> None:
        """Keys and commands."""
        self.push_screen(Panel("help", help_content()))

    def action_status(self) -> None:
        """This conversation, the relay and the quantum link."""
        entry = self._entries[self._open]
        rows = words.status_words(entry, self._messenger.link, self._messenger.name)
        self.push_screen(Panel("status", Content("\n".join(rows))))

    def action_eve(self) -> None:
        """What was seen of her."""
        rows = words.seen_of_eve(self._aborted, self._messenger.link)
        self.push_screen(Panel("Eve", Content("\n".join(rows))))

    async def action_verify(self) -> None:
        """The safety number of this conversation."""
        contact = self._open
        entry = self._entries[contact]
        if entry.is_notes:
            raise UsageError("expected a conversation with somebody, got the notes to yourself")

        async def answered(same: bool | None) -> None:
            if same is None:
                return
            await self._messenger.set_verified(contact, verified=same)
            await self._show(contact)
            self._tell(
                "verified"
                if same
                else "NOT VERIFIED: somebody may be in between; meet, and exchange new links"
            )

        safety = await self._messenger.safety(contact)
        self.push_screen(SafetyPanel(entry.name, safety, verified=entry.verified), answered)

    async def action_resend(self) -> None:
        """Try now what was not sent."""
        alert = self._shown_alert()
        contacts = {self._open} if alert is None or alert.contact is None else {alert.contact}
        if self._kept_here():
            contacts.add(self._open)
        for contact in contacts:
            await self._try(partial(self._acts.resend, contact))

    async def action_beside(self, step: int) -> None:
        """The next conversation, or the one before."""
        order = list(self._entries)
        await self._show(order[(order.index(self._open) + step) % len(order)])

    async def action_session(self) -> None:
        """The session of the chosen message."""
        await self._session(self._chosen())

    def action_reply(self) -> None:
        """Write about the chosen message."""
        self._write_about("reply", self._chosen())

    def action_edit(self) -> None:
        """Write other words for the chosen message."""
        line = self._chosen()
        if line is None or not line.ours or line.state is LineState.DELETED:
            self._tell("✗ expected a message of yours to edit, got another")
            return
        self._write_about("edit", line)
        self.query_one(Composer).put(line.text)

    def action_save(self) -> None:
        """Ask where the chosen file goes."""
        line = self._chosen()
        if line is None or line.ours or line.attachment is None:
            self._tell("✗ expected a file of theirs to save, got another message")
            return
        self._write_about("save", line)
        self.query_one(Composer).put("./")

    async def action_take_back(self) -> None:
        """Take the chosen message back, at the second time."""
        line = self._chosen()
        if line is None or not line.ours or line.state is LineState.DELETED:
            self._tell("✗ expected a message of yours to take back, got another")
        elif self._doomed != name_of(line):
            self._doomed = name_of(line)
            self._tell("d once more takes it back, for both")
        else:
            self._doomed = None
            await self._try(lambda: self._acts.delete(line))

    def _write_about(self, kind: str, line: Line | None) -> None:
        if line is None:
            return
        self._about = (kind, line)
        verb = _ABOUT[kind]
        self._put("about", Content(f"{verb} “{words.quoted(line.text)}” (Esc: no)"))
        self.action_write()

    def action_write(self) -> None:
        """Back to the input line."""
        self._doomed = None
        self.query_one(Messages).highlighted = None
        self.query_one(Composer).focus()

    def action_put_away(self) -> None:
        """The nearest thing that can be put away."""
        if self._about is not None:
            self._drop_about()
        elif self.query_one("#notice").display:
            self._tell("")
        else:
            shown = self._shown_alert()
            if shown is not None:
                del self._alerts[shown.contact]
                self._draw_alert()
            self.action_write()

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

    @on(Composer.Left)
    def _to_messages(self) -> None:
        messages = self.query_one(Messages)
        if messages.option_count:
            messages.focus()
            messages.highlighted = messages.option_count - 1

    @on(Messages.Done)
    def _from_messages(self) -> None:
        self.action_write()

    @on(Messages.Older)
    async def _older(self) -> None:
        oldest = next(iter(self._lines.values()))
        async with self._one_at_a_time:
            if await self._load():
                rows = {name: self._row(line) for name, line in self._lines.items()}
                self.query_one(Messages).fill(rows, name_of(oldest))

    @on(Messages.OptionSelected, "#messages")
    async def _asked(self) -> None:
        await self.action_session()

    @on(Contacts.OptionSelected, "#contacts")
    async def _picked(self, picked: OptionList.OptionSelected) -> None:
        if picked.option_id is not None:
            await self._show(bytes.fromhex(picked.option_id))
            self.query_one(Composer).focus()

    @on(TextArea.Changed, "#composer")
    def _typed(self, changed: TextArea.Changed) -> None:
        text = changed.text_area.text
        if text and not text.startswith("/"):
            self.run_worker(self._say_typing(self._open), group="typing")

    async def _say_typing(self, contact: bytes) -> None:
        try:
            await self._messenger.typing(contact)
        except BellwireError:
            return  # it is a courtesy: a message that cannot go will say so itself
