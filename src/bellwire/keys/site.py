"""The KME of a site: its SAEs, its links, and which of them a request concerns.

A `KeyServer` over the links of one node. An SAE of this site may be master and slave; slaves at the
peer of one link get their keys through that link, slaves of this site from copies. A key whose
slaves are at the peers of two links is not offered: it would have to be carried.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from bellwire.base.clock import system_clock
from bellwire.base.errors import BellwireError
from bellwire.etsi014.record import LATEST, SessionRecord, shown
from bellwire.keys.allowance import Allowance, Rules
from bellwire.keys.committer import READY_WITHIN_S
from bellwire.keys.errors import (
    KeyNotGranted,
    KeyNotReady,
    PeerAbsent,
    SaeUnknown,
    SessionAborted,
    SlaveUnknown,
)
from bellwire.keys.grants import Grant
from bellwire.keys.key_ids import unknown
from bellwire.keys.kme import KEY_ID_BYTES, Delivery, KeyRequest, Limits, PairStatus
from bellwire.keys.link_keys import LinkKeys, Reading
from bellwire.keys.model import KeyId, KeySourceKind
from bellwire.keys.requests import Fetch, Make
from bellwire.keys.status import StatusView


class Saes(Protocol):
    """The SAEs of a site."""

    def serves(self, sae: str) -> bool:
        """Whether an SAE is of this site now."""


class SessionSource(Protocol):
    """Makes keys of a link on demand, a session for each."""

    async def session(self, master: str, slave: str, bits: int, mark: str = "") -> Delivery:
        """A key for a master of this site and a slave of the peer's; see `KeyServer.get_keys`."""

    def record(self, session: bytes, caller: str) -> SessionRecord | None:
        """What is known of a session by its id, if the caller was master or slave of it."""

    def settling(self, session: bytes) -> "asyncio.Future[None] | None":
        """Done when a session that is under way has ended here; None if none of that id is."""

    def between(self, one: str, other: str) -> list[SessionRecord]:
        """The latest sessions of two SAEs, newest last."""


@dataclass(frozen=True, slots=True)
class SiteLink:
    """A link of the site.

    Attributes:
        keys: Its keys.
        view: Its status now.
        source: Where its keys come from.
        sessions: Makes keys of it on demand; None where there is none.
    """

    keys: LinkKeys
    view: Callable[[], StatusView]
    source: KeySourceKind
    sessions: SessionSource | None = None


class Site:
    """The KME of a site (`keys.kme.KeyServer`).

    Args:
        kme_id: Its name.
        saes: Its SAEs.
        links: Its links; the copies of the site are in the first one's store.
        limits: What requests may ask for.
        allowance: What masters may have.
    """

    def __init__(
        self,
        kme_id: str,
        saes: Saes,
        links: Sequence[SiteLink],
        limits: Limits | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self._kme_id = kme_id
        self._saes = saes
        self._links = links
        self._limits = limits or Limits()
        self._allowance = allowance or Allowance(Rules(), system_clock)

    @property
    def kme_id(self) -> str:
        """Name of this KME."""
        return self._kme_id

    @property
    def limits(self) -> Limits:
        """What requests may ask for."""
        return self._limits

    def serves(self, sae: str) -> bool:
        """Whether an SAE is one of ours."""
        return self._saes.serves(sae)

    def status(self, caller: str, slave: str) -> PairStatus:
        """What there is between `caller` and `slave`.

        Raises:
            SaeUnknown, SlaveUnknown: nobody serves them.
        """
        self._require_served(caller)
        link = self._link_of(slave)
        most = self._limits.max_key_count
        if link is None:
            return PairStatus(
                source_kme=self._kme_id,
                target_kme=self._kme_id,
                master=caller,
                slave=slave,
                stored_keys=most,  # they are made when asked for
                extension={"source": KeySourceKind.LOCAL.value},
            )
        view = link.view()
        there = link.keys.takeable_bits // self._limits.key_bits if view.keys_may_flow else 0
        latest = [] if link.sessions is None else link.sessions.between(caller, slave)
        return PairStatus(
            source_kme=self._kme_id,
            target_kme=link.keys.peer.kme,
            master=caller,
            slave=slave,
            stored_keys=min(there, most),
            extension={
                "source": link.source.value,
                "link_status": view.status.value,
                "link_reason": view.reason,
                "link_stale": view.stale,
                "qber": view.qber,
                **({LATEST: msgspec.to_builtins(latest)} if latest else {}),
            },
        )

    def get_keys(self, caller: str, request: KeyRequest) -> "asyncio.Future[Delivery]":
        """New keys for `caller` as master; see `KeyServer`."""
        self._require_served(caller)
        link: SiteLink | None = None
        here: tuple[str, ...] = ()
        for slave in request.slaves:
            at = self._link_of(slave)
            if at is None:
                here += (slave,)
            elif link is None:
                link = at
            elif at is not link:
                raise SlaveUnknown("expected slaves of one other KME, got slaves of several")
        bits = request.number * request.bits
        if link is not None and not request.fresh:
            self._allowance.check_stock(caller, link.keys, bits)
        if not self._allowance.spend(caller, bits):
            return self._ask(caller, request, link, here)
        try:
            asked = self._ask(caller, request, link, here)
        except BellwireError:
            self._allowance.give_back(caller, bits)
            raise
        asked.add_done_callback(lambda done: self._counted(done, caller, bits))
        return asked

    def _counted(self, done: "asyncio.Future[Delivery]", caller: str, bits: int) -> None:
        if done.cancelled() or done.exception() is not None:
            self._allowance.give_back(caller, bits)

    def _ask(
        self, caller: str, request: KeyRequest, link: SiteLink | None, here: tuple[str, ...]
    ) -> "asyncio.Future[Delivery]":
        if request.fresh:
            return asyncio.ensure_future(_session(link, caller, request))
        if link is None:
            make = Make(request.number, request.bits, caller, here)
            return self._links[0].keys.submit(make)
        grant = link.keys.known_grant(caller, request.slaves)
        if grant is not None:
            return link.keys.submit_take(grant, request.number, request.bits, here)
        return asyncio.ensure_future(self._first(link.keys, caller, request, here))

    async def _first(
        self, keys: LinkKeys, caller: str, request: KeyRequest, here: tuple[str, ...]
    ) -> Delivery:
        grant = await keys.grant(caller, request.slaves)
        return await keys.submit_take(grant, request.number, request.bits, here)

    def get_keys_with_ids(self, caller: str, master: str, ids: bytes) -> "asyncio.Future[Delivery]":
        """Keys that `master` got, for `caller` as slave; see `KeyServer`."""
        self._require_served(caller)
        grants: list[Grant] = []
        for link in self._links:
            reading = link.keys.read(ids, own=False)
            theirs = _distinct(reading)
            if reading.whole:
                _require_granted(caller, theirs)
                if any(grant.master != master for grant in theirs):
                    raise unknown(ids[:KEY_ID_BYTES])
                return link.keys.submit_leave(caller, reading)
            grants += theirs
        for link in self._links:
            # What our own masters got for SAEs elsewhere is not for those here.
            _require_granted(caller, _distinct(link.keys.read(ids, own=True)))
        _require_granted(caller, grants)
        if grants:
            raise unknown(ids[:KEY_ID_BYTES])
        # Of this site's masters, or of a session, or of nobody.
        settling = self._settling(ids)
        if settling is not None:
            return asyncio.ensure_future(self._after(settling, caller, master, ids))
        record = self.record(caller, ids)
        if record is not None and not record.accepted:
            raise SessionAborted("the session of this id gave no pad", shown(record))
        fetched = self._links[0].keys.submit(Fetch(ids, caller, master))
        return fetched if record is None else asyncio.ensure_future(_told(fetched, record))

    def _settling(self, session: bytes) -> "asyncio.Future[None] | None":
        sources = (link.sessions for link in self._links if link.sessions is not None)
        found = (source.settling(session) for source in sources)
        return next((each for each in found if each is not None), None)

    async def _after(
        self, settling: "asyncio.Future[None]", caller: str, master: str, ids: bytes
    ) -> Delivery:
        """What the master has already, and this side is about to have."""
        await asyncio.wait({settling}, timeout=READY_WITHIN_S)
        if not settling.done():
            raise KeyNotReady(str(KeyId(ids)))
        return await self.get_keys_with_ids(caller, master, ids)

    def record(self, caller: str, session: bytes) -> SessionRecord | None:
        """What is known of a session by its id, if the caller was master or slave of it."""
        sources = (link.sessions for link in self._links if link.sessions is not None)
        found = (source.record(session, caller) for source in sources)
        return next((record for record in found if record is not None), None)

    def _require_served(self, caller: str) -> None:
        if not self._saes.serves(caller):
            raise SaeUnknown("expected an SAE that this KME serves, got another")

    def _link_of(self, slave: str) -> SiteLink | None:
        """The link to a slave's KME; None if it is our own SAE.

        Raises:
            SlaveUnknown: it is neither.
        """
        if self._saes.serves(slave):
            return None
        for link in self._links:
            if slave in link.keys.peer.saes:
                return link
        raise SlaveUnknown("expected a slave that one of the KMEs in reach serves, got another")


async def _session(link: SiteLink | None, master: str, request: KeyRequest) -> Delivery:
    if link is None or len(request.slaves) != 1:
        raise SlaveUnknown("expected one slave, at another KME, for a session")
    if link.sessions is None:
        raise PeerAbsent("sessions are made by the node, and this is a further process")
    return await link.sessions.session(master, request.slaves[0], request.bits, request.mark)


async def _told(fetched: "asyncio.Future[Delivery]", record: SessionRecord) -> Delivery:
    return msgspec.structs.replace(await fetched, extension=shown(record))


def _distinct(reading: Reading) -> list[Grant]:
    grants = [grant for grant in reading.grants if grant is not None]
    return grants if len(grants) < 2 else list({id(grant): grant for grant in grants}.values())


def _require_granted(caller: str, grants: Sequence[Grant]) -> None:
    """Raises KeyNotGranted: one of them is other SAEs'."""
    for grant in grants:
        if caller not in grant.slaves:
            raise KeyNotGranted("a key was granted to other SAEs")
