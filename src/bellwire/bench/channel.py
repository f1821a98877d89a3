"""Measurements of the device channel, beside TLS 1.3 in the same run.

In memory, both ends are in one process, and rates are of processor time of both together, the best
of some runs. Over TCP, each end has a process. Handshakes of both protocols take turns
(`bellwire.bench.over_tcp`); the sizes and records of TLS come from a process of its own
(`bellwire.bench.rivals.tls13`). Full handshakes, X25519MLKEM768 and a certificate at each end.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from bellwire.bench import idle, rivals
from bellwire.bench.ends import KnownEnds
from bellwire.bench.loopback import AT_ONCE, CHUNK
from bellwire.bench.model import Figure
from bellwire.channel.messages import HEADER_BYTES
from bellwire.crypto.aead import TAG_BYTES
from bellwire.crypto.kem import XWingPrivateKey, XWingPublicKey
from bellwire.iot.messages import Batch, decode_from_device, encode

READING_BYTES: Final = 64
BATCH: Final = 700
"""Readings of 64 bytes in a record, as many as a device sends."""

TIMEOUT_S: Final = 300.0

KEM_OPERATIONS: Final = {"generate": 1, "read": 2, "encapsulate": 3, "decapsulate": 3}
"""Of X-Wing, in a full handshake between ends that have their own and the pinned key at hand: the
ephemeral key, which the responder reads, as it does the initiator's; and three encapsulations, to
the responder's static key, the ephemeral one and the initiator's static key."""


class _Turns(NamedTuple):
    """What `bellwire.bench.over_tcp` found of us, and of TLS with either kind of certificate."""

    ours: Mapping[str, float]
    theirs: Sequence[Mapping[str, float]]
    against: tuple[str, str]

    def ratio(self, what: str, number: int) -> float | None:
        """Ours over theirs, where theirs was measured."""
        return self.ours[what] / self.theirs[number][what] if self.theirs else None

    def ratios(self, prefix: str, what: str, unit: str) -> list[Figure]:
        """Beside certificates of ML-DSA-65, and of Ed25519."""
        return [
            Figure(
                f"{prefix}_{kind}",
                self.ours[what],
                unit,
                self.against[number],
                self.ratio(what, number),
            )
            for number, kind in enumerate(("mldsa65", "ed25519"))
        ]


class _Size(NamedTuple):
    """How much of each to run."""

    seconds: float
    runs: int
    tcp_handshakes: int
    tcp_runs: int
    tcp_chunks: int
    sessions: int


_FULL = _Size(0.6, 5, 100, 10, 16_000, 10_000)
_QUICK = _Size(0.15, 2, 40, 4, 4_000, 300)


def run(quick: bool = False) -> list[Figure]:
    """Measure the channel.

    Args:
        quick: Smaller runs, for a first impression.
    """
    size = _QUICK if quick else _FULL
    lattice, edwards = rivals.measure(rivals.TLS13, size.seconds)
    ours, *theirs = _in_turns(size)
    turns = _Turns(ours, theirs, (lattice.against, edwards.against))
    return [
        *_handshakes(size, turns, lattice),
        *_over_tcp(turns),
        *_records(size, lattice),
        *_idle(size),
    ]


def _handshakes(size: _Size, turns: _Turns, lattice: rivals.Result) -> list[Figure]:
    ends = KnownEnds()
    state = ends.shake_hands()
    full_bytes = state.handshake_bytes

    def resume() -> None:
        nonlocal state
        state = ends.resume(state)

    resumed = _rate(resume, size)
    unit = "handshakes/s in memory, both ends on one core"
    return [
        _beside("handshake_bytes", full_bytes, "bytes", lattice, "bytes"),
        Figure("resumption_bytes", ends.resume(state).handshake_bytes, "bytes"),
        Figure("handshakes_per_s", turns.ours["per_s"], unit),
        Figure("handshake_us", 1e6 / turns.ours["per_s"], "µs of processor time, both ends"),
        Figure("handshake_kem_us", _kem_us(size), f"of these, µs of the KEM: {_operations()}"),
        Figure("resumptions_per_s", resumed, unit),
        *turns.ratios("vs_tls", "per_s", unit),
    ]


def _operations() -> str:
    return ", ".join(f"{count} {name}" for name, count in KEM_OPERATIONS.items())


def _kem_us(size: _Size) -> float:
    """Processor time of a handshake's operations of the KEM, by themselves."""
    private = XWingPrivateKey.generate()
    public = XWingPublicKey(private.public_bytes)
    ciphertext, _ = public.encapsulate()
    each: dict[str, Callable[[], object]] = {
        "generate": XWingPrivateKey.generate,
        "read": lambda: XWingPublicKey(private.public_bytes),
        "encapsulate": public.encapsulate,
        "decapsulate": lambda: private.decapsulate(ciphertext),
    }
    return sum(1e6 * count / _rate(each[name], size) for name, count in KEM_OPERATIONS.items())


def _over_tcp(turns: _Turns) -> list[Figure]:
    ours = turns.ours
    unit = "handshakes/s over TCP, both ends' processor time"
    return [
        Figure("tcp_handshakes_per_s", ours["tcp_per_s"], unit),
        Figure("tcp_device_us", ours["tcp_client_us"], "µs of processor time, sockets included"),
        Figure("tcp_cloud_us", ours["tcp_server_us"], "µs of processor time, sockets included"),
        Figure("tcp_handshake_us", ours["tcp_wall_us"], "µs by the clock, one after the other"),
        *turns.ratios("tcp_vs_tls", "tcp_per_s", unit),
        *(
            Figure(
                name,
                ours[what],
                f"bytes/s over TCP by the clock, 16 KiB a record, {given}",
                turns.against[0],
                turns.ratio(what, 0),
            )
            for name, what, given in (
                ("tcp_throughput", "tcp_bytes_per_s", f"{AT_ONCE} at once"),
                ("tcp_single_throughput", "tcp_single_bytes_per_s", "one by one"),
            )
        ),
    ]


def _in_turns(size: _Size) -> list[dict[str, float]]:
    """As `bellwire.bench.over_tcp` says, in a process that may fork."""
    amounts = (size.tcp_handshakes, size.tcp_runs, size.tcp_chunks)
    done = subprocess.run(
        [sys.executable, "-m", "bellwire.bench.over_tcp", *map(str, amounts)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    found: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _records(size: _Size, lattice: rivals.Result) -> list[Figure]:
    shaken = KnownEnds().shake_hands()
    device, cloud = shaken.device, shaken.cloud
    text = bytes(CHUNK)
    first = device.seal(text)
    cloud.open(first)
    overhead = len(first) - CHUNK
    assert overhead == HEADER_BYTES + TAG_BYTES
    readings = tuple(bytes([number % 251]) * READING_BYTES for number in range(BATCH))

    def batch() -> None:
        message = cloud.open(device.seal(encode(Batch(0, readings))))
        assert isinstance(message, bytes)
        decode_from_device(message)

    stream = CHUNK * _rate(lambda: cloud.open(device.seal(text)), size)
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


def _idle(size: _Size) -> list[Figure]:
    found = idle.measure(size.sessions)
    return [
        Figure("idle_sessions", found.sessions, "on one cloud at the same time, over TCP"),
        Figure("idle_session_kib", found.bytes_each / 1024, "KiB of the cloud's memory a session"),
    ]


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
