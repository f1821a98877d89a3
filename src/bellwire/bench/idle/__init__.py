"""Idle sessions on one cloud, for real: a cloud in a process, its devices in another, over TCP.

Each device is another one, with a ticket kept at the cloud; what a session takes is by how much the
cloud's resident memory grows from a tenth of them to all.
"""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Final

WAIT_S: Final = 600.0
"""For either process, from its start to its end."""


SETTLE_S: Final = 30.0
"""For the cloud to have the sessions that its devices have."""


@dataclass(frozen=True, slots=True)
class Idle:
    """What was found.

    Attributes:
        sessions: That stood at the same time.
        bytes_each: Of the cloud's memory.
    """

    sessions: int
    bytes_each: float


def measure(count: int) -> Idle:
    """Connect so many devices, at least 10, and look at the cloud while they say nothing.

    Raises:
        RuntimeError: one of the two processes failed.
    """
    first = count // 10
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        cloud = _Child(stack, "cloud", folder, str(count))
        told = cloud.hear()
        devices = _Child(
            stack, "devices", folder, str(told["port"]), str(told["public"]), str(first), str(count)
        )
        found = []
        for expected in (first, count):
            devices.hear()
            found.append(_settled(cloud, expected))
            devices.say()
        before, after = found
    grown = int(after["rss"]) - int(before["rss"])
    sessions = int(after["running"])
    return Idle(sessions, grown / (sessions - int(before["running"])))


def _settled(cloud: "_Child", expected: int) -> dict[str, int | str]:
    """What the cloud says once it has all sessions: a device has its own half a round trip before.

    Raises:
        RuntimeError: some are missing after a while.
    """
    ends = time.monotonic() + SETTLE_S
    while True:
        cloud.say()
        found = cloud.hear()
        if found["running"] == expected:
            return found
        if time.monotonic() >= ends:
            raise RuntimeError(f"expected {expected} sessions, got {found['running']}")
        time.sleep(0.05)


class _Child:
    """A process of ours that talks by lines."""

    def __init__(self, stack: ExitStack, module: str, *arguments: str) -> None:
        self._process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", f"{__name__}.{module}", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert self._process.stdin is not None
        stack.enter_context(closing(self._process.stdin))
        stack.callback(self._end)

    def say(self) -> None:
        """Go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, int | str]:
        """The next line, of JSON."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a process of the measurement of idle sessions failed")
        found: dict[str, int | str] = json.loads(line)
        return found

    def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
