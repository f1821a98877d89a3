"""A link's keys in memory, a cloud on loopback, and a device that is enrolled with it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from tests.patience import PATIENCE_S

from bellwire.base.secret import Secret
from bellwire.channel.handshake import Policy, QkdKey, SessionOptions, Suite
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot.cloud import Cloud
from bellwire.iot.counters import SeenCounters
from bellwire.iot.destination import Address
from bellwire.iot.device import Device
from bellwire.iot.errors import KeyRefused, KeyUnavailable
from bellwire.iot.events import Arrived, Event, SessionOpened, TurnedAway
from bellwire.iot.gateway.pushing import Gateway
from bellwire.iot.gateway.queue import MessageQueue
from bellwire.iot.identity import AllowList, PublicIdentity, write_public
from bellwire.iot.inbox import Inbox
from bellwire.iot.invitations import Invitations
from bellwire.iot.keys import KeySource
from bellwire.iot.limits import Limits
from bellwire.iot.readings import Readings
from bellwire.iot.store import CloudStore
from bellwire.iot.tickets import TicketFile
from bellwire.iot.trust_files import TrustFiles

DEVICE_KEY = XWingPrivateKey.from_seed(bytes([1]) * 32)
CLOUD_KEY = XWingPrivateKey.from_seed(bytes([2]) * 32)
STRANGER_KEY = XWingPrivateKey.from_seed(bytes([3]) * 32)
DEVICE = PublicIdentity("device", "thermometer", DEVICE_KEY.public_bytes)
CLOUD = PublicIdentity("cloud", "cloud.test", CLOUD_KEY.public_bytes)
PATIENT = Limits(handshake_s=PATIENCE_S, idle_s=PATIENCE_S)
"""A slow machine is no slow client: who looks for those has limits of its own."""


@dataclass
class Link:
    """What both ends' sources share: keys by id, and the status."""

    keys: dict[bytes, QkdKey] = field(default_factory=dict)
    drawn: int = 0


@dataclass
class LinkEnd:
    """One end's source of keys; a `KeySource`."""

    link: Link
    red: bool = False
    down: bool = False

    async def draw(self, bits: int) -> QkdKey:
        self._check()
        self.link.drawn += 1
        key_id = self.link.drawn.to_bytes(16, "big")
        key = QkdKey(key_id, Secret(bytes([self.link.drawn % 256]) * (bits // 8)), "simulated")
        self.link.keys[key_id] = key
        return key

    async def fetch(self, key_id: bytes) -> QkdKey:
        self._check()
        if key_id not in self.link.keys:
            raise KeyRefused("the key is gone")
        return self.link.keys.pop(key_id)

    def _check(self) -> None:
        if self.red:
            raise KeyRefused("the link is RED")
        if self.down:
            raise KeyUnavailable("no node answers")


class Bench:
    """A cloud, a device and the link between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "cloud"
        self.link = Link()
        self.at_device = LinkEnd(self.link)
        self.at_cloud = LinkEnd(self.link)
        self.events: list[Event] = []
        self.notify: Callable[[Event], None] = self.events.append
        self.address = Address("127.0.0.1", 0)

    @contextlib.asynccontextmanager
    async def running(
        self,
        policy: Policy = Policy.PREFER,
        limits: Limits | None = None,
        *,
        admit: bool = True,
        suites: Collection[Suite] = frozenset(Suite),
        trust: TrustFiles | None = None,
        invitations: Invitations | None = None,
        messages: bool = False,
    ) -> AsyncIterator[Cloud]:
        async with contextlib.AsyncExitStack() as stack:
            store = stack.enter_context(CloudStore(self.folder))
            counters = stack.enter_context(
                contextlib.closing(SeenCounters(self.folder / "handshakes"))
            )
            gateway = None
            if messages:
                gateway = Gateway(stack.enter_context(MessageQueue(self.folder)), self._tell)
                await stack.enter_async_context(gateway.running())
            admitted = AllowList(self.folder / "allowed")
            if admit:
                write_public(self.folder / "allowed" / "one.pub", DEVICE)
            cloud = Cloud(
                identity=CLOUD_KEY,
                name=CLOUD.name,
                admitted=admitted,
                store=store,
                keys=self.at_cloud,
                policy=policy,
                notify=self._tell,
                limits=limits or PATIENT,
                counters=counters,
                suites=suites,
                trust=trust,
                invitations=invitations,
                gateway=gateway,
            )
            async with cloud:
                self.address = Address(*await cloud.start("127.0.0.1", self.address.port))
                yield cloud

    def device(
        self,
        *,
        identity: XWingPrivateKey = DEVICE_KEY,
        pin: PublicIdentity = CLOUD,
        policy: Policy = Policy.REQUIRE,
        timeout_s: float = PATIENCE_S,
        certificate: bytes = b"",
        tickets: TicketFile | None = None,
        suite: Suite = Suite.AES_256_GCM,
        options: SessionOptions | None = None,
        inbox: Inbox | None = None,
    ) -> Device:
        keys: KeySource = self.at_device
        return Device(
            identity=identity,
            pin=pin,
            keys=keys,
            policy=policy,
            timeout_s=timeout_s,
            certificate=certificate,
            tickets=tickets,
            suite=suite,
            options=options,
            inbox=inbox,
        )

    def _tell(self, event: Event) -> None:
        # Looked up at each event: a test may put its own in place while the cloud runs.
        self.notify(event)

    @property
    def arrived(self) -> list[bytes]:
        """Every reading the cloud has shown, in order."""
        shown = [event for event in self.events if isinstance(event, Arrived)]
        return [reading for event in shown for reading in event.readings]

    @property
    def sessions(self) -> list[SessionOpened]:
        return [event for event in self.events if isinstance(event, SessionOpened)]

    @property
    def reasons(self) -> str:
        return " | ".join(e.reason for e in self.events if isinstance(e, TurnedAway))

    def files(self) -> list[bytes]:
        """Contents of all the streams that the cloud keeps."""
        return [path.read_bytes() for path in sorted(self.folder.glob("devices/*/*.readings"))]

    async def turned_away(self) -> None:
        """Wait until the cloud has said that it turned a connection away."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.reasons:
                await asyncio.sleep(0)


def readings(count: int, size: int = 20) -> Readings:
    """`count` different readings, the last without a line end."""
    lines = [f"{number},".encode().ljust(size - 1, b"x") + b"\n" for number in range(count)]
    data = b"".join(lines)[:-1]
    ends = [size * (number + 1) for number in range(count)]
    return Readings(data, [*ends[:-1], len(data)])
