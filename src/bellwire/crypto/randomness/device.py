"""Raw bytes of a random device: a character device or a FIFO, bounded in size and time.

The device is read as it is: a serial line is set to pass bytes unchanged, and nothing is kept for
later. An ordinary file is refused, because it would give the same bytes at every start, and so is
the operating system's own generator, which is no hardware.
"""

import os
import select
import stat
import termios
import time
import tty
from pathlib import Path
from types import TracebackType
from typing import Self

from bellwire.crypto.errors import DeviceStopped, DeviceUnusable

PREFIX = "device:"
MAX_READ_BYTES = 4096
"""Most bytes of one reading."""

_SYSTEM = (Path("/dev/random"), Path("/dev/urandom"))
_PAUSE_S = 0.01


class Device:
    """An open random device.

    Args:
        path: A character device or FIFO.
        timeout_s: Within which any reading must be complete.

    Raises:
        DeviceUnusable: it is none, or cannot be opened.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.path = path
        self._timeout_s = timeout_s
        try:
            # Opening waits for nothing: neither for a FIFO's writer nor for a modem.
            self._descriptor = os.open(
                path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            )
        except (OSError, ValueError) as error:
            raise _unusable(path, error) from error
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; it cannot be read again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes, at most 4,096, in the order in which the device gives them.

        Raises:
            DeviceStopped: it ended, failed, or did not give as many in time.
            ValueError: `count` is negative or more than that.
        """
        if not 0 <= count <= MAX_READ_BYTES:
            raise ValueError(f"expected 0 to {MAX_READ_BYTES} bytes, got {count}")
        if self._descriptor < 0:
            raise DeviceStopped(f"the random device {self.path} is closed")
        got = bytearray()
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        deadline = time.monotonic() + self._timeout_s
        while len(got) < count:
            # What is there is taken, however late we are to look.
            left = max(0.0, deadline - time.monotonic())
            some = self._some(count - len(got), len(got)) if poll.poll(left * 1000) else b""
            if not some and not left:
                raise DeviceStopped(
                    f"the random device {self.path} gave {len(got)} of {count} bytes within "
                    f"{self._timeout_s:g} s"
                )
            got += some
        return bytes(got)

    def _some(self, count: int, before: int) -> bytes:
        """Up to `count` bytes of what is there; none if the device only said that there are."""
        try:
            data = os.read(self._descriptor, count)
        except BlockingIOError:
            time.sleep(_PAUSE_S)  # /dev/hwrng is always ready, whether it has anything or not
            return b""
        except OSError as error:
            raise DeviceStopped(
                f"the random device {self.path} failed after {before} bytes: {error.strerror}"
            ) from error
        if not data:
            raise DeviceStopped(f"the random device {self.path} ended after {before} bytes")
        return data

    def _prepare(self) -> None:
        found = os.fstat(self._descriptor)
        if not (stat.S_ISCHR(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
            raise DeviceUnusable(
                f"expected a character device or FIFO at {self.path}, got something else",
                hint="A file gives the same bytes at every start: it is no source.",
            )
        if stat.S_ISCHR(found.st_mode) and found.st_rdev in {
            each.stat().st_rdev for each in _SYSTEM
        }:
            raise DeviceUnusable(
                f"expected a hardware device, got the operating system's generator at {self.path}",
                hint="For that generator, set random.source to os.",
            )
        if os.isatty(self._descriptor):
            try:
                tty.setraw(self._descriptor, termios.TCSANOW)
                termios.tcflush(self._descriptor, termios.TCIFLUSH)
            except termios.error as error:
                raise DeviceUnusable(
                    f"expected a serial line at {self.path} that passes bytes, got: {error.args[1]}"
                ) from error


def path_of(source: str) -> Path | None:
    """The path of `device:PATH`; None for another source."""
    return Path(source.removeprefix(PREFIX)) if source.startswith(PREFIX) else None


def _unusable(path: Path, error: OSError | ValueError) -> DeviceUnusable:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return DeviceUnusable(
        f"expected a random device at {path}, cannot open it: {reason}",
        hint="May this user read it? `ls -l` tells; a udev rule can give it to a group.",
    )
