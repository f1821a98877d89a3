"""Sessions on demand: an SAE of this site asks for a fresh pad, and both nodes make it now.

A session is a block of E91 of its own (spec/classical-channel.md, "Sessions"): Alice's node opens
it, at once, beside whatever blocks are under way; for a master of Bob's site she is asked to. Its
key is one pad, for one master and one slave, under the session's id. What always holds:

- The master's node has the pad in memory alone, and hands it out once, after both nodes are known
  to have stored the session; the slave's keeps it, sealed, until it is fetched by its id, once.
- No bit of a session is in the pool, and no session takes a bit from it.
- Where keys may not flow, a session is run as a probe, which gives no pad, spends no authentication
  key and shows S and QBER to whoever asked; a link whose verdict was only old is found good so.
- Each side keeps a record of a session, without a secret, for a while, and for its members alone.

Everything is for the event loop's thread.
"""

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace

import structlog

from bellwire.base.clock import Clock
from bellwire.base.detections import Protocol, Side
from bellwire.base.errors import BellwireError
from bellwire.base.frames import ConnectionEnded
from bellwire.base.secret import Secret
from bellwire.distill.line import Declined, Wanted
from bellwire.distill.messages import MAX_PAD_BITS, PAD_SET_BITS, Fresh
from bellwire.distill.report import BlockReport
from bellwire.distill.sizing import LinkFigures, pairs_needed
from bellwire.distill.verdict import Reason
from bellwire.etsi014.record import MAX_LATEST, SessionRecord, shown
from bellwire.keys.errors import (
    LinkRed,
    PeerAbsent,
    PreplacedKeyInvalid,
    QuotaReached,
    SessionAborted,
)
from bellwire.keys.kme import Delivery
from bellwire.keys.link_keys import LinkKeys
from bellwire.keys.model import KeySourceKind
from bellwire.keys.session_pads import PadFor, cut
from bellwire.node.classical import SESSIONS_IN_FLIGHT, Classical
from bellwire.node.material import NoPart
from bellwire.node.overheard import Overheard
from bellwire.node.records import Records, record_of
from bellwire.node.under_way import UnderWay
from bellwire.node.unfolding import Unfolding

WITHIN_S = 4.0
"""How long a master waits: less than its client does, which would not know why."""

MAX_WANTED = 16
"""Sessions that Bob may want at once."""

REFUSED = frozenset({Reason.RED, Reason.BUSY, Reason.GRANT})
"""Ends of a session that was not taken part in: they say nothing of the link."""

_BAD_LUCK = (Reason.NO_NET_KEY, Reason.RECONCILIATION)
"""Ends of a session after which it is made once more: a block can be too short by chance."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What sessions must be like, and what consumers may ask for at once.

    Attributes:
        epsilon: Of each block.
        in_flight: Sessions of this site's masters.
        of_sae: Of one master.
        of_pair: Of one master with one slave.
    """

    epsilon: float = 1e-10
    in_flight: int = 16
    of_sae: int = 4
    of_pair: int = 2


@dataclass(frozen=True, slots=True)
class _Ended:
    record: SessionRecord
    secret: Secret | None


@dataclass(slots=True)
class _Demand:
    """A session that a master of this site waits for."""

    pad: PadFor
    ended: "asyncio.Future[_Ended]"
    mark: str
    since: float = field(default_factory=time.perf_counter)
    probed: BlockReport | None = None
    declined: Declined | None = None


class FreshSessions:
    """The sessions of one node's link (`classical.Sessions`, `keys.site.SessionSource`).

    Args:
        side: The node's.
        keys: Of the link: whose grants name masters and slaves.
        source: What its light is.
        flowing: Whether keys may flow here now.
        clock: Seconds since the epoch.
        rules: What sessions must be like, and may be asked for.

    Attributes:
        probes: Numbers of probes, which sessions share.
        records: Of past sessions.
        unfolding: What is known of those under way.
        overheard: Keeps what of sessions crossed the channel, in the lab.
    """

    def __init__(
        self,
        side: Side,
        keys: LinkKeys,
        *,
        source: KeySourceKind,
        flowing: Callable[[], bool],
        clock: Clock,
        rules: SessionRules | None = None,
    ) -> None:
        self._side = side
        self._keys = keys
        self._source = source
        self._flowing = flowing
        self._clock = clock
        self._rules = rules or SessionRules()
        self.probes = itertools.count(1)
        self.records = Records(clock)
        self.unfolding = Unfolding()
        self.overheard: Overheard | None = None
        self._figures = LinkFigures()
        self._line: Classical | None = None
        self._slots = asyncio.Semaphore(SESSIONS_IN_FLIGHT)
        self._in_flight: Counter[tuple[str, str]] = Counter()
        self._demands: dict[bytes, _Demand] = {}
        self._settling: dict[bytes, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted = 0
        self._doubted = False  # the peer found the link RED where we did not

    # The node

    def attach(self, line: Classical) -> None:
        """The peer is there."""
        self._line = line

    def detach(self, line: Classical) -> None:
        """It is gone."""
        if self._line is line:
            self._line = None
            for demand in self._demands.values():
                if self._side is Side.BOB and not demand.ended.done():
                    demand.ended.set_exception(_gone())

    def learn(self, report: BlockReport) -> None:
        """What a block or probe shows of the link."""
        if report.accepted and report.protocol is Protocol.E91 and report.qber is not None:
            share = report.detected / report.pulses
            self._figures = LinkFigures(min(1.0, share), report.qber)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # SAEs

    async def session(self, master: str, slave: str, bits: int, mark: str = "") -> Delivery:
        """A pad for a master of this site, made now; the slave's node has it when this returns.

        Args:
            master: SAE of this site.
            slave: SAE of the peer's.
            bits: A multiple of 8, up to `MAX_PAD_BITS`.
            mark: By what `unfolding` tells of it while it goes on; empty: it does not.

        Returns:
            One key; its extension has the session's record.

        Raises:
            SessionAborted: there is no pad; it has the record.
            QuotaReached: too many are under way.
            SlaveUnknown: the peer does not take the grant.
            PeerAbsent, StoreError: not now.
            LinkRed: the link turned RED while it was made.
            ValueError: `bits` is no such number.
        """
        if not 8 <= bits <= MAX_PAD_BITS or bits % 8:
            raise ValueError(f"expected a multiple of 8 up to {MAX_PAD_BITS} bits, got {bits}")
        pair = master, slave
        self._check_room(pair)
        self._in_flight[pair] += 1
        try:
            grant = await self._keys.grant(master, (slave,))
            ended = await self._one(pair, bits, grant.number, mark)
            if ended.record.reason in _BAD_LUCK:
                ended = await self._one(pair, bits, grant.number, mark)
        finally:
            self._in_flight[pair] -= 1
            if not self._in_flight[pair]:
                del self._in_flight[pair]
        return self._delivery(ended, bits)

    def record(self, session: bytes, caller: str) -> SessionRecord | None:
        """The record of a session of which the caller is a member, while it is kept."""
        found = self.records.find(session)
        return found if found is not None and caller in (found.master, found.slave) else None

    def settling(self, session: bytes) -> "asyncio.Future[None] | None":
        """Done when a session that is under way has ended here; None if none of that id is."""
        return self._settling.get(session)

    def between(self, one: str, other: str) -> list[SessionRecord]:
        """The latest sessions of two SAEs, newest last, `MAX_LATEST` at most."""
        pair = {one, other}
        found = [each for each in self.records.all() if {each.master, each.slave} == pair]
        return found[-MAX_LATEST:]

    def _check_room(self, pair: tuple[str, str]) -> None:
        rules, master = self._rules, pair[0]
        of_sae = sum(count for (name, _), count in self._in_flight.items() if name == master)
        if self._in_flight[pair] >= rules.of_pair:
            raise QuotaReached(f"expected at most {rules.of_pair} sessions at once of one pair")
        if of_sae >= rules.of_sae:
            raise QuotaReached(f"expected at most {rules.of_sae} sessions at once of one SAE")
        if self._in_flight.total() >= rules.in_flight:
            raise QuotaReached(f"expected at most {rules.in_flight} sessions at once")

    async def _one(self, pair: tuple[str, str], bits: int, grant: int, mark: str) -> _Ended:
        """One session, to its end; the record says how it ended."""
        line = self._line
        if line is None:
            raise PeerAbsent("the peer's node is not there")
        pad = PadFor(uuid.uuid4().bytes, bits, *pair, waits=False)
        wanted = Wanted(pad.key_id, pad.bits, grant)
        ended: asyncio.Future[_Ended] = asyncio.get_running_loop().create_future()
        self._demands[pad.key_id] = _Demand(pad, ended, mark)
        try:
            async with asyncio.timeout(WITHIN_S):
                if self._side is Side.ALICE:
                    self._spawn(self._open(line, wanted, Side.ALICE))
                else:
                    await line.ask(wanted)
                return await ended
        except TimeoutError:
            raise PeerAbsent(f"the session did not end within {WITHIN_S:g} s") from None
        except ConnectionEnded as error:
            raise _gone() from error
        finally:
            del self._demands[pad.key_id]

    def _delivery(self, ended: _Ended, bits: int) -> Delivery:
        record, secret = ended.record, ended.secret
        if secret is None:
            told = record.message or record.reason or "it was given up"
            raise SessionAborted(f"the session gave no pad: {told}", shown(record))
        pad = Secret(cut(secret.reveal(), bits))
        secret.wipe()
        if not self._flowing():
            pad.wipe()
            raise LinkRed("no key leaves: the link turned RED while the session was made")
        return Delivery(uuid.UUID(record.session).bytes, pad, bits, extension=shown(record))

    # Alice opens

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, line: Classical, wanted: Wanted, master: Side) -> None:
        """Run a session; whoever waits for it here or at Bob's is told how it ended."""
        async with self._slots:
            try:
                why = await self._run(line, wanted, master)
            except BellwireError as error:
                log.info("session lost", error=str(error))
                why = Reason.LOST
        if why is None:
            return
        if master is Side.BOB:
            try:
                await line.ask(Declined(wanted.session, why))
            except BellwireError as error:
                log.info("session lost", error=str(error))
            return
        self.declined(Declined(wanted.session, why))

    async def _run(self, line: Classical, wanted: Wanted, master: Side) -> Reason | None:
        """Run a session; why it did not come to its own end, or None if it did."""
        wanted_bits = wanted.pad_bits + 2 * PAD_SET_BITS
        pairs = await asyncio.to_thread(
            pairs_needed, wanted_bits, self._figures, self._rules.epsilon
        )
        if pairs is None:
            return Reason.TOO_FEW
        if self._doubted or not self._flowing():
            report = await line.open_block(
                Protocol.E91, pairs, probe=next(self.probes), session=wanted, master=master
            )
            if not report.accepted:
                return None if report.detected else report.reason
            if not self._flowing():
                return Reason.RED
        report = await line.open_block(
            Protocol.E91, pairs, probe=None, session=wanted, master=master
        )
        # By probes the peer finds the link good again, and they cost no authentication key.
        self._doubted = report.reason is Reason.RED
        return None if report.accepted or report.steps else report.reason

    def wanted(self, wanted: Wanted) -> None:
        """Alice: Bob asks for a session."""
        line = self._line
        if line is None:
            return
        if self._wanted >= MAX_WANTED:
            self._spawn(_decline(line, wanted, Reason.BUSY))
            return
        self._wanted += 1
        self._spawn(self._open_wanted(line, wanted))

    async def _open_wanted(self, line: Classical, wanted: Wanted) -> None:
        try:
            await self._open(line, wanted, Side.BOB)
        finally:
            self._wanted -= 1

    # The classical channel

    def admit(self, opening: Fresh) -> PadFor:
        """Whose pad a session gives.

        Raises:
            NoPart: we take no part in it.
        """
        own = opening.master is self._side
        try:
            grant = self._keys.numbered(own=own, number=opening.grant)
        except PreplacedKeyInvalid:
            raise NoPart(Reason.GRANT, f"expected a grant of both, got {opening.grant}") from None
        if len(grant.slaves) != 1 or own is self._keys.serves(grant.slaves[0]):
            raise NoPart(Reason.GRANT, "expected a grant of one slave, of the other's site")
        if own and opening.session not in self._demands:
            raise NoPart(Reason.GRANT, "expected a session that was asked for here")
        if not opening.probe and not self._flowing():
            raise NoPart(Reason.RED, "the link is RED here")
        if opening.session not in self._settling:
            self._settling[opening.session] = asyncio.get_running_loop().create_future()
        return PadFor(opening.session, opening.pad_bits, grant.master, grant.slaves[0], not own)

    def said(self, block: UnderWay, sender: Side, step: int, body: bytes) -> None:
        """A message of a session crossed the channel."""
        if self.overheard is not None:
            self.overheard.hear(block, sender, step, body)

    def went_on(self, block: UnderWay) -> None:
        """A session is a piece further, at this side."""
        demand = self._demands.get(block.pad.key_id) if block.pad is not None else None
        if demand is not None and demand.mark:
            self.unfolding.saw(demand.mark, block)

    def over(self, opening: Fresh, report: BlockReport, block: UnderWay | None) -> None:
        """A session ended here."""
        self._over(opening, report, block)
        settling = self._settling.pop(opening.session, None)
        if settling is not None:
            settling.set_result(None)

    def _over(self, opening: Fresh, report: BlockReport, block: UnderWay | None) -> None:
        demand = self._demands.get(opening.session)
        if report.probe and report.accepted:
            if demand is not None:
                demand.probed = report  # what it was for follows, or is declined
                if demand.declined is not None:
                    self.declined(demand.declined)
            return
        pad = block.pad if block is not None else None
        if pad is None and demand is not None:
            pad = demand.pad
        if pad is None:
            return  # it never was ours
        secret = block.secret if block is not None and report.accepted else None
        if report.accepted and secret is None:
            words = "it was not released: the store failed"
            report = replace(report, accepted=False, reason=Reason.STORE, message=words)
        self._end(demand, pad, report, block, secret)

    def declined(self, declined: Declined) -> None:
        """A session that this site's master waits for will not come, or not to its own end."""
        demand = self._demands.get(declined.session)
        if demand is None or demand.ended.done():
            return
        if declined.reason is Reason.RED and demand.probed is None:
            demand.declined = declined  # the peer's probe has ended, and ours is about to
            return
        report = demand.probed or BlockReport(0, probe=True, protocol=Protocol.E91, pulses=0)
        words = f"the peer's node declined it: {declined.reason}"
        if declined.reason is Reason.RED:
            words = (
                "the link is RED, though this session's own pairs were good: it has to show more"
            )
        report = replace(report, accepted=False, reason=declined.reason, message=words)
        self._end(demand, demand.pad, report, None, None)

    def _end(
        self,
        demand: _Demand | None,
        pad: PadFor,
        report: BlockReport,
        block: UnderWay | None,
        secret: Secret | None,
    ) -> None:
        """Keep the record, and give it, with the bits, to whoever waits; else wipe them."""
        times = block.times if block is not None else {}
        taken_s = sum(times.values())
        if demand is not None:
            taken_s = time.perf_counter() - demand.since
        record = record_of(
            pad,
            report,
            self._source,
            began_at=self._clock() - taken_s,
            total_s=taken_s,
            times=times,
        )
        self.records.keep(pad.key_id, record)
        if demand is not None and not demand.ended.done():
            demand.ended.set_result(_Ended(record, secret))
        elif secret is not None:
            secret.wipe()


def _gone() -> PeerAbsent:
    return PeerAbsent("the connection to the peer's node ended while the session was made")


async def _decline(line: Classical, wanted: Wanted, reason: Reason) -> None:
    try:
        await line.ask(Declined(wanted.session, reason))
    except BellwireError as error:
        log.info("session not declined", error=str(error))
