"""Where a device shows what the cloud sent: lines in a file, or on standard output."""

import os
import select
import stat
import threading
from pathlib import Path
from typing import Final, TextIO

from bellwire.base.private import sync_folder, unusable
from bellwire.iot.errors import NobodyReads
from bellwire.iot.inbox import Place

MOST_LOOKED_AT: Final = 2 * 2**20
"""Bytes that one push can come to as lines: 48 KiB, each byte six characters of JSON at most, in
messages with their heads."""

PIECE_BYTES: Final = 4096
"""What a pipe takes at once when it takes anything (PIPE_BUF of Linux)."""

LOOK_S: Final = 0.2


class ReceivedFile:
    """A file of the device's alone, to which lines are added; others may read or rename it.

    Args:
        path: Made with mode 0600 if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, after: Place) -> Place:
        """The same place if the file is the same; else its end. PathUnusable."""
        file = self._open()
        try:
            found = os.fstat(file)
        except OSError as error:
            raise unusable(self._path, error) from error
        finally:
            os.close(file)
        same = (found.st_dev, found.st_ino) == (after.device, after.inode)
        if same and after.offset <= found.st_size:
            return after
        return Place(found.st_dev, found.st_ino, found.st_size)

    def show(self, lines: list[bytes], after: Place) -> Place:
        """Add those lines that a death did not leave there; they are on disk then.

        Half a line at the end is what a death cut off, and goes.

        Raises:
            PathUnusable: the file does not take them.
        """
        file = self._open()
        try:
            found = os.fstat(file)
            start = after.offset
            if (found.st_dev, found.st_ino) != (after.device, after.inode):
                start = found.st_size
            left = os.pread(file, MOST_LOOKED_AT, start)
            whole = left[: left.rfind(b"\n") + 1]
            if start + len(left) == found.st_size and len(whole) < len(left):
                os.ftruncate(file, start + len(whole))
            there = set(whole.splitlines(keepends=True))
            new = b"".join(line for line in lines if line not in there)
            _write(file, new)
            os.fsync(file)
            # What is there and was not asked for yet is still to be found the next time.
            end = os.fstat(file).st_size if new else start + whole.index(lines[-1]) + len(lines[-1])
            return Place(found.st_dev, found.st_ino, end)
        except OSError as error:
            raise unusable(self._path, error) from error
        finally:
            os.close(file)

    def stop(self) -> None:
        """A file takes what it is given."""

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            new = not self._path.exists()
            file = os.open(self._path, flags, 0o600)
            if new:
                sync_folder(self._path.parent)
        except OSError as error:
            raise unusable(self._path, error) from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise unusable(self._path, OSError(None, "no plain file"))
        return file


class ReceivedLines:
    """Standard output, or another stream that somebody reads.

    A death after a line is out and before it is remembered has it come again, under the same id.

    Args:
        out: The stream.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._stopped = threading.Event()

    def begin(self, after: Place) -> Place:
        """A stream has no places."""
        return after

    def show(self, lines: list[bytes], after: Place) -> Place:
        """Write them; NobodyReads if the reader is gone, or `stop` comes before it reads."""
        try:
            self._out.flush()
            for line in lines:
                for at in range(0, len(line), PIECE_BYTES):
                    self._write(self._out.fileno(), line[at : at + PIECE_BYTES])
        except (OSError, ValueError) as error:
            raise NobodyReads(
                "expected somebody to read what the cloud sends, got a closed standard output",
                hint="Messages wait at the cloud; `--received FILE` keeps them here.",
            ) from error
        return after

    def stop(self) -> None:
        """Wait no longer for who does not read."""
        self._stopped.set()

    def _write(self, out: int, piece: bytes) -> None:
        ready = select.poll()
        ready.register(out, select.POLLOUT)
        while not ready.poll(1000 * LOOK_S):
            if self._stopped.is_set():
                raise OSError(None, "nobody reads")
        _write(out, piece)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
