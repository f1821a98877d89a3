"""A file of readings as it is, and as it grows: cut into readings that are taken each once.

How far it was taken is known by its path and its content (`bellwire.iot.marks`). A file whose
beginning is what was taken goes on behind it, whenever that was. Another file under the same path,
as after a log was rotated or cut off, is taken from its beginning.
"""

import asyncio
import hashlib
import itertools
import os
import stat
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from bellwire.iot.errors import DataError
from bellwire.iot.marks import Mark, source_of
from bellwire.iot.messages import MAX_READING_BYTES
from bellwire.iot.readings import MAX_GROUP_BYTES, MAX_GROUP_READINGS, Group
from bellwire.iot.rows import RowForm

POLL_S: Final = 0.5
"""How often a file that is followed is looked at when it has nothing new."""

_CHUNK: Final = 2**20


async def file_readings(
    path: Path,
    taken: Callable[[bytes], Mark | None],
    *,
    follow: bool = False,
    tell: Callable[[str], None] = lambda text: None,
    poll_s: float = POLL_S,
) -> AsyncGenerator[Group, None]:
    """The readings of a file that were not taken yet, in groups with their marks.

    Args:
        path: Of JSON lines if its name or first byte says so, else CSV.
        taken: How far a file is taken, by its source.
        follow: Go on as it grows, and with the file that comes in its place, without end; a line
            counts when its end is there. Else, its end ends them.
        tell: Told when a file is another than the one that was begun.
        poll_s: Seconds between looks at a file without news.

    Raises:
        DataError: missing (unless it is followed), unreadable, empty, or a line of it is no
            reading; those before it were given.
    """
    while True:
        file = await asyncio.to_thread(_open, path, taken, tell, missing=follow)
        if file is not None:
            try:
                async for group in _all_of(file, follow, poll_s):
                    yield group
            finally:
                file.close()
        if not follow:
            return
        await asyncio.sleep(poll_s)


async def _all_of(file: "_File", follow: bool, poll_s: float) -> AsyncGenerator[Group, None]:
    """Until its end, or until another has its place."""
    while True:
        # Asked first: what comes into a file before another has its place belongs to it.
        replaced = follow and await asyncio.to_thread(file.replaced)
        while (group := await asyncio.to_thread(file.take)) is not None:
            yield group
        if replaced or not follow:
            last = await asyncio.to_thread(file.finish, may_be_empty=follow)
            if last is not None:
                yield last
            return
        if await asyncio.to_thread(file.cut_off):
            return
        await asyncio.sleep(poll_s)


def _open(
    path: Path,
    taken: Callable[[bytes], Mark | None],
    tell: Callable[[str], None],
    *,
    missing: bool,
) -> "_File | None":
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if missing and isinstance(error, FileNotFoundError):
            return None
        raise DataError(
            path, None, f"expected a file of readings, got: {error.strerror}"
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(path, None, "expected a file of readings, got something else")
    file = _File(path, os.fdopen(descriptor, "rb", buffering=0))
    try:
        mark = taken(file.source)
        if mark is not None and not file.skip(mark):
            tell(f"{path} is another than the one that was begun: it is taken from its beginning")
    except BaseException:
        file.close()
        raise
    return file


class _File:
    """A file that is open, and how far it is taken."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self.source = source_of(path)
        self.status = os.fstat(file.fileno())
        self._begin()

    def _begin(self) -> None:
        self._file.seek(0)
        self._hash = hashlib.sha256()
        self._offset = 0  # of what is taken
        self._line = 0
        self._form: RowForm | None = None
        self._ahead = bytearray()
        self._bad: DataError | None = None

    def close(self) -> None:
        """Give it back."""
        self._file.close()

    def skip(self, mark: Mark) -> bool:
        """Go on behind what a mark says is taken; False, from the beginning, if that is not it."""
        if not 0 < mark.offset <= self.status.st_size:
            return False
        beginning = some = b""
        while self._offset < mark.offset:
            some = self._read(min(_CHUNK, mark.offset - self._offset))
            if not some:
                break
            beginning = beginning or some
            self._hash.update(some)
            self._offset += len(some)
            self._line += some.count(b"\n")
        if self._hash.digest() != mark.digest:
            self._begin()
            return False
        if some[-1:] != b"\n" and self.status.st_size > mark.offset:
            raise DataError(
                self._path,
                self._line + 1,
                "expected the file to end with the line that was taken as its last, got more",
            )
        self._form = RowForm(self._path, beginning[:1])
        if not self._form.json:
            self._form.learn(beginning)
        return True

    def take(self) -> Group | None:
        """The next readings whose line ends are there, if any; DataError as `file_readings`."""
        if self._bad is not None:
            raise self._bad
        if len(self._ahead) < MAX_GROUP_BYTES:
            self._ahead += self._read(MAX_GROUP_BYTES)
        return self._group(self._whole_lines())

    def finish(self, *, may_be_empty: bool) -> Group | None:
        """The last reading, whose line has no end; DataError as `file_readings`."""
        tail = bytes(self._ahead[self._ahead.rfind(b"\n") + 1 :])
        group = self._group(itertools.chain(self._whole_lines(), [tail] if tail else []))
        if self._ahead:
            raise DataError(self._path, self._line + 1, "expected the end of a row, got the file's")
        if not self._offset and not may_be_empty:
            raise DataError(self._path, None, "expected readings, got an empty file")
        return group

    def replaced(self) -> bool:
        """Whether another file has its place, or none."""
        try:
            there = self._path.stat()
        except OSError:
            return True
        return (there.st_dev, there.st_ino) != (self.status.st_dev, self.status.st_ino)

    def cut_off(self) -> bool:
        """Whether it is shorter than what was taken of it: then it is begun anew."""
        return os.fstat(self._file.fileno()).st_size < self._offset

    def _read(self, most: int) -> bytes:
        try:
            return self._file.read(most)
        except OSError as error:
            raise DataError(
                self._path, None, f"expected a file of readings, got: {error.strerror}"
            ) from error

    def _whole_lines(self) -> Iterator[bytes]:
        start = 0
        while (end := self._ahead.find(b"\n", start) + 1) > 0:
            yield bytes(self._ahead[start:end])
            start = end
        if len(self._ahead) - start > MAX_READING_BYTES:
            yield bytes(self._ahead[start:])  # too long already, whatever its end

    def _group(self, lines: Iterator[bytes]) -> Group | None:
        if self._form is None and self._ahead:
            self._form = RowForm(self._path, bytes(self._ahead[:1]))
        readings: list[bytes] = []
        size = 0
        try:
            for reading in () if self._form is None else self._form.rows(lines, self._line):
                if size + len(reading) > MAX_GROUP_BYTES:
                    break
                readings.append(reading)
                size += len(reading)
                if len(readings) == MAX_GROUP_READINGS:
                    break
        except DataError as error:
            self._bad = error
        if not readings:
            if self._bad is not None:
                raise self._bad
            return None
        taken = bytes(self._ahead[:size])
        del self._ahead[:size]
        self._hash.update(taken)
        self._offset += size
        self._line += taken.count(b"\n")
        return Group(readings, Mark(self.source, self._offset, self._hash.digest()))
