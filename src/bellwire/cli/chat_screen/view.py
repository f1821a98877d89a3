"""What the window shows: its parts, and a conversation in them."""

import asyncio
import time
from typing import Final

from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Footer, Static
from textual.worker import WorkerFailed

from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.views import Alert, AlertKind, Conversation, Line, LineState
from bellwire.cli.chat_screen import words
from bellwire.cli.chat_screen.composer import Composer
from bellwire.cli.chat_screen.hanging import Hanging
from bellwire.cli.chat_screen.lists import Contacts, Messages, name_of
from bellwire.cli.chat_screen.people import in_order, meant
from bellwire.etsi014.record import SessionRecord

PAGE: Final = 100
"""Messages that are read at once."""

HERE_S: Final = 60.0
"""Somebody who gave a sign of life is taken to be there that long."""

LIST_CELLS: Final = 22
THEMES: Final = {"dark": "textual-dark", "light": "textual-light"}


class View(App[None]):
    """The window as it is drawn, with what it draws.

    Args:
        messenger: Whose conversations these are.
        theme: `dark` or `light`.
    """

    TITLE = "bellwire chat"
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = ""
    """What is typed before a conversation is open belongs to none, and is not taken."""
    CSS = f"""
    #head {{ height: 1; background: $primary; color: $text; padding: 0 1; }}
    #who {{ width: 1fr; text-style: bold; }}
    #badge {{ width: auto; display: none; background: $warning; color: $text; margin: 0 1; }}
    #corner {{ width: auto; }}
    #alert {{ display: none; height: auto; padding: 0 1; }}
    #alert.-eve {{ background: $error; color: $text; }}
    #alert.-clear {{ background: $success; color: $text; }}
    #alert.-other {{ background: $warning; color: $text; }}
    #middle {{ height: 1fr; min-height: 3; }}
    #people {{ width: {LIST_CELLS + 2}; height: 1fr; border-right: solid $primary-muted; }}
    #contacts {{ height: 1fr; border: none; padding: 0 0 0 1; background: $background; }}
    #filter {{ height: 1; display: none; padding: 0 0 0 1; background: $panel; }}
    #talk {{ width: 1fr; height: 1fr; }}
    #welcome {{ display: none; height: auto; max-height: 14; padding: 0 1; }}
    #messages {{ width: 1fr; height: 1fr; border: none; background: $background; }}
    .-narrow #people {{ display: none; }}
    .-narrow #people:focus-within {{ display: block; width: 100%; border: none; }}
    .-narrow.-choosing #people {{ display: block; width: 100%; border: none; }}
    #below {{ height: auto; }}
    #facts, #session, #about {{ height: 1; padding: 0 1; }}
    #notice {{ height: auto; max-height: 4; padding: 0 1; }}
    #facts {{ background: $surface; }}
    #session, #notice, #about {{ display: none; }}
    #about {{ text-style: italic; }}
    #composer {{ height: auto; max-height: 6; border: none; padding: 0 1; background: $panel; }}
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (64, "-wide")]  # noqa: RUF012 - textual's own

    def __init__(self, messenger: Messenger, theme: str) -> None:
        super().__init__()
        self.theme = THEMES[theme]
        self._messenger = messenger
        self._entries: dict[bytes, Conversation] = {}
        self._open = messenger.me
        self._lines: dict[str, Line] = {}
        self._records: dict[str, list[SessionRecord]] = {}
        self._signs: dict[bytes, float] = {}
        self._alerts: dict[bytes | None, tuple[Alert, int]] = {}
        self._drafts: dict[bytes, str] = {}
        self._was_unread: bytes | None = None
        self._requests = 0
        self._about: tuple[str, Line] | None = None
        self._one_at_a_time = asyncio.Lock()

    def compose(self) -> ComposeResult:
        """The parts of the window, from top to bottom."""
        with Horizontal(id="head"):
            yield Static(
                Content(f"bellwire chat · {words.quoted(self._messenger.name, 30)}"), id="who"
            )
            yield Static(id="badge")
            yield Static(id="corner")
        yield Static(id="alert")
        with Horizontal(id="middle"):
            with Vertical(id="people"):
                yield Static(id="filter")
                yield Contacts(id="contacts", markup=False)
            with Vertical(id="talk"):
                yield Static(words.welcome(), id="welcome")
                yield Messages(id="messages", markup=False)
        with Vertical(id="below"):
            yield Static(id="about")
            yield Static(id="notice")
            yield Static(id="session")
            yield Static(id="facts")
            yield Composer(
                id="composer",
                placeholder="Write a message, or /help",
                highlight_cursor_line=False,
            )
        yield Footer(show_command_palette=False)

    @property
    def failure(self) -> BaseException | None:
        """What ended the window before anybody left."""
        return (
            self._exception.error if isinstance(self._exception, WorkerFailed) else self._exception
        )

    def _fatal_error(self) -> None:
        """End; whoever ran the window raises `failure`.

        Textual would print a traceback with the values of all variables, keys and words among them.
        """
        self._close_messages_no_wait()

    # What is shown

    def _put(self, name: str, content: Content | None) -> None:
        place = self.query_one(f"#{name}", Static)
        place.display = content is not None
        if place.content != (content or ""):
            place.update(content or "")

    def _tell(self, text: str) -> None:
        self._put("notice", Content(text) if text else None)

    def _draw_corner(self) -> None:
        self._put("corner", words.corner(self._messenger.link))

    def _order(self) -> list[Conversation]:
        return in_order(self._entries.values(), self._was_unread)

    def _listed(self) -> list[tuple[bytes, Conversation]]:
        found = meant(self._order(), self.query_one(Contacts).typed)
        return [(each.contact, each) for each in found]

    def _has_groups(self) -> bool:
        return any(each.is_group for each in self._entries.values())

    async def _count_requests(self) -> None:
        self._requests = len(await self._messenger.requests.waiting())
        self._put("badge", words.badge(self._requests) if self._requests else None)

    def _draw_contacts(self) -> None:
        now = time.monotonic()
        rows = {
            contact.hex(): words.contact(
                entry,
                is_open=contact == self._open,
                is_here=now - self._signs.get(contact, -HERE_S) < HERE_S,
                width=LIST_CELLS,
            )
            for contact, entry in self._listed()
        }
        contacts = self.query_one(Contacts)
        contacts.show(rows, self._open.hex())
        typed = words.quoted(contacts.typed, LIST_CELLS - 8)
        nobody = "" if rows else ": nobody"
        self._put("filter", Content(f"find {typed}{nobody}") if contacts.typed else None)
        self.query_one("#welcome").display = len(self._entries) == 1
        entry = self._entries[self._open]
        self._put("facts", words.facts(entry))
        title = words.quoted(self._messenger.name, 20)
        peer = words.quoted(entry.name, 20) + words.typing(entry)
        self._put("who", Content(f"{title} → {peer}"))

    def _draw_alert(self) -> None:
        place = self.query_one("#alert", Static)
        shown = self._shown_alert()
        place.display = shown is not None
        if shown is None:
            return
        alert, kept = self._alerts[shown.contact]
        kind = {AlertKind.EVE: "eve", AlertKind.CLEAR: "clear"}.get(alert.kind, "other")
        for each in ("eve", "clear", "other"):
            place.set_class(each == kind, f"-{each}")
        place.update(words.banner(alert, kept=kept))

    def _shown_alert(self) -> Alert | None:
        found = self._alerts.get(self._open) or next(reversed(self._alerts.values()), None)
        return None if found is None else found[0]

    def _row(self, line: Line) -> Hanging:
        entry = self._entries[line.contact]
        target = None
        if line.target is not None:
            names = (f"our-{line.target.hex()}", f"their-{line.target.hex()}")
            target = next((self._lines[each] for each in names if each in self._lines), None)
        said = words.message(
            line,
            line.author_name or entry.name,
            target=target,
            by_session=bool(self._records.get(name_of(line))),
            is_notes=entry.is_notes,
            now=time.time(),
        )
        return Hanging(said)

    async def _learn(self, name: str) -> None:
        """The records of a message's sessions, once its pad is known."""
        line = self._lines[name]
        if line.protection.is_one_time and name not in self._records:
            self._records[name] = await self._messenger.session(line.contact, line.message_id)

    async def _show(self, contact: bytes, chosen: Line | None = None) -> None:
        """Open a conversation, at its end or at one of its messages."""
        async with self._one_at_a_time:
            composer = self.query_one(Composer)
            if contact != self._open:
                self._drafts[self._open] = composer.text
                composer.put(self._drafts.pop(contact, ""))
                self._drop_about()
            entry = self._entries.get(contact)
            if contact != self._open or (entry is not None and entry.unread):
                self._was_unread = contact if entry is not None and entry.unread else None
            self._open, self._lines, self._records = contact, {}, {}
            await self._load()
            while chosen is not None and name_of(chosen) not in self._lines and await self._load():
                pass
            rows = {name: self._row(line) for name, line in self._lines.items()}
            there = chosen is not None and name_of(chosen) in rows
            self.query_one(Messages).fill(rows, name_of(chosen) if chosen and there else None)
            await self._read()
        self._draw_contacts()
        self._draw_alert()
        self.refresh_bindings()

    async def _load(self) -> bool:
        """The page before what is there; whether there was one."""
        before = min((each.number for each in self._lines.values()), default=None)
        older = await self._messenger.history(self._open, before=before, limit=PAGE)
        self._lines = {**{name_of(each): each for each in older}, **self._lines}
        for each in older:
            await self._learn(name_of(each))
        return bool(older)

    async def _read(self) -> None:
        """Count what is in view as read, if somebody looks."""
        entry = self._entries.get(self._open)
        if entry and entry.unread and not entry.is_notes and self.app_focus:
            await self._messenger.mark_read(self._open)
            self._entries[self._open] = await self._messenger.conversation(self._open)

    def _kept_here(self) -> bool:
        return any(each.state is LineState.NOT_SENT for each in self._lines.values())

    def _drop_about(self) -> None:
        if self._about is not None and self._about[0] != "reply":
            self.query_one(Composer).clear()
        self._about = None
        self._put("about", None)
