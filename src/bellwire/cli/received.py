"""Where `device run` and `device send` put what the cloud sends."""

import contextlib
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bellwire.cli import output

if TYPE_CHECKING:
    from bellwire.base.errors import BellwireError
    from bellwire.iot.inbox import Inbox

_Result = TypeVar("_Result")

ReceivedOption = Annotated[
    Path | None,
    typer.Option(
        "--received",
        metavar="FILE",
        help="Add what the cloud sends to this file. Default: standard output, without --json.",
    ),
]


@contextlib.contextmanager
def inbox_of(folder: Path, received: Path | None, *, json: bool) -> "Iterator[Inbox | None]":
    """Within, messages of the cloud are taken by this process; None if they are not.

    They are not where standard output is for one JSON document, or another process of this device
    takes them.

    Args:
        folder: The device's.
        received: A file for them, or None for standard output.
        json: Whether standard output is for the document.
    """
    from bellwire.iot.errors import StateInUse
    from bellwire.iot.inbox import Inbox, receiving
    from bellwire.iot.received import ReceivedFile, ReceivedLines

    if json and received is None:
        yield None
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(receiving(folder))
        except StateInUse as error:
            if received is not None:
                raise
            _tell(error)
            yield None
            return
        shown = ReceivedLines(sys.stdout) if received is None else ReceivedFile(received)
        yield Inbox(folder, shown, tell=_tell)


async def served(inbox: "Inbox | None", work: "Coroutine[Any, Any, _Result]") -> _Result:
    """The result of what uses an inbox, if there is one."""
    return await (work if inbox is None else inbox.serving(work))


def _tell(error: "BellwireError") -> None:
    output.stderr().print(f"{error}; messages of the cloud wait there")
