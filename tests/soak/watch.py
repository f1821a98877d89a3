"""RED means closed: no key is given, and no packet passes to what a guard guards."""

import asyncio
import contextlib
import time
from collections import Counter

from tests.soak.parts import RELAY, Machine
from tools.kill_kmes import Workers

from bellwire.base.errors import BellwireError
from bellwire.guard.decision import Rules
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.status import Status

LOOK_EVERY_S = 0.2
CONNECTS_WITHIN_S = 0.5
LATE_S = 1.0
"""That a kernel on a busy machine may be late with the end of a lease."""


class Watch:
    """Looks at node A again and again.

    Args:
        machine: Whose node that is.
        workers: Who are given keys.
        guarded: Whether a guard guards the relay's port.
    """

    def __init__(self, machine: Machine, workers: Workers, *, guarded: bool) -> None:
        self._client = DeliveryClient(machine.state / "node-a" / "keys.sock", timeout_s=5.0)
        self._workers, self._guarded = workers, guarded
        self.looks: Counter[str] = Counter()
        self.given_on_red = 0
        self.passed_on_red = 0
        self.knocks = 0

    async def run(self) -> None:
        """Look for ever."""
        red_from: float | None = None  # since when every look saw RED
        looked_at = 0.0
        passed = False
        while True:
            asked_at = time.monotonic()
            status = await self._status()
            if red_from is not None and status is Status.RED:
                self.given_on_red += sum(
                    looked_at <= began and ended <= asked_at for began, ended in self._workers.given
                )
                self.passed_on_red += passed
            self.looks["absent" if status is None else status.value] += 1
            looked_at = time.monotonic()
            if status is not Status.RED:
                red_from = None
            elif red_from is None:
                red_from = looked_at
            passed = await self._knocked(red_from)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _knocked(self, red_from: float | None) -> bool:
        """Whether the relay was reached, though RED has been for longer than a lease."""
        if not self._guarded or red_from is None:
            return False
        if time.monotonic() - red_from < Rules().lease_s + LATE_S:
            return False
        self.knocks += 1
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECTS_WITHIN_S):
                _, writer = await asyncio.open_connection(*RELAY)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return True
        return False

    async def _status(self) -> Status | None:
        with contextlib.suppress(BellwireError, OSError, TimeoutError):
            return (await self._client.status()).status
        return None
