"""Where a cloud listens: TCP always, UDP and an MQTT broker beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bellwire.cli.addresses import parse_address
from bellwire.cli.destinations import load_mqtt, parse_broker
from bellwire.iot.broker import Broker
from bellwire.iot.cloud import Cloud
from bellwire.iot.destination import join
from bellwire.iot.events import Event


@dataclass(frozen=True, slots=True)
class Doors:
    """What to listen at."""

    tcp: tuple[str, int]
    udp: tuple[str, int] | None
    broker: Broker | None

    @classmethod
    def parse(
        cls,
        listen: str | None,
        default: tuple[str, int],
        udp: str | None,
        mqtt: str | None,
        login: Path | None,
    ) -> "Doors":
        """Read the options.

        Raises:
            UsageError: one is no address.
            TransportMissing: MQTT is asked for, and aiomqtt is not installed.
        """
        if mqtt is not None:
            load_mqtt()
        return cls(
            parse_address(listen) if listen else default,
            parse_address(udp) if udp else None,
            parse_broker(mqtt, login) if mqtt else None,
        )

    async def open(self, cloud: Cloud, notify: Callable[[Event], None]) -> dict[str, str | None]:
        """Listen; the cloud closes all of it. Says where, by the option's name.

        Raises:
            ListenError: an address cannot be listened at.
        """
        host, port = await cloud.start(*self.tcp)
        taken = await cloud.start_udp(*self.udp) if self.udp else None
        if self.broker is not None:
            from bellwire.iot.mqtt_listener import MqttListener

            listener = MqttListener(cloud.door, cloud.reception, notify=notify)
            cloud.add(listener)
            listener.start(self.broker)
        return {
            "listen": f"{host}:{port}",
            "udp": None if taken is None else join(*taken),
            "mqtt": None if self.broker is None else str(self.broker),
        }
