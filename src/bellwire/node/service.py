"""The node: one side of a link, from detections to keys that local consumers may draw.

Alice's node opens blocks: those that an operator asks for, those that refill the stock, and in
between a probe, so that an Eve is seen and her going noticed. Bob's node answers. Both judge every
block by themselves and keep a status of their own; keys leave through a Unix socket.
"""

import asyncio
import contextlib
import itertools
import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from bellwire.base.backlog import BACKLOG
from bellwire.base.clock import Clock, system_clock
from bellwire.base.detections import Protocol, Side
from bellwire.base.errors import BellwireError, UnreachableError, UsageError
from bellwire.base.frames import read_frame
from bellwire.crypto.randomness.source import RandomSource
from bellwire.distill.contact_frames import MAX_FRAME as MAX_FIRST_FRAME
from bellwire.distill.report import BlockReport
from bellwire.distill.verdict import Reason
from bellwire.keys.errors import StoreError
from bellwire.keys.history import History
from bellwire.keys.link_keys import LinkKeys
from bellwire.keys.peering.line import is_hello
from bellwire.keys.recording import Rejection
from bellwire.keys.service import FlowCheck, KeyService
from bellwire.keys.status import REASON_LIMIT, BlockOutcome, LinkStatus, Status, StatusView
from bellwire.keys.status_log import StatusRecord
from bellwire.keys.store import KeyStore
from bellwire.ledger.outbox.delivery import Delivery
from bellwire.node.accounts import Accounts
from bellwire.node.classical import Classical, Contact
from bellwire.node.fresh import REFUSED, FreshSessions, SessionRules
from bellwire.node.material import Material
from bellwire.node.peering import Peering, closed
from bellwire.node.saes import NOBODY, Saes
from bellwire.node.sharing import SiteSharing
from bellwire.node.vault import StoreVault

if TYPE_CHECKING:  # it changes nodes, and so knows them
    from bellwire.node.reload import Reloaded

REPORTS_KEPT = 256
RECONNECT_S = (0.1, 0.2, 0.5, 1.0, 2.0)
CONNECT_TIMEOUT_S = 10.0
MAX_UNPROVEN = 64
STEP_TIMEOUT_S = 10.0
FIRST_FRAME_S = 5.0
TEND_EVERY_S = 1.0
CANCEL_AGAIN_S = 0.2
log = structlog.get_logger()

Found = Callable[[], Sequence[tuple[str, int]]]
"""Where the peer is said to listen."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What Alice's node does by itself.

    Attributes:
        protocol: Of blocks and probes.
        pulses: Pulses, or pairs, of a block.
        target_stock_bits: Blocks are run until the pool holds as much; 0 runs them on demand only.
        probe_pulses: Pulses, or pairs, of a probe: enough to decide.
        probe_interval_s: Idle time after which a probe is run.
        blocks_in_flight: Blocks that are under way at once; probes are run alone.
    """

    protocol: Protocol = Protocol.E91
    pulses: int = 200_000
    target_stock_bits: int = 0
    probe_pulses: int = 20_000
    probe_interval_s: float = 1.0
    blocks_in_flight: int = 1


@dataclass(frozen=True, slots=True)
class _Job:
    protocol: Protocol
    pulses: int
    done: "asyncio.Future[BlockReport]"

    def succeed(self, report: BlockReport) -> None:
        if not self.done.done():  # whoever asked may have left
            self.done.set_result(report)

    def fail(self, message: str) -> None:
        if not self.done.done():
            self.done.set_exception(UnreachableError(message))


class NodeService:
    """One side's node.

    Args:
        side: Alice's opens blocks and connects; Bob's listens and answers.
        store: The key store, with a pre-placed authentication key or a `contact` to come to one.
        vault: The same store for the classical channel.
        material: What blocks are made from.
        random: What the classical channel's nonces and hash seeds are drawn from.
        status: The link's status, fed by every block.
        schedule: What Alice's node does by itself.
        step_timeout_s: How long the peer may take for a step of a block.
        clock: Time.
        contact: How the node comes by its first authentication key; None: it was brought.
        kme: Name of this site's KME.
        saes: The SAEs of this site.
        sync_s: How long a sync of the store's disk takes, in seconds.
        time_to_live_s: Age at which keys that no slave fetched are given up, in seconds.
        session_rules: What sessions must be like, and may be asked for.

    Attributes:
        keys: For consumers at the node's own socket.
        kme: Name of this site's KME.
        link_keys: For every other door.
        sessions: Makes pads on demand.
        source: Where keys come from.
        status_changed: Called after each block and probe.
        reload: Takes over settings that changed.
        note: Called with what an audit log is to keep: an event, and its fields.
        delivery: Brings entries to the log of its site; None where nothing is recorded.
    """

    def __init__(
        self,
        side: Side,
        *,
        store: KeyStore,
        vault: StoreVault,
        material: Material,
        random: RandomSource,
        status: LinkStatus,
        schedule: Schedule,
        step_timeout_s: float = STEP_TIMEOUT_S,
        clock: Clock = system_clock,
        contact: Contact | None = None,
        kme: str | None = None,
        saes: Saes = NOBODY,
        sync_s: float = 0.0,
        time_to_live_s: float = 86_400.0,
        session_rules: SessionRules | None = None,
    ) -> None:
        self.side = side
        self._contact = contact
        self._store = store
        self._vault = vault
        self._material = material
        self._random = random
        self._status = status
        self._schedule = schedule
        self._step_timeout_s = step_timeout_s
        self._clock = clock
        flow = FlowCheck(status, clock)
        self.kme = kme or f"kme-{side.value}"
        self.link_keys = LinkKeys(
            store,
            self.kme,
            check_flow=flow,
            serves=saes.serves,
            clock=clock,
            sync_s=sync_s,
            time_to_live_s=time_to_live_s,
        )
        vault.released = self.link_keys.add_block
        self.source = material.kind
        self.sessions = FreshSessions(
            side,
            self.link_keys,
            source=material.kind,
            flowing=self._flowing,
            clock=clock,
            rules=session_rules,
        )
        self.keys = KeyService(self.link_keys, flow, material.kind)
        self.status_changed: Callable[[], None] | None = None
        self.note: Callable[..., None] = _nobody_notes
        self.delivery: Delivery | None = None
        self.reload: Callable[[], Reloaded] | None = None
        self._peering = Peering(self.link_keys, vault.mac_key, saes.saes, self._fenced)
        self._tending: asyncio.Task[None] | None = None
        self._sharing: asyncio.Task[None] | None = None
        self._status_log = store.status_log()
        self._log_turn = asyncio.Lock()
        self._current_peering: asyncio.Task[None] | None = None
        self._reports: deque[tuple[int, float, BlockReport]] = deque(maxlen=REPORTS_KEPT)
        self._numbers = itertools.count(1)
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(16)
        self._asked = asyncio.Event()
        self._unproven: dict[asyncio.Task[None], str] = {}
        self._accepted: set[asyncio.Task[None]] = set()
        self._consumed_bits = 0
        self._block_bits = 0
        self._resting = False
        self._doubted = False
        self._current: asyncio.Task[None] | None = None
        self._contacted = asyncio.Event()

    def _flowing(self) -> bool:
        return self._status.at(self._clock()).keys_may_flow

    def _fenced(self, why: str) -> None:
        self.note("pool voided", why=why)

    # -- what operators ask ------------------------------------------------------------------

    async def distil(self, protocol: Protocol, pulses: int) -> BlockReport:
        """Run one block now and say how it went.

        Raises:
            UsageError: this is Bob's node, the block is longer than the policy allows, or keys
                come from a vendor's box.
            UnreachableError: the peer's node is not there.
        """
        if self.side is not Side.ALICE:
            raise UsageError("blocks are opened by Alice's node, this is Bob's")
        self._material.check_order(protocol, pulses)
        job = _Job(protocol, pulses, asyncio.get_running_loop().create_future())
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull as error:
            raise UsageError("too many blocks are waiting already") from error
        self._asked.set()
        return await job.done

    def reports(self, after: int = 0) -> list[tuple[int, float, BlockReport]]:
        """(running number, seconds since the epoch, report) of blocks and probes after `after`."""
        return [entry for entry in self._reports if entry[0] > after]

    async def accounts(self) -> Accounts:
        """Key that this node holds, spent on tags, and won back; and where the first came from."""
        contact = await asyncio.to_thread(self._store.first_contact)
        return Accounts(
            stock_bits=self.link_keys.stock_bits,
            reserve_sets=await asyncio.to_thread(self._store.reserve_sets_left),
            consumed_bits=self._consumed_bits,
            refilled_bits=self._vault.refilled_bits,
            first_contact=None if contact is None else contact.method.value,
            ledger_waiting=None if self.delivery is None else self.delivery.state.waiting,
            ledger_oldest_at=None if self.delivery is None else self.delivery.state.oldest_at,
            ledger_problem="" if self.delivery is None else self.delivery.state.problem,
        )

    def target_stock(self, bits: int) -> None:
        """Run blocks until the pool holds as much, from now on."""
        self._schedule = replace(self._schedule, target_stock_bits=bits)
        self._asked.set()

    def view(self) -> StatusView:
        """The status of the link now."""
        return self._status.at(self._clock())

    async def status_records(self, since: float, most: int) -> Sequence[StatusRecord]:
        """The history of the link's status: the latest records, at most so many, ascending.

        Args:
            since: Seconds since the epoch.
            most: As said.

        Raises:
            StoreError: it cannot be read.
        """
        async with self._log_turn:
            return await asyncio.to_thread(self._status_log.read, since, most)

    async def history(self) -> History:
        """What a backup takes from this node's store; nothing secret."""
        return await asyncio.to_thread(self._store.history)

    # -- services ----------------------------------------------------------------------------

    async def close(self) -> None:
        """End every connection to this node (Bob), proven or not, and zeroise what left."""
        ours = [task for task in (self._tending, self._sharing) if task is not None]
        tasks = [*self._accepted, *ours]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.sessions.close()
        with contextlib.suppress(StoreError):  # it is the last second's
            await self._keep_status()
        await self.link_keys.close()

    async def _tend(self) -> None:
        """What is due to the pool every second, for ever.

        Raises:
            StoreError: the store was given up, and stays so: the node can do nothing any more.
        """
        while True:
            await asyncio.sleep(TEND_EVERY_S)
            self._store.require_open()
            try:
                await self._vault.tend()
                await self.link_keys.tend()
            except StoreError as error:
                log.warning("the pool was not tended", error=str(error))
            try:
                await self._keep_status()
            except StoreError as error:
                log.warning("the history of the status was not kept", error=str(error))

    async def _keep_status(self) -> None:
        """Make the history of the status durable, as far as it has come."""
        self._status_log.note(self.view(), self._clock())
        async with self._log_turn:
            await asyncio.to_thread(self._status_log.flush)

    def start_tending(self) -> "asyncio.Task[None]":
        """Tend the pool from now on; what ends only with `close`, or with the store."""
        if self._tending is not None:
            return self._tending
        self._tending = asyncio.create_task(self._tend())
        if self._store.shareable:
            sharing = SiteSharing(
                self.link_keys,
                self._store.sharing(),
                self.kme,
                self.source,
                view=self.view,
                clock=self._clock,
            )
            self._sharing = asyncio.create_task(sharing.run())
        return self._tending

    async def serve_peer(self, host: str, port: int) -> asyncio.Server:
        """Bob: listen for Alice's node.

        Raises:
            UsageError: the address cannot be listened on.
        """
        self.start_tending()
        try:
            return await asyncio.start_server(self._accept, host, port, backlog=BACKLOG)
        except OSError as error:
            # asyncio puts its own words and the address again into strerror; a name that is not
            # found has a negative number, and no other words.
            named = error.errno is None or error.errno < 0
            reason = error.strerror if named else os.strerror(error.errno or 0)
            raise UsageError(
                f"cannot listen on {host}:{port}: {reason}",
                hint="Is another node running there? Choose another address with --listen.",
            ) from error

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._accepted.add(task)
        self._make_room()
        self._unproven[task] = _address(writer)
        connection = self._connection(reader, writer)
        try:
            async with asyncio.timeout(FIRST_FRAME_S):
                first = await read_frame(reader, MAX_FIRST_FRAME)
            if is_hello(first):
                await self._serve_peering(reader, writer, first, task)
            elif await self._is_peer(connection, task, first):
                await self._serve(connection, task)
        except (BellwireError, TimeoutError) as error:
            log.warning("connection to the peer ended", error=str(error) or "no answer in time")
        except asyncio.CancelledError:
            # By `close`, a newer connection, or to make room; asyncio's streams would report a
            # cancelled handler.
            pass
        finally:
            self._unproven.pop(task, None)
            with contextlib.suppress(
                asyncio.CancelledError
            ):  # it aborts the connection all the same
                await connection.close()
            self._accepted.discard(task)

    async def _is_peer(
        self, connection: Classical, task: "asyncio.Task[None]", first: bytes
    ) -> bool:
        try:
            await connection.establish(first)
        except (BellwireError, TimeoutError) as error:
            log.warning("connection refused", error=str(error) or "no HELLO in time")
            return False
        finally:
            self._unproven.pop(task, None)
        return True

    async def _serve_peering(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        first: bytes,
        task: "asyncio.Task[None]",
    ) -> None:
        def proven() -> None:
            self._unproven.pop(task, None)
            earlier, self._current_peering = self._current_peering, task
            if earlier is not None:
                earlier.cancel()

        await self._peering.run(reader, writer, first, proven)

    def _make_room(self) -> None:
        """End the oldest unproven connection of the address that has most.

        Strangers who hold connections open so shut out each other, not the peer, who proves
        herself at once.
        """
        if len(self._unproven) < MAX_UNPROVEN:
            return
        ((crowded, _),) = Counter(self._unproven.values()).most_common(1)
        oldest = next(task for task, address in self._unproven.items() if address == crowded)
        del self._unproven[oldest]
        oldest.cancel()

    async def _serve(self, connection: Classical, task: "asyncio.Task[None]") -> None:
        # Only now is it the peer: an earlier connection of hers is dead, whatever TCP believes.
        earlier, self._current = self._current, task
        if earlier is not None:
            earlier.cancel()
            await asyncio.gather(earlier, return_exceptions=True)
        await connection.settle()
        await self.link_keys.open(await self._vault.mac_key())
        self.sessions.attach(connection)
        try:
            await connection.answer()
        finally:
            self.sessions.detach(connection)

    async def run_alice(self, host: str, port: int, found: Found = lambda: ()) -> None:
        """Alice: connect, run blocks, connect again, for ever.

        Args:
            host: Where Bob's node listens.
            port: Where Bob's node listens.
            found: Where else it is said to, now; each place is tried in turn.
        """
        self.start_tending()

        def place(attempt: int) -> tuple[str, int]:
            places = list(dict.fromkeys([*found(), (host, port)]))
            return places[attempt % len(places)]

        peering = asyncio.create_task(self._run_peering(place))
        try:
            await self._run_classical(place)
        finally:
            # A connection that fails as it is cancelled raises its error instead.
            while not peering.done():
                peering.cancel()
                await asyncio.wait({peering}, timeout=CANCEL_AGAIN_S)

    async def _run_peering(self, place: Callable[[int], tuple[str, int]]) -> None:
        if not await asyncio.to_thread(self._store.has_preplaced):
            await self._contacted.wait()  # first contact brings the key, on the other connection
        delays = iter(RECONNECT_S)
        delay = RECONNECT_S[0]
        for attempt in itertools.count():
            writer: asyncio.StreamWriter | None = None
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    reader, writer = await asyncio.open_connection(*place(attempt))
                await self._peering.run(reader, writer)
            except (OSError, TimeoutError, BellwireError) as error:
                if self.link_keys.peer.met:
                    delays = iter(RECONNECT_S)
                log.info("no peering with the peer's KME", error=str(error) or "no answer in time")
            finally:
                if writer is not None:
                    await closed(writer)
            delay = next(delays, delay)
            await asyncio.sleep(delay)

    async def _run_classical(self, place: Callable[[int], tuple[str, int]]) -> None:
        delays = iter(RECONNECT_S)
        delay = RECONNECT_S[0]
        for attempt in itertools.count():
            host, port = place(attempt)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    connection = self._connection(*await asyncio.open_connection(host, port))
                try:
                    await connection.establish()
                    self._contacted.set()
                    await connection.settle()
                    await self.link_keys.open(await self._vault.mac_key())
                    delays = iter(RECONNECT_S)
                    log.info("connected to the peer", host=host, port=port)
                    self.sessions.attach(connection)
                    await self._work(connection)
                finally:
                    self.sessions.detach(connection)
                    await connection.close()
            except (OSError, TimeoutError, BellwireError) as error:
                log.warning("no connection to the peer", error=str(error) or "no answer in time")
            delay = next(delays, delay)
            await self._refuse_jobs(delay)

    def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Classical:
        return Classical(
            self.side,
            (reader, writer),
            vault=self._vault,
            material=self._material,
            random=self._random,
            flowing=self._flowing,
            step_timeout_s=self._step_timeout_s,
            report=self._take_report,
            sessions=self.sessions,
            in_flight=self._in_flight,
            contact=self._contact,
        )

    @property
    def _in_flight(self) -> int:
        return self._schedule.blocks_in_flight if self._material.overlapping else 1

    async def _refuse_jobs(self, delay_s: float) -> None:
        """Wait before the next attempt; whoever asks for a block meanwhile hears why not."""
        try:
            async with asyncio.timeout(delay_s):
                while True:
                    job = await self._jobs.get()
                    job.fail("the peer's node does not answer")
        except TimeoutError:
            return

    async def _work(self, connection: Classical) -> None:
        """Run blocks until the connection is over; what ended it is raised.

        What is asked for comes first, then the stock; a probe after a while without either.
        """
        running: set[asyncio.Task[None]] = set()
        asked: asyncio.Task[Any] | None = None
        watch = asyncio.create_task(connection.watch())
        try:
            while True:
                self._asked.clear()
                if len(running) < self._in_flight and await self._begin(connection, running):
                    continue
                if asked is None or asked.done():
                    asked = asyncio.create_task(self._asked.wait())
                # With no light left there is nothing to watch.
                idle = not running and self._material.spent is None
                patience = self._schedule.probe_interval_s if idle else None
                # Blocks that are under way find for themselves what ended the connection.
                done, _ = await asyncio.wait(
                    {asked, *(running or {watch})},
                    timeout=patience,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not done or watch in done:
                    await self._probe(connection)  # it reports why the connection is over
                if watch in done:
                    watch.result()
                for task in done & running:
                    running.discard(task)
                    task.result()
        finally:
            left = [watch, *running, *([asked] if asked else [])]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _begin(self, connection: Classical, running: "set[asyncio.Task[None]]") -> bool:
        """Begin a block if there is reason to."""
        if not self._jobs.empty():
            work = self._asked_block(connection, self._jobs.get_nowait())
        elif await self._wants_stock(len(running)):
            work = self._stock_block(connection)
        else:
            return False
        running.add(asyncio.create_task(work))
        return True

    async def _stock_block(self, connection: Classical) -> None:
        schedule = self._schedule
        report = await connection.open_block(schedule.protocol, schedule.pulses, probe=None)
        # A block that failed would fail again at once, and spend authentication key each time.
        self._resting = not report.accepted
        self._doubted = False
        if report.accepted:
            self._block_bits = report.secret_bits

    async def _asked_block(self, connection: Classical, job: _Job) -> None:
        try:
            job.succeed(await connection.open_block(job.protocol, job.pulses, probe=None))
        except BaseException as error:
            job.fail(f"the block was lost: {error}")
            raise

    async def _probe(self, connection: Classical) -> None:
        schedule = self._schedule
        report = await connection.open_block(
            schedule.protocol, schedule.probe_pulses, probe=next(self.sessions.probes)
        )
        self._doubted = report.reason is Reason.UNPROVEN
        # While no probe comes through, neither does a block, and each would cost its tags.
        self._resting &= report.reason not in (None, Reason.UNPROVEN, Reason.TOO_FEW)

    async def _wants_stock(self, under_way: int) -> bool:
        target = self._schedule.target_stock_bits
        if not target or self._resting or self._material.spent is not None:
            return False
        view = self._status.at(self._clock())
        if not self._material.watched and (self._doubted or not view.keys_may_flow):
            # No probe can tell, here or at the peer: only keys that are compared can.
            return True
        if view.status is Status.RED:
            return False
        stock = self.link_keys.stock_bits
        return stock + under_way * self._block_bits < target

    # -- what every block leaves -------------------------------------------------------------

    def _take_report(self, report: BlockReport) -> None:
        now = self._clock()
        before = self._status.at(now).status
        self._consumed_bits += report.authentication_bits
        self.sessions.learn(report)
        self._reports.append((next(self._numbers), now, report))
        if report.reason in REFUSED:
            return
        self._status.decide(
            BlockOutcome(
                protocol=report.protocol,
                accepted=report.accepted,
                qber=report.qber,
                chsh=report.chsh,
                chsh_lower=report.chsh_lower,
                reason=None if report.message is None else report.message[:REASON_LIMIT],
                decided_at=now,
                probe=report.probe,
                too_few=report.reason in (Reason.TOO_FEW, Reason.UNPROVEN),
                starved=report.reason is Reason.SINGLE_PHOTONS,
                tampered=report.reason in (Reason.AUTHENTICATION, Reason.DIFFER),
            )
        )
        view = self._status.at(now)
        self._status_log.note(view, now)
        self._note_end(report, now)
        if self.status_changed is not None:
            self.status_changed()
        if view.status is not before:
            log.info("status changed", status=view.status.value, why=view.reason)
        tell = log.debug if report.probe and report.accepted else log.info
        tell(
            "block decided",
            block=report.number,
            probe=report.probe,
            protocol=report.protocol and report.protocol.value,
            accepted=report.accepted,
            reason=report.reason,
            **({} if report.message is None else {"why": report.message}),
            qber=report.qber,
            chsh=report.chsh,
            secret_bits=report.secret_bits,
            status=view.status.value,
        )

    def _note_end(self, report: BlockReport, now: float) -> None:
        if report.accepted:
            self._status_log.note_accepted()
            return
        self._status_log.note_rejected(
            Rejection(
                now,
                None if report.probe else report.number,
                report.protocol,
                report.message or report.reason or "",
                report.qber,
                report.chsh,
            )
        )


def _address(writer: asyncio.StreamWriter) -> str:
    name = writer.get_extra_info("peername")
    return str(name[0]) if name else ""


def _nobody_notes(event: str, **fields: object) -> None:
    """No audit log is kept."""
