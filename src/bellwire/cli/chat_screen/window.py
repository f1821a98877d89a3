"""The window of `bellwire chat`: conversations, messages, what protects them, and where one writes.

It decides nothing: a `Messenger` sends, receives and keeps; the window shows what it tells, and
hands over what is typed. Words of other people come through `words`, which makes them harmless.
"""

from functools import partial
from typing import ClassVar, Final

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, TextArea

from bellwire.base.errors import BellwireError, UsageError
from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.views import Line, LineState
from bellwire.cli.chat_screen import words
from bellwire.cli.chat_screen.acts import Laboratory
from bellwire.cli.chat_screen.calling import Caller
from bellwire.cli.chat_screen.composer import Composer
from bellwire.cli.chat_screen.lists import Contacts, Messages, name_of
from bellwire.cli.chat_screen.obeying import Obeying
from bellwire.cli.chat_screen.panels import Panel, SafetyPanel, help_content

_ABOUT: Final = {"reply": "Replying to", "edit": "Editing", "save": "Folder or new file for"}


class ChatWindow(Obeying):
    """Use with a messenger that is at work.

    Args:
        messenger: Whose conversations these are.
        lab: Where Eve can be let in; None: nowhere.
        theme: `dark` or `light`.
        to: Fingerprint of whom to begin with; None: whoever has written.
        caller: Tells somebody who does not look; None: the terminal's bell alone.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "help"),
        Binding("up", "nothing", "messages", key_display="↑"),
        Binding("ctrl+o", "contacts", "people", priority=True),
        Binding("f2", "requests", "requests"),
        Binding("f3", "groups", "groups"),
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
        caller: Caller | None = None,
    ) -> None:
        super().__init__(messenger, lab, theme, to=to, caller=caller)
        self._doomed: str | None = None

    def _chosen(self) -> Line | None:
        option = self.query_one(Messages).highlighted_option
        return None if option is None or option.id is None else self._lines.get(option.id)

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key does anything now; the footer shows those that do."""
        if not self._entries and action != "quit":
            return False  # nothing is shown yet
        covered = {"beside", "resend", "help", "contacts", "requests", "groups"}
        if action in covered and len(self.screen_stack) > 1:
            return False
        if action == "requests":
            return self._requests > 0
        if action == "groups":
            return self._has_groups()
        if action == "resend":
            return self._kept_here() or any(kept for _, kept in self._alerts.values())
        return True

    def action_nothing(self) -> None:
        """Up is the input line's; here it stands for the footer alone."""

    def action_help(self) -> None:
        """Keys and commands."""
        self.push_screen(Panel("help", help_content()))

    def action_contacts(self) -> None:
        """Choose whom to talk with: what is typed narrows the list."""
        self.screen.add_class("-choosing")
        self.query_one(Contacts).focus()

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
        order = [each.contact for each in self._order()]
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
            self._people_done()

    @on(Contacts.Narrowed)
    def _narrowed(self) -> None:
        self._draw_contacts()

    @on(Contacts.Left)
    def _people_done(self) -> None:
        self.query_one(Contacts).narrow("")
        self.screen.remove_class("-choosing")
        self.action_write()

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
