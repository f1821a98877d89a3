"""Keeps one service running: starts it, and again whenever it ends, until it is cancelled.

It never gives up. The pause before a start doubles from FIRST_PAUSE_S to LONGEST_PAUSE_S while the
service does not live for STEADY_S; after MANY such ends in a row it counts as failing.
"""

import asyncio
import os
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from bellwire.base.child import (
    ServiceRefused,
    ServiceStopped,
    end,
    how_it_ended,
    last_words,
    spawn,
    until_ready,
)
from bellwire.base.errors import RefusedError, UsageError
from bellwire.services.logs import begin_log
from bellwire.services.messages import ServiceView
from bellwire.services.program import Program

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
STEADY_S = 10.0
MANY = 5
READY_WITHIN_S = 600.0
"""All services begin at once, and the first time nodes compile their kernels: minutes of a slow
machine. One that ends is noticed at once."""

STOP_WITHIN_S = 45.0
"""Longer than a node lets requests for keys finish, on a slow machine too."""

NOT_MENDED = {UsageError.exit_code: UsageError, RefusedError.exit_code: RefusedError}
"""Exit codes of a first start that no other can mend: wrong settings, files open to others."""

Say = Callable[[str], None]


class State(StrEnum):
    """What a service is doing."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    FAILING = "failing"
    STOPPED = "stopped"


class Keeper:
    """Keeps one service.

    Args:
        program: Which.
        log: Its log.
        known: What services said when they were ready last; it adds its own.
        say: Called with a sentence for people.
    """

    def __init__(
        self,
        program: Program,
        log: Path,
        known: dict[str, dict[str, Any]],
        say: Say,
    ) -> None:
        self.program = program
        self.ready = asyncio.Event()
        self._log = log
        self._known = known
        self._say = say
        self._state = State.WAITING
        self._pid: int | None = None
        self._since: float | None = None
        self._log_start = 0
        self._starts = 0
        self._quick_ends = 0
        self._trouble: str | None = None

    def view(self) -> ServiceView:
        """How the service is."""
        name = self.program.name
        failing = self._quick_ends >= MANY and self._state is not State.STOPPED
        return ServiceView(
            name=name,
            state=(State.FAILING if failing else self._state).value,
            pid=self._pid,
            since=self._since,
            restarts=max(0, self._starts - 1),
            trouble=self._trouble,
            log=str(self._log),
            ready=self._known.get(name, {}),
        )

    async def keep(self) -> None:
        """Run the service, and again whenever it ends.

        Raises:
            UsageError, RefusedError: its first start failed with what no other start can mend.
        """
        try:
            while True:
                try:
                    trouble = self._words(await self._run())
                except ServiceRefused as error:
                    kind = NOT_MENDED.get(error.code)
                    if kind is not None and not self.ready.is_set():
                        raise kind(str(error), hint=error.hint) from error
                    trouble = str(error)
                except (ServiceStopped, OSError) as error:
                    trouble = str(error)
                await self._pause(trouble)
        finally:
            self._state = State.STOPPED

    async def _run(self) -> int:
        """Run the service once; its exit code."""
        name = self.program.name
        self._state = State.STARTING
        self._log_start = begin_log(self._log)
        process = await self._spawn()
        self._pid = process.pid
        self._starts += 1
        try:
            told = await until_ready(
                name, process, self._log, within_s=READY_WITHIN_S, since=self._log_start
            )
            self._known[name] = told
            self._since = time.time()
            self.ready.set()
            self._state = State.RUNNING
            self._say(f"{name} runs, process {process.pid}")
            return await self._watch(process)
        finally:
            await _end(process)
            self._pid = self._since = None

    async def _watch(self, process: Process) -> int:
        """The exit code; a service that lives long enough has its earlier ends forgotten."""
        waiting = asyncio.ensure_future(process.wait())
        try:
            done, _ = await asyncio.wait({waiting}, timeout=STEADY_S)
            if not done and self._quick_ends:
                self._quick_ends = 0
            return await waiting
        finally:
            waiting.cancel()

    async def _spawn(self) -> Process:
        """Start its process; to be cancelled meanwhile leaves none."""
        self.program.before(self._known)
        environment = {**os.environ, **self.program.environment(self._known)}
        line = self.program.arguments(self._known)
        spawning = asyncio.ensure_future(spawn(line, self._log, environment))
        try:
            return await asyncio.shield(spawning)
        except asyncio.CancelledError:
            await _end(await spawning)
            raise

    def _words(self, code: int) -> str:
        """How a service that ran has ended; one that was killed could say nothing of it."""
        words = how_it_ended(code)
        return f"{words}: {last_words(self._log, self._log_start)}" if code > 0 else words

    async def _pause(self, trouble: str) -> None:
        self._trouble = trouble
        self._quick_ends += 1
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._quick_ends - 1, 10))
        self._state = State.WAITING
        failing = f"; it ended {self._quick_ends} times" if self._quick_ends >= MANY else ""
        self._say(
            f"{self.program.name} ended ({trouble}){failing}; it starts again in {pause_s:g} s"
        )
        await asyncio.sleep(pause_s)


async def _end(process: Process) -> None:
    """End a process wholly, also when we are cancelled meanwhile."""
    ending = asyncio.ensure_future(end(process, within_s=STOP_WITHIN_S))
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await ending
        raise
