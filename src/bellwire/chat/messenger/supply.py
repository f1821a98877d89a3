"""Pads of one person, from the key server of the person's own site alone.

Ahead, from stock, where a conversation's mode is `pool`: the keys' ids cross to the other side
inside the session, and it fetches the same keys at its own server. Or at once, by a session for one
message, whose id is the pad's. What a message that came needs is fetched when it names it. No call
gives a pad twice, and what was fetched is durable, sealed, before anything uses it.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from bellwire.chat.content import Content, ContentKind
from bellwire.chat.messenger.keys import (
    AHEAD_BYTES,
    Site,
    draw,
    health_of,
    joined,
    pad_id_of,
    session_id,
    source_of,
)
from bellwire.chat.pads import OVERHEAD_BYTES, PAD_ID_BYTES, POINT_BYTES
from bellwire.chat.store.offers import Offer
from bellwire.chat.store.pads import NewPad
from bellwire.chat.store.person import Person
from bellwire.etsi014.errors import (
    Etsi014Error,
    KmeMisbehaved,
    KmeRejected,
    KmeUnauthorised,
    RequestUnusable,
    SessionAborted,
)
from bellwire.etsi014.fresh import FreshPad
from bellwire.etsi014.messages import Status
from bellwire.etsi014.record import SessionRecord

GONE: Final = (KmeRejected, KmeUnauthorised, KmeMisbehaved, RequestUnusable)
"""After these a key will never be had; after any other error of a key server it may be."""


class Supply:
    """The pads of all conversations.

    Args:
        person: Where they are kept.
        site: Our own; None: there is no key server, and no pad.
        now: Seconds since the epoch.
    """

    def __init__(self, person: Person, site: Site | None, now: Callable[[], float]) -> None:
        self._person = person
        self._site = site
        self._now = now
        self._filling: dict[bytes, asyncio.Lock] = {}

    @property
    def sae(self) -> str:
        """Who we are to our key server; empty without one."""
        return "" if self._site is None else self._site.sae

    async def fresh(self, slave: str, lengths: list[int]) -> list[NewPad]:
        """A pad for each part of a message, by sessions.

        Args:
            slave: Whose it is for, by their SAE.
            lengths: Bytes of text of each part.

        Raises:
            SessionAborted: there is none; the error has the record, and other pads are wiped.
            Etsi014Error: as `FreshClient.fresh`.
        """
        site = self._required()
        pads: list[NewPad] = []
        try:
            for length in lengths:
                bits = 8 * (POINT_BYTES + OVERHEAD_BYTES + length)
                pads.append(_new_pad(await site.server.fresh(slave, bits)))
        except BaseException:
            for each in pads:
                each.pad.wipe()
            raise
        return pads

    def keep_record(self, contact: bytes, name: bytes, record: SessionRecord) -> None:
        """Keep what a session measured, under its pad's id or that of the message without one."""
        with self._person.working() as work:
            work.records.keep(contact, name, record)

    async def fill(self, contact: bytes, slave: str, least: int = AHEAD_BYTES) -> None:
        """Fetch pad from stock for what we say, and tell the other side of what keys it is.

        Args:
            contact: Whom it is for.
            slave: Their SAE.
            least: Bytes that one message must find in it; less than that is not fetched.

        Raises:
            Etsi014Error: there is none.
        """
        site = self._required()
        async with self._filling.setdefault(contact, asyncio.Lock()):
            status = await site.server.status(slave)
            stock = await draw(site.server, slave, status, POINT_BYTES + least)
            offer = Offer(os.urandom(PAD_ID_BYTES), stock.key_ids)
            content = Content(
                ContentKind.PAD_OFFER, os.urandom(16), int(self._now() * 1000), offer.encode()
            )
            await asyncio.to_thread(
                self._person.offer_pad, contact, offer.pad_id, stock.pad, source_of(status), content
            )
            stock.pad.wipe()

    async def take_offers(self, contact: bytes, master: str) -> list[bytes]:
        """Fetch the pads that a contact has offered; those that can never be had.

        Raises:
            Etsi014Error: not now.
        """
        site = self._required()
        lost = []
        for offer in await asyncio.to_thread(self._offers, contact):
            try:
                status = await site.server.status(master)
                keys = await site.server.get_keys_with_ids(master, offer.key_ids)
            except GONE:
                lost.append(offer.pad_id)
                await asyncio.to_thread(self._drop_offer, offer.pad_id)
                continue
            pad = joined(keys)
            source = source_of(status)
            await asyncio.to_thread(self._person.take_pad, contact, offer.pad_id, pad, source)
            pad.wipe()
        return lost

    async def fetch(self, master: str, pad_id: bytes) -> NewPad:
        """The pad of a session that a contact asked for; it is nowhere but in memory yet.

        Raises:
            SessionAborted: the session gave none.
            Etsi014Error: one of `GONE`: it can never be had; another: not now.
        """
        return _new_pad(await self._required().server.pad(master, session_id(pad_id)))

    async def record_of_aborted(self, master: str, session: bytes) -> SessionRecord | None:
        """What our own node measured of a session that gave no pad; None if it does not say."""
        if self._site is None:
            return None
        try:
            found = await self._site.server.pad(master, session_id(session))
        except SessionAborted as aborted:
            return aborted.record
        except Etsi014Error:
            return None
        found.pad.wipe()  # it was not aborted: nobody will use it
        return None

    async def status(self, sae: str) -> Status:
        """What our key server says of the keys with somebody's SAE.

        Raises:
            Etsi014Error: as `AsyncClient.status`.
        """
        return await self._required().server.status(sae)

    async def health(self, sae: str) -> str | None:
        """The link's status by our key server's word; None if it does not say."""
        try:
            return health_of(await self.status(sae))
        except Etsi014Error:
            return None

    def _required(self) -> Site:
        if self._site is None:
            raise RequestUnusable(
                "expected a key server of our own site, got none",
                hint="Name its profile: bellwire chat new NAME --profile PROFILE.",
            )
        return self._site

    def _offers(self, contact: bytes) -> list[Offer]:
        with self._person.working() as work:
            return work.offers.of(contact)

    def _drop_offer(self, pad_id: bytes) -> None:
        with self._person.working() as work:
            work.offers.done(pad_id)


def _new_pad(made: FreshPad) -> NewPad:
    """A pad that a key server gave, for a store."""
    try:
        pad_id = pad_id_of(made.pad_id)
    except ValueError as error:
        made.pad.wipe()
        raise KmeMisbehaved("expected a session whose id is a UUID, got another") from error
    source = "simulated" if made.record is None else made.record.source
    return NewPad(pad_id, made.pad, source, made.record)
