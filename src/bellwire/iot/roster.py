"""What a cloud knows of its devices: who may come, when each was last heard, under what, with what.

What was heard since the cloud started is in memory; of a device that was not heard since, the time
of its last reading is that of its files. Readings are read from the store when they are asked for.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from bellwire.base.clock import Clock, system_clock
from bellwire.channel.messages import Suite, Transport
from bellwire.channel.protections import Protections
from bellwire.iot.errors import StoreFailed
from bellwire.iot.events import Arrived, Delivered, Enrolled, Event, SessionOpened
from bellwire.iot.identity import MAX_ALLOWED, AllowList, PublicIdentity
from bellwire.iot.reception import Reception
from bellwire.iot.store import CloudStore, latest

MAX_SHOWN: Final = 400
"""Bytes of a reading that are shown."""

LOOK_AGAIN_S: Final = 60.0
"""Files of who was not heard are looked at so often: nobody but this cloud writes them."""

Carrier = Literal["tcp", "udp", "mqtt"]

_TRANSPORTS: Final[Mapping[Transport, Carrier]] = {
    Transport.STREAM: "tcp",
    Transport.UDP: "udp",
    Transport.MQTT: "mqtt",
}
_SUITES: Final = {Suite.AES_256_GCM: "AES-256-GCM", Suite.CHACHA20_POLY1305: "ChaCha20-Poly1305"}


class ProtectionView(msgspec.Struct, frozen=True):
    """What the keys of a session rest on, beside X25519 and ML-KEM-768, which are always there.

    Attributes:
        qkd_source: Of the last quantum key that was mixed in; null without one.
        qkd_keys: How many were mixed in.
        refreshes: How often it got fresh keys.
        resumed: How many sessions before it are in its keys.
        cipher: That seals its records.
    """

    qkd_source: str | None
    qkd_keys: int
    refreshes: int
    resumed: int
    cipher: str


class DeviceView(msgspec.Struct, frozen=True):
    """A device, as its cloud knows it.

    Attributes:
        name: What the cloud calls it.
        fingerprint: SHA-256 of its public key, 64 hexadecimal digits.
        listed: Whether it is on the cloud's list; else it comes by a certificate, or came before.
        connected: Whether it has a session now.
        seen_at: When it was last heard, seconds since the epoch; null: never.
        since: When its latest session began; null: none since the cloud started.
        protection: Of that session.
        transport: Of that session: `tcp`, `udp` or `mqtt`.
        readings: That arrived since the cloud started.
        last: The latest of these, 400 bytes at most.
        waiting: Messages that wait for it.
    """

    name: str
    fingerprint: str
    listed: bool
    connected: bool
    seen_at: float | None
    since: float | None
    protection: ProtectionView | None
    transport: Carrier | None
    readings: int
    last: str | None
    waiting: int


class ReadingView(msgspec.Struct, frozen=True):
    """A reading: its number in its stream from 0, and its text, 400 bytes at most."""

    number: int
    text: str


class ReadingsView(msgspec.Struct, frozen=True):
    """The latest readings of a device.

    Attributes:
        stream: In which they came, 64 hexadecimal digits; empty where there is none.
        at: When the last was stored, in seconds since the epoch; null where there is none.
        begin: The first reading of the stream: of CSV, the header.
        readings: Ascending.
    """

    stream: str
    at: float | None
    begin: str
    readings: list[ReadingView]


@dataclass(slots=True)
class _Heard:
    identity: PublicIdentity
    at: float
    since: float | None = None
    protections: Protections | None = None
    transport: Transport | None = None
    readings: int = 0
    last: bytes | None = None


class Roster:
    """The devices of one cloud; events come in its loop, who looks may be a thread.

    Args:
        admitted: Who may come.
        store: Where readings are.
        tell: Told all events as well.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        admitted: AllowList,
        store: CloudStore,
        tell: Callable[[Event], None] = lambda event: None,
        *,
        clock: Clock = system_clock,
    ) -> None:
        self._admitted = admitted
        self._store = store
        self._tell = tell
        self._clock = clock
        self._reception: Reception | None = None
        self._heard: OrderedDict[bytes, _Heard] = OrderedDict()
        self._stored: dict[bytes, float | None] = {}
        self._looked = 0.0

    def watch(self, reception: Reception) -> None:
        """Show the sessions that it has at the time of asking."""
        self._reception = reception

    def notify(self, event: Event) -> None:
        """Note an event of the cloud, and pass it on."""
        match event:
            case SessionOpened():
                one = self._hear(event.device)
                one.since, one.protections = one.at, event.protections
                one.transport = event.transport
            case Arrived():
                one = self._hear(event.device)
                one.readings += len(event.readings)
                one.last = event.readings[-1][:MAX_SHOWN]
            case Delivered() | Enrolled():
                self._hear(event.device)
        self._tell(event)

    def _hear(self, device: PublicIdentity) -> _Heard:
        key = device.fingerprint
        found = self._heard.get(key)
        if found is None:
            found = self._heard[key] = _Heard(device, 0.0)
            if len(self._heard) > MAX_ALLOWED:
                self._heard.popitem(last=False)
        else:
            self._heard.move_to_end(key)
        found.identity, found.at = device, self._clock()
        return found

    def devices(self, waiting: Mapping[bytes, int]) -> list[DeviceView]:
        """Every device that may come or came, those that are here first, then who was heard last.

        Args:
            waiting: Messages that wait, by device.

        Raises:
            PathUnusable, StoreFailed: the cloud's folders cannot be read.
        """
        listed, heard = self._admitted.load(), dict(self._heard)
        running = {} if self._reception is None else self._reception.protections()
        known = {**{key: one.identity for key, one in heard.items()}, **listed}
        self._look_at_files([key for key in known if key not in heard])
        found = []
        for key, identity in known.items():
            one = heard.get(key) or _Heard(identity, self._stored.get(key) or 0.0)
            protections = running.get(key) or one.protections
            found.append(
                DeviceView(
                    name=identity.name,
                    fingerprint=key.hex(),
                    listed=key in listed,
                    connected=key in running,
                    seen_at=one.at or None,
                    since=one.since,
                    protection=None if protections is None else _shown(protections),
                    transport=None if one.transport is None else _TRANSPORTS[one.transport],
                    readings=one.readings,
                    last=None if one.last is None else one.last.decode(errors="replace"),
                    waiting=waiting.get(key, 0),
                )
            )
        found.sort(key=lambda each: (not each.connected, -(each.seen_at or 0.0), each.name))
        return found

    def _look_at_files(self, silent: list[bytes]) -> None:
        """Since when those who were not heard are silent."""
        now = time.monotonic()
        if not self._looked or now - self._looked > LOOK_AGAIN_S:
            self._stored, self._looked = {}, now
        for key in silent:
            if key not in self._stored:
                self._stored[key] = max((at for at, _ in self._streams(key)), default=None)

    def readings(self, device: bytes, most: int) -> ReadingsView:
        """The latest readings of a device's latest stream.

        Raises:
            StoreFailed: its files cannot be read.
        """
        streams = self._streams(device)
        if not streams:
            return ReadingsView("", None, "", [])
        at, path = max(streams)
        found = latest(path, most)
        begin = found[0] if found and found[0][0] == 0 else next(iter(latest(path, 1, end=1)), None)
        return ReadingsView(
            stream=path.stem,
            at=at if found else None,
            begin="" if begin is None else _text(begin[1]),
            readings=[ReadingView(number, _text(reading)) for number, reading in found],
        )

    def _streams(self, device: bytes) -> list[tuple[float, Path]]:
        """When each stream of a device last grew, and where it is."""
        try:
            return [(each.stat().st_mtime, each) for each in self._store.streams(device)]
        except OSError as error:
            raise StoreFailed(f"cannot look at readings: {error.strerror}") from error


def _text(reading: bytes) -> str:
    return reading[:MAX_SHOWN].decode(errors="replace").rstrip("\r\n")


def _shown(done: Protections) -> ProtectionView:
    return ProtectionView(
        done.qkd_source, done.qkd_keys, done.refreshes, done.resumed, _SUITES[done.suite]
    )
