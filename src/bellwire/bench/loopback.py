"""Handshakes and bytes over real TCP on this machine, for any protocol, each end in a process.

Handshakes in memory, both ends in one process, are measured in the same turns.

One harness for the channel and for what it is compared with: the client connects, shakes hands and
waits until the server, which has shaken hands as well, ends the connection; then comes the next.
Sockets block, neither side says goodbye on its own level, and both have Nagle's algorithm off. What
is counted is processor time of both processes, the kernel's share included, as a machine that does
other work as well would spoil a rate by the clock.

It forks, so it belongs in a process of its own that has no threads.
"""

import json
import os
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

CHUNK: Final = 16 * 1024
"""Bytes of text in a record when throughput is measured."""

AT_ONCE: Final = 4
"""Chunks that a sender has ready, where it does not send each as soon as there is one."""

HOST: Final = "127.0.0.1"


class Stream(Protocol):
    """One end of a session."""

    def send(self, text: bytes) -> None:
        """Send a text, in records of at most CHUNK bytes."""

    def receive(self) -> int:
        """How many bytes of text have come; 0 at the end."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Both sides of a protocol.

    Attributes:
        connect: The client's, on a connected socket that blocks.
        accept: The server's, on another.
        in_memory: A handshake of both, without a socket.
    """

    connect: Callable[[socket.socket], Stream]
    accept: Callable[[socket.socket], Stream]
    in_memory: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Work:
    """How much of each to do.

    Attributes:
        handshakes: In a run.
        runs: Of which the best counts.
        chunks: Records of CHUNK bytes in a run.
    """

    handshakes: int
    runs: int
    chunks: int


def measure(protocols: Sequence[Ends], work: Work) -> list[dict[str, float]]:
    """Handshakes and throughput of each, in turns, so that each has the machine as the others have.

    Returns:
        `per_s`: handshakes in memory a second of processor time; `tcp_client_us`, `tcp_server_us`:
        processor time of a handshake at each end, in the run where they are least together;
        `tcp_per_s`: handshakes in a second of both; `tcp_wall_us`: from connecting to the end, one
        after the other; `tcp_bytes_per_s`: text from end to end, by the clock, AT_ONCE chunks
        given to the sender at a time; `tcp_single_bytes_per_s`: one at a time.
    """
    in_memory: list[list[float]] = [[] for _ in protocols]
    shaken: list[list[tuple[float, float, float]]] = [[] for _ in protocols]
    carried: list[list[tuple[float, float]]] = [[] for _ in protocols]
    for _ in range(work.runs):
        for number, ends in enumerate(protocols):
            in_memory[number].append(_in_memory(ends, work.handshakes))
            shaken[number].append(_handshakes(ends, work.handshakes))
            carried[number].append(
                (_throughput(ends, work.chunks, AT_ONCE), _throughput(ends, work.chunks, 1))
            )
    turns = zip(in_memory, shaken, carried, strict=True)
    return [_said(*each, work.handshakes) for each in turns]


def _in_memory(ends: Ends, count: int) -> float:
    """Seconds of processor time."""
    began = time.process_time()
    for _ in range(count):
        ends.in_memory()
    return time.process_time() - began


def _said(
    in_memory: Sequence[float],
    shaken: Sequence[tuple[float, float, float]],
    carried: Sequence[tuple[float, float]],
    count: int,
) -> dict[str, float]:
    best = min(shaken, key=lambda run: sum(run[:2]))
    client_s, server_s, wall_s = (taken / count for taken in best)
    return {
        "per_s": count / min(in_memory),
        "tcp_client_us": 1e6 * client_s,
        "tcp_server_us": 1e6 * server_s,
        "tcp_wall_us": 1e6 * wall_s,
        "tcp_per_s": 1 / (client_s + server_s),
        "tcp_bytes_per_s": max(several for several, _ in carried),
        "tcp_single_bytes_per_s": max(single for _, single in carried),
    }


def _handshakes(ends: Ends, count: int) -> tuple[float, float, float]:
    """Seconds of processor time of the client and of the server, and by the clock."""

    def serve(sock: socket.socket) -> None:
        ends.accept(sock)

    with socket.create_server((HOST, 0)) as listening:
        reading = _fork(listening, serve, count)
        address = listening.getsockname()
        began, clock = time.process_time(), time.perf_counter()
        for _ in range(count):
            with _connected(address) as sock:
                _until_the_end(ends.connect(sock))
        taken = time.process_time() - began, time.perf_counter() - clock
    return taken[0], _answer(reading), taken[1]


def _throughput(ends: Ends, chunks: int, at_once: int) -> float:
    """Bytes a second from the client to the server, by the clock."""
    rounds = -(-chunks // at_once)
    expected = rounds * at_once * CHUNK

    def serve(sock: socket.socket) -> None:
        stream, left = ends.accept(sock), expected
        while left:
            came = stream.receive()
            if not came:
                raise RuntimeError(f"expected {left} bytes more, got the end")
            left -= came

    with socket.create_server((HOST, 0)) as listening:
        reading = _fork(listening, serve, 1)
        with _connected(listening.getsockname()) as sock:
            stream, text = ends.connect(sock), bytes(at_once * CHUNK)
            began = time.perf_counter()
            for _ in range(rounds):
                stream.send(text)
            _until_the_end(stream)
            taken = time.perf_counter() - began
    _answer(reading)
    return expected / taken


def _until_the_end(stream: Stream) -> None:
    """Wait for the server, which says no more and ends the connection."""
    if stream.receive():
        raise RuntimeError("expected the server to end the connection, got more")


def _connected(address: tuple[str, int]) -> socket.socket:
    sock = socket.socket()
    sock.connect(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _fork(listening: socket.socket, serve: Callable[[socket.socket], None], count: int) -> int:
    """A server for so many connections; gives a pipe for its processor time."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        return reading
    status = 1
    try:
        os.close(reading)
        began = time.process_time()
        for _ in range(count):
            with listening.accept()[0] as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                serve(sock)
        os.write(writing, json.dumps(time.process_time() - began).encode())
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)


def _answer(reading: int) -> float:
    """What the server's process says, which then ends."""
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.wait()
    if status or not said:
        raise RuntimeError("the server's process failed")
    return float(json.loads(said))
