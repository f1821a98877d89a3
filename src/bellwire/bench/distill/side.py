"""One node of `wire`'s measurement, as a process of its own, whose arguments are `main`'s.

It is a node as `bellwire node` assembles it, with its store on disk and blocks of recorded light in
the place of a link. Alice's connects, has warm-up blocks and measured ones distilled, and prints
what it took; Bob's prints his port, and what it took when his input ends.
"""

import asyncio
import contextlib
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bellwire.base.detections import Protocol, Side
from bellwire.base.errors import UnreachableError
from bellwire.base.lifetime import until_stopped
from bellwire.base.memory import keep_freed_memory
from bellwire.base.secret import Secret
from bellwire.bench.distill import light
from bellwire.crypto.randomness.source import OperatingSystem
from bellwire.distill import amplification, announcements, cascade
from bellwire.distill.choice import Conditions
from bellwire.distill.messages import Open
from bellwire.distill.planes import Planes
from bellwire.distill.reconciliation import Method
from bellwire.distill.report import BlockReport
from bellwire.keys.model import KeySourceKind
from bellwire.keys.reserve import preplaced_bytes
from bellwire.keys.status import LinkStatus
from bellwire.keys.store import KeyStore
from bellwire.node import logs
from bellwire.node.material import Opening, read_opening
from bellwire.node.service import NodeService, Schedule
from bellwire.node.vault import StoreVault

WARM_BLOCKS = 1
_SETS = 64
_NO_PROBES_S = 3600.0
_PATIENCE_S = 600.0


class Job(msgspec.Struct, frozen=True):
    """What to measure.

    Attributes:
        detections: Of a block.
        qber: Error rate.
        rectilinear: Probability of the preferred basis.
        blocks: Measured, after `WARM_BLOCKS` small ones.
        in_flight: Under way at once.
        method: How keys are made equal.
        port: Where Alice finds Bob; 0 for Bob.
    """

    detections: int
    qber: float
    rectilinear: float
    blocks: int
    in_flight: int
    method: Method = Method.CASCADE
    port: int = 0


class Done(msgspec.Struct, frozen=True):
    """What Alice's node took for the measured blocks.

    Attributes:
        seconds: Of the clock.
        core_seconds: Of the processor, all threads of hers.
        secret_bits: Net, of all blocks.
        rounds: Of reconciliation, mean of the blocks.
        wire_bytes: What both sides said inside the blocks.
        peak_memory_mb: Of her process, the light it holds beforehand included.
    """

    seconds: float
    core_seconds: float
    secret_bits: int
    rounds: float
    wire_bytes: int
    peak_memory_mb: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """A `node.material.Material` of one recorded half, the same for every block."""

    half: Planes
    job: Job

    kind = KeySourceKind.SIMULATED
    watched = True
    overlapping = True
    spent = None

    def check_order(self, protocol: Protocol, pulses: int) -> None:
        """Every order is of the same blocks."""

    async def open(
        self, number: int, protocol: Protocol, pulses: int, conditions: Conditions, *, probe: bool
    ) -> Opening:
        """A block of this light."""
        return self._opening(number)

    def read(self, body: bytes) -> Opening:
        """As every node does."""
        return read_opening(body)

    def accepts(self, opening: Opening) -> bool:
        """Blocks of this light."""
        return isinstance(opening, Open) and opening == self._opening(opening.number)

    def _opening(self, number: int) -> Open:
        job = self.job
        return light.opening(number, job.detections, job.rectilinear, job.method)

    async def fetch(self, opening: Opening, *, flowing: bool) -> Planes:
        """It is here already."""
        return self.half


async def run(side: Side, folder: Path, job: Job) -> None:
    """Be this side's node."""
    keep_freed_memory()
    half = light.halves(job.detections, job.qber, job.rectilinear, seed=1)[side]
    announcements.warm()
    cascade.warm()
    amplification.warm(job.detections)
    store = KeyStore.open(folder / "keys.sqlite", Secret(bytes(32)), side)
    store.install_preplaced(Secret((bytes(range(256)) * 32)[: preplaced_bytes(_SETS)]))
    with contextlib.closing(store):
        material = Recorded(half, job)
        node = NodeService(
            side,
            store=store,
            vault=StoreVault(store, material.kind, time.time),
            material=material,
            random=OperatingSystem(),
            status=LinkStatus(expected_interval_s=_NO_PROBES_S, now=time.time()),
            schedule=Schedule(probe_interval_s=_NO_PROBES_S, blocks_in_flight=job.in_flight),
            step_timeout_s=60.0,
        )
        if side is Side.BOB:
            server = await node.serve_peer("127.0.0.1", 0)
            _say(str(server.sockets[0].getsockname()[1]))
            await until_stopped(with_parent=True)
            server.close()
            await node.close()
            return
        talking = asyncio.create_task(node.run_alice("127.0.0.1", job.port))
        try:
            _say(msgspec.json.encode(await _measure(node, job)).decode())
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _measure(node: NodeService, job: Job) -> Done:
    for _ in range(WARM_BLOCKS):
        await _distil(node, job)
    clock, core = time.perf_counter(), time.process_time()
    reports = await asyncio.gather(*(_distil(node, job) for _ in range(job.blocks)))
    clock, core = time.perf_counter() - clock, time.process_time() - core
    return Done(
        seconds=clock,
        core_seconds=core,
        secret_bits=sum(report.secret_bits for report in reports),
        rounds=sum(report.rounds for report in reports) / job.blocks,
        wire_bytes=sum(report.transcript_bytes for report in reports),
        peak_memory_mb=_peak_memory_mb(),
    )


def _peak_memory_mb() -> float:
    # What getrusage says includes the parent's, from before our program was loaded.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak) / 1024


async def _distil(node: NodeService, job: Job) -> BlockReport:
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            try:
                pulses = light.SLOTS_A_DETECTION * job.detections
                report = await node.distil(Protocol.BB84, pulses)
            except UnreachableError:  # Bob's node is not there yet
                await asyncio.sleep(0.05)
                continue
            if not report.accepted:
                raise ArithmeticError(f"a block gave no key: {report.message}")
            return report


def main() -> None:
    """Be the side that the arguments name."""
    side, folder, job = sys.argv[1:]
    logs.setup("error")
    asyncio.run(run(Side(side), Path(folder), msgspec.json.decode(job, type=Job)))
