"""Requests that come at once share one commit: what the disk costs is paid once for all of them.

The event loop collects what came in two turns, commits it in the next, and answers. The second turn
costs a look at the sockets and makes groups larger, which saves a tenth of the processor time.
Where a sync takes longer than a turn may (a slow disk, or another thread in the store), the commit
runs in a thread, and the next group collects meanwhile; one group is under way at a time.

Where it runs here, and requests that are alike come in quick succession, a commit marks some keys
`ahead` of them: those requests are answered at once, and a commit that nobody waits for marks more.
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from bellwire.base.clock import Clock
from bellwire.base.ending import to_its_end
from bellwire.base.errors import BellwireError
from bellwire.keys.ahead import IDLE_S, Pace
from bellwire.keys.errors import KeyNotReady, NotEnoughKey, StoreError
from bellwire.keys.kme import Delivery
from bellwire.keys.pool import Pool
from bellwire.keys.requests import Leave, Outcome, Request, Take

MAX_GROUP = 256
"""Requests of one commit: the first of them waits for the last."""

MAX_WAITING = 8192
"""Requests that may wait; more are refused at once."""

SLOW_SYNC_S = 0.0005
"""Syncs that take longer than this are waited for in a thread (measured: there it pays)."""

READY_WITHIN_S = 1.0
"""How long a key may be waited for whose block the peer has ready, and this side a moment later."""


Result = TypeVar("Result")


@dataclass(slots=True)
class _Entry:
    request: Request
    done: "asyncio.Future[Delivery]"
    early: KeyNotReady | NotEnoughKey | None = None
    until: float = 0.0


class Committer:
    """Serves requests of a pool in groups. All methods are for the event loop's thread.

    Args:
        pool: Loaded before the first request.
        check_flow: Raises LinkRed while no key of the link may leave; asked before each commit.
        clock: Seconds since the epoch.
        sync_s: How long a sync of this disk takes, in seconds.
    """

    def __init__(
        self,
        pool: Pool,
        check_flow: Callable[[], None],
        clock: Clock,
        *,
        sync_s: float = 0.0,
    ) -> None:
        self._pool = pool
        self._check_flow = check_flow
        self._clock = clock
        self._in_thread = sync_s > SLOW_SYNC_S
        self._waiting: list[_Entry] = []
        self._early: list[_Entry] = []
        self._turn = asyncio.Lock()
        self._scheduled = False
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "bellwire-commit")
        self._marks_ahead = not self._in_thread and not pool.shareable
        self._pace = Pace()
        self._ahead = 0  # how many keys were to be ahead at the last commit
        self._short = False  # less than half of them are left
        self._flowing = False  # as far as was asked in this turn of the loop
        self._asked = 0  # times that one of them was handed out
        self._look: asyncio.TimerHandle | None = None
        self._giving_back: asyncio.Task[None] | None = None

    def submit(self, request: Request) -> "asyncio.Future[Delivery]":
        """Keys of a request, once the mark that they left is durable.

        Errors, by the future: those of `Pool.commit` and of `check_flow`.

        Raises:
            StoreError: too many requests are waiting.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise StoreError("too many requests are waiting for the store")
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        if self._marks_ahead and isinstance(request, Take):
            self._pace.note(request, loop.time())
            key = self._next_ahead(request, loop)
            if key is not None:
                done.set_result(key)
                return done
        self._waiting.append(_Entry(request, done))
        self._schedule(loop)
        return done

    def _next_ahead(self, take: Take, loop: asyncio.AbstractEventLoop) -> Delivery | None:
        """A key that is ahead, if it may leave now."""
        there = self._pool.keys_ahead
        if not there or self._turn.locked() or not self._flows(loop):
            return None
        key = self._pool.next_ahead(take)
        if key is not None:
            self._asked += 1
            if 2 * there <= self._ahead and not self._short:
                self._short = True
                self._schedule(loop)
        return key

    def _flows(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether keys of the link may leave; asked once for all that come in a turn."""
        if not self._flowing:
            try:
                self._check_flow()
            except BellwireError:
                return False  # the turn of the group says why
            self._flowing = True
            loop.call_soon(self._forget_flow)
        return True

    def _forget_flow(self) -> None:
        self._flowing = False

    def block_ready(self) -> None:
        """A block became ready: whoever waits for its keys is asked for again."""
        early, self._early = self._early, []
        self._waiting += early
        if early:
            self._schedule(asyncio.get_running_loop())

    async def run_alone(self, work: Callable[[], Result]) -> Result:
        """Do something else with the pool, in the thread, while no group is under way.

        It is done to its end even if whoever waits for it is cancelled, and goes on only then.
        """
        return await to_its_end(self._run_alone(work))

    async def run_briefly(self, work: Callable[[], Result]) -> Result:
        """The same with something that costs no more than a commit: here and now, if that may be.

        A thread would wait for the interpreter until this one has nothing to do, and all requests
        for the thread.
        """
        if self._in_thread or self._turn.locked() or not self._pool.idle:
            return await self.run_alone(work)
        return work()

    async def _run_alone(self, work: Callable[[], Result]) -> Result:
        try:
            async with self._turn:
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._schedule(asyncio.get_running_loop())

    async def close(self) -> None:
        """Serve what waits; then give the thread up."""
        while self._waiting:
            self._flush()
            async with self._turn:
                pass
        async with self._turn:
            pass
        if self._look is not None:
            self._look.cancel()
        if self._giving_back is not None:
            await self._giving_back
        await self._give_back()
        for entry in list(self._early):
            self._give_up(entry)
        self._thread.shutdown()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if (self._waiting or self._short) and not self._scheduled and not self._turn.locked():
            self._scheduled = True
            loop.call_soon(loop.call_soon, self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._turn.locked():
            return  # whoever has it schedules the next group
        self._short = False  # whether or not more can be marked now
        loop = asyncio.get_running_loop()
        group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
        group = [entry for entry in group if not entry.done.done()]
        flowing = True
        try:
            self._check_flow()
        except BellwireError as error:
            # Keys of no link may leave all the same; whether others are a link's, the pool knows.
            flowing = False
            for entry in group:
                if isinstance(entry.request, Take | Leave):
                    _fail(entry, error)
            group = [entry for entry in group if not entry.done.done()]
        if group and (self._in_thread or not self._pool.idle):
            self._task = loop.create_task(self._commit_in_thread(group, flowing))
            return
        ahead = self._to_mark(loop) if flowing and self._pool.idle else None
        if group or ahead is not None:
            self._settle(group, self._commit(group, flowing, ahead))
        self._schedule(loop)

    def _to_mark(self, loop: asyncio.AbstractEventLoop) -> tuple[Take, int] | None:
        """What a commit is to mark ahead."""
        if not self._marks_ahead:
            return None
        ahead = self._pace.ahead(loop.time())
        if ahead is None:
            return None
        self._ahead = ahead[1]
        if self._look is None:
            self._look = loop.call_later(IDLE_S, self._look_again, self._asked)
        return ahead if 2 * self._pool.keys_ahead <= self._ahead else None

    def _look_again(self, asked: int) -> None:
        """Give back what is ahead if nobody asked for it meanwhile."""
        loop = asyncio.get_running_loop()
        if self._asked != asked:
            self._look = loop.call_later(IDLE_S, self._look_again, self._asked)
            return
        self._look = None
        self._giving_back = loop.create_task(self._give_back())

    async def _give_back(self) -> None:
        if self._pool.keys_ahead:
            with contextlib.suppress(StoreError):  # they are lost, then, or the store is
                await self.run_briefly(self._pool.give_back)

    def _commit(
        self, group: list[_Entry], flowing: bool, ahead: tuple[Take, int] | None = None
    ) -> list[Outcome]:
        try:
            requests = [entry.request for entry in group]
            return self._pool.commit(requests, self._clock(), flowing=flowing, ahead=ahead)
        except BellwireError as error:
            return [error] * len(group)
        except Exception:
            for entry in group:  # nobody is to wait for ever for an answer
                entry.done.get_loop().call_soon_threadsafe(
                    _fail, entry, StoreError("the pool failed")
                )
            raise

    async def _commit_in_thread(self, group: list[_Entry], flowing: bool) -> None:
        loop = asyncio.get_running_loop()
        async with self._turn:
            outcomes = await loop.run_in_executor(self._thread, self._commit, group, flowing)
        self._settle(group, outcomes)
        self._schedule(loop)

    def _settle(self, group: list[_Entry], outcomes: list[Outcome]) -> None:
        for entry, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Delivery):
                if not entry.done.done():  # whoever asked may have left; the keys are lost
                    entry.done.set_result(outcome)
            elif isinstance(outcome, KeyNotReady) or (
                isinstance(outcome, NotEnoughKey) and outcome.coming
            ):
                self._wait(entry, outcome)
            else:
                _fail(entry, outcome)

    def _wait(self, entry: _Entry, error: KeyNotReady | NotEnoughKey) -> None:
        """Keep a request whose block is not ready at both sides yet, for a while."""
        loop = asyncio.get_running_loop()
        if entry.early is None:
            entry.until = loop.time() + READY_WITHIN_S
            loop.call_at(entry.until, self._give_up, entry)
        entry.early = error
        if loop.time() < entry.until:
            self._early.append(entry)
        else:  # its time ran out while it was asked for once more
            _fail(entry, error)

    def _give_up(self, entry: _Entry) -> None:
        if entry in self._early and entry.early is not None:
            self._early.remove(entry)
            _fail(entry, entry.early)


def _fail(entry: _Entry, error: BellwireError) -> None:
    if not entry.done.done():
        entry.done.set_exception(error)
