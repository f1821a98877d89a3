"""Says what waits, in order, with the pad that the conversation's mode and policy ask for.

In `fresh` mode each message has a session of its own. A session that is aborted sends nothing,
whatever the policy: the message stays, `not sent`, both sides are told of S and QBER, and it is
tried again at growing distances until a session succeeds; so it goes by itself once Eve has left,
or earlier, if `go` says so. Where there is merely no key, the policy decides: `require` keeps the
message, `prefer` sends it without pad and says so.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from bellwire.chat.content import Content, ContentKind, split
from bellwire.chat.errors import ContactUnknown, PadExhausted
from bellwire.chat.messenger.keys import AHEAD_BYTES, pad_id_of
from bellwire.chat.messenger.supply import Supply
from bellwire.chat.messenger.tasks import Spawn
from bellwire.chat.messenger.views import (
    Alert,
    AlertKind,
    ConversationChanged,
    Event,
    Mode,
    SessionBegan,
    SessionEnded,
)
from bellwire.chat.pads import Policy
from bellwire.chat.store.contacts import Contact
from bellwire.chat.store.person import Person
from bellwire.chat.store.records import aborted_name
from bellwire.chat.store.work import receipt
from bellwire.distill.verdict import Reason
from bellwire.etsi014.errors import Etsi014Error, KmeRejected, KmeUnavailable, SessionAborted
from bellwire.etsi014.record import SessionRecord

AGAIN_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""After how long what found no pad is tried again; the last of them from then on."""

FILL_BELOW: Final = 2048
"""Bytes of pad left under which more is fetched."""

Tell = Callable[[Event], None]
Changed = Callable[[bytes, bytes], Coroutine[None, None, None]]


@dataclass(slots=True)
class _Line:
    """What goes to one contact."""

    task: asyncio.Task[None]
    kick: asyncio.Event
    alerted: bool = False
    degraded: bool = False


class Sending:
    """Of all conversations.

    Args:
        person: Whose.
        supply: Of pads.
        spawn: Begins a task.
        tell: What happened.
        changed: A message of ours, by contact and id, is not as it was.
        wake: There is something in the outbox.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        person: Person,
        supply: Supply,
        *,
        spawn: Spawn,
        tell: Tell,
        changed: Changed,
        wake: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._person = person
        self._supply = supply
        self._spawn = spawn
        self._tell = tell
        self._changed = changed
        self._wake = wake
        self._now = now
        self._lines: dict[bytes, _Line] = {}

    def go(self, contact: bytes) -> None:
        """Something waits for this contact, or should be tried again now."""
        line = self._lines.get(contact)
        if line is not None and not line.task.done():
            line.kick.set()
            return
        kick = asyncio.Event()
        task = self._spawn(self._work(contact, kick))
        if task is None:
            return  # it waits in the store
        before, line = line, _Line(task, kick)
        if before is not None:
            line.alerted, line.degraded = before.alerted, before.degraded
        self._lines[contact] = line

    async def _work(self, contact: bytes, kick: asyncio.Event) -> None:
        tries = dry = 0
        while True:
            kick.clear()
            waits = await asyncio.to_thread(self._next, contact)
            if waits is None:
                if await self._fill_ahead(contact):
                    await _kicked(kick, dry)
                    dry += 1
                elif not kick.is_set():
                    return
                continue
            dry = 0
            known, card_sae, content = waits
            if await self._one(known, card_sae, content):
                tries = 0
                self._lines[contact].alerted = False
                self._wake()
                await self._changed(contact, content.content_id)
                continue
            await self._changed(contact, content.content_id)
            await _kicked(kick, tries)
            tries += 1

    def _next(self, contact: bytes) -> tuple[Contact, str, Content] | None:
        with self._person.working() as work:
            content = work.waiting.first(contact)
            if content is None:
                return None
            route = work.routes.get(contact)
            sae = "" if route is None or route.card is None else route.card.sae
            return work.contacts.get(contact), sae, content

    async def _one(self, known: Contact, sae: str, content: Content) -> bool:
        """Seal one content; False if it is not sent for now."""
        contact = known.contact
        try:
            if known.policy is Policy.OFF or not content.kind.is_padded:
                await self._seal(contact, content)
            elif known.mode == Mode.FRESH.value:
                return await self._by_session(known, sae, content)
            else:
                await self._from_stock(known, sae, content)
        except ContactUnknown:
            await self._keep(contact, content, "they have not answered yet, so there is no session")
            return False
        except PadExhausted as error:
            await self._no_pad(known, content, f"no pad of {error.needed} bytes is left")
            return False
        return True

    async def _seal(self, contact: bytes, content: Content, policy: Policy | None = None) -> None:
        await asyncio.to_thread(self._person.seal, contact, content, policy=policy)

    # From stock

    async def _from_stock(self, known: Contact, sae: str, content: Content) -> None:
        needed = 0
        for _ in range(len(split(content)) + 2):
            try:
                await self._seal(known.contact, content, Policy.REQUIRE)
            except PadExhausted as error:
                needed = error.needed
                if await self._fill(known.contact, sae, error.needed):
                    continue
                break
            self._lines[known.contact].degraded = False
            return
        if known.policy is Policy.REQUIRE:
            raise PadExhausted(needed)
        await self._degrade(known, content, "no pad was left")

    async def _fill(self, contact: bytes, sae: str, least: int = AHEAD_BYTES) -> bool:
        if not (sae and self._supply.sae):
            return False
        try:
            await self._supply.fill(contact, sae, least)
        except (Etsi014Error, ContactUnknown):
            return False
        self._wake()
        self._tell(ConversationChanged(contact))
        return True

    async def _fill_ahead(self, contact: bytes) -> bool:
        """Have pad before it is needed; whether there is still too little of it."""
        sae = await asyncio.to_thread(self._wants_pad, contact)
        if not (sae and self._supply.sae):
            return False
        await self._fill(contact, sae)
        return bool(await asyncio.to_thread(self._wants_pad, contact))

    def _wants_pad(self, contact: bytes) -> str:
        """The SAE with which we want pad from stock; empty if there is none, or pad enough."""
        with self._person.working() as work:
            if not work.contacts.knows(contact):
                return ""
            known, route = work.contacts.get(contact), work.routes.get(contact)
            if known.mode != Mode.POOL.value or known.policy is Policy.OFF:
                return ""
            left, _ = work.shelf(contact).left()
            if left >= FILL_BELOW or route is None or not work.sessions.of(contact):
                return ""
            return "" if route.card is None else route.card.sae

    # By sessions

    async def _by_session(self, known: Contact, sae: str, content: Content) -> bool:
        contact, name = known.contact, content.content_id
        self._tell(SessionBegan(contact, name))
        lengths = [len(part.text) for part in split(content)]
        try:
            if not (sae and self._supply.sae):
                raise KmeUnavailable("one of the two sides has no key server")
            pads = await self._supply.fresh(sae, lengths)
        except SessionAborted as aborted:
            self._tell(SessionEnded(contact, name, aborted.record))
            await self._aborted(known, content, aborted.record)
            return False
        except KmeRejected:
            # Another vendor's server, or one of a network: it makes no sessions.
            self._tell(SessionEnded(contact, name, None))
            await self._from_stock(known, sae, content)
            return True
        except Etsi014Error as error:
            self._tell(SessionEnded(contact, name, None))
            if known.policy is Policy.REQUIRE or await self._is_red(sae):
                await self._no_pad(known, content, str(error))
                return False
            await self._degrade(known, content, str(error))
            return True

        def seal() -> None:
            # Wiped on this thread: who waits for it may be cancelled while it still seals, and a
            # message under a pad that was wiped before its time could be opened by nobody.
            try:
                self._person.seal(contact, content, fresh=pads)
            finally:
                for each in pads:
                    each.pad.wipe()

        await asyncio.to_thread(seal)
        record = pads[-1].record
        self._tell(SessionEnded(contact, name, record))
        line = self._lines[contact]
        if line.alerted:
            words = f"sessions with {known.name} succeed again; what was not sent goes now"
            self._tell(Alert(AlertKind.CLEAR, contact, words, record))
        line.degraded = False
        return True

    async def _aborted(self, known: Contact, content: Content, record: SessionRecord) -> None:
        contact = known.contact
        why = aborted_words(record)
        name = aborted_name(contact, content.content_id, content.group)
        await asyncio.to_thread(self._supply.keep_record, contact, name, record)
        await self._keep(contact, content, why)
        line = self._lines[contact]
        if line.alerted:
            return
        line.alerted = True
        self._tell(Alert(AlertKind.EVE, contact, f"not sent to {known.name}: {why}", record))
        session = pad_id_of(record.session)
        with contextlib.suppress(ContactUnknown):
            await asyncio.to_thread(self._warn, contact, session)
            self._wake()

    def _warn(self, contact: bytes, session: bytes) -> None:
        """Tell the other side of a session that gave no pad."""
        with self._person.working() as work:
            known = work.contacts.get(contact)
            work.seal(known, receipt(ContentKind.ABORTED, [session], self._now()), Policy.OFF)

    async def _is_red(self, sae: str) -> bool:
        return bool(sae) and await self._supply.health(sae) == "RED"

    # Not sent

    async def _no_pad(self, known: Contact, content: Content, why: str) -> None:
        await self._keep(known.contact, content, why)
        line = self._lines[known.contact]
        if not line.alerted:
            line.alerted = True
            words = f"not sent to {known.name}: {why}"
            self._tell(Alert(AlertKind.NO_PAD, known.contact, words))

    async def _degrade(self, known: Contact, content: Content, why: str) -> None:
        await self._seal(known.contact, content, Policy.OFF)
        line = self._lines[known.contact]
        if not line.degraded:
            line.degraded = True
            words = f"sent to {known.name} without one-time pad: {why}"
            self._tell(Alert(AlertKind.DEGRADED, known.contact, words))

    async def _keep(self, contact: bytes, content: Content, why: str) -> None:
        def keep() -> None:
            with self._person.working() as work:
                if work.waiting.get(contact, content.content_id) is not None:
                    work.history.not_sent(contact, content.content_id, why)

        await asyncio.to_thread(keep)


async def _kicked(kick: asyncio.Event, tries: int) -> None:
    """Wait until it is time to try again, or somebody says so."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(AGAIN_S[min(tries, len(AGAIN_S) - 1)]):
            await kick.wait()


_FOR_PEOPLE: Final[dict[str | None, str]] = {
    Reason.CHSH: "the pairs were disturbed",
    Reason.QBER: "the pairs were disturbed",
}


def aborted_words(record: SessionRecord) -> str:
    """Why a session gave no pad, for people, with S and QBER."""
    said = [_FOR_PEOPLE.get(record.reason, record.reason) or "the session was aborted"]
    if record.s is not None and record.s_stderr is not None:
        said.append(f"S = {record.s:.3f} ± {record.s_stderr:.3f}")
    if record.qber is not None:
        said.append(f"QBER {record.qber:.1%}")
    return ", ".join(said)
