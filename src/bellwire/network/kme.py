"""The KME of a site in a network: keys for its SAEs to share with those of any other site.

A `KeyServer` (`keys.kme`). New keys come from this site's generator; before the master gets them
they are durable at the KME of every slave, carried there under relayed blocks (`deposits`), or here
for slaves of this site. Source: ETSI GS QKD 014 V1.1.1, annex B (the KME of the master makes keys
and has them carried, hop by hop, to those of all slaves).
"""

import asyncio
import secrets
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

from bellwire.base.clock import Clock
from bellwire.base.secret import Secret
from bellwire.keys.allowance import Allowance
from bellwire.keys.errors import (
    KeyNotGranted,
    LinkRed,
    NotEnoughKey,
    SaeUnknown,
    SlaveUnknown,
)
from bellwire.keys.kme import Delivery, KeyRequest, Limits, PairStatus
from bellwire.keys.model import KeySourceKind
from bellwire.keys.waiting import Waiting, each_id
from bellwire.network.deposit import part_bytes
from bellwire.network.deposits import Deposits
from bellwire.network.marked_ids import Made, MarkedIds
from bellwire.network.model import TransferRecord
from bellwire.network.pads import Pads
from bellwire.network.routes import Route
from bellwire.network.topology import Topology

RELAYED = "relayed"


class Directory(Protocol):
    """Who is where."""

    def serves(self, sae: str) -> bool:
        """Whether an SAE is of this site now."""

    def site_of(self, sae: str) -> str | None:
        """The site of an SAE; None for one of nowhere."""

    def kme_of(self, site: str) -> str:
        """Id of a site's KME."""


class NetworkKme:
    """The KME of one site.

    Args:
        site: Its name in the network.
        directory: Who is where.
        deposits: Carries keys to other sites.
        pads: What covers them.
        waiting: Where keys wait for SAEs of this site.
        ids: Names keys.
        check_flow: Raises LinkRed while no link of this site is trusted.
        topology: The network as it is known now.
        allowance: What masters may have.
        limits: What requests may ask for.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        site: str,
        *,
        directory: Directory,
        deposits: Deposits,
        pads: Pads,
        waiting: Waiting,
        ids: MarkedIds,
        check_flow: Callable[[], None],
        topology: Callable[[], Topology],
        allowance: Allowance,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._site = site
        self._directory = directory
        self._deposits = deposits
        self._pads = pads
        self._waiting = waiting
        self._ids = ids
        self._check_flow = check_flow
        self._topology = topology
        self._allowance = allowance
        self._limits = limits
        self._clock = clock

    @property
    def kme_id(self) -> str:
        """Name of this KME."""
        return self._directory.kme_of(self._site)

    @property
    def limits(self) -> Limits:
        """What requests may ask for."""
        return self._limits

    def serves(self, sae: str) -> bool:
        """Whether an SAE is one of ours."""
        return self._directory.serves(sae)

    def status(self, caller: str, slave: str) -> PairStatus:
        """What there is between `caller` and `slave`.

        Raises:
            SaeUnknown, SlaveUnknown: nobody serves them.
        """
        self._require_served(caller)
        site = self._site_of(slave)
        stored, extension = (
            (self._limits.max_key_count, {"source": KeySourceKind.LOCAL.value})
            if site == self._site
            else self._there(site)
        )
        return PairStatus(
            source_kme=self.kme_id,
            target_kme=self._directory.kme_of(site),
            master=caller,
            slave=slave,
            stored_keys=min(stored, self._limits.max_key_count),
            extension=extension,
        )

    def _there(self, site: str) -> tuple[int, dict[str, object]]:
        """Keys that could be had for a site now, and what is said of them."""
        each = part_bytes(self._limits.key_bits // 8)
        held = self._pads.left(site) // each
        try:
            routes = self._deposits.ways(site)
        except (LinkRed, NotEnoughKey) as error:
            stored = 0 if isinstance(error, LinkRed) else held
            return stored, {"source": RELAYED, "bellwire_reason": str(error)}
        stored = held + self._deposits.bottleneck_bits(routes) // (8 * each)
        return stored, {"source": RELAYED, **_carried([routes], self._topology())}

    def get_keys(self, caller: str, request: KeyRequest) -> "asyncio.Future[Delivery]":
        """New keys for `caller` as master; see `KeyServer`."""
        self._require_served(caller)
        at: dict[str, tuple[str, ...]] = {}
        for slave in request.slaves:
            site = self._site_of(slave)
            at[site] = (*at.get(site, ()), slave)
        bits = request.number * request.bits
        self._allowance.spend(caller, bits)
        asked = asyncio.ensure_future(self._make(caller, at, request))
        asked.add_done_callback(lambda done: self._counted(done, caller, bits))
        return asked

    def _counted(self, done: "asyncio.Future[Delivery]", caller: str, bits: int) -> None:
        if done.cancelled() or done.exception() is not None:
            self._allowance.give_back(caller, bits)

    async def _make(
        self, caller: str, at: dict[str, tuple[str, ...]], request: KeyRequest
    ) -> Delivery:
        here = at.pop(self._site, ())
        ids = self._ids.make(request.number, for_here=bool(here))
        keys = Secret(secrets.token_bytes(request.number * request.bits // 8))
        # All are waited for: what one site refused is not to arrive at another much later.
        sent = await asyncio.gather(
            *(self._deposits.send(site, caller, slaves, ids, keys) for site, slaves in at.items()),
            return_exceptions=True,
        )
        records: list[TransferRecord] = []
        for outcome in sent:
            if isinstance(outcome, BaseException):
                raise outcome
            records += outcome
        if here:
            await asyncio.to_thread(self._waiting.keep, ids, keys, caller, here, self._clock())
        if not records:
            return Delivery(ids, keys, request.bits)
        carried = _carried([record.routes for record in records], self._topology())
        return Delivery(ids, keys, request.bits, extension=carried)

    def get_keys_with_ids(self, caller: str, master: str, ids: bytes) -> "asyncio.Future[Delivery]":
        """Keys that `master` got, for `caller` as slave; see `KeyServer`.

        Raises:
            KeyNotGranted: one was made here for SAEs of other sites.
            LinkRed: one came from another site, and no link of this one is trusted now.
        """
        self._require_served(caller)
        made = {self._ids.read(key_id) for key_id in each_id(ids)}
        if Made.HERE_FOR_ELSEWHERE in made:
            raise KeyNotGranted("a key was granted to SAEs of other sites")
        if Made.ELSEWHERE in made:
            self._check_flow()
        return asyncio.ensure_future(asyncio.to_thread(self._waiting.hand_out, ids, caller, master))

    def _require_served(self, caller: str) -> None:
        if not self._directory.serves(caller):
            raise SaeUnknown("expected an SAE that this KME serves, got another")

    def _site_of(self, slave: str) -> str:
        if self._directory.serves(slave):
            return self._site
        site = self._directory.site_of(slave)
        if site is None or site == self._site:
            raise SlaveUnknown("expected a slave of a site of this network, got another")
        return site


def _carried(blocks: "list[tuple[Route, ...]]", topology: Topology) -> dict[str, object]:
    """Who carried keys, who of them each alone could know one, and where links' keys come from."""
    routes = sorted({route for block in blocks for route in block})
    knowers: set[str] = set()
    for block in blocks:
        knowers |= set.intersection(*(set(route[1:-1]) for route in block))
    links = [topology.link(*hop) for route in routes for hop in pairwise(route)]
    sources = {None if link is None else link.source for link in links}
    return {
        "bellwire_routes": [list(route) for route in routes],
        "bellwire_relays_that_could_know": sorted(knowers),
        "bellwire_link_sources": sorted(
            "not known" if source is None else source.value for source in sources
        ),
    }
