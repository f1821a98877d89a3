"""A device's end of the channel through an MQTT 5 broker, which is not trusted.

    PREFIX/up            devices publish, the cloud listens
    PREFIX/down/RANDOM   the cloud publishes, one connection of one device listens
    PREFIX/status        the cloud's `online` or `offline`, retained, for people

A device says in each message of its handshake where it wants to be answered (the response topic of
MQTT 5); what binds a cookie to an address binds it to that topic. Nothing acts on the status. The
cloud's end: `bellwire.iot.mqtt_listener`.
"""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bellwire.channel.messages import Kind, Suite, Transport
from bellwire.iot.broker import Broker
from bellwire.iot.datagram_wire import CallingWire
from bellwire.iot.line import Wire
from bellwire.iot.mqtt_link import MQTT_DATAGRAM, MqttLink


@dataclass(frozen=True, slots=True)
class MqttAddress:
    """A cloud behind a broker."""

    broker: Broker

    def __str__(self) -> str:
        return str(self.broker)

    @property
    def transport(self) -> Transport:
        """MQTT."""
        return Transport.MQTT

    @contextlib.asynccontextmanager
    async def reach(self, responder_public: bytes, suite: Suite) -> AsyncIterator[Wire]:
        """As `Destination.reach`; BrokerUnreachable if the broker is not there."""
        up = f"{self.broker.prefix}/up"
        name = os.urandom(16).hex()
        down = f"{self.broker.prefix}/down/{name}"

        def carry(datagram: bytes) -> None:
            link.carry(up, datagram, down if datagram[0] < Kind.DATA else None)

        wire = CallingWire(carry, responder_public, datagram_bytes=MQTT_DATAGRAM)
        link = MqttLink(
            self.broker,
            identifier=f"bw-{name[:20]}",
            listen=down,
            take=lambda datagram, answer_at: wire.feed(datagram),
        )
        first = link.start()
        try:
            await first
            await wire.find(suite)
            yield wire
        finally:
            wire.close()
            await link.stop()
