"""What the messenger tells, put on the window."""

import asyncio
import time
from typing import Final

from textual import on
from textual.content import Content
from textual.css.query import NoMatches
from textual.events import AppFocus

from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.harmless import harmless
from bellwire.chat.messenger.views import (
    Alert,
    AlertKind,
    AttachmentChanged,
    AttachmentState,
    ConversationChanged,
    Event,
    Line,
    LineChanged,
    LineState,
    LinkChanged,
    RequestsChanged,
    SessionBegan,
    SessionEnded,
    TypingChanged,
)
from bellwire.cli.chat_screen import words
from bellwire.cli.chat_screen.calling import Caller
from bellwire.cli.chat_screen.composer import Composer
from bellwire.cli.chat_screen.groups import Groups
from bellwire.cli.chat_screen.lists import Messages, name_of
from bellwire.cli.chat_screen.strangers import Strangers
from bellwire.cli.chat_screen.view import HERE_S, PAGE, View
from bellwire.etsi014.record import SessionRecord

_BY_THEM: Final = frozenset({LineState.DELIVERED, LineState.READ, LineState.REFUSED})
_LASTING: Final = frozenset({AlertKind.EVE, AlertKind.NO_PAD})


class Listening(View):
    """The window while things happen; it begins with the conversation `to`, if there is one."""

    def __init__(
        self, messenger: Messenger, theme: str, to: bytes | None, caller: Caller | None
    ) -> None:
        super().__init__(messenger, theme)
        self._wanted = to
        self._caller = caller
        self._aborted: list[tuple[str, SessionRecord]] = []

    async def on_mount(self) -> None:
        """Show what there is, and then what happens."""
        events = self._messenger.subscribe()
        self._entries = {each.contact: each for each in await self._messenger.contacts()}
        unread = [each.contact for each in self._entries.values() if each.unread]
        others = [each.contact for each in self._order() if not each.is_notes]
        self._draw_corner()
        await self._count_requests()
        wanted = [] if self._wanted is None else [self._wanted]
        await self._show(next(iter(wanted + unread + others), self._messenger.me))
        self.query_one(Composer).focus()
        self.run_worker(self._listen(events))
        self.set_interval(HERE_S / 4, self._draw_contacts)

    # What happens

    async def _listen(self, events: "asyncio.Queue[Event]") -> None:
        try:
            while True:
                came = [await events.get()]
                while not events.empty():
                    came.append(events.get_nowait())
                had_groups = self._has_groups()
                async with self._one_at_a_time:
                    for each in came:
                        await self._happened(each)
                    stale = {e.contact for e in came if isinstance(e, ConversationChanged)}
                    stale |= {e.line.contact for e in came if isinstance(e, LineChanged)}
                    for contact in stale:
                        self._entries[contact] = await self._messenger.conversation(contact)
                    await self._read()
                self._draw_contacts()
                if self._has_groups() != had_groups:
                    self.refresh_bindings()  # there is F3 now, or none any more
                if stale and isinstance(self.screen, Groups):
                    await self.screen.look()
        except NoMatches:
            if self.is_running:
                raise  # else somebody leaves just now: nothing is shown any more
        finally:
            self._messenger.unsubscribe(events)

    async def _happened(self, event: Event) -> None:
        match event:
            case LineChanged(line, is_new):
                await self._changed(line, is_new)
            case AttachmentChanged(line):
                await self._came_on(line)
            case TypingChanged(contact, typing, who):
                self._sign(who)
                self._entries[contact] = await self._messenger.conversation(contact)
                if not typing:
                    self._draw_contacts()
            case SessionBegan(contact):
                name = words.quoted(self._entries[contact].name, 20)
                self._put("session", Content(f"session with {name}: pairs are sent and measured …"))
            case SessionEnded(contact, _, record):
                self._ended(contact, record)
            case LinkChanged():
                self._draw_corner()
            case RequestsChanged():
                await self._count_requests()
                if isinstance(self.screen, Strangers):
                    await self.screen.look()
            case Alert():
                await self._alerted(event)

    async def _changed(self, line: Line, is_new: bool) -> None:
        # What waited at the relay is no sign that somebody is there now.
        is_fresh = is_new and not line.ours and time.time() - line.sent_ms / 1000 < HERE_S
        if is_fresh or (line.ours and line.state in _BY_THEM):
            self._sign(line.contact)
        if is_new and not line.ours:
            shown, _ = self._alerts.get(line.contact, (None, 0))
            if shown is not None and shown.kind is AlertKind.EVE and not self._kept_here():
                del self._alerts[line.contact]  # what they could not send has come
                self._draw_alert()
            if line.contact != self._open or not self.app_focus:
                self.bell()
                if self._caller is not None:
                    entry = self._entries.get(line.contact)
                    self._caller.call("somebody" if entry is None else entry.name)
        if line.contact == self._open:
            name = name_of(line)
            self._lines[name] = line
            await self._learn(name)
            self.query_one(Messages).put(name, self._row(line))
            self.refresh_bindings()

    async def _came_on(self, line: Line) -> None:
        """More of a file is here, or with them."""
        if line.contact == self._open:
            if name_of(line) in self._lines:
                await self._changed(line, False)
        elif not line.ours and line.attachment and line.attachment.state is AttachmentState.HERE:
            name = words.quoted(self._entries[line.contact].name, 20)
            self._tell(f"a file of {name} is here: {words.quoted(line.text)}")

    def _sign(self, contact: bytes) -> None:
        self._signs[contact] = time.monotonic()

    def _ended(self, contact: bytes, record: SessionRecord | None) -> None:
        if record is None:
            self._put("session", Content("no session: no node, or no key; /status says more"))
            return
        self._put("session", words.session_row(record))
        if not record.accepted:
            self._saw(contact, record)

    def _saw(self, contact: bytes | None, record: SessionRecord) -> None:
        entry = None if contact is None else self._entries.get(contact)
        name = "somebody" if entry is None else entry.name
        if record.session not in {each.session for _, each in self._aborted}:
            self._aborted.append((name, record))

    @property
    def _is_alone(self) -> bool:
        """Whether nobody is written to: neither words nor a conversation would be lost."""
        return self._open == self._messenger.me and not self.query_one(Composer).text

    async def _alerted(self, alert: Alert) -> None:
        contact = alert.contact
        if contact is not None and contact not in self._entries:
            self._entries[contact] = await self._messenger.conversation(contact)
        if alert.record is not None and not alert.record.accepted:
            self._saw(contact, alert.record)
        before, _ = self._alerts.get(contact, (None, 0))
        lasts = alert.kind in _LASTING or alert.kind is AlertKind.CLEAR
        if before is not None and before.kind in _LASTING and not lasts:
            self._tell(harmless(alert.words))  # it must not hide what is worse
        else:
            lines = [] if contact is None else await self._messenger.history(contact, limit=PAGE)
            kept = sum(each.ours and each.state is LineState.NOT_SENT for each in lines)
            self._alerts[contact] = (alert, kept)
            self._draw_alert()
        if alert.kind is AlertKind.CONTACT and contact is not None and self._is_alone:
            self.run_worker(self._show(contact))  # beside us, who hold the lock that it takes
        if alert.kind is not AlertKind.CLEAR:
            self.bell()

    @on(AppFocus)
    async def _looked(self) -> None:
        await self._read()
        self._draw_contacts()
