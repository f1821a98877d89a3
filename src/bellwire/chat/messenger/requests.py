"""Who found our handle and wrote first: they wait, unanswered, until we accept or decline them.

What a stranger calls themselves is their own word. Nothing is sent to them before we accept; then
they get a mailbox of their own by our card, inside the session, and are told that their words came.
Anybody can drop rubbish into the box for everybody, so that what does not open there is counted,
and told of now and then.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bellwire.chat.content import ID_BYTES, Content, ContentKind
from bellwire.chat.courier import Unshown
from bellwire.chat.errors import ChatMisuse, StrangerRefused
from bellwire.chat.messenger.shown import line_of
from bellwire.chat.messenger.views import (
    Alert,
    AlertKind,
    ConversationChanged,
    Event,
    Request,
    RequestsChanged,
)
from bellwire.chat.pads import Policy
from bellwire.chat.store import fanning
from bellwire.chat.store.person import Person
from bellwire.chat.store.receiving import Received
from bellwire.chat.store.strangers import MAX_MESSAGES
from bellwire.chat.store.work import Work, receipt

RUBBISH_EVERY_S: Final = 600.0
"""We tell of what does not open in the box for everybody at most that often."""


@dataclass(frozen=True, slots=True)
class Ties:
    """What requests need of the rest of a messenger.

    Attributes:
        card: The content that says how somebody reaches us by this right.
        reroute: There are other routes.
        go: Something may be sent to a contact now.
        tell: What happened.
        now: Seconds since the epoch.
    """

    card: Callable[[bytes], Content]
    reroute: Callable[[], Awaitable[None]]
    go: Callable[[bytes], None]
    tell: Callable[[Event], None]
    now: Callable[[], float]


class Requests:
    """Of one person; `Messenger.requests`."""

    def __init__(self, person: Person, ties: Ties) -> None:
        self._person = person
        self._ties = ties
        self._rubbish = 0
        self._told_at: float | None = None

    async def waiting(self) -> list[Request]:
        """Who waits, who came first first."""

        def look() -> list[Request]:
            with self._person.working() as work:
                return [_request(work, contact, came) for contact, came in work.strangers.all()]

        return await asyncio.to_thread(look)

    async def accept(self, contact: bytes, name: str | None = None) -> str:
        """Have somebody who waits as a contact; what we call them.

        Args:
            contact: Who.
            name: What we call them; None: as they call themselves, told apart from others.

        Raises:
            ChatMisuse: nobody of that fingerprint waits, or the name cannot be used.
        """

        def take() -> str:
            now = self._ties.now()
            with self._person.working() as work:
                if not work.strangers.accept(contact):
                    raise _nobody(contact)
                known = work.contacts.get(contact)
                called = name or told_apart(work, _called(work, contact), contact)
                known = work.contacts.keep(called, known.identity)
                box = work.routes.ensure(contact, now).box
                work.seal(known, self._ties.card(box.right), Policy.OFF)
                said = work.history.latest(contact, MAX_MESSAGES)
                ids = [each.content_id for each in said if not each.ours]
                if ids:
                    work.seal(known, receipt(ContentKind.DELIVERED, ids, now))
                fanning.catch_up(work, self._person.fingerprint, contact)
                return called

        called = await asyncio.to_thread(take)
        await self._ties.reroute()
        self._ties.go(contact)
        self._ties.tell(RequestsChanged())
        self._ties.tell(ConversationChanged(contact))
        return called

    async def decline(self, contact: bytes) -> None:
        """Forget somebody who waits, and what they said; they are not told.

        Raises:
            ChatMisuse: nobody of that fingerprint waits.
        """
        await asyncio.to_thread(self._forget, contact)
        self._ties.tell(RequestsChanged())

    async def block(self, contact: bytes) -> None:
        """Hear this identity no more, and do not tell them.

        Of somebody who waits nothing is kept; of a contact, what was said stays to be read. They
        could come back under another identity, as a stranger.
        """

        def cut() -> None:
            with self._person.working() as work:
                work.strangers.block(contact)
                work.shelf(contact).give_up()
                if work.strangers.has(contact):
                    work.contacts.forget(contact)
                    return
                work.sessions.forget(contact)
                work.routes.forget(contact)
                work.drop_unsent(contact)

        await asyncio.to_thread(cut)
        await self._ties.reroute()
        self._ties.tell(RequestsChanged())

    async def unblock(self, contact: bytes) -> None:
        """Hear somebody again, who must begin anew; ChatMisuse if they were not blocked."""

        def open_again() -> bool:
            with self._person.working() as work:
                return work.strangers.unblock(contact)

        if not await asyncio.to_thread(open_again):
            raise ChatMisuse(f"expected somebody who is blocked, got {contact.hex()[:16]}…")

    async def blocked(self) -> list[tuple[bytes, str | None]]:
        """Who is blocked, and what we call them if they are a contact."""

        def look() -> list[tuple[bytes, str | None]]:
            with self._person.working() as work:
                return [
                    (each, work.contacts.get(each).name if work.contacts.knows(each) else None)
                    for each in work.strangers.blocked()
                ]

        return await asyncio.to_thread(look)

    # What came

    async def came(self, told: Received) -> None:
        """A stranger said something."""
        contact, content = told.contact, told.content
        if content is not None and content.kind is ContentKind.CARD:
            words = await asyncio.to_thread(self._introduce, contact)
            if words is not None:
                self._ties.tell(Alert(AlertKind.REQUEST, None, words))
        self._ties.tell(RequestsChanged())

    async def answer(self, contact: bytes) -> None:
        """Somebody we know used the box for everybody: they get one of their own."""

        def send() -> bool:
            with self._person.working() as work:
                if work.has_unsent(contact):
                    return False  # our card is among it, or they hear of us otherwise
                box = work.routes.ensure(contact, self._ties.now()).box
                work.seal(work.contacts.get(contact), self._ties.card(box.right), Policy.OFF)
                return True

        if await asyncio.to_thread(send):
            await self._ties.reroute()

    def refused(self, told: Unshown) -> None:
        """Something came to the box for everybody and was not taken."""
        now = self._ties.now()
        self._rubbish += 1
        if self._told_at is not None and now - self._told_at < RUBBISH_EVERY_S:
            return
        count, self._rubbish, self._told_at = self._rubbish, 0, now
        if isinstance(told.reason, StrangerRefused):
            words = f"not taken from a stranger: {told.reason}"
        else:
            words = (
                f"what came to your box for everybody was not shown ({count}): {told.reason}; "
                "`bellwire chat account new-box` draws another"
            )
        self._ties.tell(Alert(AlertKind.UNSHOWN, None, words))

    def _introduce(self, contact: bytes) -> str | None:
        """Take the name that a stranger has for themselves; what to tell, the first time."""
        with self._person.working() as work:
            known, route = work.contacts.get(contact), work.routes.get(contact)
            if route is None or route.card is None or known.name != contact.hex()[:16]:
                return None
            named = route.card.name
            like = _like(work, named, contact)
            work.contacts.keep(named, known.identity)
        words = f"a stranger who calls themselves {named!r} has written; nobody has verified that"
        if like:
            words += (
                f". It is not your contact of that name: another identity, {contact.hex()[:16]}"
            )
        return words

    def _forget(self, contact: bytes) -> None:
        with self._person.working() as work:
            if not work.strangers.has(contact):
                raise _nobody(contact)
            work.shelf(contact).give_up()
            work.contacts.forget(contact)


def card_content(card: bytes, now: float) -> Content:
    """A content that says how we are reached; `now` is in seconds since the epoch."""
    return Content(ContentKind.CARD, os.urandom(ID_BYTES), int(now * 1000), card)


def _request(work: Work, contact: bytes, came: int) -> Request:
    name = _called(work, contact)
    lines = [line_of(work, each) for each in work.history.latest(contact, MAX_MESSAGES)]
    return Request(contact, name, came, tuple(lines), _like(work, name, contact))


def _called(work: Work, contact: bytes) -> str:
    """What a stranger calls themselves, by their card."""
    route = work.routes.get(contact)
    if route is None or route.card is None:
        return contact.hex()[:16]
    return route.card.name


def _like(work: Work, name: str, contact: bytes) -> bool:
    """Whether a contact is called the same."""
    strangers = {each for each, _ in work.strangers.all()}
    return any(
        each.name.casefold() == name.casefold()
        for each in work.contacts.all()
        if each.contact not in {contact, *strangers}
    )


def told_apart(work: Work, name: str, contact: bytes) -> str:
    """A name for somebody new, unlike that of any contact."""
    return f"{name} ({contact.hex()[:8]})" if _like(work, name, contact) else name


def _nobody(contact: bytes) -> ChatMisuse:
    return ChatMisuse(
        f"expected somebody who waits to be accepted, got {contact.hex()[:16]}…, who does not"
    )
