"""What a messenger knows and shows: conversations, lines, sessions, and events for who listens.

The store is used on other threads, so that no call blocks the event loop.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bellwire.chat.content import ID_BYTES, Content, ContentKind
from bellwire.chat.errors import MessageUnknown
from bellwire.chat.messenger.keys import Site
from bellwire.chat.messenger.recorded import Record
from bellwire.chat.messenger.shown import conversation, group_conversation, line_of
from bellwire.chat.messenger.tasks import Tasks
from bellwire.chat.messenger.views import (
    Conversation,
    ConversationChanged,
    Event,
    Line,
    LineChanged,
    LinkChanged,
    LinkStatus,
)
from bellwire.chat.store.person import Person
from bellwire.chat.store.records import aborted_name
from bellwire.etsi014.record import SessionRecord

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """Who we are, and where we are reached.

    Attributes:
        name: What we call ourselves; contacts see it.
        relay: Address of our relay, `ws://…` or `wss://…`.
        site: The key server of our site; None: none, and then no message has a pad.
        record: A log in which the keys of people we know are looked up; None: in none.
    """

    name: str
    relay: str
    site: Site | None
    record: Record | None = None


class Looking:
    """The part of a messenger that changes nothing.

    Args:
        person: Open.
        setup: Who we are, and where we are reached.
        now: Seconds since the epoch.
    """

    def __init__(
        self, person: Person, setup: Setup, *, now: Callable[[], float] = time.time
    ) -> None:
        self._person = person
        self._setup = setup
        self._now = now
        self._me = person.identity.public.fingerprint
        self._events: set[asyncio.Queue[Event]] = set()
        self._status = LinkStatus()
        self._typing: dict[tuple[bytes, bytes], float] = {}  # where, and who; until when
        self._tasks = Tasks()

    @property
    def me(self) -> bytes:
        """Our own fingerprint, which stands for the notes to ourselves, too."""
        return self._me

    @property
    def name(self) -> str:
        """What we call ourselves."""
        return self._setup.name

    @property
    def link(self) -> LinkStatus:
        """What stands in the corner."""
        return self._status

    def subscribe(self) -> "asyncio.Queue[Event]":
        """A queue that gets what happens from now on; `unsubscribe` ends it."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._events.add(queue)
        return queue

    def unsubscribe(self, queue: "asyncio.Queue[Event]") -> None:
        """A queue of `subscribe` gets nothing more."""
        self._events.discard(queue)

    async def contacts(self) -> list[Conversation]:
        """All conversations, groups among them, by name; the notes to ourselves come first."""
        return await self._do(self._conversations)

    async def conversation(self, contact: bytes) -> Conversation:
        """One of them; ContactUnknown."""

        def look() -> Conversation:
            with self._person.working() as work:
                group = work.groups.get(contact)
                if group is not None:
                    return group_conversation(work, group, self._me, self._typists(contact))
                known = work.contacts.get(contact)
                return conversation(work, known, self._me, bool(self._typists(contact)))

        return await self._do(look)

    async def history(
        self, contact: bytes, *, before: int | None = None, limit: int = 100
    ) -> list[Line]:
        """The newest lines of a conversation, of those before a number, oldest first."""

        def look() -> list[Line]:
            with self._person.working() as work:
                return [line_of(work, each) for each in work.history.latest(contact, limit, before)]

        return await self._do(look)

    async def search(self, words: str, contact: bytes | None = None) -> list[Line]:
        """Lines with these words in them, in any case, of one conversation or all."""

        def look() -> list[Line]:
            with self._person.working() as work:
                found = work.history.search(words, contact)
                return [
                    line_of(work, each) for each in found if not work.strangers.has(each.contact)
                ]

        return await self._do(look)

    async def line(self, contact: bytes, message_id: bytes, *, ours: bool = True) -> Line:
        """One line; MessageUnknown.

        What was said with a contact in a group is the line of the group.
        """

        def look() -> Line:
            with self._person.working() as work:
                entry = work.history.entry(contact, message_id, ours=ours)
                group = contact if entry is None else entry.group
                if group is not None and (entry is None or entry.ours):
                    entry = work.history.in_group(group, message_id)
                if entry is None or entry.ours is not ours:
                    raise MessageUnknown("expected a message of this conversation, got another id")
                return line_of(work, entry)

        return await self._do(look)

    async def session(self, contact: bytes, message_id: bytes) -> list[SessionRecord]:
        """Records of the sessions of a message, of ours or theirs: one for each part of it.

        Of a message that was not sent, that of the session which gave no pad. A message under pad
        from stock, or without pad, has none.
        """

        def look() -> list[SessionRecord]:
            with self._person.working() as work:
                found = [
                    work.history.entry(contact, message_id, ours=ours) for ours in (True, False)
                ]
                found += [work.history.in_group(contact, message_id)]
                found += work.history.copies(contact, message_id)
                names: list[bytes] = []
                for each in filter(None, found):
                    aborted = aborted_name(each.contact, message_id, each.group)
                    names += each.protection.pad_ids or [aborted]
                records = [work.records.get(name) for name in names]
            return [each for each in records if each is not None]

        return await self._do(look)

    # Inside

    @staticmethod
    async def _do(work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(work, *arguments)

    def _now_ms(self) -> int:
        return int(self._now() * 1000)

    def _content(self, kind: ContentKind, text: bytes) -> Content:
        return Content(kind, os.urandom(ID_BYTES), self._now_ms(), text)

    def _conversations(self) -> list[Conversation]:
        with self._person.working() as work:
            found = [
                conversation(work, each, self._me, bool(self._typists(each.contact)))
                for each in work.contacts.all()
                if not work.strangers.has(each.contact)
            ]
            found += [
                group_conversation(work, each, self._me, self._typists(each.group))
                for each in work.groups.all()
            ]
        return sorted(found, key=lambda each: (not each.is_notes, each.name.casefold()))

    def _typists(self, contact: bytes) -> list[bytes]:
        """Who types in a conversation now."""
        return [who for where, who in list(self._typing) if where == contact]

    def _tell(self, event: Event) -> None:
        for queue in self._events:
            queue.put_nowait(event)

    async def _changed(self, contact: bytes, message_id: bytes) -> None:
        with contextlib.suppress(MessageUnknown):
            line = await self.line(contact, message_id)
            self._tell(LineChanged(line, is_new=False))
            if line.contact != contact:
                self._tell(ConversationChanged(line.contact))
        self._tell(ConversationChanged(contact))

    def _show(self, status: LinkStatus) -> None:
        if status != self._status:
            self._status = status
            self._tell(LinkChanged(status))
