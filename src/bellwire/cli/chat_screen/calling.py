"""Tells somebody who is not looking: a program of theirs is run, as one of the desktop's."""

import asyncio
import contextlib
import shlex
import shutil
from typing import Final

from bellwire.base.errors import UsageError
from bellwire.cli.chat_screen.words import quoted

NAME_CELLS: Final = 40
ENDS_WITHIN_S: Final = 10.0
"""A program that takes longer is ended: the next message would wait for it."""


class Caller:
    """Runs a command with one more word: from whom something has come, and nothing of what.

    While it is at work nothing is called: one notification says enough of several messages.

    Args:
        command: As a shell would take it apart; no shell runs it.

    Raises:
        UsageError: it cannot be taken apart, or its program is not there.
    """

    def __init__(self, command: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError("--notify: expected a command, got quotes without an end") from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise UsageError(
                f"--notify: expected a command that there is, got {quoted(command)!r}",
                hint="On many desktops: --notify 'notify-send bellwire'",
            )
        self._calling: asyncio.Task[None] | None = None

    def call(self, name: str) -> None:
        """Somebody has written who is not seen."""
        if self._calling is None or self._calling.done():
            self._calling = asyncio.create_task(
                self._run(f"Message from {quoted(name, NAME_CELLS)}")
            )

    async def close(self) -> None:
        """End what is at work."""
        if self._calling is not None:
            self._calling.cancel()
            await asyncio.gather(self._calling, return_exceptions=True)

    async def _run(self, words: str) -> None:
        null = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words, words, stdin=null, stdout=null, stderr=null
            )
        except OSError:
            return  # the bell has rung, and the window shows it
        waiting = asyncio.create_task(process.wait())
        try:
            await asyncio.wait([waiting], timeout=ENDS_WITHIN_S)
        finally:
            if not waiting.done():
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await waiting
