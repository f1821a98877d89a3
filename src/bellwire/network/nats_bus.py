"""The bus as NATS JetStream: one stream, a durable consumer for each inbox and topic of a node.

The server keeps messages until they are acknowledged or ten minutes old, over restarts of nodes and
of itself; message ids are its own (`Nats-Msg-Id`), so that what is published again within two
minutes is stored once. Subjects: `PREFIX.to.NODE`, `PREFIX.on.TOPIC`. Who may connect, and TLS, are
the server's and the connection's matter; the bus is not trusted with more than delivery.

Needs nats-py, the extra `nats`.
"""

import asyncio
import ssl
from collections.abc import Collection
from typing import Final

import nats
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    StorageType,
    StreamConfig,
)

from bellwire.network.bus import (
    MAX_DELIVERIES,
    MAX_MESSAGE_BYTES,
    MAX_WAITING,
    Handler,
    check_message,
    handle,
)
from bellwire.network.errors import BusFailed
from bellwire.network.identity import check_name

log = structlog.get_logger()

KEPT_S: Final = 600.0
DUPLICATES_S: Final = 120.0
ACK_WITHIN_S: Final = 30.0
"""Longer than a handler takes: a disk's sync and a signature."""

CONNECT_WITHIN_S: Final = 5.0

_HEADERS: Final = 1024
_BATCH: Final = 16
_POLL_S: Final = 5.0
_AGAIN_S: Final = 0.2


class NatsBus:
    """A connection to a NATS server; `connect` makes one.

    Args:
        client: Connected.
        prefix: First word of all subjects, and the stream's name: networks on one server differ.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._jetstream: JetStreamContext = client.jetstream()
        self._joined: dict[str, tuple[str | None, ...]] = {}

    @classmethod
    async def connect(
        cls,
        servers: Collection[str],
        *,
        prefix: str = "bellwire",
        tls: ssl.SSLContext | None = None,
        within_s: float = CONNECT_WITHIN_S,
    ) -> "NatsBus":
        """Connect, and make the stream unless it is there.

        Args:
            servers: `nats://HOST:PORT` or `tls://HOST:PORT`, without a password.
            prefix: As for the class.
            tls: Whom we trust, and our certificate if the server asks for one.
            within_s: Seconds to wait for a server.

        Raises:
            BusFailed: no server answers, or none with JetStream.
            NetworkMisuse: the prefix is no name.
        """
        check_name(prefix)
        try:
            async with asyncio.timeout(within_s):
                client = await nats.connect(
                    servers=list(servers),
                    tls=tls,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=_AGAIN_S,
                    error_cb=_told,
                )
        except (NatsError, OSError, TimeoutError) as error:
            raise _failed("connect", error) from error
        bus = cls(client, prefix)
        try:
            await bus._open_stream()
        except (NatsError, TimeoutError) as error:
            await client.close()
            raise _failed("open its stream", error) from error
        return bus

    async def close(self) -> None:
        """Leave; what waits for our nodes stays at the server."""
        await self._client.close()

    async def join(self, node: str, topics: Collection[str]) -> None:
        """As `Bus.join`; what has been joined once stays so over restarts."""
        for name in (node, *topics):
            check_name(name)
        try:
            for topic in (None, *topics):
                await self._subscription(node, topic)
        except (NatsError, TimeoutError) as error:
            raise _failed(f"keep messages for {node}", error) from error
        self._joined[node] = (None, *topics)

    async def send(self, node: str, body: bytes, *, message_id: str) -> None:
        """As `Bus.send`; a message for who never joined is dropped in time."""
        check_message(node, body)
        await self._store(f"{self._prefix}.to.{node}", body, message_id)

    async def publish(self, topic: str, body: bytes, *, message_id: str) -> None:
        """As `Bus.publish`."""
        check_message(topic, body)
        await self._store(f"{self._prefix}.on.{topic}", body, message_id)

    async def listen(self, node: str, handler: Handler) -> None:
        """As `Bus.listen`; goes on when the server comes back."""
        async with asyncio.TaskGroup() as tasks:
            for topic in self._joined.get(node, ()):
                tasks.create_task(self._serve(node, topic, handler))

    async def _open_stream(self) -> None:
        await self._jetstream.add_stream(
            StreamConfig(
                name=self._prefix,
                subjects=[f"{self._prefix}.to.*", f"{self._prefix}.on.*"],
                max_age=KEPT_S,
                max_msgs_per_subject=MAX_WAITING,
                max_msg_size=MAX_MESSAGE_BYTES + _HEADERS,
                discard=DiscardPolicy.OLD,
                storage=StorageType.FILE,
                duplicate_window=DUPLICATES_S,
            )
        )

    async def _store(self, subject: str, body: bytes, message_id: str) -> None:
        # The window of ids is the whole stream's: the same id on two subjects is two messages.
        headers = {"Nats-Msg-Id": f"{subject} {message_id}"}
        try:
            await self._jetstream.publish(subject, body, headers=headers)
        except (NatsError, TimeoutError) as error:
            raise _failed("take a message", error) from error

    async def _subscription(
        self, node: str, topic: str | None
    ) -> JetStreamContext.PullSubscription:
        subject = f"{self._prefix}.to.{node}" if topic is None else f"{self._prefix}.on.{topic}"
        # No name of a node or a topic has a "=", so no two of these are alike.
        durable = f"to={node}" if topic is None else f"on={topic}={node}"
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.NEW,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WITHIN_S,
            max_deliver=MAX_DELIVERIES,
        )
        return await self._jetstream.pull_subscribe(
            subject, durable=durable, stream=self._prefix, config=config
        )

    async def _serve(self, node: str, topic: str | None, handler: Handler) -> None:
        task = asyncio.current_task()
        assert task is not None
        subscription: JetStreamContext.PullSubscription | None = None
        # A wait that ends as it is cancelled may return all the same (Python 3.11): hence the look
        # at the task. What it returned was not acknowledged, and comes again.
        while not task.cancelling():
            try:
                subscription = subscription or await self._subscription(node, topic)
                messages = await subscription.fetch(_BATCH, timeout=_POLL_S)
            except TimeoutError:
                continue
            except NatsError as error:
                log.warning("bus interrupted", reason=str(error))
                subscription = None
                await asyncio.sleep(_AGAIN_S)
                continue
            for message in messages:
                if not task.cancelling():
                    await _deliver(message, topic, handler)


async def _deliver(message: Msg, topic: str | None, handler: Handler) -> None:
    done = await handle(handler, topic, message.data)
    try:
        await (message.ack() if done else message.nak(delay=_AGAIN_S))
    except NatsError as error:
        # It comes again, which handlers bear.
        log.warning("bus interrupted", reason=str(error))


async def _told(error: Exception) -> None:
    log.warning("bus interrupted", reason=str(error))


def _failed(what: str, error: Exception) -> BusFailed:
    return BusFailed(
        f"expected the NATS server to {what}, got {str(error) or type(error).__name__}",
        hint="Start it with JetStream (`nats-server -js`), or look at its address and log.",
    )
