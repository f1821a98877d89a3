"""Experiments in processes of their own: the console itself never loads the lab and its kernels.

A process is started when it is needed, and ended when none was for five minutes. What is begun is
finished, which takes less than it takes to start another process; nobody hears of it then.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from bellwire.base import child
from bellwire.console.experiments import ExperimentLost, TooManyExperiments

MOST_PROCESSES = 4
MOST_WAITING = 64
IDLE_S = 300.0
LONGEST_S = 120.0
"""Of an experiment, the first of all included, for which kernels may have to be compiled."""
_END_S = 2.0

log = structlog.get_logger()


class LabProcesses:
    """A laboratory (`console.experiments.Laboratory`).

    Args:
        most: Processes at once; None for one less than there are processors, at most four.
    """

    def __init__(self, most: int | None = None) -> None:
        most = min(MOST_PROCESSES, (os.cpu_count() or 2) - 1) if most is None else most
        self._room = asyncio.Semaphore(max(1, most))
        self._waiting = 0
        self._idle: list[Process] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, protocol: str, words: Mapping[str, Any]) -> dict[str, Any]:
        """What came of an experiment, as `lab.answering` says it.

        Raises:
            ExperimentLost: its process ended, or took too long.
            TooManyExperiments: too many wait.
        """
        if self._waiting >= MOST_WAITING:
            raise TooManyExperiments("too many experiments wait")
        self._waiting += 1
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1
        work = self._begin(msgspec.json.encode({"protocol": protocol, "words": words}) + b"\n")
        return await asyncio.shield(work)

    async def close(self) -> None:
        """End every process."""
        self._rest()
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._end_idle()

    def _begin(self, line: bytes) -> "asyncio.Task[dict[str, Any]]":
        self._rest()
        work = asyncio.create_task(self._work(line))
        self._tasks.add(work)
        work.add_done_callback(self._done)
        return work

    def _done(self, work: "asyncio.Task[dict[str, Any]]") -> None:
        self._tasks.discard(work)
        self._room.release()
        if not work.cancelled() and (error := work.exception()) is not None:
            log.warning("an experiment was lost", kind=type(error).__name__)
        self._rest()
        if not self._tasks:
            self._timer = asyncio.get_running_loop().call_later(IDLE_S, self._send_home)

    async def _work(self, line: bytes) -> dict[str, Any]:
        process = self._idle.pop() if self._idle else await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        said = b""
        try:
            async with asyncio.timeout(LONGEST_S):
                process.stdin.write(line)
                await process.stdin.drain()
                said = await process.stdout.readline()
        except (TimeoutError, OSError, ValueError) as error:
            raise ExperimentLost("the experiment did not end") from error
        finally:
            if said.endswith(b"\n"):
                self._idle.append(process)
            else:
                await child.end(process, within_s=_END_S)
        if not said.endswith(b"\n"):
            raise ExperimentLost("the experiment did not end")
        found: dict[str, Any] = msgspec.json.decode(said)
        return found

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from bellwire.lab.answering import main; main()",
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, **child.ONE_THREAD},
            limit=child.MAX_LINE,
            start_new_session=True,
        )

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send_home(self) -> None:
        self._timer = None
        ending = asyncio.create_task(self._end_idle())
        self._tasks.add(ending)
        ending.add_done_callback(self._tasks.discard)

    async def _end_idle(self) -> None:
        while self._idle:
            await child.end(self._idle.pop(), within_s=_END_S)
