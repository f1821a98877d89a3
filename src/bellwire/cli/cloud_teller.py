"""What `bellwire cloud` says of events: a line of log each, and readings if they are wanted."""

import time
from collections.abc import Callable

import structlog

from bellwire.cli import output
from bellwire.iot.events import (
    Arrived,
    BrokerChanged,
    Delivered,
    Enrolled,
    Event,
    KeyFileIgnored,
    OutputDown,
    OutputUp,
    SessionOpened,
    TurnedAway,
)

TOLD_A_SECOND = 20
"""Connections turned away that are logged one by one; of the rest, how many."""


class Teller:
    """Logs events, and prints readings if they are to be printed and somebody reads them.

    A flood of connections must not become a flood of lines.

    Args:
        print_readings: Whether readings are printed.
        clock: Seconds, never going back.
    """

    def __init__(
        self, *, print_readings: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = structlog.get_logger("cloud")
        self._printing = print_readings
        self._clock = clock
        self._second = clock()
        self._told = self._untold = 0

    def __call__(self, event: Event) -> None:
        """Say what happened."""
        match event:
            case SessionOpened():
                names = event.protections.names
                self._log.info("session", device=event.device.name, protections=names)
            case Arrived():
                count = len(event.readings)
                self._log.info("readings stored", device=event.device.name, count=count)
                self._print(event)
            case Delivered():
                self._log.info("messages delivered", device=event.device.name, count=event.count)
            case Enrolled():
                fingerprint = event.device.fingerprint.hex()[:16]
                self._log.info("device enrolled", device=event.device.name, fingerprint=fingerprint)
            case TurnedAway():
                self._tell_away(event)
            case KeyFileIgnored():
                self._log.warning("key file ignored", reason=event.reason)
            case OutputDown():
                self._log.warning("output down", output=event.output, reason=event.reason)
            case OutputUp():
                self._log.info("output up", output=event.output)
            case BrokerChanged(lost=None):
                self._log.info("at the broker", broker=event.broker)
            case BrokerChanged():
                self._log.warning("broker lost", broker=event.broker, reason=event.lost)

    def undrained(self, left: int) -> None:
        """Say how many connections are cut because they did not end in time, if any are."""
        if left:
            self._log.warning("connections cut", count=left)

    def _tell_away(self, event: TurnedAway) -> None:
        now = self._clock()
        if now - self._second >= 1.0:
            if self._untold:
                self._log.warning("more turned away", count=self._untold)
            self._second, self._told, self._untold = now, 0, 0
        if self._told < TOLD_A_SECOND:
            self._told += 1
            self._log.warning("turned away", peer=event.peer, reason=event.reason)
        else:
            self._untold += 1

    def _print(self, event: Arrived) -> None:
        try:
            for number, reading in enumerate(event.readings, event.first):
                if self._printing:
                    output.emit(
                        {
                            "device": event.device.name,
                            "stream": event.stream.hex(),
                            "number": number,
                            "reading": reading.decode(errors="replace"),
                        }
                    )
        except BrokenPipeError:
            # The readings are stored; that nobody looks at them must not keep the next ones out.
            self._printing = False
            self._log.warning("nobody reads standard output: readings are no longer printed")
