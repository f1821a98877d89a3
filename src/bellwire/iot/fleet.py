"""Many simulated devices in one process, to try a cloud: they come, send, leave and come back.

They are enrolled devices like any other. Their seeds come from one secret of the fleet's folder, so
that the same fleet comes again; their readings are made up, and say so.
"""

import asyncio
import contextlib
import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from bellwire.base.errors import BellwireError
from bellwire.base.frames import ConnectionEnded
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.channel.handshake import Policy, SessionOptions, Suite, Ticket
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.kem import SEED_BYTES, XWingPrivateKey
from bellwire.crypto.labels import FLEET_DEVICE
from bellwire.iot.calling import Call, initiate
from bellwire.iot.counters import CallCounter
from bellwire.iot.destination import Destination
from bellwire.iot.errors import CloudRejected, IdentityError, ProtocolError
from bellwire.iot.identity import PublicIdentity, write_public
from bellwire.iot.line import Line
from bellwire.iot.messages import (
    Batch,
    FromCloud,
    FromDevice,
    Holding,
    Open,
    Rejected,
    Stored,
    decode_from_cloud,
    encode,
    stream_of_name,
)

KEPT_IN: Final = "fleet.secret"

LONGEST_PAUSE_S: Final = 30.0
"""Between readings of a session: half of what a cloud allows."""

WITHIN_S: Final = 30.0
"""For a connection, a handshake's message and an answer."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How the devices behave; all means are of exponential distributions.

    Attributes:
        seconds: How long the fleet runs.
        interval_s: Mean pause between a device's readings.
        stay_s: Mean length of a session.
        away_s: Mean time between two sessions of a device.
        arrivals_per_s: How many come for the first time each second.
        seed: Of all pauses and readings.
    """

    seconds: float = 60.0
    interval_s: float = 5.0
    stay_s: float = 20.0
    away_s: float = 5.0
    arrivals_per_s: float = 50.0
    seed: int = 0


@dataclass
class Tally:
    """What the fleet did.

    Attributes:
        sessions: That were established.
        resumed: Of these, by a ticket.
        readings: That the cloud acknowledged.
        connected: Devices in a session now.
        most_connected: And at most.
        failures: Sessions that failed, by reason.
        handshakes_s: Of each handshake, from the first message to the last that we send.
        answers_s: Of each reading, from when it is sent to its acknowledgement.
    """

    sessions: int = 0
    resumed: int = 0
    readings: int = 0
    connected: int = 0
    most_connected: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    handshakes_s: list[float] = field(default_factory=list)
    answers_s: list[float] = field(default_factory=list)


def own_secret(folder: Path) -> bytes:
    """The secret of a fleet's folder, made at the first call.

    Raises:
        PathUnusable, PathExposed: the folder or its file cannot be used.
        IdentityError: the file is not a secret of 32 bytes.
    """
    path = own_folder(folder) / KEPT_IN
    secret = read_own_file(path, SEED_BYTES + 1)
    if secret is None:
        write_whole(path, os.urandom(SEED_BYTES), replace=False)
        secret = read_own_file(path, SEED_BYTES + 1) or b""
    if len(secret) != SEED_BYTES:
        raise IdentityError(f"expected a secret of {SEED_BYTES} bytes in {path}, got another")
    return secret


def identities(secret: bytes, count: int) -> list[XWingPrivateKey]:
    """The keys of a fleet's devices.

    Args:
        secret: The fleet's, 32 bytes.
        count: How many.
    """
    return [
        XWingPrivateKey(hkdf(secret, info=FLEET_DEVICE + number.to_bytes(4, "big"), length=32))
        for number in range(count)
    ]


def admit(keys: Sequence[XWingPrivateKey], allow: Path) -> None:
    """Write the devices' public keys into a cloud's folder of admitted devices.

    Raises:
        PathUnusable, PathExposed: the folder cannot be used.
    """
    own_folder(allow)
    for number, key in enumerate(keys):
        name = f"fleet-{number:05}"
        path = allow / f"{name}.pub"
        if not path.exists():
            write_public(path, PublicIdentity("device", name, key.public_bytes))


async def run(
    keys: Sequence[XWingPrivateKey],
    pin: PublicIdentity,
    to: Destination,
    habits: Habits,
    *,
    tally: Tally,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Run the fleet until its time is over; all sessions are closed then.

    Args:
        keys: Of the devices.
        pin: The cloud.
        to: Where it listens.
        habits: How the devices behave.
        tally: Counts what happens.
        progress: Called when something was counted.
    """
    counter = CallCounter()
    ends = time.monotonic() + habits.seconds
    run_name = f"fleet {time.time_ns()}"

    def make(number: int, key: XWingPrivateKey) -> _Device:
        rng = random.Random(f"{habits.seed} {number}")  # noqa: S311 - pauses, made-up readings
        return _Device(key, pin, to, habits, tally, progress, counter, rng, run_name)

    devices = [make(number, key) for number, key in enumerate(keys)]
    async with asyncio.TaskGroup() as tasks:
        for number, device in enumerate(devices):
            tasks.create_task(device.live(number / habits.arrivals_per_s, ends))


@dataclass
class _Device:
    key: XWingPrivateKey
    pin: PublicIdentity
    to: Destination
    habits: Habits
    tally: Tally
    progress: Callable[[], None]
    counter: CallCounter
    rng: random.Random
    run_name: str
    ticket: Ticket | None = None

    async def live(self, begin_s: float, ends: float) -> None:
        """Come, stay, leave and come back, until the fleet's time is over."""
        pause = begin_s
        while time.monotonic() + pause < ends:
            await asyncio.sleep(pause)
            try:
                await self._session(ends)
            except (BellwireError, OSError) as error:  # TimeoutError is an OSError.
                self.tally.failures[_reason(error)] += 1
                self.ticket = None
            self.progress()
            pause = max(0.05, self.rng.expovariate(1 / self.habits.away_s))

    async def _session(self, ends: float) -> None:
        stay_until = min(ends, time.monotonic() + self.rng.expovariate(1 / self.habits.stay_s))
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(WITHIN_S):
                reaching = self.to.reach(self.pin.public, Suite.AES_256_GCM)
                wire = await stack.enter_async_context(reaching)
            began = time.perf_counter()
            ticket, self.ticket = self.ticket, None
            line = await initiate(wire, self._call(ticket))
            self.ticket = line.session.ticket
            self.tally.handshakes_s.append(time.perf_counter() - began)
            self.tally.sessions += 1
            self.tally.resumed += line.session.protections.resumed > 0
            with self._counted():
                await self._talk(line, stay_until)

    def _call(self, ticket: Ticket | None) -> Call:
        return Call(
            identity=self.key,
            pin=self.pin,
            policy=Policy.OFF,
            qkd=None,
            counter=self.counter.take,
            within_s=WITHIN_S,
            ticket=ticket,
            options=replace(SessionOptions(), transport=self.to.transport),
        )

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        tally = self.tally
        tally.connected += 1
        tally.most_connected = max(tally.most_connected, tally.connected)
        self.progress()
        try:
            yield
        finally:
            tally.connected -= 1

    async def _talk(self, line: Line, until: float) -> None:
        own = hashlib.sha256(self.key.public_bytes).digest()
        held = await _ask(line, Open(stream_of_name(own, self.run_name)))
        if not isinstance(held, Holding):
            raise ProtocolError("expected the cloud to say what it holds, got another answer")
        number = held.count
        while True:
            began = time.perf_counter()
            stored = await _ask(line, Batch(number, (self._reading(number),)))
            if not isinstance(stored, Stored):
                raise ProtocolError("expected the cloud to store a reading, got another answer")
            self.tally.answers_s.append(time.perf_counter() - began)
            self.tally.readings += 1
            number = stored.count
            left = until - time.monotonic()
            pause = min(LONGEST_PAUSE_S, self.rng.expovariate(1 / self.habits.interval_s))
            await asyncio.sleep(max(0.0, min(left, pause)))
            if time.monotonic() >= until:
                await line.finish(WITHIN_S)
                return

    def _reading(self, number: int) -> bytes:
        celsius = round(self.rng.gauss(20, 3), 2)
        return msgspec.json.encode({"simulated": True, "number": number, "celsius": celsius})


async def _ask(line: Line, message: FromDevice) -> FromCloud:
    await line.send(encode(message), WITHIN_S)
    data = await line.receive(WITHIN_S)
    if data is None:
        raise ConnectionEnded("the cloud closed the session")
    answer = decode_from_cloud(data)
    if isinstance(answer, Rejected):
        raise CloudRejected(answer.reason)
    return answer


def _reason(error: Exception) -> str:
    """What failed, without what differs from device to device."""
    if isinstance(error, BellwireError):
        return type(error).__name__
    return "TimeoutError" if isinstance(error, TimeoutError) else "no connection"
