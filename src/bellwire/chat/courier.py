"""Carries what a person's store has to send and takes what comes, over relays that come and go.

Two lines: one without a login on which payloads are dropped, so that the relay cannot tell whose
they are, and one on which the person's account listens. Each is made anew when it ends. A payload
leaves the outbox once the relay says that it is durable there, and the relay forgets what it
delivered once it is durable here; whatever dies in between, it comes again and counts once.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Final

from bellwire.chat.errors import (
    MessageRefused,
    OpeningRefused,
    PadMissing,
    RelayMisbehaved,
    RelayRefused,
    RelayUnreachable,
)
from bellwire.chat.identity import Identity
from bellwire.chat.relay.client import RelayClient
from bellwire.chat.relay.frames import MAX_TTL_S, Deliver
from bellwire.chat.store.person import Person, Received

TTL_S: Final = 14 * 86_400
assert TTL_S <= MAX_TTL_S

RETRY_S: Final = 0.1
MAX_RETRY_S: Final = 5.0
REFUSED_RETRY_S: Final = 1.0
"""After how long a payload is offered again that the relay did not take: a mailbox may be full, or
not open yet."""

_LINE_ENDED: Final = (RelayUnreachable, RelayMisbehaved)


@dataclass(frozen=True, slots=True)
class Route:
    """How one contact and we reach each other.

    Attributes:
        mailbox: Ours for this contact, 16 bytes, random.
        right_in: What the contact shows to drop into it, 32 bytes, random; we gave it to them.
        right_out: What we show to drop into theirs.
    """

    mailbox: bytes
    right_in: bytes
    right_out: bytes


@dataclass(frozen=True, slots=True)
class Unshown:
    """A payload that was refused, and why; it is gone from the relay."""

    reason: MessageRefused | OpeningRefused


Told = Callable[[Received | Unshown], None]


class Courier:
    """Runs between one person and one relay; `run` until it is cancelled.

    Args:
        person: Whose messages; used by this event loop's thread alone.
        account: A key for this relay alone; the relay must not learn the person's identity.
        url: The relay's address.
        routes: By the fingerprints of contacts.
        tell: Is given what came.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        person: Person,
        account: Identity,
        url: str,
        routes: Mapping[bytes, Route],
        tell: Told,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._person = person
        self._account = account
        self._url = url
        self._routes = routes
        self._tell = tell
        self._now = now
        self._wake = asyncio.Event()
        self._held: dict[int, Deliver] = {}

    def wake(self) -> None:
        """There is something new in the outbox, or a pad came that a payload waited for."""
        self._wake.set()

    async def run(self) -> None:
        """Carry.

        Raises:
            RelayRefused: the relay does not let us have our mailboxes, or another of our
                connections listens.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._again(self._send))
            tasks.create_task(self._again(self._receive))

    async def _again(self, work: Callable[[RelayClient], Coroutine[None, None, None]]) -> None:
        """Make the line anew whenever it ends, at growing distances while none can be made."""
        wait_s = RETRY_S
        while True:
            try:
                async with await RelayClient.connect(self._url) as line:
                    wait_s = RETRY_S
                    await work(line)
            except _LINE_ENDED:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, MAX_RETRY_S)

    async def _send(self, line: RelayClient) -> None:
        while True:
            self._wake.clear()
            waits = await self._send_all(line)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFUSED_RETRY_S if waits else None):
                    await self._wake.wait()

    async def _send_all(self, line: RelayClient) -> bool:
        """Drop what is in the outbox; whether some of it must wait."""
        refused: set[bytes] = set()
        for each in self._person.outbox():
            if each.contact in refused:
                continue  # what one contact gets stays in order, and others need not wait
            right = self._routes[each.contact].right_out
            try:
                await line.drop(right, each.token, TTL_S, each.payload)
            except RelayRefused:
                refused.add(each.contact)
            else:
                self._person.handed_over(each.number)
        return bool(refused)

    async def _receive(self, line: RelayClient) -> None:
        contacts = {route.mailbox: contact for contact, route in self._routes.items()}
        await line.login(self._account)
        for route in self._routes.values():
            await line.open_mailbox(route.mailbox, route.right_in)
        self._held.clear()
        await line.listen()
        while True:
            delivered = await line.next()
            self._take(line, contacts, delivered)
            for held in list(self._held.values()):
                self._take(line, contacts, held)

    def _take(self, line: RelayClient, contacts: Mapping[bytes, bytes], came: Deliver) -> None:
        contact = contacts.get(came.mailbox)
        if contact is None:
            line.safe(came.number)  # of a contact to whom there is no route any more
            return
        try:
            told: Received | Unshown = self._person.receive(came.payload, self._now(), contact)
        except PadMissing:
            # Its pad is on the way: it stays at the relay until it can be opened.
            self._held[came.number] = came
            return
        except (MessageRefused, OpeningRefused) as error:
            told = Unshown(error)
        self._held.pop(came.number, None)
        line.safe(came.number)
        self._tell(told)
        self._wake.set()
