"""From send to display, and the relay beside others' relays: one machine, in turn.

Cost model of the relays. The client is a process of its own, the same for all, and works on whole
batches (`wire`): it costs it 1 to 3 µs of processor a message, so that a server on the other core
is measured and not the client. Each of `PAIRS` pairs has up to 64 messages under way, which it
writes at once; at our relay they go in one bundle, and, measured apart, each in a frame of its own.
A message of 256 bytes is at its end when its receiver has it and, where the server says so, when
its sender has heard that it is done. Our relay carries it in a payload of 512 bytes, authenticates
owners and rights, counts each source, and says that it is done once it is durable: stored and
synced, or safe with its owner. nats-server's streams on files answer before a sync; without a
stream it stores nothing and confirms nothing, as the relay of JSON does. Rates are the best of some
rounds.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil

from bellwire.bench.chat import latency
from bellwire.bench.model import Figure

PAIRS: Final = 16
_TIMEOUT_S: Final = 180.0
_NO_NATS: Final = "nats-server, which is not installed"


@dataclass(frozen=True, slots=True)
class _Size:
    seconds: float
    rounds: int
    crowd: int
    fresh: int
    pool: int


_FULL = _Size(1.0, 3, 5000, 60, 100)
_QUICK = _Size(0.3, 1, 500, 10, 20)


@dataclass(frozen=True, slots=True)
class _Server:
    """A process that is measured."""

    process: psutil.Process
    port: int


@dataclass(frozen=True, slots=True)
class _Carried:
    """What a server carried: messages a second, and its processor time for each, in µs."""

    rate: float
    processor_us: float


def run(quick: bool = False) -> list[Figure]:
    """Measure chat.

    Args:
        quick: Smaller runs, for a first impression.
    """
    size = _QUICK if quick else _FULL
    with tempfile.TemporaryDirectory(prefix="bwchat") as name, contextlib.ExitStack() as running:
        folder = Path(name)
        relay = str(folder.joinpath("relay"))
        ours = running.enter_context(child("bellwire.bench.chat.side", relay))
        plain = running.enter_context(child("bellwire.bench.rivals.websockets_json"))
        nats = running.enter_context(_nats(folder.joinpath("nats")))
        servers = {
            "bellwire": ours,
            "bellwire-single": ours,
            "bellwire-absent": ours,
            "json": plain,
        }
        if nats is not None:
            servers |= {"nats": nats, "jetstream": nats, "jetstream-absent": nats}
        carried: dict[str, list[_Carried]] = {dialect: [] for dialect in servers}
        for _ in range(size.rounds):
            for dialect, server in servers.items():
                carried[dialect].append(_measure(dialect, server, size.seconds))
        best = {
            dialect: _Carried(
                max(each.rate for each in rounds), min(each.processor_us for each in rounds)
            )
            for dialect, rounds in carried.items()
        }
        talk = latency.run(folder, ours.port, size.fresh, size.pool)
        return [*talk, *_rates(best), *_crowd(ours, size)]


def _rates(best: dict[str, _Carried]) -> list[Figure]:
    ours, absent, plain = best["bellwire"], best["bellwire-absent"], best["json"]
    single = best["bellwire-single"]
    unit = "messages/s, 256 bytes, one to one, durable before it is said"
    websockets = f"websockets {version('websockets')}, JSON with base64, nothing stored"

    def beside(name: str, mine: _Carried, dialect: str, what: str) -> Figure:
        if dialect not in best:
            return Figure(name, mine.rate, unit, _NO_NATS)
        return Figure(name, mine.rate, unit, what, mine.rate / best[dialect].rate)

    def processor(name: str, mine: _Carried) -> Figure:
        unit = "µs of the relay's processor a message"
        return Figure(
            name, mine.processor_us, unit, websockets, mine.processor_us / plain.processor_us
        )

    return [
        beside("relay_messages_per_s", ours, "json", websockets),
        beside("relay_vs_websockets_json", ours, "json", websockets),
        beside("single_messages_per_s", single, "json", websockets),
        beside("relay_vs_nats", ours, "nats", "nats-server, nothing stored or confirmed"),
        beside(
            "relay_vs_jetstream", ours, "jetstream", "nats-server, a stream on files, acknowledged"
        ),
        beside(
            "absent_messages_per_s",
            absent,
            "jetstream-absent",
            "nats-server, a stream on files that nobody reads",
        ),
        processor("relay_processor_us", ours),
        processor("single_processor_us", single),
    ]


def _crowd(relay: _Server, size: _Size) -> list[Figure]:
    before = relay.process.memory_info().rss
    with child("bellwire.bench.chat.crowd", str(relay.port), str(size.crowd)):
        grown = relay.process.memory_info().rss - before
        crowded = _measure("bellwire", relay, size.seconds)
    here = f"{size.crowd:,} clients logged in and listening"
    return [
        Figure("crowded_messages_per_s", crowded.rate, f"messages/s beside {here}"),
        Figure("client_kib", grown / size.crowd / 1024, f"KiB of the relay's memory, {here}"),
    ]


def _measure(dialect: str, server: _Server, seconds: float) -> _Carried:
    command = [sys.executable, "-m", "bellwire.bench.chat.load"]
    before = _processor_s(server.process)
    done = subprocess.run(
        [*command, dialect, str(server.port), str(PAIRS), str(seconds)],
        capture_output=True,
        check=True,
        timeout=_TIMEOUT_S,
    )
    spent = _processor_s(server.process) - before
    said = json.loads(done.stdout)
    messages = said["messages"]
    return _Carried(messages / said["seconds"], spent / messages * 1e6)


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextlib.contextmanager
def child(module: str, *arguments: str) -> Iterator[_Server]:
    """A module of ours as a process, which says when it is there and ends with its input."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        said = json.loads(child.stdout.readline())
        try:
            yield _Server(psutil.Process(child.pid), said.get("port", 0))
        finally:
            child.stdin.close()
            child.wait(_TIMEOUT_S)


@contextlib.contextmanager
def _nats(folder: Path) -> Iterator[_Server | None]:
    """A nats-server with streams on files; None where there is none."""
    program = shutil.which("nats-server")
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with subprocess.Popen(
        [program, "-js", "-a", "127.0.0.1", "-p", str(port), "-sd", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as child:
        try:
            while child.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.02)
            yield _Server(psutil.Process(child.pid), port)
        finally:
            child.terminate()
            child.wait(_TIMEOUT_S)
