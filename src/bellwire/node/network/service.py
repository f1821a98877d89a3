"""One site of a network at work: its node, its deposits, and the KME before them."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

import structlog

from bellwire.base.clock import Clock
from bellwire.base.errors import first_of
from bellwire.crypto.signatures import SigningKey
from bellwire.keys.allowance import Allowance
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.errors import LinkRed, StoreError
from bellwire.keys.kme import Limits
from bellwire.network.bus import Bus
from bellwire.network.deposits import Deposits, Rules
from bellwire.network.kme import NetworkKme
from bellwire.network.marked_ids import MarkedIds
from bellwire.network.node import RelayNode
from bellwire.network.pads import Pads
from bellwire.network.pool_keys import NodeLink, PoolKeys
from bellwire.node.network.directory import FileDirectory
from bellwire.node.network.place import Kept
from bellwire.web.figures import Reading

TEND_EVERY_S: Final = 1.0
IDS: Final = "ids of relayed keys"

log = structlog.get_logger()


class SiteService:
    """One site.

    Args:
        site: Its name.
        identity: Its long-term key.
        directory: Who is where.
        nodes: The delivery socket of each link's node, by the other site's name.
        bus: The way to other sites.
        kept: What it keeps.
        rules: How blocks are made.
        limits: What SAEs may ask for.
        allowance: What masters may have.
        patience_s: Seconds that an attempt to relay a block may take.
        time_to_live_s: Age at which keys that no slave fetched are given up, in seconds.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        site: str,
        *,
        identity: SigningKey,
        directory: FileDirectory,
        nodes: Mapping[str, DeliveryClient],
        bus: Bus,
        kept: Kept,
        rules: Rules,
        limits: Limits,
        allowance: Allowance,
        patience_s: float,
        time_to_live_s: float,
        clock: Clock,
    ) -> None:
        self.site = site
        self.directory = directory
        self.changed: Callable[[], None] = lambda: None
        costs = directory.map.neighbours(site)
        self.links = {peer: NodeLink(peer, node, costs[peer]) for peer, node in nodes.items()}
        self._rules = rules
        self._clock = clock
        self._time_to_live_s = time_to_live_s
        self._store = kept.store
        self.pads = Pads(site)
        self.waiting = kept.store.waiting()
        self.node = RelayNode(
            name=site,
            identity=identity,
            roster=directory.map.roster(),
            links={peer: PoolKeys(nodes[peer], link.view) for peer, link in self.links.items()},
            bus=bus,
            store=self.pads,
            clock=clock,
            patience_s=patience_s,
            meetings=kept.meetings,
        )
        self.deposits = Deposits(
            self.node,
            self.pads,
            self.waiting,
            serves=directory.serves,
            site_of=directory.site_of,
            clock=clock,
            rules=rules,
        )
        self.kme = NetworkKme(
            site,
            directory=directory,
            deposits=self.deposits,
            pads=self.pads,
            waiting=self.waiting,
            ids=MarkedIds(kept.store.derive(IDS)),
            check_flow=self._check_flow,
            topology=self.node.topology,
            allowance=allowance,
            limits=limits,
            clock=clock,
        )

    async def look(self) -> None:
        """Ask the nodes of all links once, so that what they say is known before anybody asks."""
        await asyncio.gather(*(link.look() for link in self.links.values()))

    async def run(self) -> None:
        """Take part in the network, until cancelled.

        Raises:
            StoreError: the store was given up, and stays so: the site can do nothing any more.
            BellwireError: another part failed.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                for link in self.links.values():
                    tasks.create_task(link.watch())
                tasks.create_task(self.node.run())
                tasks.create_task(self._tend())
        except BaseExceptionGroup as errors:
            raise first_of(errors) from errors

    async def close(self) -> None:
        """Forget all blocks, and leave no copy of what was erased."""
        await self.deposits.close()
        try:
            await asyncio.to_thread(self.waiting.clean)
        except StoreError as error:
            log.warning("keys that wait not tended", reason=str(error))

    def _check_flow(self) -> None:
        views = [link.view() for link in self.links.values()]
        if not any(view.status.value != "RED" and not view.stale for view in views):
            raise LinkRed("no key leaves: no link of this site is trusted now")

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_EVERY_S)
            self._store.require_open()
            self.directory.refresh()
            before = self._clock() - self._time_to_live_s
            try:
                await asyncio.to_thread(self._tend_store, before)
            except StoreError as error:
                log.warning("keys that wait not tended", reason=str(error))

    def _tend_store(self, before: float) -> None:
        self.waiting.expire(before)
        self.waiting.clean()

    # What is told

    def readings(self) -> Iterable[Reading]:
        """For metrics."""
        for peer, link in self.links.items():
            view, labels = link.view(), {"link": peer}
            flows = view.status.value != "RED" and not view.stale
            yield Reading("stock_bits", "Key that may be drawn.", view.stock_bits, labels)
            yield Reading("keys_flow", "1 while keys may leave.", int(flows), labels)
        yield Reading("keys_waiting", "Keys that slaves have not fetched.", len(self.waiting))
        yield Reading("keys_deposited", "Keys handed to other sites.", self.deposits.made)
        yield Reading("keys_taken_in", "Keys taken in from other sites.", self.deposits.taken)

    def troubles(self) -> list[str]:
        """Why this site is not ready."""
        return [
            f"link to {peer}: {link.trouble}"
            for peer, link in self.links.items()
            if link.trouble is not None
        ]

    def document(self) -> dict[str, Any]:
        """What `bellwire network show --json` prints (docs/reference/json.md)."""
        topology = self.node.topology()
        sites = self.directory.map.sites
        waiting = self.waiting.of_slaves()
        return {
            "site": self.site,
            "sites": [
                {
                    "site": name,
                    "kme": self.directory.kme_of(name),
                    "saes": len(entry.saes),
                    "heard": name in topology.nodes,
                    "suspicion": round(self.node.charge_against(name), 3),
                    "covered_bytes": self.pads.left(name),
                }
                for name, entry in sorted(sites.items())
            ],
            "links": [
                {
                    "from": link.origin,
                    "to": link.target,
                    "status": link.status.value,
                    "stale": link.stale,
                    "stock_bits": link.stock_bits,
                    "cost": link.cost,
                    "source": None if link.source is None else link.source.value,
                }
                for link in topology.links()
            ],
            "own_links": [
                {"to": peer, "reason": link.reason, "trouble": link.trouble}
                for peer, link in sorted(self.links.items())
            ],
            "keys": {
                "waiting": sum(waiting.values()),
                "deposited": self.deposits.made,
                "taken_in": self.deposits.taken,
            },
        }

    def route(self, target: str) -> dict[str, Any]:
        """What `bellwire network route --json` prints.

        Raises:
            LinkRed, NotEnoughKey: there is no way now.
        """
        routes = self.deposits.ways(target)
        topology = self.node.topology()
        knowers = set.intersection(*(set(route[1:-1]) for route in routes))
        return {
            "site": self.site,
            "target": target,
            "routes": [
                {
                    "sites": list(route),
                    "links": [_hop(topology.link(*hop)) for hop in pairwise(route)],
                }
                for route in routes
            ],
            "relays_that_could_know": sorted(knowers),
            "stock_bits": self.deposits.bottleneck_bits(routes),
        }


def _hop(link: Any) -> dict[str, Any]:
    return {"status": link.status.value, "stock_bits": link.stock_bits, "cost": link.cost}
