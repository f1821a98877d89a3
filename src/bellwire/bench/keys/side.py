"""One KME of the measurement, as a process of its own: a node as `bellwire node` assembles it.

Door, certificates, registry, store, peering and the connection to the other node are the product's.
What is missing is light: the stock was made beforehand (`stock`), and the link is called GREEN for
the hour that a verdict can last. It prints what `Began` says, and ends with its input.
"""

import asyncio
import re
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from bellwire.base.detections import Half, Protocol, Side
from bellwire.base.disk import sync_time
from bellwire.base.errors import UsageError
from bellwire.base.lifetime import until_stopped
from bellwire.base.memory import keep_freed_memory, settle_memory
from bellwire.bench.keys.stock import open_site
from bellwire.crypto.randomness.source import OperatingSystem
from bellwire.distill.choice import Conditions
from bellwire.distill.verdict import Reason
from bellwire.keys.model import KeySourceKind
from bellwire.keys.status import BlockOutcome, LinkStatus, StatusRules
from bellwire.node import logs
from bellwire.node.door import open_door, open_identity
from bellwire.node.material import NoPart, Opening, read_opening
from bellwire.node.service import NodeService, Schedule
from bellwire.node.settings import Settings
from bellwire.node.vault import StoreVault

LOOPBACK = "127.0.0.1"
_LASTS_S = 3600.0
_POLL_S = 0.005
_GRACE_S = 1.0


class Began(msgspec.Struct, frozen=True):
    """What a KME says when it is ready.

    Attributes:
        door: Port of its HTTPS door.
        classical: Port where site b waits for site a; 0 at site a.
        start_s: From the opening of its store until it could hand out a key.
        memory_mb: Of the process, at that moment.
        imported_mb: Of the process, before it opened anything.
        sync_s: What a sync of its disk takes.
    """

    door: int
    classical: int
    start_s: float
    memory_mb: float
    imported_mb: float
    sync_s: float


class NoLight:
    """A `node.material.Material` that there is nothing of."""

    kind = KeySourceKind.SIMULATED
    watched = False
    overlapping = False
    spent = "a benchmark has no light"

    def check_order(self, protocol: Protocol, pulses: int) -> None:
        """No block can be ordered: always UsageError."""
        raise UsageError(self.spent)

    async def open(
        self, number: int, protocol: Protocol, pulses: int, conditions: Conditions, *, probe: bool
    ) -> Opening:
        """Never: always NoPart."""
        raise NoPart(Reason.LINK, self.spent)

    def read(self, body: bytes) -> Opening:
        """As every node does."""
        return read_opening(body)

    def accepts(self, opening: Opening) -> bool:
        """Never."""
        return False

    async def fetch(self, opening: Opening, *, flowing: bool) -> Half:
        """Never: always NoPart."""
        raise NoPart(Reason.LINK, self.spent)


async def run(state: Path, site: str, peer_port: int) -> None:
    """Be the KME of a site; `peer_port` is where site b listens, and where site a finds it."""
    keep_freed_memory()
    imported_mb = _memory_mb()
    began = time.perf_counter()
    store, side, folder = open_site(state, site)
    settings = Settings.model_validate(
        {"state": {"dir": state}, "kme": {"requests_per_s": 1_000_000}}
    )
    identity = open_identity(settings, site)
    sync_s = store.sync_time() or sync_time(folder)
    now = time.time()
    status = LinkStatus(StatusRules(stale_after_s=_LASTS_S), expected_interval_s=_LASTS_S, now=now)
    status.decide(BlockOutcome(protocol=Protocol.BB84, accepted=True, qber=0.02, decided_at=now))
    vault = StoreVault(store, KeySourceKind.SIMULATED, time.time)
    node = NodeService(
        side,
        store=store,
        vault=vault,
        material=NoLight(),
        random=OperatingSystem(),
        status=status,
        schedule=Schedule(probe_interval_s=_LASTS_S),
        kme=identity.name,
        saes=identity.registry,
        sync_s=sync_s,
    )
    door = open_door(settings, node, identity, sync_s)
    _, port = await door.start(LOOPBACK, 0)
    await node.link_keys.open(await vault.mac_key())
    start_s = time.perf_counter() - began
    memory_mb = _memory_mb()
    classical, connecting = 0, None
    if side is Side.BOB:
        server = await node.serve_peer(LOOPBACK, peer_port)
        classical = server.sockets[0].getsockname()[1]
    else:
        connecting = asyncio.create_task(node.run_alice(LOOPBACK, peer_port))
        while not node.link_keys.takeable_bits:  # noqa: ASYNC110 - a node tells nobody
            await asyncio.sleep(_POLL_S)
    settle_memory()
    told = Began(port, classical, start_s, memory_mb, imported_mb, sync_s)
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()
    await until_stopped(with_parent=True)
    await door.stop(_GRACE_S)
    if connecting is not None:
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
    await node.close()
    store.close()


def _memory_mb() -> float:
    (size,) = re.findall(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(size) / 1024


def main() -> None:
    """Be the site that the arguments name."""
    state, site, peer_port = sys.argv[1:]
    logs.setup("error")
    uvloop.run(run(Path(state), site, int(peer_port)))
