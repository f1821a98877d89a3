"""Messages between nodes, by name: an inbox for each node, and topics that all members hear.

What every bus promises: a message that was taken (`send`, `publish` returned) comes at least once
to everybody who had joined, as long as no more than `MAX_WAITING` wait for them; it may come twice,
and out of order. A message id that was used within the last minutes is taken as sent. What it does
not promise: who sent it, and that nobody reads it. Senders are told by signatures and link keys,
secrets never cross it in clear.

`bellwire.network.tcp_bus` is connections between sites, `bellwire.network.nats_bus` is NATS
JetStream.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol

import structlog

from bellwire.base.errors import BellwireError
from bellwire.network.errors import NetworkMisuse
from bellwire.network.identity import check_name

log = structlog.get_logger()

MAX_MESSAGE_BYTES: Final = 512 * 1024
MAX_WAITING: Final = 4096
"""Messages that wait for one node in its inbox, or on one topic; the oldest give way."""

MAX_DELIVERIES: Final = 5
"""How often a message is handed to a handler that fails."""

_IDS_KEPT: Final = 16_384

Handler = Callable[[str | None, bytes], Awaitable[None]]
"""Takes one message: the topic it came on, None for the inbox, and the body. It has been delivered
when the handler returns; if it raises, it comes again."""


class Bus(Protocol):
    """A way between nodes.

    Errors: BusFailed where messages do not get through, NetworkMisuse for a name or a size.
    """

    async def join(self, node: str, topics: Collection[str]) -> None:
        """From now on messages for `node`, and on the topics, are kept for it."""

    async def send(self, node: str, body: bytes, *, message_id: str) -> None:
        """Put a message into a node's inbox."""

    async def publish(self, topic: str, body: bytes, *, message_id: str) -> None:
        """Tell all who have joined a topic."""

    async def listen(self, node: str, handler: Handler) -> None:
        """Hand a node that has joined its messages, until cancelled."""


def check_message(name: str, body: bytes) -> None:
    """Let the name of a node or topic, and a message, pass.

    Raises:
        NetworkMisuse: the name is none, or the message is too long.
    """
    check_name(name)
    if len(body) > MAX_MESSAGE_BYTES:
        raise NetworkMisuse(
            f"expected a message of at most {MAX_MESSAGE_BYTES} bytes, got {len(body)}"
        )


async def handle(handler: Handler, topic: str | None, body: bytes) -> bool:
    """Hand one message over; False if it is to come again."""
    try:
        await handler(topic, body)
    except BellwireError as error:
        log.warning("message not handled", topic=topic or "inbox", reason=str(error))
        return False
    return True


class Queue:
    """Messages that wait for one node, with how often each was tried."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[bytes, int]] = deque(maxlen=MAX_WAITING)
        self._filled = asyncio.Event()

    def put(self, body: bytes, tried: int = 0) -> None:
        """Add a message; the oldest gives way to one too many."""
        self._waiting.append((body, tried))
        self._filled.set()

    async def serve(self, topic: str | None, handler: Handler) -> None:
        """Hand messages over, one after the other, until cancelled."""
        while True:
            while not self._waiting:
                self._filled.clear()
                await self._filled.wait()
            body, tried = self._waiting.popleft()
            if not await handle(handler, topic, body) and tried + 1 < MAX_DELIVERIES:
                self.put(body, tried + 1)
                # Whatever it waits for gets a turn first.
                await asyncio.sleep(0)


class MessageIds:
    """The last message ids, each for one place."""

    def __init__(self) -> None:
        self._ids: OrderedDict[tuple[str, str], None] = OrderedDict()

    def is_new(self, subject: str, message_id: str) -> bool:
        """Remember an id; False if it was remembered."""
        if (subject, message_id) in self._ids:
            return False
        self._ids[subject, message_id] = None
        while len(self._ids) > _IDS_KEPT:
            self._ids.popitem(last=False)
        return True
