"""What is done to the services of a soak, at random."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from tests.soak.clock import move
from tests.soak.parts import Door, Machine
from tests.soak.servers import Minded, Servers

from bellwire.base.errors import BellwireError
from bellwire.link.client import ControlClient
from bellwire.link.eve import Eve, EveKind

BETWEEN_S = (2.0, 6.0)
DISK_MB = 96
DISKS = ("node-a", "node-b", "cloud", "relay", "ledger")
LATE = ("tbf", "rate", "1mbit", "burst", "70000", "latency", "400ms")
"""What is more waits its turn, or is lost when it would wait longer. Not `netem`, which fewer
kernels have; the burst has room for the largest packet of the loopback interface."""

LOST = """
table inet soak {
  chain lost {
    type filter hook input priority -400; policy accept;
    iif "lo" numgen random mod 100 < 10 drop
  }
}
"""
STEP_S = 20
"""How far a wall clock is off at most: a guard over NATS takes no word of a node that was started
again under a clock that was set back, until that has caught up."""

Act = Callable[[], Awaitable[None]]


class Faults:
    """One after the other, some seconds apart.

    Args:
        machine: Whose services these are.
        rng: What, when, to whom.
        doors: KMEs, which learn that something was done.
        servers: Of others.
        minded: Programs of ours beside those of the machine.
        clock: File of a clock that may be moved.
        without: Names that are not asked for.
    """

    def __init__(
        self,
        machine: Machine,
        rng: random.Random,
        doors: Sequence[Door],
        servers: Servers,
        minded: Sequence[Minded],
        clock: Path | None,
        without: frozenset[str],
    ) -> None:
        self._machine, self._rng, self._doors = machine, rng, doors
        self._servers, self._minded, self._clock = servers, minded, clock
        self.done: Counter[str] = Counter()
        self.left_out = dict(servers.left_out)
        self._control = ControlClient(machine.state / "link" / "control.sock")
        self._kinds: list[tuple[int, str, Act]] = []
        self._may(8, "service killed", self._kill, without)
        self._may(4, "service frozen", self._freeze, without)
        self._may(3, "eve on the link", self._eavesdrop, without)
        self._may(1, "all killed", self._kill_all, without)
        for name, begin, end in (("packets late", delay, haste), ("packets lost", lose, keep)):
            there = begin() and end()
            self._may(3, name, self._disturbing(begin, end), without, there, "no means for it here")
        there = all(os.path.ismount(machine.state / name) for name in DISKS)
        self._may(2, "disk full", self._fill, without, there, "no tmpfs could be mounted")
        why = "no compiler for the clock, or it is not heeded"
        self._may(2, "clock moved", self._move, without, clock is not None, why)
        for name in servers.names:
            self._may(1, f"{name} killed", self._restarting(name), without)

    def _may(
        self,
        weight: int,
        name: str,
        act: Act,
        without: frozenset[str],
        there: bool = True,
        why: str = "",
    ) -> None:
        if name in without:
            self.left_out[name] = "not asked for"
        elif not there:
            self.left_out[name] = why
        else:
            self._kinds.append((weight, name, act))

    async def run(self, seconds: float) -> None:
        """Do something every few seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(self._rng.uniform(*BETWEEN_S))
            weights = [weight for weight, _, _ in self._kinds]
            ((_, name, act),) = self._rng.choices(self._kinds, weights)
            self._touch()
            try:
                await act()
            finally:
                self._touch()
            self.done[name] += 1
            left_s = until - time.monotonic()
            sys.stderr.write(f"{left_s:6.0f} s left: {name}\n")

    async def _leave(self) -> None:
        """Eve goes, if the link is there to let her; a link that is started anew has none."""
        with contextlib.suppress(BellwireError, OSError):
            await self._control.set_eve(None)

    async def end(self) -> None:
        """Leave all in peace: without Eve, and with the right time."""
        await self._leave()
        if self._clock is not None:
            move(self._clock, 0)

    def _touch(self) -> None:
        """Whatever is lost now, a fault is to blame."""
        for door in self._doors:
            door.lives += 1

    async def _victim(self) -> int | None:
        with contextlib.suppress(BellwireError, OSError):
            pids = [each["pid"] for each in (await self._machine.services()).values()]
            pids += [each.pid for each in self._minded]
            there = sorted(pid for pid in pids if pid is not None)
            return self._rng.choice(there) if there else None
        return None

    async def _kill(self) -> None:
        if (pid := await self._victim()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _freeze(self) -> None:
        if (pid := await self._victim()) is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(self._rng.uniform(1.0, 4.0))
            os.kill(pid, signal.SIGCONT)

    async def _kill_all(self) -> None:
        await self._machine.kill()
        await self._machine.start()

    async def _eavesdrop(self) -> None:
        with contextlib.suppress(BellwireError, OSError):
            await self._control.set_eve(Eve(EveKind.INTERCEPT_RESEND, 1.0))
            await asyncio.sleep(self._rng.uniform(3.0, 6.0))
        await self._leave()

    def _disturbing(self, begin: Callable[[], bool], end: Callable[[], bool]) -> Act:
        async def disturb() -> None:
            begin()
            try:
                await asyncio.sleep(self._rng.uniform(3.0, 8.0))
            finally:
                end()

        return disturb

    async def _fill(self) -> None:
        filler = self._machine.state / self._rng.choice(DISKS) / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
        await asyncio.sleep(self._rng.uniform(1.0, 4.0))
        filler.unlink(missing_ok=True)

    async def _move(self) -> None:
        assert self._clock is not None
        move(self._clock, self._rng.randint(-STEP_S, STEP_S))

    def _restarting(self, name: str) -> Act:
        async def restart() -> None:
            await self._servers.restart(name)

        return restart


def delay() -> bool:
    """Have packets of this namespace wait for each other; whether that can be."""
    return _done("tc", "qdisc", "add", "dev", "lo", "root", *LATE)


def haste() -> bool:
    """No more."""
    return _done("tc", "qdisc", "del", "dev", "lo", "root")


def lose() -> bool:
    """Have one in ten packets of this namespace lost; whether that can be."""
    return _done("nft", "-f", "-", said=LOST)


def keep() -> bool:
    """No more."""
    return _done("nft", "delete", "table", "inet", "soak")


def _done(*command: str, said: str = "") -> bool:
    if shutil.which(command[0]) is None:
        return False
    ran = subprocess.run(command, input=said.encode(), capture_output=True, check=False)
    return ran.returncode == 0


def disk(folder: Path) -> None:
    """A small disk of its own for one service, where there may be one."""
    folder.mkdir(mode=0o700)
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "soak", str(folder)]
    subprocess.run(words, capture_output=True, check=False)
