"""A service as a child process: started, heard when it is ready, and ended.

Each runs `python -m bellwire …`, says one JSON line on standard output when it is ready, and logs
to a file. Each holds the other end of a pipe of ours as its standard input and stops when that
closes (`base.lifetime`), so that no way of ending us leaves an orphan. Nothing secret stands in its
arguments: who may list processes may read them.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bellwire.base.errors import UnreachableError

MAX_LINE = 1 << 16
MAX_LAST_WORDS = 500
TAIL_BYTES = 1 << 16

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
"""For processes that share the cores among them; threads within each would only get in the way."""


class ServiceStopped(UnreachableError):
    """A service ended that should be running, or never became ready."""


class ServiceRefused(ServiceStopped):
    """A service ended by itself as it started, and said why.

    Attributes:
        code: Its exit code; of a signal, minus its number.
    """

    def __init__(self, message: str, *, code: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


async def spawn(arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> Process:
    """Start `bellwire` with these arguments; what it says on standard error goes to `log`."""
    with log.open("ab") as stream:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bellwire",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stream,
            env=environment,
            limit=MAX_LINE,
            # Ctrl-C on the terminal is ours to handle: children are stopped in order.
            start_new_session=True,
        )


async def until_ready(
    name: str, process: Process, log: Path, *, within_s: float, since: int = 0
) -> dict[str, Any]:
    """What a service says when it is ready.

    Args:
        name: Of the service, for messages.
        process: From `spawn`.
        log: Its log.
        within_s: How long it may take.
        since: Where this run's part of the log begins.

    Raises:
        ServiceRefused: it ended; the message has its last words.
        ServiceStopped: it was silent too long, or said something else.
    """
    assert process.stdout is not None
    try:
        async with asyncio.timeout(within_s):
            line = await process.stdout.readline()
    except TimeoutError as error:
        raise ServiceStopped(f"{name} did not become ready within {within_s:.0f} s") from error
    except ValueError:  # Longer than a stream's limit: no line of ours.
        line = b"?"
    if not line:
        code = await process.wait()
        raise ServiceRefused(
            f"{name} did not start ({how_it_ended(code)}): {last_words(log, since)}",
            code=code,
            hint=f"Its log: {log}",
        )
    try:
        ready = json.loads(line)
    except ValueError:
        ready = None
    if not isinstance(ready, dict):
        raise ServiceStopped(
            f"expected a JSON line from {name} when it is ready, got something else"
        )
    return ready


async def end(process: Process, *, within_s: float) -> None:
    """Ask a process to stop, and kill it if it does not, or if we are cancelled meanwhile."""
    try:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(within_s):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    finally:
        # asyncio closes it some turns of the loop later, which a loop that ends now does not have;
        # and there is no public way to it. What still runs is killed by this.
        process._transport.close()  # type: ignore[attr-defined]
        await asyncio.sleep(0)


def last_words(log: Path, since: int = 0) -> str:
    """The last error near the end of a log, else its last line, or that there is none.

    What lies before byte `since` belongs to an earlier run, and is not looked at.
    """
    with log.open("rb") as file:
        file.seek(max(since, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        text = file.read(TAIL_BYTES).decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or ["it said nothing"])[-1].strip()[-MAX_LAST_WORDS:]


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}"
