"""One person's messenger: everything that a screen or a line mode asks for, and what it is told.

It joins the person's store, the courier, and the key server of the person's own site. What is said
is durable when the call returns; it is sealed and sent by itself, in order, over restarts of
everything. The store is used on other threads, so that no call blocks the event loop.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from bellwire.chat.accounts.somebody import Somebody
from bellwire.chat.card import Card, ContactLink, make_link, read_link
from bellwire.chat.content import ID_BYTES, MAX_TEXT_BYTES, Content, ContentKind
from bellwire.chat.courier import (
    Book,
    Courier,
    HandedOver,
    Missing,
    Route,
    Told,
    Unshown,
)
from bellwire.chat.courier import (
    LineState as RelayLine,
)
from bellwire.chat.errors import AttachmentUnusable, ChatMisuse, MessageUnknown, Replayed
from bellwire.chat.messenger.account import Account, relay_account
from bellwire.chat.messenger.attaching import save, take_in
from bellwire.chat.messenger.fetching import Fetching
from bellwire.chat.messenger.keys import Site, health_of, source_of
from bellwire.chat.messenger.requests import Requests, Ties, card_content
from bellwire.chat.messenger.sending import Sending, aborted_words
from bellwire.chat.messenger.shown import conversation, line_of
from bellwire.chat.messenger.supply import Supply
from bellwire.chat.messenger.views import (
    Alert,
    AlertKind,
    AttachmentChanged,
    Conversation,
    ConversationChanged,
    Event,
    Line,
    LineChanged,
    LinkChanged,
    LinkStatus,
    Mode,
    Safety,
    TypingChanged,
)
from bellwire.chat.pads import Policy
from bellwire.chat.safety import check_scanned, safety_code, safety_number
from bellwire.chat.store.files import KeptFile
from bellwire.chat.store.history import State
from bellwire.chat.store.person import Person, Received
from bellwire.chat.store.work import NO_PROTECTION
from bellwire.etsi014.errors import Etsi014Error
from bellwire.etsi014.record import SessionRecord

TYPING_EVERY_S: Final = 3.0
"""We say that we type at most that often."""

TYPING_FOR_S: Final = 6.0
"""Somebody who said so types that long, unless a message comes."""

LOOK_EVERY_S: Final = 2.0
"""How often the link's status is asked for, and what has run out disappears."""

ASK_AGAIN_S: Final = 30.0
"""Chunks of an attachment are asked for again when none has come for so long."""

ROTATE_AFTER_S: Final = 7 * 86_400
"""Age at which a mailbox is drawn anew."""

NOTES: Final = "Notes to self"
_SAID: Final = {ContentKind.TEXT, ContentKind.REPLY, ContentKind.FILE, ContentKind.FILE_KEY}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """Who we are, and where we are reached.

    Attributes:
        name: What we call ourselves; contacts see it.
        relay: Address of our relay, `ws://…` or `wss://…`.
        site: The key server of our site; None: none, and then no message has a pad.
    """

    name: str
    relay: str
    site: Site | None


class Messenger:
    """Use as an asynchronous context manager.

    Attributes:
        requests: Strangers who have written, to accept or decline.
        account: Our handle at our relay, if we have one, and whom we find there.

    Args:
        person: Open; the messenger's alone until it is closed. Closed by whoever opened it.
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
        self._typing: dict[bytes, float] = {}
        self._typed: dict[bytes, float] = {}
        self._coming: dict[int, tuple[int, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._inbox: asyncio.Queue[Received | HandedOver] = asyncio.Queue()
        account = relay_account(person)
        self._courier = Courier(person, account, setup.relay, self._book, self._told, now=now)
        self._supply = Supply(person, setup.site, now)
        self._sending = Sending(
            person,
            self._supply,
            tell=self._tell,
            changed=self._changed,
            wake=self._courier.wake,
            now=now,
        )
        self._fetching = Fetching(person, self._supply, self._courier, self._no_keys)
        self.requests = Requests(
            person,
            Ties(
                card=lambda right: card_content(self._card(right).encode(), now()),
                reroute=self._courier.reroute,
                go=self._sending.go,
                tell=self._tell,
                now=now,
            ),
        )
        self.account = Account(
            person,
            setup.relay,
            account,
            card=self._card,
            reroute=self._courier.reroute,
            tell=self._tell,
            now=now,
        )

    async def __aenter__(self) -> Self:
        await self._do(self._begin)
        self._spawn(self._courier.run())
        self._spawn(self._tell_of())
        self._spawn(self.account.run())
        self._spawn(self._mind())
        for contact in await self._do(self._waiting):
            self._sending.go(contact)
        for contact in await self._do(self._held):
            self._fetching.want(contact)
            self._spawn(self._courier.retry(contact))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._sending.close()
        await self._fetching.close()
        self.account.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What is there

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
        """All conversations, by name; the notes to ourselves come first."""
        return await self._do(self._conversations)

    async def conversation(self, contact: bytes) -> Conversation:
        """One of them; ContactUnknown."""

        def look() -> Conversation:
            with self._person.working() as work:
                known = work.contacts.get(contact)
                return conversation(work, known, self._me, contact in self._typing)

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
        """One line; MessageUnknown."""

        def look() -> Line:
            with self._person.working() as work:
                entry = work.history.entry(contact, message_id, ours=ours)
                if entry is None:
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
                names = [name for each in found if each for name in each.protection.pad_ids]
                records = [work.records.get(name) for name in names or [message_id]]
            return [each for each in records if each is not None]

        return await self._do(look)

    # Saying

    async def send(self, contact: bytes, text: str) -> Line:
        """Say something; it is durable on return. Returns the line as it is now.

        Raises:
            ContactUnknown: nobody of that fingerprint.
            ChatMisuse: it is empty or too long.
        """
        return await self._say(contact, self._content(ContentKind.TEXT, _words(text)))

    async def reply(self, contact: bytes, target: bytes, text: str) -> Line:
        """Say something about a message; as `send`."""
        content = self._content(ContentKind.TEXT, _words(text))
        return await self._say(contact, replace(content, kind=ContentKind.REPLY, target=target))

    async def attach(self, contact: bytes, path: Path) -> Line:
        """Say a file of at most 100 MB; it is in the store on return, and may change afterwards.

        Raises:
            ContactUnknown: nobody of that fingerprint.
            AttachmentUnusable: it cannot be read, or is too large; nothing was said.
        """
        if contact == self._me:
            raise AttachmentUnusable("expected somebody else to attach a file for, got ourselves")
        content = await self._do(take_in, self._person, contact, path, self._now_ms())
        return await self._say(contact, content)

    async def save(self, contact: bytes, message_id: bytes, folder: Path) -> Path:
        """Write an attachment of theirs into a folder; it leaves the store. Where it is now.

        Raises:
            AttachmentUnusable: it is not here (yet), or the folder cannot be written.
        """
        path = await self._do(save, self._person, contact, message_id, folder)
        line = await self.line(contact, message_id, ours=False)
        self._tell(AttachmentChanged(line))
        return path

    async def edit(self, contact: bytes, target: bytes, text: str) -> None:
        """Put other words in place of what we said; MessageUnknown if we did not say it."""
        if (await self.line(contact, target)).attachment is not None:
            raise ChatMisuse("expected words to change, got an attachment")
        content = Content(
            ContentKind.EDIT, os.urandom(ID_BYTES), self._now_ms(), _words(text), target=target
        )
        await self._also(contact, content)

    async def delete(self, contact: bytes, target: bytes) -> None:
        """Take back what we said, for both; what was not sent yet is not sent."""
        await self.line(contact, target)

        def take_back() -> bool:
            with self._person.working() as work:
                if not work.waiting.remove(contact, target):
                    return False
                return work.history.delete(contact, target, ours=True)

        if not await self._do(take_back):
            kind = ContentKind.DELETE
            content = Content(kind, os.urandom(ID_BYTES), self._now_ms(), target=target)
            await self._also(contact, content)
        else:
            self._sending.go(contact)
            await self._changed(contact, target)

    async def resend(self, contact: bytes, message_id: bytes) -> Line:
        """Try at once to send what was not sent, or what the other side refused.

        Raises:
            MessageUnknown: we did not say it.
        """

        def again() -> None:
            with self._person.working() as work:
                entry = work.history.entry(contact, message_id, ours=True)
                if entry is None:
                    raise MessageUnknown("expected a message of ours, got another id")
                if entry.state is State.REFUSED:
                    work.waiting.again(contact, message_id)
                if work.waiting.get(contact, message_id) is not None:
                    work.history.wait(contact, message_id)

        await self._do(again)
        self._sending.go(contact)
        return await self.line(contact, message_id)

    async def mark_read(self, contact: bytes) -> None:
        """Count what somebody said as read, and tell them."""
        if await self._do(self._person.mark_read, contact, self._now()):
            self._courier.wake()
            self._tell(ConversationChanged(contact))

    async def typing(self, contact: bytes) -> None:
        """Say that we type: at most each `TYPING_EVERY_S`, and only while there is a line."""
        before = self._typed.get(contact, 0.0)
        if contact == self._me or not self._status.sending:
            return
        if time.monotonic() - before < TYPING_EVERY_S:
            return
        self._typed[contact] = time.monotonic()
        if await self._do(self._person.has_session, contact):
            content = Content(ContentKind.TYPING, os.urandom(ID_BYTES), self._now_ms())
            await self._do(self._person.send, contact, content)
            self._courier.wake()

    # Choosing

    async def set_policy(self, contact: bytes, policy: Policy) -> None:
        """Choose what is done without pad, for what we say and what we take."""

        def choose() -> None:
            with self._person.working() as work:
                work.contacts.set_policy(contact, policy)

        await self._do(choose)
        self._sending.go(contact)
        self._tell(ConversationChanged(contact))

    async def set_mode(self, contact: bytes, mode: Mode) -> None:
        """Choose where our pads come from."""

        def choose() -> None:
            with self._person.working() as work:
                work.contacts.set_mode(contact, mode.value)

        await self._do(choose)
        self._sending.go(contact)
        self._tell(ConversationChanged(contact))

    async def set_timer(self, contact: bytes, timer_s: int) -> None:
        """Have new messages of both disappear so long after they were read; 0: they stay."""
        content = Content(ContentKind.TIMER, os.urandom(ID_BYTES), self._now_ms(), timer_s=timer_s)
        await self._also(contact, content)

    async def rename(self, contact: bytes, name: str) -> None:
        """Call somebody otherwise; ContactUnknown, ChatMisuse."""

        def choose() -> None:
            with self._person.working() as work:
                work.contacts.keep(name, work.contacts.get(contact).identity)

        await self._do(choose)
        self._tell(ConversationChanged(contact))

    # Whom we know

    async def invite(self) -> str:
        """A contact link for one person, which holds for 30 days."""

        def make() -> str:
            now = self._now()
            with self._person.prekeys() as ring:
                bundle = ring.invitation(now)
            with self._person.working() as work:
                box = work.routes.invite(now)
            return make_link(bundle, self._card(box.right))

        link = await self._do(make)
        await self._courier.reroute()
        return link

    async def search_people(self, prefix: str) -> list[str]:
        """Handles at our relay that begin so, of those who want to be found; at most ten.

        The relay does not learn who searches.

        Raises:
            HandleMalformed: no handle begins so, or it has less than two characters.
            RelayUnreachable, RelayChanged, AccountRefused: it cannot be asked.
        """
        return await self.account.search(prefix)

    async def add(self, link: str, name: str | None = None) -> Conversation:
        """Know whoever made a contact link, and tell them how we are reached.

        Args:
            link: As they gave it; or `@` and their handle at our relay.
            name: What we call them; None: as they call themselves, or by the handle.

        Raises:
            LinkRefused: it is none, was cut, or has expired.
            ChatMisuse: it is our own, or the name cannot be used.
            IdentityChanged: the handle was somebody else's before.
            RelayUnreachable, RelayChanged, AccountRefused, HandleMalformed: nobody is found.
        """
        found: ContactLink | Somebody
        if link.startswith("@"):
            found = await self.account.look_up(link)
            called = name or found.handle
        else:
            found = read_link(link, self._now())
            called = name or found.card.name
        known = await self._do(self._person.add_contact, called, found.bundle.identity)

        def begin() -> None:
            now = self._now()
            if not self._person.has_session(known.contact):
                self._person.begin(found.bundle)
            with self._person.working() as work:
                work.strangers.accept(known.contact)
                work.routes.learn(known.contact, found.card, now)
                route = work.routes.ensure(known.contact, now)
                content = self._content(ContentKind.CARD, self._card(route.box.right).encode())
                work.seal(work.contacts.get(known.contact), content, Policy.OFF)

        await self._do(begin)
        await self._courier.reroute()
        self._tell(ConversationChanged(known.contact))
        self._sending.go(known.contact)
        return await self.conversation(known.contact)

    async def safety(self, contact: bytes) -> Safety:
        """What we and somebody compare; ContactUnknown."""
        await self.conversation(contact)
        return Safety(safety_number(self._me, contact), safety_code(self._me, contact))

    async def set_verified(self, contact: bytes, *, verified: bool) -> None:
        """Say whether safety numbers were compared; ContactUnknown."""

        def choose() -> None:
            with self._person.working() as work:
                work.contacts.set_verified(contact, verified=verified)

        await self._do(choose)
        self._tell(ConversationChanged(contact))

    async def check_scanned(self, contact: bytes, code: bytes) -> None:
        """Count somebody as verified by the code on their screen.

        Raises:
            SafetyMismatch: it is not the code of this conversation; nothing is changed.
        """
        check_scanned(self._me, contact, code)
        await self.set_verified(contact, verified=True)

    # Inside

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _do(work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(work, *arguments)

    def _now_ms(self) -> int:
        return int(self._now() * 1000)

    def _content(self, kind: ContentKind, text: bytes) -> Content:
        return Content(kind, os.urandom(ID_BYTES), self._now_ms(), text)

    def _card(self, right: bytes) -> Card:
        return Card(right, self._setup.relay, self._supply.sae, self._setup.name)

    def _begin(self) -> None:
        """What is needed before the first message."""
        with self._person.working() as work:
            if self._me not in {each.contact for each in work.contacts.all()}:
                work.contacts.keep(NOTES, self._person.identity.public)

    def _waiting(self) -> list[bytes]:
        with self._person.working() as work:
            return work.waiting.contacts()

    def _held(self) -> list[bytes]:
        with self._person.working() as work:
            return sorted({*work.held.contacts(), *work.offers.contacts()})

    def _book(self) -> Book:
        with self._person.working() as work:
            routes = {
                contact: Route(
                    route.box.mailbox,
                    route.box.right,
                    b"" if route.card is None else route.card.right,
                    "" if route.card is None else route.card.relay,
                    tuple(each.mailbox for each in route.old),
                )
                for contact, route in work.routes.all().items()
                if not work.strangers.has(contact)
            }
            boxes = {each.mailbox: each.right for each in work.routes.invitations(self._now())}
            standing = {each.mailbox: each.right for each in work.standing.all(self._now())}
        return Book(routes, boxes, standing)

    def _conversations(self) -> list[Conversation]:
        with self._person.working() as work:
            found = [
                conversation(work, each, self._me, each.contact in self._typing)
                for each in work.contacts.all()
                if not work.strangers.has(each.contact)
            ]
        return sorted(found, key=lambda each: not each.is_notes)

    async def _say(self, contact: bytes, content: Content) -> Line:
        if contact == self._me:
            await self._do(self._note, content)
        else:
            await self._do(self._person.say, contact, content)
            self._sending.go(contact)
        said = await self.line(contact, content.content_id)
        self._tell(LineChanged(said, is_new=True))
        return said

    def _note(self, content: Content) -> None:
        with self._person.working() as work:
            known = work.contacts.get(self._me)
            now = content.sent_ms / 1000
            work.apply(known, content, NO_PROTECTION, now, ours=True, state=State.READ)

    async def _also(self, contact: bytes, content: Content) -> None:
        """Say something about what was said."""
        if contact == self._me:
            await self._do(self._note, content)
        else:
            await self._do(self._person.say, contact, content)
            self._sending.go(contact)
        if content.target is not None:
            await self._changed(contact, content.target)
        self._tell(ConversationChanged(contact))

    def _tell(self, event: Event) -> None:
        for queue in self._events:
            queue.put_nowait(event)

    async def _changed(self, contact: bytes, message_id: bytes) -> None:
        with contextlib.suppress(MessageUnknown):
            self._tell(LineChanged(await self.line(contact, message_id), is_new=False))
        self._tell(ConversationChanged(contact))

    def _told(self, told: Told) -> None:
        """What the courier says."""
        match told:
            case Received() | HandedOver():
                self._inbox.put_nowait(told)
            case Missing(contact, pad_id):
                self._fetching.want(contact, pad_id)
            case RelayLine(sends, up, trouble):
                status = replace(self._status, trouble=trouble)
                self._show(replace(status, sending=up) if sends else replace(status, receiving=up))
            case Unshown(reason, _, standing) if standing and not isinstance(reason, Replayed):
                self.requests.refused(told)
            case Unshown(reason, contact) if not isinstance(reason, Replayed):
                self._tell(Alert(AlertKind.UNSHOWN, contact, f"not shown: {reason}"))

    async def _tell_of(self) -> None:
        """Say what came and what went, in its order."""
        while True:
            told = await self._inbox.get()
            if isinstance(told, HandedOver):
                await self._changed(told.contact, told.content_id)
            elif told.stranger:
                await self.requests.came(told)
            else:
                if told.standing:
                    await self.requests.answer(told.contact)
                await self._received(told)

    async def _received(self, told: Received) -> None:  # noqa: PLR0912 - a case for each
        contact, content = told.contact, told.content
        if content is None:
            return
        if content.kind in {ContentKind.CHUNK, ContentKind.ASK, ContentKind.STOP}:
            if told.is_new and content.target is not None:
                await self._carried(contact, content.target)
            return
        text = content.text
        match content.kind:
            case kind if kind in _SAID and told.is_new:
                self._stop_typing(contact)
                line = await self.line(contact, content.content_id, ours=False)
                self._tell(LineChanged(line, is_new=True))
            case ContentKind.EDIT | ContentKind.DELETE if content.target and told.is_new:
                line = await self.line(contact, content.target, ours=False)
                self._tell(LineChanged(line, is_new=False))
            case ContentKind.DELIVERED | ContentKind.READ | ContentKind.REFUSED:
                for at in range(0, len(text), ID_BYTES):
                    await self._changed(contact, text[at : at + ID_BYTES])
                if content.kind is ContentKind.REFUSED and told.is_new:
                    name = (await self.conversation(contact)).name
                    words = f"{name} did not take a message: it came without the pad they require"
                    self._tell(Alert(AlertKind.REFUSED, contact, words))
            case ContentKind.PAD_LOST:
                await self._changed(contact, text[:ID_BYTES])
                self._sending.go(contact)
            case ContentKind.TYPING:
                self._typing[contact] = time.monotonic() + TYPING_FOR_S
                self._tell(TypingChanged(contact, typing=True))
            case ContentKind.CARD:
                await self._met(contact)
            case ContentKind.PAD_OFFER:
                self._fetching.want(contact)
            case ContentKind.ABORTED:
                self._spawn(self._warned(contact, text[:ID_BYTES]))
        self._tell(ConversationChanged(contact))

    async def _carried(self, contact: bytes, file_id: bytes) -> None:
        """An attachment, of theirs or ours, has come on."""
        for ours in (True, False):
            with contextlib.suppress(MessageUnknown):
                self._tell(AttachmentChanged(await self.line(contact, file_id, ours=ours)))

    async def _met(self, contact: bytes) -> None:
        """Somebody has said how they are reached."""

        def name() -> tuple[str, bool]:
            with self._person.working() as work:
                known, route = work.contacts.get(contact), work.routes.get(contact)
                stranger = known.name == contact.hex()[:16]
                if stranger and route is not None and route.card is not None:
                    known = work.contacts.keep(route.card.name, known.identity)
                return known.name, stranger

        called, is_new = await self._do(name)
        await self._courier.reroute()
        self._sending.go(contact)
        if is_new:
            words = f"{called} has used your contact link; compare safety numbers with them"
            self._tell(Alert(AlertKind.CONTACT, contact, words))

    async def _warned(self, contact: bytes, session: bytes) -> None:
        """The other side could not send: what our own node measured says why."""
        known = await self.conversation(contact)

        def sae() -> str:
            with self._person.working() as work:
                route = work.routes.get(contact)
            return "" if route is None or route.card is None else route.card.sae

        record = await self._supply.record_of_aborted(await self._do(sae), session)
        why = "a session was aborted" if record is None else aborted_words(record)
        words = f"{known.name} could not send to you: {why}"
        self._tell(Alert(AlertKind.EVE, contact, words, record))

    def _stop_typing(self, contact: bytes) -> None:
        if self._typing.pop(contact, None) is not None:
            self._tell(TypingChanged(contact, typing=False))

    def _no_keys(self, words: str) -> None:
        self._show(replace(self._status, keys_trouble=words))

    def _show(self, status: LinkStatus) -> None:
        if status != self._status:
            self._status = status
            self._tell(LinkChanged(status))

    async def _mind(self) -> None:
        """What is due from time to time."""
        while True:
            for contact, until in list(self._typing.items()):
                if until < time.monotonic():
                    self._stop_typing(contact)
            if await self._do(self._person.disappear, self._now()):
                for each in await self.contacts():
                    self._tell(ConversationChanged(each.contact))
            await self._ask_again()
            await self._look()
            await self._rotate()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask_again(self) -> None:
        """Ask once more for attachments of which nothing has come for a while."""

        def coming() -> list[KeptFile]:
            with self._person.working() as work:
                return work.files.coming()

        now, before = time.monotonic(), self._coming
        self._coming = {}
        for each in await self._do(coming):
            came, since = before.get(each.file, (-1, now))
            if came != each.came:
                since = now
            elif now - since >= ASK_AGAIN_S:
                since = now
                await self._do(self._person.ask_again, each.contact, each.file_id, self._now())
                self._courier.wake()
            self._coming[each.file] = each.came, since

    async def _look(self) -> None:
        """Ask our own node how the link is."""

        def sae() -> str:
            with self._person.working() as work:
                cards = [
                    each.card
                    for contact, each in work.routes.all().items()
                    if not work.strangers.has(contact)
                ]
            return next((each.sae for each in cards if each is not None and each.sae), "")

        peer = await self._do(sae)
        if not (peer and self._supply.sae):
            return
        try:
            status = await self._supply.status(peer)
        except Etsi014Error as error:
            self._show(replace(self._status, keys=None, keys_trouble=str(error)))
            return
        self._show(
            replace(
                self._status, keys=health_of(status), source=source_of(status), keys_trouble=None
            )
        )

    async def _rotate(self) -> None:
        """Draw mailboxes anew that are old, and tell the contacts."""

        def rotate() -> bool:
            now, any_old = self._now(), False
            with self._person.working() as work:
                for contact, route in work.routes.all().items():
                    if now - route.drawn_at < ROTATE_AFTER_S or route.card is None:
                        continue
                    if not work.sessions.of(contact) or work.strangers.has(contact):
                        continue
                    box = work.routes.rotate(contact, now)
                    content = self._content(ContentKind.CARD, self._card(box.right).encode())
                    work.seal(work.contacts.get(contact), content, Policy.OFF)
                    any_old = True
            return any_old

        if await self._do(rotate):
            await self._courier.reroute()


def _words(text: str) -> bytes:
    data = text.encode("utf-8", errors="replace")
    if not 1 <= len(data) <= MAX_TEXT_BYTES:
        raise ChatMisuse(
            f"expected a message of 1 to {MAX_TEXT_BYTES} bytes, got {len(data)}",
            hint="Longer ones go as an attachment." if data else None,
        )
    return data
