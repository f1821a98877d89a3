"""Links for tests: the keys of two nodes whose KMEs talk to each other without a network."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.keys.stores import PREPLACED
from tests.patience import PATIENCE_S

from bellwire.base.clock import Clock
from bellwire.base.detections import Protocol
from bellwire.keys.link_keys import LinkKeys
from bellwire.keys.peering.messages import Message, decode, encode
from bellwire.keys.peering.session import Session
from bellwire.keys.reserve import AuthenticationKeys
from bellwire.keys.status import BlockOutcome
from bellwire.keys.store import KeyStore

BITS = 40_000
"""Pays two sets and gives 608 units: 304 a side, in one segment each."""

MAC_KEY = AuthenticationKeys.from_bytes(PREPLACED.reveal()).mac_key


class Now:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def outcome(qber: float, at: float, *, reason: str | None = None) -> BlockOutcome:
    return BlockOutcome(
        protocol=Protocol.BB84, accepted=qber < 0.11, qber=qber, decided_at=at, reason=reason
    )


@asynccontextmanager
async def link_keys(
    store: KeyStore,
    kme: str,
    clock: Clock,
    *,
    check_flow: Callable[[], None] = lambda: None,
    saes: frozenset[str] = frozenset(),
) -> AsyncIterator[LinkKeys]:
    """The keys of a link at one side, open."""
    keys = LinkKeys(store, kme, check_flow=check_flow, serves=saes.__contains__, clock=clock)
    await keys.open(MAC_KEY)
    try:
        yield keys
    finally:
        await keys.close()


@asynccontextmanager
async def meet(
    one: LinkKeys,
    other: LinkKeys,
    saes: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset()),
) -> AsyncIterator[None]:
    """A connection between two KMEs, from their first words to the end; what they said is heard."""
    to_one: asyncio.Queue[Message] = asyncio.Queue()
    to_other: asyncio.Queue[Message] = asyncio.Queue()

    def put(queue: asyncio.Queue[Message], messages: list[Message]) -> None:
        for message in messages:
            queue.put_nowait(decode(encode(message)))

    async def hear(keys: LinkKeys, session: Session, queue: asyncio.Queue[Message]) -> None:
        while True:
            message = await queue.get()
            await keys.hear(session, message)
            queue.task_done()

    sessions = (
        one.meet(lambda messages: put(to_other, messages)),
        other.meet(lambda messages: put(to_one, messages)),
    )
    put(to_other, sessions[0].start() + sessions[0].saes(saes[0]))
    put(to_one, sessions[1].start() + sessions[1].saes(saes[1]))
    tasks = [
        asyncio.create_task(hear(one, sessions[0], to_one)),
        asyncio.create_task(hear(other, sessions[1], to_other)),
    ]
    try:
        async with asyncio.timeout(PATIENCE_S):
            while to_one._unfinished_tasks or to_other._unfinished_tasks:  # type: ignore[attr-defined]
                await to_one.join()
                await to_other.join()
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        one.part(sessions[0])
        other.part(sessions[1])
