"""Where the requests of the two sides for one block meet.

A request waits, for a bounded time and among a bounded number, until the other side asks for the
same ticket. Then one simulation serves both, each with its own answer. A ticket is served once.
Requests, and with them the seeds, are dropped with the answers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bellwire.base.detections import Side
from bellwire.link.errors import LinkRefused, Refusal
from bellwire.link.messages import BlockRequest

MAX_WAITING = 16
"""Tickets that wait for the other side at a time."""

SPENT_KEPT = 2**16
"""Served tickets that are remembered; it takes both sides to spend one."""

Answers = dict[Side, bytes]
Produce = Callable[[dict[Side, BlockRequest]], Awaitable[Answers]]


@dataclass(frozen=True, slots=True)
class _Waiting:
    side: Side
    request: BlockRequest
    met: "asyncio.Future[asyncio.Task[Answers]]"


class Meeting:
    """Pairs requests by ticket.

    Args:
        produce: Makes both answers from both requests; a LinkRefused from it goes to both sides.
        timeout_s: Seconds that a request waits for its partner.
    """

    def __init__(self, produce: Produce, timeout_s: float) -> None:
        self._produce = produce
        self._timeout_s = timeout_s
        self._waiting: dict[bytes, _Waiting] = {}
        self._spent: dict[bytes, None] = {}
        self._running: set[asyncio.Task[Answers]] = set()

    @property
    def waiting(self) -> int:
        """How many tickets wait for their other side."""
        return len(self._waiting)

    async def answer(self, side: Side, request: BlockRequest) -> bytes:
        """This side's answer, once the other side has asked as well.

        Raises:
            LinkRefused: the ticket is spent, waits for this side already or asks for another
                block on the other side; too many wait; nobody came; the simulation failed.
        """
        if request.ticket in self._spent:
            raise LinkRefused(Refusal.SPENT, "this ticket was served before")
        partner = self._waiting.get(request.ticket)
        if partner is None or partner.met.done():
            running = await self._wait(side, request)
        elif partner.side is side:
            raise LinkRefused(Refusal.DUPLICATE, "this side waits for this ticket already")
        else:
            running = self._meet(partner, side, request)
        # One side's leaving must not take the other side's answer away.
        return (await asyncio.shield(running))[side]

    async def close(self) -> None:
        """End what runs; its answers reach nobody."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _wait(self, side: Side, request: BlockRequest) -> "asyncio.Task[Answers]":
        if len(self._waiting) >= MAX_WAITING:
            raise LinkRefused(Refusal.BUSY, f"{MAX_WAITING} tickets wait for their other side")
        mine = _Waiting(side, request, asyncio.get_running_loop().create_future())
        self._waiting[request.ticket] = mine
        try:
            async with asyncio.timeout(self._timeout_s):
                return await mine.met
        except TimeoutError:
            raise LinkRefused(
                Refusal.TIMEOUT, f"{side.peer} did not ask for this block in {self._timeout_s:g} s"
            ) from None
        finally:
            if self._waiting.get(request.ticket) is mine:
                del self._waiting[request.ticket]

    def _meet(
        self, partner: _Waiting, side: Side, request: BlockRequest
    ) -> "asyncio.Task[Answers]":
        del self._waiting[request.ticket]
        self._spent[request.ticket] = None
        if len(self._spent) > SPENT_KEPT:
            del self._spent[next(iter(self._spent))]
        theirs = partner.request
        if theirs.what != request.what:
            asked = {partner.side: theirs, side: request}
            words = ", ".join(f"{who} for {asked[who].described}" for who in Side)
            partner.met.set_exception(LinkRefused(Refusal.MISMATCH, f"asked: {words}"))
            raise LinkRefused(Refusal.MISMATCH, f"asked: {words}")
        task = asyncio.create_task(self._run({partner.side: theirs, side: request}))
        self._running.add(task)
        task.add_done_callback(self._done)
        partner.met.set_result(task)
        return task

    async def _run(self, requests: dict[Side, BlockRequest]) -> Answers:
        try:
            return await self._produce(requests)
        except LinkRefused:
            raise
        except Exception as error:
            # Both sides must hear of it, and the link must live; the text could quote a value.
            raise LinkRefused(
                Refusal.FAILED, f"the simulation ended with {type(error).__name__}"
            ) from error

    def _done(self, task: "asyncio.Task[Answers]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even if both sides have left
