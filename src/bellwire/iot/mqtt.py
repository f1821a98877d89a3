"""The channel through an MQTT 5 broker, which sees who publishes, when and how much, and no more.

    PREFIX/up            devices publish, the cloud listens
    PREFIX/down/RANDOM   the cloud publishes, one connection of one device listens
    PREFIX/status        the cloud's `online` or `offline`, retained, for people

A device says in each message of its handshake where it wants to be answered (the response topic of
MQTT 5); what binds a cookie to an address binds it to that topic. Nothing acts on the status.
"""

import contextlib
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bellwire.channel.handshake import fingerprint
from bellwire.channel.messages import Kind, Suite, Transport
from bellwire.iot.answering import Door
from bellwire.iot.broker import Broker
from bellwire.iot.datagram_desk import DatagramDesk, Sender
from bellwire.iot.datagram_wire import CallingWire
from bellwire.iot.events import BrokerChanged, Event
from bellwire.iot.line import Wire
from bellwire.iot.mqtt_link import MQTT_DATAGRAM, MqttLink, Status
from bellwire.iot.reception import Reception

_ANSWERS: Final = re.compile(r"[0-9a-f]{32}")


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


class MqttListener:
    """Takes datagrams of a broker between `start` and `close`.

    Args:
        door: What all handshakes have in common.
        reception: Hosts each session.
        notify: Told when the broker is found and lost.
    """

    def __init__(
        self, door: Door, reception: Reception, *, notify: Callable[[Event], None]
    ) -> None:
        self._desk = DatagramDesk(
            door, reception, transport=Transport.MQTT, datagram_bytes=MQTT_DATAGRAM
        )
        self._identifier = f"bw-cloud-{fingerprint(door.identity.public_bytes).hex()[:14]}"
        self._notify = notify
        self._links: list[MqttLink] = []

    def start(self, broker: Broker) -> None:
        """Be at a broker from now on, whenever it is there."""
        link = MqttLink(
            broker,
            identifier=self._identifier,
            listen=f"{broker.prefix}/up",
            take=lambda datagram, answer_at: self._take(link, broker, datagram, answer_at),
            changed=lambda reason: self._notify(BrokerChanged(str(broker), reason)),
            status=Status(f"{broker.prefix}/status"),
        )
        link.start().add_done_callback(lambda first: first.exception())
        self._links.append(link)

    async def close(self) -> None:
        """Take nothing more; the reception has ended the sessions. Again is harmless."""
        await self._desk.close()
        while self._links:
            await self._links.pop().stop()

    def _take(self, link: MqttLink, broker: Broker, datagram: bytes, answer_at: str | None) -> None:
        self._desk.receive(datagram, _sender(link, broker.prefix, answer_at))


def _sender(link: MqttLink, prefix: str, answer_at: str | None) -> Sender | None:
    """Where to answer; None unless it is where devices of ours listen."""
    begin = f"{prefix}/down/"
    if answer_at is None or not answer_at.startswith(begin):
        return None
    if not _ANSWERS.fullmatch(answer_at.removeprefix(begin)):
        return None
    return Sender(f"mqtt {answer_at}", answer_at, partial(link.carry, answer_at))
