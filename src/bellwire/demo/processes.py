"""The demo's services as processes of their own: started, waited for, watched, stopped.

Each is a `base.child`: no way of ending the demo leaves an orphan.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bellwire.base.child import ServiceStopped, end, how_it_ended, spawn, until_ready
from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError

READY_TIMEOUT_S = 600.0
"""A first run compiles kernels in three processes at once: minutes of a slow machine. A service
that ends is noticed at once."""

STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and what it said when it became ready."""

    name: str
    process: asyncio.subprocess.Process
    ready: dict[str, Any]
    log: Path


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ran to its end."""

    name: str
    pid: int
    code: int
    output: bytes


class Crew:
    """Starts services, notices when one dies, and stops them all; an async context manager.

    Args:
        logs: Folder for one log file a service.
        environment: Of every process.
    """

    def __init__(self, logs: Path, environment: dict[str, str]) -> None:
        self._logs = logs
        self._environment = environment
        self.services: list[Service] = []
        self._running: list[asyncio.subprocess.Process] = []
        self._watching: list[asyncio.Task[None]] = []
        self._died: asyncio.Future[ServiceStopped] | None = None

    async def __aenter__(self) -> "Crew":
        self._died = asyncio.get_running_loop().create_future()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        # A second Ctrl-C cancels the wait for one of them; the others are still ended.
        async with contextlib.AsyncExitStack() as ends:
            for process in self._running:
                ends.push_async_callback(end, process, within_s=STOP_TIMEOUT_S)

    async def start(self, name: str, *arguments: str) -> Service:
        """Start a service and wait until it is ready.

        Raises:
            ServiceStopped: it ended, or was silent too long; the message has its last words.
        """
        log = self._logs / f"{name}.log"
        process = await self._spawn(arguments, log)
        ready = await until_ready(name, process, log, within_s=READY_TIMEOUT_S)
        service = Service(name, process, ready, log)
        self.services.append(service)
        self._watching.append(asyncio.create_task(self._watch(service)))
        return service

    async def run(self, name: str, *arguments: str) -> Finished:
        """Run a program to its end; its log is kept as well."""
        process = await self._spawn(arguments, self._logs / f"{name}.log")
        assert process.stdout is not None
        output = await process.stdout.read()
        code = await process.wait()
        self._running.remove(process)
        return Finished(name, process.pid, code, output)

    async def until_one_dies(self) -> ServiceStopped:
        """Wait for the first service that ends by itself."""
        assert self._died is not None
        return await asyncio.shield(self._died)

    async def _spawn(self, arguments: tuple[str, ...], log: Path) -> asyncio.subprocess.Process:
        process = await spawn(arguments, log, self._environment)
        self._running.append(process)
        return process

    async def _watch(self, service: Service) -> None:
        code = await service.process.wait()
        assert self._died is not None
        if not self._died.done():
            self._died.set_result(
                ServiceStopped(
                    f"{service.name} stopped in the middle of the demo ({how_it_ended(code)})",
                    hint=f"Its log: {service.log}",
                )
            )


def error_of(finished: Finished) -> BellwireError:
    """The error that a command printed with `--json`, as the class of its exit code."""
    kinds = {kind.exit_code: kind for kind in (UsageError, RefusedError, UnreachableError)}
    kind = kinds.get(finished.code, BellwireError)
    try:
        error = json.loads(finished.output)["error"]
        return kind(str(error["message"]), hint=error["hint"])
    except (ValueError, KeyError, TypeError):
        return kind(f"{finished.name} ended without a word ({how_it_ended(finished.code)})")
