"""Status of links, told to whoever listens: the whole of it at first, then each change.

A listener that is slow is told the latest, not all that it missed, so that nothing is kept for it.
Every second without a change has a heartbeat: three seconds of silence mean that the status is
stale (`keys.status`), and that whoever depends on it must take it for RED.
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager

from bellwire.keys.status import BlockOutcome, StatusView
from bellwire.keys.status_log import StatusRecord

HEARTBEAT_S = 1.0

Views = Callable[[], Mapping[str, StatusView]]
"""The status of each link now, by the link's name."""

Histories = Callable[[float, int], Awaitable[Mapping[str, Sequence[StatusRecord]]]]
"""The records of each link from a time on, at most so many of each, ascending."""

Document = dict[str, object]


class Changes:
    """Where a change of any link's status is made known; in the event loop's thread alone."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def tell(self) -> None:
        """Something changed."""
        for each in self._listeners:
            each.set()

    @contextmanager
    def listen(self) -> Iterator[asyncio.Event]:
        """An event that is set at every change until the end of the block."""
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            yield event
        finally:
            self._listeners.discard(event)


def document(views: Mapping[str, StatusView], *, history: bool) -> Document:
    """The status of links as JSON has it."""
    return {name: _view(view, history=history) for name, view in views.items()}


def records(histories: Mapping[str, Sequence[StatusRecord]]) -> Document:
    """The history of links as JSON has it."""
    return {
        name: [
            {
                "at": each.at,
                "status": each.status.value,
                "stale": each.stale,
                "qber": each.qber,
                "reason": each.reason,
            }
            for each in history
        ]
        for name, history in histories.items()
    }


async def events(
    views: Views, changes: Changes, clock: Callable[[], float]
) -> AsyncIterator[tuple[str, Document]]:
    """("status", …) at first and at each change, ("heartbeat", …) every second between.

    Args:
        views: The status now.
        changes: Wakes us early; what changes by the passing of time alone needs no word.
        clock: Seconds since the epoch.
    """
    told: Document | None = None
    with changes.listen() as event:
        while True:
            event.clear()
            links = document(views(), history=False)
            if links != told:
                told = links
                yield "status", {"at": clock(), "links": links}
            else:
                yield "heartbeat", {"at": clock()}
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await event.wait()
            except TimeoutError:
                continue


def _view(view: StatusView, *, history: bool) -> Document:
    told: Document = {
        "status": view.status.value,
        "reason": view.reason,
        "qber": view.qber,
        "last_qber": view.last_qber,
        "last_chsh": view.last_chsh,
        "since": view.since,
        "stale": view.stale,
        "keys_may_flow": view.keys_may_flow,
    }
    if history:
        told["history"] = [_outcome(each) for each in view.history]
    return told


def _outcome(outcome: BlockOutcome) -> Document:
    return {
        "protocol": None if outcome.protocol is None else outcome.protocol.value,
        "accepted": outcome.accepted,
        "probe": outcome.probe,
        "qber": outcome.qber,
        "chsh": outcome.chsh,
        "reason": outcome.reason,
        "decided_at": outcome.decided_at,
    }
