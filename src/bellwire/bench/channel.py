"""Measurements of the device channel, beside TLS 1.3 in the same run.

Both ends run in one process and in memory, so that no socket is measured; rates are processor time
of both ends together, the best of some runs. TLS 1.3 does the same in a process of its own
(`bellwire.bench.rivals.tls13`): X25519MLKEM768, a certificate at each end, full handshakes.
"""

import os
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import psutil

from bellwire.base.secret import Secret
from bellwire.bench import rivals
from bellwire.bench.model import Figure
from bellwire.channel.handshake import (
    Gate,
    GateLimits,
    Initiator,
    Policy,
    QkdKey,
    Responder,
    Resumer,
    ResumptionResponder,
    Retry,
    TicketBox,
    fingerprint,
)
from bellwire.channel.macs import Hello
from bellwire.channel.messages import HEADER_BYTES
from bellwire.channel.session import Session
from bellwire.crypto.aead import TAG_BYTES
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot.messages import Batch, decode_from_device, encode

NAME: Final = "cloud"
SOURCE: Final = "192.0.2.1"
OPEN: Final = GateLimits(1e9, 1e9, 1e9, 1e9)
RECORD_BYTES: Final = 16 * 1024
READING_BYTES: Final = 64
BATCH: Final = 700
"""Readings of 64 bytes in a record, as many as a device sends."""


class _Size(NamedTuple):
    """How much of each to run."""

    seconds: float
    runs: int
    sessions: int


_FULL = _Size(0.6, 5, 2000)
_QUICK = _Size(0.15, 2, 300)


class _Ends:
    """A device and a cloud that know each other."""

    def __init__(self) -> None:
        self.device = XWingPrivateKey.generate()
        self.cloud = XWingPrivateKey.generate()
        self.gate = Gate(self.cloud.public_bytes, limits=OPEN)
        self.counter = 0
        known = {fingerprint(self.device.public_bytes): self.device.public_bytes}
        self.initiators = known.get

    def shake_hands(self) -> tuple[Session, Session, int]:
        """A full handshake with a QKD key: both ends' sessions, and its bytes."""
        self.counter += 1
        qkd = _key(self.counter)
        initiator = Initiator(
            identity=self.device,
            responder_name=NAME,
            responder_public=self.cloud.public_bytes,
            policy=Policy.REQUIRE,
            qkd=qkd,
            counter=self.counter,
        )
        last = self.counter - 1
        responder = Responder(
            identity=self.cloud,
            name=NAME,
            initiators=self.initiators,
            policy=Policy.REQUIRE,
            last_counter=lambda _: last,
        )
        hello = initiator.hello()
        responder.receive_hello(self._admit(hello))
        answer = responder.answer(qkd)
        confirm, session = initiator.receive(answer)
        assert session is not None
        at_cloud = responder.receive_confirmation(confirm)
        return session, at_cloud, len(hello) + len(answer) + len(confirm)

    def resume(self, device: Session, cloud: Session) -> tuple[Session, Session, int]:
        """The next session, by the ticket of this one."""
        self.counter += 1
        qkd = _key(self.counter)
        resumer = Resumer(
            ticket=device.ticket,
            own_public=self.device.public_bytes,
            responder_name=NAME,
            responder_public=self.cloud.public_bytes,
            policy=Policy.REQUIRE,
            qkd=qkd,
        )
        hello = resumer.hello()
        responder = ResumptionResponder(
            self._admit(hello),
            cloud.ticket,
            name=NAME,
            own_public=self.cloud.public_bytes,
            policy=Policy.REQUIRE,
        )
        responder.receive_hello()
        answer = responder.answer(qkd)
        confirm, session = resumer.receive(answer)
        assert session is not None
        at_cloud = responder.receive_confirmation(confirm)
        return session, at_cloud, len(hello) + len(answer) + len(confirm)

    def _admit(self, hello: bytes) -> Hello:
        admitted = self.gate.admit(hello, SOURCE, 0.0)
        assert not isinstance(admitted, Retry)
        return admitted


def run(quick: bool = False) -> list[Figure]:
    """Measure the channel.

    Args:
        quick: Smaller runs, for a first impression.
    """
    size = _QUICK if quick else _FULL
    lattice, edwards = rivals.measure(rivals.TLS13, size.seconds)
    return [*_handshakes(size, lattice, edwards), *_records(size, lattice), _idle(size)]


def _handshakes(size: _Size, lattice: rivals.Result, edwards: rivals.Result) -> list[Figure]:
    ends = _Ends()
    device, cloud, full_bytes = ends.shake_hands()
    full = _rate(ends.shake_hands, size)
    state = [device, cloud]

    def resume() -> None:
        state[0], state[1], _ = ends.resume(*state)

    resumed = _rate(resume, size)
    resumed_bytes = ends.resume(*state)[2]
    unit = "handshakes/s, both ends on one core"
    return [
        _beside("handshake_bytes", full_bytes, "bytes", lattice, "bytes"),
        Figure("resumption_bytes", resumed_bytes, "bytes"),
        Figure("handshakes_per_s", full, unit),
        Figure("resumptions_per_s", resumed, unit),
        _beside("vs_tls_mldsa65", full, unit, lattice, "sent"),
        _beside("vs_tls_ed25519", full, unit, edwards, "sent"),
    ]


def _records(size: _Size, lattice: rivals.Result) -> list[Figure]:
    device, cloud, _ = _Ends().shake_hands()
    text = bytes(RECORD_BYTES)
    overhead = len(device.seal(text)) - RECORD_BYTES
    assert overhead == HEADER_BYTES + TAG_BYTES
    device, cloud, _ = _Ends().shake_hands()
    readings = tuple(bytes([number % 251]) * READING_BYTES for number in range(BATCH))

    def batch() -> None:
        message = cloud.open(device.seal(encode(Batch(0, readings))))
        assert isinstance(message, bytes)
        decode_from_device(message)

    stream = RECORD_BYTES * _rate(lambda: cloud.open(device.seal(text)), size)
    small = BATCH * _rate(batch, size)
    return [
        _beside("record_overhead_bytes", overhead, "bytes", lattice, "record_overhead"),
        _beside(
            "record_throughput",
            stream,
            "bytes/s, 16 KiB, both ends on one core",
            lattice,
            "bytes_per_s",
        ),
        Figure("small_messages_per_s", small, f"64-byte readings/s, {BATCH} a record, one core"),
    ]


def _idle(size: _Size) -> Figure:
    """Resident memory of a cloud's session, with its ticket: by how much the process grows."""
    ends, box, kept = _Ends(), TicketBox(time.monotonic), []
    process = psutil.Process(os.getpid())
    for _ in range(size.sessions // 10):  # what the first of all allocate
        kept.append(ends.shake_hands()[1])
    before = process.memory_info().rss
    for _ in range(size.sessions):
        session = ends.shake_hands()[1]
        box.keep(session.ticket)
        kept.append(session)
    grown = process.memory_info().rss - before
    return Figure("idle_session_kib", grown / size.sessions / 1024, f"KiB, {size.sessions} kept")


def _rate(work: Callable[[], object], size: _Size) -> float:
    """How often a second of processor time `work` is done, in the best of some runs."""
    best = 0.0
    for _ in range(size.runs):
        count, began = 0, time.process_time()
        while (taken := time.process_time() - began) < size.seconds / size.runs:
            work()
            count += 1
        best = max(best, count / taken)
    return best


def _beside(name: str, ours: float, unit: str, theirs: rivals.Result, what: str) -> Figure:
    found = theirs.said.get(what)
    return Figure(name, ours, unit, theirs.against, ours / found if found else None)


def _key(number: int) -> QkdKey:
    return QkdKey(number.to_bytes(16, "big"), Secret(number.to_bytes(32, "big")), "simulated")
