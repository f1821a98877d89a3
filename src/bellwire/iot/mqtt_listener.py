"""Devices that come through an MQTT 5 broker; the topics are those of `bellwire.iot.mqtt`.

The broker is seen by nobody but who publishes and listens there: the cloud answers at topics that a
device may have, and at no other.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from bellwire.channel.handshake import fingerprint
from bellwire.channel.messages import Transport
from bellwire.iot.answering import Door
from bellwire.iot.broker import Broker
from bellwire.iot.datagram_desk import DatagramDesk, Sender
from bellwire.iot.events import BrokerChanged, Event
from bellwire.iot.mqtt_link import MQTT_DATAGRAM, MqttLink, Status
from bellwire.iot.reception import Reception

_ANSWERS: Final = re.compile(r"[0-9a-f]{32}")


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

    def stop(self) -> None:
        """Take no new handshakes; again is harmless."""
        self._desk.stop()

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
