"""Carries what a person's store has to send and takes what comes, over relays that come and go.

One line to our own relay, on which the person's account listens, and one without a login to each
relay at which contacts are reached, on which payloads are dropped, so that no relay can tell whose
they are. Each is made anew when it ends, whatever the reason. A payload leaves the outbox once the
relay says that it is durable there, and the relay forgets what it delivered once it is durable
here; whatever dies in between, it comes again and counts once. A relay that moves is followed, by
what it signed (`chat.following`): a line to its old place ends, and what was under way on it goes
again.

What needs a pad that is not here yet waits in the store, with all that came behind it from the same
contact, until `retry` says that the pad is here. The store is used on other threads, so that the
event loop never waits for the disk.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from bellwire.base.ending import to_its_end
from bellwire.chat.content import ContentKind
from bellwire.chat.errors import (
    GroupRefused,
    MessageRefused,
    OpeningRefused,
    PadDiffers,
    PadMissing,
    PadSpent,
    RelayChanged,
    RelayMisbehaved,
    RelayRefused,
    RelayUnreachable,
    StepPadGone,
)
from bellwire.chat.failures import Failures
from bellwire.chat.following import Following, Known
from bellwire.chat.identity import Identity
from bellwire.chat.reaching import LOCKED, Reaching
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.frames import (
    MAX_BUNDLE,
    MAX_BUNDLE_BYTES,
    MAX_TTL_S,
    Deliver,
    Reason,
)
from bellwire.chat.store.pads import NewPad
from bellwire.chat.store.person import Person
from bellwire.chat.store.receiving import Received
from bellwire.chat.store.strangers import MAX_HELD as MAX_HELD_OF_STRANGER
from bellwire.chat.store.work import TTL_S, Outgoing, receipt

assert TTL_S <= MAX_TTL_S

RETRY_S: Final = 0.1
MAX_RETRY_S: Final = 5.0
REFUSED_RETRY_S: Final = 1.0
"""After how long a payload is offered again that the relay did not take: a mailbox may be full, or
not open yet."""

ELSEWHERE_RETRY_S: Final = 30.0
"""After how long we listen again where another connection of the account took our place: two that
took it from each other at once would get nothing done."""

PAGE: Final = 64
"""Payloads of the outbox that are read at once."""

SAY_SAFE_S: Final = 0.01
"""How long the relay waits for the word that we have what came, while more of it is taken: what it
has not heard of, it stores, and delivers again on the next line."""

LIVED_S: Final = 1.0
"""A line that ended earlier did not help: the next one is made after a longer wait."""

_LINE_ENDED: Final = (RelayUnreachable, RelayMisbehaved, RelayRefused, RelayChanged)


@dataclass(frozen=True, slots=True)
class Route:
    """How one contact and we reach each other.

    Attributes:
        mailbox: Ours for this contact, 16 bytes, random.
        right_in: What the contact shows to drop into it, 32 bytes, random; we gave it to them.
        right_out: What we show to drop into theirs; empty: they have not said yet.
        relay: Where that is, as `Relays.address_of`; empty: at our own relay.
        old: Earlier mailboxes of ours for this contact, which they may still use.
    """

    mailbox: bytes
    right_in: bytes
    right_out: bytes
    relay: str = ""
    old: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Book:
    """All routes, by the fingerprints of contacts, invitations, and boxes for everybody.

    Of the latter two, mailbox to right. Those of `closing` serve nobody any more.
    """

    routes: Mapping[bytes, Route]
    invitations: Mapping[bytes, bytes] = field(default_factory=dict)
    standing: Mapping[bytes, bytes] = field(default_factory=dict)
    closing: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Unshown:
    """A payload that was refused, and why; it is gone from the relay.

    Anybody can drop one into a `standing` box, which is for everybody.
    """

    reason: MessageRefused | OpeningRefused
    contact: bytes | None = None
    standing: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """What came from a contact waits for a pad; `Courier.retry` once it is here."""

    contact: bytes
    pad_id: bytes


@dataclass(frozen=True, slots=True)
class HandedOver:
    """All of a content is durable at the relay."""

    contact: bytes
    content_id: bytes


@dataclass(frozen=True, slots=True)
class LineState:
    """A line to a relay is there, or is not and why."""

    sends: bool
    up: bool
    trouble: str | None = None


Told = Received | Unshown | Missing | HandedOver | LineState
Tell = Callable[[Told], None]


class Courier:
    """Runs between one person and relays; `run` until it is cancelled.

    Attributes:
        following: What the person knows of relays.

    Args:
        person: Whose messages.
        account: A key for this relay alone; the relay must not learn the person's identity.
        url: The address of our own relay.
        book: Reads the routes, on another thread, at the beginning and after each `reroute`.
        tell: Is given what came, on the event loop.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        person: Person,
        account: Identity,
        url: str,
        book: Callable[[], Book],
        tell: Tell,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._person = person
        self._account = account
        self._url = url
        self._read_book = book
        self._tell = tell
        self._now = now
        self._clock = time.monotonic
        self.following = Following(person, now)
        self._reaching = Reaching(self.following)
        self._failures = Failures()
        self._book = Book({})
        self._contacts: dict[bytes, bytes | None] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._troubles: dict[str, str] = {}
        self._rerouted = asyncio.Event()
        self._reopen = asyncio.Event()
        self._taking = asyncio.Lock()

    def wake(self) -> None:
        """There is something new in the outbox."""
        for each in self._wakes.values():
            each.set()

    async def reroute(self) -> None:
        """There are other routes, or invitations."""
        self._book = await asyncio.to_thread(self._read_book)
        self._contacts = dict.fromkeys((*self._book.invitations, *self._book.standing))
        for contact, route in self._book.routes.items():
            self._contacts.update(dict.fromkeys((route.mailbox, *route.old), contact))
        self._rerouted.set()
        self._reopen.set()
        self.wake()

    async def retry(self, contact: bytes) -> None:
        """A pad came that something of this contact may have waited for."""
        await to_its_end(self._retry(contact))

    async def use(self, contact: bytes, made: NewPad) -> None:
        """The pad of a session came: what waits for it is opened with it, or it is kept.

        It is wiped then.

        Raises:
            ChatMisuse: it is no pad, or was here before.
        """
        await to_its_end(self._use(contact, made))

    async def give_up(self, contact: bytes, pad_id: bytes) -> None:
        """A pad will never be here: what waited for it is refused, and the rest goes on."""
        await to_its_end(self._give_up(contact, pad_id))

    async def run(self) -> None:
        """Carry, for ever."""
        await self.reroute()
        lines: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._again(self._url, self._receive, sends=False))
            while True:
                self._rerouted.clear()
                used = {self._url, *(each.relay for each in self._book.routes.values())} - {""}
                for url in used - lines.keys():
                    self._wakes[url] = asyncio.Event()
                    lines[url] = tasks.create_task(self._again(url, self._send, sends=True))
                for url in lines.keys() - used:
                    await self._end(lines.pop(url))
                    del self._wakes[url]
                    self._tell_line(url, None, sends=True)
                await self._rerouted.wait()

    @staticmethod
    async def _end(line: asyncio.Task[None]) -> None:
        """Nobody is reached there any more."""
        line.cancel()
        await asyncio.wait([line])

    async def _again(
        self,
        url: str,
        work: Callable[[str, RelayClient], Coroutine[None, None, None]],
        *,
        sends: bool,
    ) -> None:
        """Make the line anew whenever it ends, at growing distances while none can be made."""
        wait_s = RETRY_S
        while True:
            began = asyncio.get_running_loop().time()
            try:
                place, known, line = await self._reaching.reach(url)
                async with line:
                    heeding = asyncio.create_task(self._heed(url, place, known, line))
                    try:
                        await work(url, line)
                    finally:
                        heeding.cancel()
                        await asyncio.gather(heeding, return_exceptions=True)
                        if await self._reaching.has_moved(url, place, known, line):
                            wait_s = RETRY_S
            except _LINE_ENDED as error:
                if asyncio.get_running_loop().time() - began > LIVED_S:
                    wait_s = RETRY_S
                if await self._reaching.is_locked(url):
                    self._tell_line(url, LOCKED, sends=sends)
                    wait_s = MAX_RETRY_S
                else:
                    self._tell_line(url, str(error), sends=sends)
                if isinstance(error, RelayRefused):
                    elsewhere = error.reason == Reason.ELSEWHERE
                    wait_s = max(wait_s, ELSEWHERE_RETRY_S if elsewhere else REFUSED_RETRY_S)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, MAX_RETRY_S)

    def _tell_line(self, url: str, trouble: str | None, *, sends: bool) -> None:
        """We send if no line has trouble on which we do; one that is gone has none."""
        if not sends:
            self._tell(LineState(sends=False, up=False, trouble=trouble))
            return
        self._troubles.pop(url, None)
        if trouble is not None:
            self._troubles[url] = trouble
        first = next(iter(self._troubles.values()), None)
        self._tell(LineState(sends=True, up=first is None, trouble=first))

    async def _heed(self, url: str, place: str, before: Known, line: RelayClient) -> None:
        """End the line when the relay says that it is elsewhere now."""
        while True:
            await line.noticed.wait()
            if await self._reaching.has_moved(url, place, before, line):
                line.close()
                return

    async def _send(self, url: str, line: RelayClient) -> None:
        self._tell_line(url, None, sends=True)
        wake = self._wakes[url]
        while True:
            wake.clear()
            waits = await self._send_all(url, line)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFUSED_RETRY_S if waits else None):
                    await wake.wait()

    async def _send_all(self, url: str, line: RelayClient) -> bool:
        """Drop what is in the outbox for this relay; whether some of it must wait."""
        refused: set[bytes] = set()
        after = 0
        while True:
            page = await asyncio.to_thread(self._person.outbox, after=after, limit=PAGE)
            mine: dict[bytes, tuple[bytes, list[Outgoing]]] = {}
            for each in page:
                route = self._book.routes.get(each.contact)
                if each.contact in refused or route is None or not route.right_out:
                    continue  # what one contact gets stays in order, and others need not wait
                if (route.relay or self._url) == url:
                    mine.setdefault(each.contact, (route.right_out, []))[1].append(each)
            # Each contact waits for its own answers alone.
            told = await asyncio.gather(
                *(self._drop(line, right, waits) for right, waits in mine.values()),
                return_exceptions=True,
            )
            for contact, fault in zip(mine, told, strict=True):
                if isinstance(fault, RelayRefused):
                    refused.add(contact)
                elif fault is not None:
                    raise fault
            if len(page) < PAGE:
                return bool(refused)
            after = page[-1].number

    async def _drop(self, line: RelayClient, right: bytes, waits: list[Outgoing]) -> None:
        """Drop what waits for one contact, in order, and as much at once as goes.

        Raises:
            RelayRefused: the relay does not take the next one.
            RelayUnreachable, RelayMisbehaved: the line has ended.
        """
        for some in _alike(waits) if line.bundles else ([each] for each in waits):
            if len(some) > 1:
                tokens, payloads = zip(*((each.token, each.payload) for each in some), strict=True)
                try:
                    await line.drop_bundle(right, some[0].ttl_s, tokens, payloads)
                except RelayRefused:
                    pass  # there may be room for some of them
                else:
                    await to_its_end(self._handed_over(*some))
                    continue
            for each in some:
                await line.drop(right, each.token, each.ttl_s, each.payload)
                await to_its_end(self._handed_over(each))

    async def _handed_over(self, *some: Outgoing) -> None:
        numbers = [each.number for each in some]
        for sent in await asyncio.to_thread(self._person.handed_over, *numbers):
            self._tell(HandedOver(*sent))

    async def _receive(self, url: str, line: RelayClient) -> None:
        await line.login(self._account)
        opened = await self._open(line, set())
        await line.listen()
        self._tell(LineState(sends=False, up=True))
        opening = asyncio.create_task(self._keep_open(line, opened))
        opening.add_done_callback(lambda _: line.close())
        try:
            while True:
                came = await line.next_ones()
                taken: list[int] = []
                began = self._clock()
                try:
                    for each in came:
                        await to_its_end(self._take(each, taken))
                        if self._clock() - began > SAY_SAFE_S:
                            line.safe(*taken)
                            taken.clear()
                            began = self._clock()
                finally:
                    line.safe(*taken)
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)

    async def _keep_open(self, line: RelayClient, opened: set[bytes]) -> None:
        """Open mailboxes that come to be, and close those that are no more."""
        while True:
            self._reopen.clear()
            opened = await self._open(line, opened)
            await self._reopen.wait()

    async def _open(self, line: RelayClient, opened: set[bytes]) -> set[bytes]:
        wanted = {**self._book.invitations, **self._book.standing}
        wanted |= {each.mailbox: each.right_in for each in self._book.routes.values()}
        for mailbox, right in wanted.items():
            if mailbox not in opened:
                await self._open_one(line, mailbox, right)
        old = {each for route in self._book.routes.values() for each in route.old}
        for mailbox in (opened - old | self._book.closing) - set(wanted):
            await self._close_one(line, mailbox)
        return set(wanted) | (opened & old)

    async def _close_one(self, line: RelayClient, mailbox: bytes) -> None:
        try:
            await line.close_mailbox(mailbox)
        except RelayRefused as error:
            if error.reason != Reason.NO_MAILBOX:
                return  # on the next line once more

        def done() -> None:
            with self._person.working() as work:
                work.closing.done(mailbox)

        await asyncio.to_thread(done)

    async def _open_one(self, line: RelayClient, mailbox: bytes, right: bytes) -> None:
        try:
            await line.open_mailbox(mailbox, right)
        except RelayRefused as error:
            if error.reason not in {Reason.TAKEN, Reason.FULL}:
                raise
            # The others are heard all the same.
            self._tell(LineState(sends=False, up=True, trouble=str(error)))

    async def _take(self, came: Deliver, taken: list[int]) -> None:
        """Take a payload; its number is then with those that are safe here."""
        known = came.mailbox in self._contacts
        if not known:
            await self.reroute()
        contact = self._contacts.get(came.mailbox)
        async with self._taking:
            if came.mailbox in self._contacts:
                told = await asyncio.to_thread(self._admit, came, contact)
            else:
                told = []  # of a contact to whom there is no route any more
        if told is None:
            return  # too much waits; it stays at the relay
        taken.append(came.number)
        if came.mailbox in self._book.invitations:
            await self.reroute()
        for each in told:
            self._tell(each)
        self.wake()

    def _admit(self, came: Deliver, contact: bytes | None) -> list[Told] | None:
        """Open a payload, or keep it until it can be; what there is to tell."""
        standing = contact is None and came.mailbox in self._book.standing
        if contact is None:
            contact = self._person.sender_of(came.payload)
        if contact is not None:
            with self._person.working() as work:
                if work.held.first(contact) is not None:
                    if work.strangers.has(contact):
                        # What is too much of a stranger must not stand in others' way.
                        work.held.add(contact, came.payload, MAX_HELD_OF_STRANGER)
                        return []
                    return [] if work.held.add(contact, came.payload) else None
        try:
            return [self._person.receive(came.payload, self._now(), contact, came.mailbox)]
        except PadMissing as error:
            if contact is None:
                return [Unshown(error, standing=standing)]
            with self._person.working() as work:
                work.held.add(contact, came.payload)
            return [Missing(contact, error.pad_id)]
        except (MessageRefused, OpeningRefused) as error:
            return [replace(self._refuse(contact, error), standing=standing)]

    async def _retry(self, contact: bytes) -> None:
        async with self._taking:
            told = await asyncio.to_thread(self._open_held, contact)
        for each in told:
            self._tell(each)
        self.wake()

    async def _use(self, contact: bytes, made: NewPad) -> None:
        async with self._taking:
            told = await asyncio.to_thread(self._open_with, contact, made)
        for each in told:
            self._tell(each)
        self.wake()

    def _open_with(self, contact: bytes, made: NewPad) -> list[Told]:
        """Open the first that waits with a pad, in the transaction that the pad becomes ours in."""
        try:
            with self._person.working() as work:
                first = work.held.first(contact)
            if first is not None:
                with contextlib.suppress(MessageRefused, OpeningRefused):
                    told = self._person.receive(
                        first.payload, self._now(), contact, made=made, held=first.number
                    )
                    return [told]
            self._person.keep_made(contact, made)
            return []
        finally:
            made.pad.wipe()  # here, and not where a cancelled caller would do it too early

    def _open_held(self, contact: bytes) -> list[Told]:
        """Open what waits, in order, until one cannot be opened yet."""
        told: list[Told] = []
        while True:
            with self._person.working() as work:
                first = work.held.first(contact)
            if first is None:
                return told
            try:
                told.append(
                    self._person.receive(first.payload, self._now(), contact, held=first.number)
                )
            except PadMissing as error:
                return [*told, Missing(contact, error.pad_id)]
            except (MessageRefused, OpeningRefused) as error:
                told.append(self._refuse(contact, error))
                with self._person.working() as work:
                    work.held.remove(first.number)

    async def _give_up(self, contact: bytes, pad_id: bytes) -> None:
        async with self._taking:
            told = await asyncio.to_thread(self._refuse_held, contact, pad_id)
        for each in told:
            self._tell(each)
        await self._retry(contact)

    def _refuse_held(self, contact: bytes, pad_id: bytes) -> list[Told]:
        with self._person.working() as work:
            first = work.held.first(contact)
        if first is None:
            return []
        try:
            told: Told = self._person.receive(first.payload, self._now(), contact)
        except PadMissing as error:
            if error.pad_id != pad_id:
                return []
            told = self._refuse(contact, error)
        except (MessageRefused, OpeningRefused) as error:
            told = self._refuse(contact, error)
        with self._person.working() as work:
            work.held.remove(first.number)
        return [told]

    def _refuse(self, contact: bytes | None, error: MessageRefused | OpeningRefused) -> Unshown:
        """It is not shown; who sent it is told, where the message itself says which it was."""
        if isinstance(error, PadMissing | PadSpent) and error.of_step:
            gone = StepPadGone(
                "expected the pad that the keys of a message are mixed with, got none"
            )
            return Unshown(gone, contact)
        named = None
        if isinstance(error, PadMissing | PadDiffers | PadSpent | GroupRefused):
            named = error.content_id
        if contact is not None and named is not None and self._may_tell(contact, error):
            kind, ids = ContentKind.REFUSED, [named]
            if isinstance(error, PadMissing | PadDiffers):
                kind, ids = ContentKind.PAD_LOST, [named, error.pad_id]
            with self._person.working() as work:
                if work.sessions.of(contact) and not work.strangers.has(contact):
                    work.seal(work.contacts.get(contact), receipt(kind, ids, self._now()))
        return Unshown(error, contact)

    def _may_tell(self, contact: bytes, error: MessageRefused | OpeningRefused) -> bool:
        if not isinstance(error, PadDiffers):
            return True
        failed = (error.content_id or b"") + error.pad_id
        return self._failures.may_tell(contact, failed, self._now())


def _alike(waits: list[Outgoing]) -> Iterator[list[Outgoing]]:
    """In order, those behind each other together that one bundle may have."""
    for (size, _), same in itertools.groupby(waits, lambda each: (len(each.payload), each.ttl_s)):
        every, most = list(same), min(MAX_BUNDLE, MAX_BUNDLE_BYTES // size)
        for at in range(0, len(every), most):
            yield every[at : at + most]
