"""A file of lines that only grows, until it is put aside: for many processes, whole lines each.

What always holds: lines are whole, whoever writes at once, and a line that a crash cut short ends
before the next one begins. Files are the owner's alone. `NAME.1` is the one before `NAME`.
"""

import fcntl
import os
from pathlib import Path

from bellwire.base.private import own_file, own_folder


class Journal:
    """Lines in `path`; may be used by several threads and processes.

    Args:
        path: Of the file; its folder is made, with mode 0700.
        max_bytes: Size beyond which a file is put aside before more is written.
        kept: Files that are kept, `path` among them.

    Raises:
        PathUnusable: folder or file cannot be made or written.
        PathExposed: others may read them.
    """

    def __init__(self, path: Path, *, max_bytes: int, kept: int) -> None:
        own_folder(path.parent)
        own_file(path)
        self._path = path
        self._lock = path.with_name(f"{path.name}.lock")
        own_file(self._lock)
        self._max_bytes = max_bytes
        self._kept = kept

    def append(self, lines: bytes, *, durable: bool = False) -> None:
        """Add whole lines.

        Args:
            lines: Each with its end.
            durable: Whether they are on the disk when this returns.

        Raises:
            OSError: they could not be written; some of them may be there.
            PathUnusable, PathExposed: as the constructor.
        """
        lock = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            size = self._size()
            if size and size + len(lines) > self._max_bytes:
                self._put_aside()
                size = None
            if size is None:
                own_file(self._path)
            file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                _write(file, _end_of_cut_line(file) + lines)
                if durable:
                    os.fsync(file)
            finally:
                os.close(file)
        finally:
            os.close(lock)

    def _size(self) -> int | None:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return None

    def _put_aside(self) -> None:
        names = [self._path, *(self._numbered(n) for n in range(1, self._kept))]
        names[-1].unlink(missing_ok=True)
        for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
            if newer.exists():
                newer.rename(older)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _end_of_cut_line(file: int) -> bytes:
    size = os.fstat(file).st_size
    return b"\n" if size and os.pread(file, 1, size - 1) != b"\n" else b""


def _write(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
