"""One client of an MQTT 5 broker, which comes back when the broker has gone.

Everything is QoS 0, unretained, in clean sessions: what is lost is brought back end to end, and a
broker is not trusted to hold anything. What it tells us is bounded in size and number.

Needs aiomqtt, the extra `mqtt`.
"""

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bellwire.iot.broker import Broker
from bellwire.iot.errors import BrokerUnreachable

MQTT_DATAGRAM: Final = 8192
"""The largest datagram: a certified hello in one piece, below any broker's limit."""

MAX_PACKET: Final = 4 * MQTT_DATAGRAM
MAX_QUEUED: Final = 1024
KEEPALIVE_S: Final = 15
CONNECT_S: Final = 5.0
FIRST_PAUSE_S: Final = 0.2
MAX_PAUSE_S: Final = 5.0
FLUSH_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Status:
    """A retained word for people: `online`, and `offline` as the will that the broker speaks."""

    topic: str


class MqttLink:
    """A connection that is made again when it is lost.

    Args:
        broker: Which.
        identifier: Of the client; another with the same one takes its place.
        listen: The topic to listen to.
        take: Called with each datagram, and the topic that it asks to be answered at.
        changed: Told that the connection is there (None), or lost, and why.
        status: Kept at the broker, if any.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        identifier: str,
        listen: str,
        take: Callable[[bytes, str | None], None],
        changed: Callable[[str | None], None] = lambda reason: None,
        status: Status | None = None,
    ) -> None:
        self._broker = broker
        self._identifier = identifier
        self._listen = listen
        self._take = take
        self._changed = changed
        self._status = status
        self._random = random.SystemRandom()
        self._outgoing: asyncio.Queue[tuple[str, bytes, str | None]] = asyncio.Queue(MAX_QUEUED)
        self._up = False
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def carry(self, topic: str, datagram: bytes, answer_at: str | None = None) -> None:
        """Publish a datagram, or lose it: when there is no connection, or too much waits."""
        if self._up:
            with contextlib.suppress(asyncio.QueueFull):
                self._outgoing.put_nowait((topic, datagram, answer_at))

    def start(self) -> asyncio.Future[None]:
        """Be connected from now on, until `stop`.

        Returns:
            Done when the first connection is there; with BrokerUnreachable if that fails.
        """
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(first))
        return first

    async def stop(self) -> None:
        """Let go what waits to go, a moment at most, and be gone; again is harmless."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self._outgoing.join()
        task.cancel()
        await asyncio.wait([task])

    async def _run(self, first: asyncio.Future[None]) -> None:
        pause = FIRST_PAUSE_S
        while not self._ending():
            try:
                async with self._client() as client:
                    await client.subscribe(self._listen, qos=0)
                    await self._tell(client, b"online")
                    self._up, pause = True, FIRST_PAUSE_S
                    self._changed(None)
                    if not first.done():
                        first.set_result(None)
                    await self._work(client)
            except (aiomqtt.MqttError, OSError) as error:
                if not first.done():
                    first.set_exception(self._unreachable(error))
                self._changed(str(error) or type(error).__name__)
            finally:
                self._up = False
                self._forget()
            # Cancelling may have been taken for a lost connection on the way out.
            if not self._ending():
                await asyncio.sleep(pause * self._random.uniform(0.5, 1.5))
                pause = min(MAX_PAUSE_S, 2 * pause)

    def _ending(self) -> bool:
        return self._stopping

    async def _work(self, client: aiomqtt.Client) -> None:
        """Publish and listen until the connection is lost."""
        publishing = asyncio.create_task(self._publish(client))
        publishing.add_done_callback(_read)
        try:
            async for message in client.messages:
                # Nobody of ours retains anything: what is retained was put there to be replayed.
                if not message.retain:
                    self._take(message.payload, _answer_topic(message))
        finally:
            publishing.cancel()
            if self._stopping:
                with contextlib.suppress(aiomqtt.MqttError):
                    await self._tell(client, b"offline")

    async def _publish(self, client: aiomqtt.Client) -> None:
        while True:
            topic, datagram, answer_at = await self._outgoing.get()
            await client.publish(topic, datagram, qos=0, properties=_properties(answer_at))
            self._outgoing.task_done()

    async def _tell(self, client: aiomqtt.Client, word: bytes) -> None:
        if self._status is not None:
            await client.publish(self._status.topic, word, qos=1, retain=True)

    def _client(self) -> aiomqtt.Client:
        broker, login = self._broker, self._broker.login
        connect = _empty(PacketTypes.CONNECT)
        connect.MaximumPacketSize = MAX_PACKET
        connect.SessionExpiryInterval = 0
        will = None
        if self._status is not None:
            will = aiomqtt.Will(self._status.topic, b"offline", qos=1, retain=True)
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=None if login is None else login.user,
            password=None if login is None else login.password.reveal().decode(),
            identifier=self._identifier,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=KEEPALIVE_S,
            timeout=CONNECT_S,
            max_queued_incoming_messages=MAX_QUEUED,
            properties=connect,
            tls_context=ssl.create_default_context() if broker.tls else None,
            will=will,
            logger=logging.Logger("mqtt", logging.CRITICAL),
        )

    def _forget(self) -> None:
        while not self._outgoing.empty():
            self._outgoing.get_nowait()
            self._outgoing.task_done()

    def _unreachable(self, error: Exception) -> BrokerUnreachable:
        return BrokerUnreachable(
            f"expected an MQTT 5 broker at {self._broker}, got: {error}",
            hint="Is it running, and does it let this client in?",
        )


def _read(task: "asyncio.Task[None]") -> None:
    """Publishing fails with the connection, which is told once."""
    if not task.cancelled():
        task.exception()


def _answer_topic(message: aiomqtt.Message) -> str | None:
    topic = getattr(message.properties, "ResponseTopic", None)
    return topic if isinstance(topic, str) else None


def _empty(packet: int) -> Properties:
    made: Properties = Properties(packet)  # type: ignore[no-untyped-call]
    return made


def _properties(answer_at: str | None) -> Properties | None:
    if answer_at is None:
        return None
    made = _empty(PacketTypes.PUBLISH)
    made.ResponseTopic = answer_at
    return made
