"""What the cloud sends to a device: shown once, in order, and acknowledged when that is on disk.

The device remembers the queue's id and the number of the last message that it has shown. A message
is shown first and remembered then, so that none is lost; where it is shown in a file, what a death
came between is found there again, so that none is shown twice either.
"""

import base64
import contextlib
import json
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from bellwire.base.errors import BellwireError
from bellwire.base.lock import held
from bellwire.base.private import own_folder, read_own_file, unusable, write_whole
from bellwire.iot.errors import BufferSpoilt, ProtocolError, StateInUse
from bellwire.iot.messages import Item, Listen, Push

_Result = TypeVar("_Result")

FILE: Final = "received"
_MAGIC: Final = b"bwrcv1"
_FORM: Final = struct.Struct(">6s16sQQQQ")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file: which file it is, and so many bytes from its beginning."""

    device: int = 0
    inode: int = 0
    offset: int = 0


class Output(Protocol):
    """Where messages are shown."""

    def begin(self, after: Place) -> Place:
        """Where the next lines go; `after` is where the last ones ended, as far as is known."""

    def show(self, lines: list[bytes], after: Place) -> Place:
        """Show lines that were not shown after this place; gives where they end."""

    def stop(self) -> None:
        """Wait no longer for who does not take them; what is not shown comes again."""


@dataclass(frozen=True, slots=True)
class _Have:
    """What is remembered: up to which message of which queue, and where the last line ended."""

    queue: bytes = bytes(16)
    last: int = 0
    place: Place = Place()

    def pack(self) -> bytes:
        place = self.place
        return _FORM.pack(_MAGIC, self.queue, self.last, place.device, place.inode, place.offset)

    @classmethod
    def unpack(cls, data: bytes) -> "_Have":
        magic, queue, last, device, inode, offset = _FORM.unpack(data)
        if magic != _MAGIC:
            raise ValueError(magic)
        return cls(queue, last, Place(device, inode, offset))


class Inbox:
    """The messages to one device.

    Args:
        folder: The device's state folder.
        output: Where messages are shown.
        tell: Called when a message cannot be shown; it waits at the cloud then.

    Attributes:
        shown: How many messages were shown.

    Raises:
        BufferSpoilt: the file of what is remembered is not what a device wrote.
        PathUnusable, PathExposed: it cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        output: Output,
        *,
        tell: Callable[[BellwireError], None] = lambda error: None,
    ) -> None:
        self._path = own_folder(folder) / FILE
        self._output = output
        self._tell = tell
        self._open = True
        self._using = threading.Lock()
        self.shown = 0
        data = read_own_file(self._path, _FORM.size + 1)
        try:
            self._have = _Have() if data is None else _Have.unpack(data)
        except (struct.error, ValueError) as error:
            raise BufferSpoilt(
                f"expected {self._path} as this device wrote it, got another",
                hint="Without it, messages that wait at the cloud come, also those that came.",
            ) from error

    @property
    def listens(self) -> bool:
        """Whether messages are taken: until one could not be shown."""
        return self._open

    def listen(self) -> Listen:
        """What the cloud is to know before it sends."""
        return Listen(self._have.queue, self._have.last)

    def take(self, push: Push) -> bool:
        """Show what was not shown before; whether all of it is durable, for the cloud to know.

        Raises:
            ProtocolError: the numbers do not grow; nothing was shown.
        """
        numbers = [item.number for item in push.messages]
        if any(later <= number for number, later in pairwise(numbers)):
            raise ProtocolError("expected messages in the order of their numbers, got others")
        # A session that was lost may have left a thread at work.
        with self._using:
            last = self._have.last if push.queue == self._have.queue else 0
            fresh = [item for item in push.messages if item.number > last]
            try:
                if fresh:
                    self._show(push.queue, fresh)
            except BellwireError as error:
                self._open = False
                self._tell(error)
            return self._open

    async def serving(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of what uses this inbox; at its end, nothing waits for who does not read."""
        try:
            return await work
        finally:
            self._output.stop()

    def _show(self, queue: bytes, fresh: list[Item]) -> None:
        begin = self._output.begin(self._have.place)
        if begin != self._have.place:
            # What a death leaves behind is looked for from here.
            self._remember(replace(self._have, place=begin))
        end = self._output.show([line_of(item) for item in fresh], begin)
        self._remember(_Have(queue, fresh[-1].number, end))
        self.shown += len(fresh)

    def _remember(self, have: _Have) -> None:
        write_whole(self._path, have.pack(), replace=True)
        self._have = have


def line_of(item: Item) -> bytes:
    """A message as a line of JSON in ASCII, whatever is in it: no terminal acts on its bytes."""
    document: dict[str, object] = {
        "id": item.id.hex(),
        "number": item.number,
        "queued": item.time / 1000,
    }
    try:
        document["message"] = item.data.decode()
    except UnicodeDecodeError:
        document["message_base64"] = base64.b64encode(item.data).decode()
    return json.dumps(document).encode() + b"\n"


@contextlib.contextmanager
def receiving(folder: Path) -> Iterator[None]:
    """Within, this process alone takes the messages of the device in `folder`.

    Raises:
        StateInUse: another process does.
        PathUnusable, PathExposed: the folder cannot be used.
    """
    lock = own_folder(folder) / f"{FILE}.lock"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(lock))
        except BlockingIOError as error:
            raise StateInUse(
                f"expected to take messages of the device in {folder} alone, got another process",
                hint="Another `bellwire device run` or `send` has this state folder.",
            ) from error
        except OSError as error:
            raise unusable(lock, error) from error
        yield
