"""Keys that go to the KMEs of other sites, and those that come from them.

A deposit takes a part of a relayed block (`pads`). Blocks are made when they are needed, over as
many node-disjoint routes as there are up to a number, and the next one before the last is used up.
A deposit has arrived when the other KME says, under the same part, that its keys are durable there.
What is not said in time has perhaps arrived: its ids are given to nobody, and it expires there.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

import structlog

from bellwire.base.clock import Clock
from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.keys.errors import LinkRed, NotEnoughKey, PeerAbsent, SlaveUnknown, StoreError
from bellwire.keys.kme import KEY_ID_BYTES
from bellwire.keys.waiting import Waiting
from bellwire.network import deposit
from bellwire.network.deposit import Answer, Header, Outcome
from bellwire.network.errors import MessageRefused, NoRoute
from bellwire.network.hop import key_bytes
from bellwire.network.model import SHARE_OVERHEAD, TransferRecord
from bellwire.network.node import RelayNode
from bellwire.network.pads import Pads, Part
from bellwire.network.routes import Demand, Route, disjoint_routes
from bellwire.network.topology import MAX_STOCK_BITS, Topology
from bellwire.network.wire import Kind

WITHIN_S: Final = 4.0
"""What all deposits of a request may take, with a block that is made for them; clients wait little
longer. A block goes on being made for the next request."""

TRIES: Final = 3
"""Of one deposit, each under another block: the other end may have lost some."""

_KEPT_ANSWERS: Final = 4096

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How blocks are made.

    Attributes:
        block_bytes: Length of a block, unless a deposit needs more.
        routes: Node-disjoint routes to split it over, where there are so many.
        min_routes: With fewer, no key comes about.
    """

    block_bytes: int = 4096
    routes: int = 2
    min_routes: int = 1


@dataclass(slots=True)
class _Awaited:
    part: Part
    answer: "asyncio.Future[Outcome]"


@dataclass(slots=True)
class _Site:
    """What concerns one other site."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    making: "asyncio.Task[TransferRecord] | None" = None


class Deposits:
    """The deposits of one node, out and in.

    Args:
        node: At work.
        pads: Its blocks.
        waiting: Where keys wait that came from others.
        serves: Whether an SAE is of this site.
        site_of: The site of an SAE; None for one of nowhere.
        clock: Seconds since the epoch.
        rules: How blocks are made.
    """

    def __init__(
        self,
        node: RelayNode,
        pads: Pads,
        waiting: Waiting,
        *,
        serves: Callable[[str], bool],
        site_of: Callable[[str], str | None],
        clock: Clock,
        rules: Rules | None = None,
    ) -> None:
        self.made = 0
        self.taken = 0
        self._node = node
        self._pads = pads
        self._waiting = waiting
        self._serves = serves
        self._site_of = site_of
        self._clock = clock
        self._rules = rules or Rules()
        self._sites: dict[str, _Site] = {}
        self._awaited: dict[tuple[bytes, int], _Awaited] = {}
        self._answers: OrderedDict[tuple[str, bytes, int], bytes] = OrderedDict()
        node.other = self.take

    async def close(self) -> None:
        """Make nothing more, and forget the blocks."""
        tasks = [site.making for site in self._sites.values() if site.making is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pads.wipe()

    # To others

    def ways(self, site: str) -> tuple[Route, ...]:
        """The routes that a block to `site` would take now.

        Raises:
            LinkRed: no way of trusted links leads there.
            NotEnoughKey: one does, and has too little key in stock.
        """
        return self._choose(site, self._rules.block_bytes)

    def bottleneck_bits(self, routes: Sequence[Route]) -> int:
        """Key in stock on the link of these routes that has least."""
        links = [self._node.topology().link(*hop) for route in routes for hop in pairwise(route)]
        return min((0 if link is None else link.stock_bits for link in links), default=0)

    async def send(
        self, site: str, master: str, slaves: tuple[str, ...], ids: bytes, keys: Secret
    ) -> list[TransferRecord]:
        """Keep keys for SAEs of another site there.

        Args:
            site: Theirs.
            master: Who gets them here.
            slaves: Who may have them there.
            ids: `KEY_ID_BYTES` for each key.
            keys: All of them, of one length. Secret.

        Returns:
            The blocks that covered them, once all are durable there.

        Raises:
            SlaveUnknown: that site does not serve one of `slaves`.
            LinkRed, NotEnoughKey, PeerAbsent: not now; whatever arrived is of no use to anybody.
            StoreError: the other KME could not keep them.
        """
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._send_all(site, master, slaves, ids, keys)
        except TimeoutError as error:
            raise PeerAbsent(f"expected site {site} to keep keys in time, got no word") from error

    async def _send_all(
        self, site: str, master: str, slaves: tuple[str, ...], ids: bytes, keys: Secret
    ) -> list[TransferRecord]:
        data, count = keys.reveal(), len(ids) // KEY_ID_BYTES
        length = len(data) // count
        each = max(1, deposit.MAX_DEPOSIT_BYTES // length)
        records = []
        # One after the other: parts of a block are opened in the order in which they lie.
        async with self._of(site).turn:
            for first in range(0, count, each):
                header = Header(
                    self._node.name,
                    site,
                    bytes(16),
                    0,
                    master,
                    slaves,
                    ids[first * KEY_ID_BYTES : (first + each) * KEY_ID_BYTES],
                    8 * length,
                )
                part = Secret(data[first * length : (first + each) * length])
                records.append(await self._send(site, header, part))
                part.wipe()
        self.made += count
        return records

    async def _send(self, site: str, header: Header, keys: Secret) -> TransferRecord:
        for _ in range(TRIES):
            part = await self._part(site, deposit.part_bytes(len(keys)))
            told = Header(
                header.origin,
                site,
                part.record.transfer,
                part.at,
                header.master,
                header.slaves,
                header.ids,
                header.bits,
            )
            outcome = await self._ask(site, told, keys, part)
            match outcome:
                case Outcome.KEPT:
                    return part.record
                case Outcome.NO_PAD:
                    self._pads.drop(site)  # it was started anew
                case Outcome.UNKNOWN_SLAVE:
                    raise SlaveUnknown(f"expected SAEs that site {site} serves, got others")
                case Outcome.FAILED:
                    raise StoreError(f"the store of site {site} failed")
        raise PeerAbsent(f"expected site {site} to have the relayed blocks that we have")

    async def _ask(self, site: str, header: Header, keys: Secret, part: Part) -> Outcome:
        place = (header.transfer, header.at)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._awaited[place] = _Awaited(part, answer)
        try:
            sealed = deposit.seal(header, keys, part.key)
            await self._node.say(site, Kind.DEPOSIT, sealed)
            return await answer
        finally:
            del self._awaited[place]
            part.key.wipe()

    async def _part(self, site: str, size: int) -> Part:
        """A part of a block, which is made if there is none; the next is made in time."""
        while True:
            part = self._pads.take(site, size, self._is_trusted)
            if part is not None:
                if self._pads.left(site) < self._rules.block_bytes // 2:
                    self._make(site, 1)
                return part
            making = self._make(site, size)
            await asyncio.wait({making})
            _raise(making, site)

    def _is_trusted(self, record: TransferRecord) -> bool:
        """Whether key may flow now on every link that carried a block."""
        topology = self._node.topology()
        links = [topology.link(*hop) for route in record.routes for hop in pairwise(route)]
        return all(link is not None and link.trusted for link in links)

    def _make(self, site: str, size: int) -> "asyncio.Task[TransferRecord]":
        """Make a block, unless one is being made."""
        found = self._of(site)
        if found.making is None or found.making.done():
            found.making = asyncio.create_task(self._make_now(site, size))
            # Whoever waits for it hears what became of it; perhaps nobody does.
            found.making.add_done_callback(_heard)
        return found.making

    async def _make_now(self, site: str, least: int) -> TransferRecord:
        """Make a block: of the usual length if there is key for it, else of what is needed."""
        size = max(least, self._rules.block_bytes)
        try:
            routes = self._choose(site, size)
        except NotEnoughKey:
            if least in (1, size):
                raise
            size = least
            routes = self._choose(site, size)
        try:
            return await self._node.make(site, size, routes=len(routes))
        except NoRoute:
            # Some turned RED or ran short, or a relay was found to alter shares, meanwhile.
            size = size if least == 1 else least
            return await self._node.make(site, size, routes=len(self._choose(site, size)))

    def _choose(self, site: str, size: int) -> tuple[Route, ...]:
        topology, name = self._node.topology(), self._node.name
        demand = self._node.demand(key_bytes(size + SHARE_OVERHEAD))
        missing: NoRoute | None = None
        for count in range(self._rules.routes, self._rules.min_routes - 1, -1):
            if count > self._rules.min_routes and self._is_joined(site, demand):
                continue  # nobody is in between whom a second route would keep from knowing it
            try:
                return disjoint_routes(topology, name, site, demand, count)
            except NoRoute as error:
                missing = error
        assert missing is not None
        # Whether there would be ways if stock did not count.
        full = Topology(replace(link, stock_bits=MAX_STOCK_BITS) for link in topology.links())
        try:
            dry = disjoint_routes(full, name, site, demand, self._rules.min_routes)
        except NoRoute:
            raise LinkRed(
                f"no key leaves: expected {self._rules.min_routes} ways of trusted links to site "
                f"{site}, got {missing.found}"
            ) from missing
        raise NotEnoughKey(8 * demand.size, self.bottleneck_bits(dry)) from missing

    def _is_joined(self, site: str, demand: Demand) -> bool:
        """Whether the best way to a site is a link of our own."""
        try:
            (route,) = disjoint_routes(self._node.topology(), self._node.name, site, demand)
        except NoRoute:
            return False
        return len(route) == 2

    def _of(self, site: str) -> _Site:
        return self._sites.setdefault(site, _Site())

    # What comes

    async def take(self, kind: Kind, data: bytes) -> None:
        """Take in a deposit or an answer.

        Raises:
            MessageRefused: it is none, or not authentic.
        """
        if kind is Kind.ANSWER:
            self._hear(deposit.read_answer(data))
            return
        came = deposit.read(data)
        header = came.header
        if header.target != self._node.name:
            raise MessageRefused(f"expected a deposit for {self._node.name}, got another's")
        place = (header.origin, header.transfer, header.at)
        said = self._answers.get(place)
        if said is None:
            said = await self._keep(came)
            self._answers[place] = said
            if len(self._answers) > _KEPT_ANSWERS:
                self._answers.popitem(last=False)
        await self._node.say(header.origin, Kind.ANSWER, said)

    async def _keep(self, came: deposit.Deposit) -> bytes:
        header = came.header
        pad = self._pads.theirs(header.origin, header.transfer)
        part = None if pad is None else pad.look(header.at, came.part_bytes)
        if pad is None or part is None:
            return deposit.refused(header, Outcome.NO_PAD)
        keys = came.open(part)
        # Only now: who has no part cannot spend one.
        pad.spend(header.at + came.part_bytes)
        if self._site_of(header.master) != header.origin or not all(
            self._serves(slave) for slave in header.slaves
        ):
            return deposit.refused(header, Outcome.UNKNOWN_SLAVE)

        def keep() -> None:
            # Wiped on this thread: a caller that is cancelled would do it while it still keeps.
            try:
                self._waiting.keep(header.ids, keys, header.master, header.slaves, self._clock())
            finally:
                keys.wipe()

        try:
            await asyncio.to_thread(keep)
        except StoreError as error:
            log.warning("keys of another site not kept", peer=header.origin, reason=str(error))
            return deposit.refused(header, Outcome.FAILED)
        self.taken += len(header.ids) // KEY_ID_BYTES
        return deposit.kept(header, part)

    def _hear(self, answer: Answer) -> None:
        awaited = self._awaited.get((answer.transfer, answer.at))
        if awaited is None or awaited.answer.done():
            return
        if answer.target != awaited.part.record.target:
            raise MessageRefused("expected an answer of the site that was asked, got another's")
        if answer.outcome is Outcome.KEPT:
            deposit.check_kept(answer, awaited.part.key)
        awaited.answer.set_result(answer.outcome)


def _heard(task: "asyncio.Task[TransferRecord]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("no block to a site", reason=str(task.exception()))


def _raise(making: "asyncio.Task[TransferRecord]", site: str) -> None:
    """What became of a block, in the words of a KME."""
    if making.cancelled():
        raise PeerAbsent("the node is stopping")
    error = making.exception()
    match error:
        case None:
            return
        case NoRoute():
            raise NotEnoughKey(error.bits, 0) from error
        case LinkRed() | NotEnoughKey() | StoreError():
            raise error
        case BellwireError():
            raise PeerAbsent(f"no block with site {site}: {error}", hint=error.hint) from error
        case _:
            raise error
