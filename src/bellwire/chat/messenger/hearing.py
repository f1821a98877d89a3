"""What comes, and what goes: from the courier's words to what a screen is told.

Here the parts of a messenger are joined: courier, pads, what waits to be sent, strangers, account.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bellwire.chat.card import Card
from bellwire.chat.content import ID_BYTES, ContentKind
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
from bellwire.chat.errors import MessageUnknown, OpeningRefused, Replayed, StepPadGone
from bellwire.chat.messenger.account import Account, relay_account
from bellwire.chat.messenger.fetching import Fetching
from bellwire.chat.messenger.groups import Groups, Links
from bellwire.chat.messenger.looking import Looking, Setup
from bellwire.chat.messenger.recorded import Watching
from bellwire.chat.messenger.requests import Requests, Ties, card_content, told_apart
from bellwire.chat.messenger.sending import Sending, aborted_words
from bellwire.chat.messenger.supply import Supply
from bellwire.chat.messenger.views import (
    Alert,
    AlertKind,
    AttachmentChanged,
    ConversationChanged,
    LineChanged,
    LineState,
    TypingChanged,
)
from bellwire.chat.pads import Policy
from bellwire.chat.store import fanning
from bellwire.chat.store.person import Person
from bellwire.chat.store.receiving import Received
from bellwire.chat.store.relays import Relays
from bellwire.chat.store.renewing import Renewal

TYPING_FOR_S: Final = 6.0
"""Somebody who said so types that long, unless a message comes."""

_SAID: Final = {ContentKind.TEXT, ContentKind.REPLY, ContentKind.FILE, ContentKind.FILE_KEY}


class Hearing(Looking):
    """The part of a messenger that hears; as `Looking`."""

    def __init__(
        self, person: Person, setup: Setup, *, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(person, setup, now=now)
        self._inbox: asyncio.Queue[Received | HandedOver] = asyncio.Queue()
        self._unheard: set[bytes] = set()  # whose messages cannot be opened any more
        account = relay_account(person)
        self._courier = Courier(person, account, setup.relay, self._book, self._told, now=now)
        self._supply = Supply(person, setup.site, now)
        self._sending = Sending(
            person,
            self._supply,
            spawn=self._tasks.spawn,
            tell=self._tell,
            changed=self._changed,
            wake=self._courier.wake,
            now=now,
        )
        self._fetching = Fetching(
            person, self._supply, self._courier, self._tasks.spawn, self._no_keys
        )
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
        self.groups = Groups(
            person,
            Links(
                card=self._card,
                reroute=self._courier.reroute,
                go=self._sending.go,
                wake=self._courier.wake,
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
        self._watching = (
            None
            if setup.record is None
            else Watching(person, setup.record, known=self.account.handles, tell=self._tell)
        )

    def _told(self, told: Told) -> None:
        """What the courier says."""
        match told:
            case Received() | HandedOver():
                self._inbox.put_nowait(told)
            case Missing(contact, pad_id):
                self._fetching.want(contact, pad_id)
            case RelayLine(sends, up, trouble):
                if up and not sends and self._watching is not None:
                    self._watching.again()
                status = replace(self._status, trouble=trouble)
                self._show(replace(status, sending=up) if sends else replace(status, receiving=up))
            case Unshown(reason, _, standing) if standing and not isinstance(reason, Replayed):
                self.requests.refused(told)
            case Unshown(StepPadGone(), bytes() as contact):
                if contact not in self._unheard:
                    self._unheard.add(contact)
                    self._tasks.spawn(self._unheard_of(contact))
            case Unshown(OpeningRefused() as reason, contact):
                words = (
                    f"somebody could not begin with you: {reason}; a contact link is for one "
                    "person, /link makes another"
                )
                self._tell(Alert(AlertKind.UNSHOWN, contact, words))
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
                if told.standing and told.renewed is None:
                    await self.requests.answer(told.contact)
                if not await self.groups.came(told):
                    await self._received(told)
                for each in told.released:
                    await self._received(each)

    async def _received(self, told: Received) -> None:  # noqa: PLR0912 - a case for each
        contact, content = told.contact, told.content
        if told.renewed is not None:
            await self._renewed(contact, told.renewed)
        if content is None:
            return
        if content.kind in {ContentKind.CHUNK, ContentKind.ASK, ContentKind.STOP}:
            if told.is_new and content.target is not None:
                await self._carried(contact, content.target)
            return
        text = content.text
        match content.kind:
            case kind if kind in _SAID and told.is_new:
                self._stop_typing(content.group or contact, contact)
                line = await self.line(contact, content.content_id, ours=False)
                self._tell(LineChanged(line, is_new=True))
            case ContentKind.EDIT | ContentKind.DELETE if content.target and told.is_new:
                line = await self.line(contact, content.target, ours=False)
                self._tell(LineChanged(line, is_new=False))
            case ContentKind.DELIVERED | ContentKind.READ | ContentKind.REFUSED:
                for at in range(0, len(text), ID_BYTES):
                    await self._changed(contact, text[at : at + ID_BYTES])
                if content.kind is ContentKind.REFUSED and told.is_new:
                    await self._refused(
                        contact, text[:ID_BYTES], "it came without the pad they require"
                    )
            case ContentKind.PAD_LOST:
                await self._changed(contact, text[:ID_BYTES])
                if told.is_new and await self._is_refused(contact, text[:ID_BYTES]):
                    why = "its pads were gone there, or other than here, each time"
                    await self._refused(contact, text[:ID_BYTES], why)
                self._sending.go(contact)
            case ContentKind.TYPING:
                where = content.group or contact
                self._typing[where, contact] = time.monotonic() + TYPING_FOR_S
                self._tell(TypingChanged(where, typing=True, who=contact))
            case ContentKind.CARD:
                await self._met(contact)
            case ContentKind.PAD_OFFER:
                self._fetching.want(contact)
            case ContentKind.ABORTED:
                self._tasks.spawn(self._warned(contact, text[:ID_BYTES]))
        self._tell(ConversationChanged(content.group or contact))

    async def _is_refused(self, contact: bytes, message_id: bytes) -> bool:
        with contextlib.suppress(MessageUnknown):
            return (await self.line(contact, message_id)).state is LineState.REFUSED
        return False

    async def _refused(self, contact: bytes, message_id: bytes, why: str) -> None:
        """The other side does not show a message of ours."""
        name = (await self.conversation(contact)).name
        with contextlib.suppress(MessageUnknown):
            place = (await self.line(contact, message_id)).contact
            if place != contact:
                why = "by their roster of the group, or for want of pad"
            words = f"{name} did not take a message: {why}"
            self._tell(Alert(AlertKind.REFUSED, place, words))

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
                    told = told_apart(work, route.card.name, contact)
                    known = work.contacts.keep(told, known.identity)
                return known.name, stranger

        called, is_new = await self._do(name)
        await self._courier.reroute()
        group = await self.groups.met(contact)
        if is_new:
            how = "has used your contact link" if group is None else f"and you are in {group!r}"
            words = f"{called} {how}; compare safety numbers with them"
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

    async def _unheard_of(self, contact: bytes) -> None:
        """Somebody's keys went on with pad that we have lost: say it once, for they cannot know."""
        name = (await self.conversation(contact)).name
        words = (
            f"messages of {name} cannot be opened here any more: their keys are mixed with pad "
            f"that is gone from this store, and {name} does not know it; /session renew begins a "
            "new session, in which they come again"
        )
        self._tell(Alert(AlertKind.UNSHOWN, contact, words))

    async def _renewed(self, contact: bytes, why: Renewal) -> None:
        """A new session has begun: say how we are reached, and what was not confirmed."""
        self._unheard.discard(contact)

        def go_on() -> str:
            with self._person.working() as work:
                known = work.contacts.get(contact)
                right = work.routes.ensure(contact, self._now()).box.right
                card = self._content(ContentKind.CARD, self._card(right).encode())
                work.seal(known, card, Policy.OFF)
                fanning.ask_after(work, self._me, known, self._now())
                return known.name

        name = await self._do(go_on)
        self._courier.wake()
        self._sending.go(contact)
        words = {
            Renewal.ASKED: f"{name} could not open all of yours",
            Renewal.ANSWERED: "as you asked",
            Renewal.MET: f"{name} met you anew",
        }[why]
        words = f"a new session with {name} has begun, {words}; what was not delivered goes again"
        self._tell(Alert(AlertKind.RENEWED, contact, words))

    def _stop_typing(self, contact: bytes, who: bytes) -> None:
        if self._typing.pop((contact, who), None) is not None:
            self._tell(TypingChanged(contact, typing=False, who=who))

    def _no_keys(self, words: str) -> None:
        self._show(replace(self._status, keys_trouble=words))

    def _card(self, right: bytes) -> Card:
        relay = self._setup.relay
        moved = self._courier.following.told(relay)
        return Card(right, relay, self._supply.sae, self._setup.name, *moved)

    def _book(self) -> Book:
        with self._person.working() as work:
            relays = Relays(work.cursor, work.database)
            routes = {
                contact: Route(
                    route.box.mailbox,
                    route.box.right,
                    b"" if route.card is None else route.card.right,
                    ""
                    if route.card is None
                    else relays.address_of(route.card.relay, route.card.relay_id),
                    tuple(each.mailbox for each in route.old),
                )
                for contact, route in work.routes.all().items()
                if not work.strangers.has(contact)
            }
            boxes = {each.mailbox: each.right for each in work.routes.invitations(self._now())}
            standing = {each.mailbox: each.right for each in work.standing.all(self._now())}
            closing = frozenset(work.closing.all())
        return Book(routes, boxes, standing, closing)
