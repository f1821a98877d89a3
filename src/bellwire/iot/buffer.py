"""What a device has taken and the cloud may not have yet: encrypted on disk, in segments.

A segment is a stream of the cloud's (spec/channel.md), named by 32 random bytes. It grows to 4 MiB;
then another begins, and it is removed when the cloud has all of it. A reading counts as taken once
it is on the disk; only then may it be sent, so that a device that was killed never has less than
the cloud.
"""

import contextlib
from pathlib import Path
from typing import Final

from bellwire.base.lock import held
from bellwire.base.private import own_folder
from bellwire.base.secret import Secret
from bellwire.iot.errors import StateInUse
from bellwire.iot.marks import Mark, MarkFile
from bellwire.iot.readings import Group
from bellwire.iot.segment import MAX_GROUP_FILE, MAX_SEGMENT_FILE, Segment, new_segment

MIN_BUFFER: Final = 2 * MAX_SEGMENT_FILE


class Buffer:
    """A device's segments, oldest first; the newest grows.

    Args:
        folder: Of the buffer; one process uses it at a time.
        seed: Of the device's identity, under which everything in it is encrypted.
        limit: Bytes on disk, MIN_BUFFER or more.

    Raises:
        StateInUse: another process uses it.
        BufferSpoilt: a file in it is not what this device wrote.
        PathUnusable, PathExposed: it cannot be read or written.
    """

    def __init__(self, folder: Path, seed: Secret, *, limit: int) -> None:
        self._folder = own_folder(folder)
        self._seed = seed
        self._limit = max(limit, MIN_BUFFER)
        self._stack = contextlib.ExitStack()
        try:
            self._stack.enter_context(held(folder / "lock"))
        except BlockingIOError as error:
            raise StateInUse(
                f"expected the buffer {folder} for this process alone, got one in use",
                hint="Another `bellwire device run` has this state folder.",
            ) from error
        with self._stack:
            self._gone = MarkFile(folder / "marks", seed)
            self.segments: list[Segment] = []
            for path in sorted(folder.glob("*.segment")):
                self.segments.append(self._open(path))
            self._stack = self._stack.pop_all()

    def __enter__(self) -> "Buffer":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def has_room(self) -> bool:
        """Whether readings may be taken: the limit is not reached with one more group."""
        used = sum(segment.size for segment in self.segments)
        return used + MAX_GROUP_FILE <= self._limit

    def append(self, group: Group) -> None:
        """Take readings; as `Segment.append`."""
        if not self.segments or self.segments[-1].full:
            self.segments.append(self._begin())
        self.segments[-1].append(group)

    def mark(self, source: bytes) -> Mark | None:
        """How far a file is taken, if it is one of those that were taken from last."""
        for segment in reversed(self.segments):
            if source in segment.marks:
                return segment.marks[source]
        return self._gone.get(source)

    def remove_first(self) -> None:
        """The cloud has all of the oldest segment, and it is full or not needed any more."""
        first = self.segments[0]
        if first.marks:
            self._gone.keep(first.marks.values())
        self.segments.pop(0).remove()

    def _begin(self) -> Segment:
        last = int(self.segments[-1].path.stem) if self.segments else 0
        path = self._folder / f"{last + 1:010d}.segment"
        new_segment(path)
        return self._open(path)

    def _open(self, path: Path) -> Segment:
        segment = Segment(path, self._seed)
        self._stack.callback(segment.close)
        return segment
