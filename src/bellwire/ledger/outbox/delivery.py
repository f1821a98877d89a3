"""Brings what waits in an outbox to the log, for ever, at its own pace.

At least once: an entry goes from the outbox when the log has confirmed it, so a process that dies
in between brings it again, and the log, which knows it by its number, keeps it once. Writers have
nothing to do with it: they put entries into their store, and look for none.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

import structlog

from bellwire.base.ending import to_its_end
from bellwire.base.errors import BellwireError
from bellwire.ledger.entries.errors import EntryMalformed
from bellwire.ledger.outbox.errors import LogUnreached
from bellwire.ledger.outbox.outbox import (
    MAX_PROBLEM,
    MOST_AT_ONCE,
    Outbox,
    OutboxState,
    Waiting,
)
from bellwire.ledger.store.errors import SequenceGap, SequenceTaken

LOOK_EVERY_S: Final = 1.0
"""How often the store is asked for new entries: so late may one come to the log that is there."""

SOON_S: Final = 0.01

PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Between attempts that fail one after the other; the last of them from then on."""

log = structlog.get_logger("ledger")


class Brings(Protocol):
    """The way to a log; `carrier.Carrier` is one."""

    async def bring(self, entries: list[bytes]) -> Sequence[int]:
        """Return when all are in the log: their numbers there."""


class Delivery:
    """Empties one outbox.

    Args:
        outbox: What waits.
        carrier: The way to the log.

    Attributes:
        state: How the outbox was when it was last looked at.
        delivered: Entries that the log confirmed, since the start.
    """

    def __init__(self, outbox: Outbox, carrier: Brings) -> None:
        self._outbox = outbox
        self._carrier = carrier
        self._most = MOST_AT_ONCE
        self._failed = 0
        self.state = OutboxState()
        self.delivered = 0

    async def run(self) -> None:
        """Bring what waits, for ever."""
        while True:
            pause_s = await self.step()
            await asyncio.sleep(pause_s)

    async def step(self) -> float:
        """Bring a batch, if there is one; seconds until it is to be done again."""
        try:
            waiting = await to_its_end(asyncio.to_thread(self._outbox.first, self._most))
            pause_s = await self._bring(waiting) if waiting.entries else LOOK_EVERY_S
            self.state = await to_its_end(asyncio.to_thread(self._outbox.state))
        except LogUnreached as error:
            return max(await self._failing(error), error.wait_s)
        except BellwireError as error:
            return await self._failing(error)
        if pause_s == 0.0 and self.state.problem:
            log.info("the log takes entries again", waiting=self.state.waiting)
            await self._note("")
        return pause_s

    async def _bring(self, waiting: Waiting) -> float:
        """Seconds until the next batch: none if the log has these, or others are to be tried."""
        try:
            numbers = await self._carrier.bring(waiting.entries)
        except (SequenceTaken, EntryMalformed) as error:
            if len(waiting.entries) > 1:
                # Which of them it is, is not said: those that are good go by themselves.
                self._most = len(waiting.entries) // 2
                return SOON_S
            if isinstance(error, EntryMalformed):
                raise
            return await self._begin_epoch(waiting, "this store was put back to an earlier state")
        except SequenceGap:
            return await self._begin_epoch(waiting, "the log lacks entries that it had confirmed")
        await to_its_end(asyncio.to_thread(self._outbox.taken, waiting, numbers))
        self.delivered += len(waiting.entries)
        self._most = min(MOST_AT_ONCE, 2 * self._most)
        self._failed = 0
        return 0.0

    async def _begin_epoch(self, waiting: Waiting, why: str) -> float:
        log.warning("the numbers of entries for the log begin anew", why=why)
        await to_its_end(asyncio.to_thread(self._outbox.begin_epoch, waiting))
        self._most = MOST_AT_ONCE
        return self._pause()  # a log that always says so is not asked without end

    async def _failing(self, error: BellwireError) -> float:
        if str(error)[:MAX_PROBLEM] != self.state.problem:
            log.warning("entries wait for the log", error=str(error))
        await self._note(str(error)[:MAX_PROBLEM])
        return self._pause()

    async def _note(self, problem: str) -> None:
        """Keep why the log does not take them, so that a command that looks can say so."""
        waiting, self.state = self.state, replace(self.state, problem=problem)
        try:
            if problem != waiting.problem:
                await to_its_end(asyncio.to_thread(self._outbox.note_problem, problem))
            self.state = await to_its_end(asyncio.to_thread(self._outbox.state))
        except BellwireError as error:
            log.warning("the entries that wait cannot be read", error=str(error))

    def _pause(self) -> float:
        pause = PAUSES_S[min(self._failed, len(PAUSES_S) - 1)]
        self._failed += 1
        return pause
