"""MQTT 5: a message a reading at QoS 1, so that the broker has acknowledged it.

The topic is `TOPIC/DEVICE/STREAM`, nothing is retained. What a broker keeps for a consumer that is
away is the consumer's to ask for, by a session of its own that lasts.

Needs aiomqtt, the extra `mqtt`.
"""

import contextlib
import ssl
from collections.abc import Sequence
from typing import Final

from aiomqtt import Client, MqttError, ProtocolVersion

from bellwire.iot.errors import OutputFailed
from bellwire.iot.outputs.item import Item, all_done

WITHIN_S: Final = 10.0
"""For a connection, and for each acknowledgement."""

IN_FLIGHT: Final = 20


class MqttOutput:
    """A connection to one broker; made when there is something to send, and again when it broke.

    Args:
        host: Of the broker.
        port: Of the broker.
        topic: First levels of all topics.
        user: Name at the broker, or None.
        password: Of this user, or None.
        tls: Whom we trust, or None for no TLS.
        within_s: For a connection, and for each acknowledgement.
    """

    def __init__(
        self,
        host: str,
        port: int,
        topic: str,
        *,
        user: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        within_s: float = WITHIN_S,
    ) -> None:
        self._host = host
        self._port = port
        self._topic = topic
        self._user = user
        self._password = password
        self._tls = tls
        self._within_s = within_s
        self._client: Client | None = None
        self._open = contextlib.AsyncExitStack()

    async def put(self, items: Sequence[Item]) -> None:
        """As `Output.put`."""
        try:
            client = self._client or await self._connect()
            for at in range(0, len(items), IN_FLIGHT):
                await all_done(self._publish(client, item) for item in items[at : at + IN_FLIGHT])
        except (MqttError, OSError, TimeoutError) as error:
            await self.close()
            raise _failed(f"{self._host}:{self._port}", error) from error

    async def _publish(self, client: Client, item: Item) -> None:
        topic = f"{self._topic}/{item.key.device.hex()}/{item.key.stream.hex()}"
        await client.publish(topic, item.encode(), qos=1)

    async def _connect(self) -> Client:
        client = Client(
            self._host,
            self._port,
            username=self._user,
            password=self._password,
            protocol=ProtocolVersion.V5,
            timeout=self._within_s,
            max_inflight_messages=IN_FLIGHT,
            tls_context=self._tls,
        )
        self._client = await self._open.enter_async_context(client)
        return self._client

    async def close(self) -> None:
        """As `Output.close`."""
        self._client = None
        with contextlib.suppress(MqttError, OSError, TimeoutError):
            await self._open.aclose()


def _failed(broker: str, error: Exception) -> OutputFailed:
    return OutputFailed(
        f"expected the MQTT broker at {broker} to take readings, "
        f"got {str(error) or type(error).__name__}"
    )
