"""The client of the measurement, as a process of its own: pairs of requests to two KMEs.

A pair is enc_keys at A and, with the ids it gave, dec_keys at B; both answers must be equal to the
byte, which says that both sites gave the same keys under the same ids. Requests and answers are
handled as bytes, in callbacks, so that as little as possible of what is measured is the client's.
"""

import asyncio
import ctypes
import os
import random
import re
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

import msgspec
import uvloop

from bellwire.base.memory import keep_freed_memory

MASTER, SLAVE = "sae-a", "sae-b"
LOOPBACK = "127.0.0.1"
_WARM_S = 0.3
"""At most; and no longer than what is measured."""

_TIMEOUT_S = 30.0
_LEAST = 8
"""Pairs that are waited for, however slow the machine is."""

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
"""The system counts processor time in these; no process takes less than one."""

_RECEIVED = memoryview(bytearray(1 << 16))
_ABSOLUTE = 1  # of timerfd_settime(2)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_IDS = re.compile(rb'"key_ID":"([^"]*)"')


class Site(msgspec.Struct, frozen=True):
    """Where a KME is, who asks there, and the process that answers.

    Attributes:
        port: On this machine.
        certificate: File of the SAE's, PEM.
        key: File of its key, PEM.
        trusted: File of whoever signed the KME's, PEM.
        pid: Of the KME.
    """

    port: int
    certificate: str
    key: str
    trusted: str
    pid: int


class Load(msgspec.Struct, frozen=True):
    """What to ask for.

    Attributes:
        a: Where keys are got.
        b: Where they are fetched.
        kind: `closed`: each connection asks again when it has its answer. `open`: pairs begin at
            random times, whether or not earlier ones are done. `one-shot`, `resumed`: a connection
            for each request, with a whole handshake or a resumed session; one at a time.
        seconds: How long, after a moment to warm up; longer until there are `_LEAST` pairs.
        connections: To each KME.
        number: Keys of a request.
        rate: Pairs a second of `open`.
        seed: Of the random times.
    """

    a: Site
    b: Site
    kind: Literal["closed", "open", "one-shot", "resumed"]
    seconds: float
    connections: int = 32
    number: int = 1
    rate: float = 0.0
    seed: int = 1


class Measured(msgspec.Struct, frozen=True):
    """What came of it; times are of the processor where they are not latencies.

    Attributes:
        pairs: In the time.
        seconds: That it took.
        p50_ms: Median latency of a pair, from when it was due.
        p99_ms: That of all but one in a hundred.
        a_us: Microseconds of a request at A.
        b_us: Microseconds of a request at B.
        client_us: Microseconds of a pair here.
        pair_bytes: Requests and answers of a pair, before TLS.
    """

    pairs: int
    seconds: float
    p50_ms: float
    p99_ms: float
    a_us: float
    b_us: float
    client_us: float
    pair_bytes: int

    @property
    def per_s(self) -> float:
        """Pairs a second."""
        return self.pairs / self.seconds


def request(method: str, about: str, body: bytes) -> bytes:
    """A POST of ETSI GS QKD 014."""
    return _head(method, about, len(body)) + body


@lru_cache(maxsize=64)
def _head(method: str, about: str, length: int) -> bytes:
    return (
        f"POST /api/v1/keys/{about}/{method} HTTP/1.1\r\nhost: {LOOPBACK}\r\n"
        f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


def enc_keys(number: int) -> bytes:
    """Asks for new keys of 256 bits."""
    return request("enc_keys", SLAVE, b'{"number":%d,"size":256}' % number)


def dec_keys(container: bytes) -> bytes:
    """Asks for the keys whose ids stand in a container."""
    ids = b'"},{"key_ID":"'.join(_IDS.findall(container))
    return request("dec_keys", MASTER, b'{"key_IDs":[{"key_ID":"' + ids + b'"}]}')


def split(answer: bytes) -> bytes | None:
    """The body of an answer; None while some of it is missing.

    Raises:
        ArithmeticError: it is no 200.
    """
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(answer, 0, end + 2)
    if length is None or answer[9:12] != b"200":
        raise ArithmeticError(f"a KME answered {answer[:500]!r}")
    return answer[end + 4 :] if len(answer) == end + 4 + int(length[1]) else None


class _Wire(asyncio.BufferedProtocol):
    """A connection with one request at a time under way.

    A head that came before, byte for byte, is not read again: it changes once a second.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._transport: asyncio.Transport
        self._part = b""
        self._known = (b"HTTP", 0)  # a head, and how long the answer was
        self._then: Callable[[bytes], None]
        self.bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, data: bytes, then: Callable[[bytes], None]) -> None:
        self._then = then
        self.bytes += len(data)
        self._transport.write(data)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _RECEIVED

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(_RECEIVED[:nbytes])
        try:
            answer = self._part + data if self._part else data
            head, size = self._known
            if len(answer) == size and answer.startswith(head):
                body = answer[len(head) :]
            else:
                found = split(answer)
                if found is None:
                    self._part = answer
                    return
                body = found
                self._known = answer[: len(answer) - len(body)], len(answer)
            self._part = b""
            self.bytes += len(answer)
            self._then(body)
        except BaseException as error:
            self._failed(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._failed(exc or ConnectionError("a KME closed a connection"))

    def close(self) -> None:
        self._transport.abort()


class _Worker:
    """One pair at a time."""

    def __init__(self, wires: tuple[_Wire, _Wire], number: int, run: "_Run") -> None:
        self.wires = wires
        self._enc = enc_keys(number)
        self._run = run
        self._due = 0.0
        self._got = b""

    def go(self, due: float) -> None:
        self._due = due
        self.wires[0].ask(self._enc, self._fetch)

    def _fetch(self, container: bytes) -> None:
        self._got = container
        self.wires[1].ask(dec_keys(container), self._done)

    def _done(self, container: bytes) -> None:
        if container != self._got:
            raise ArithmeticError("the two KMEs gave different keys")
        self._run.latencies.append(time.perf_counter() - self._due)
        for wire in self.wires:
            self._run.bytes += wire.bytes
            wire.bytes = 0
        self._run.done(self)


class _Alarm:
    """Calls at a time to the microsecond: timers of the event loop know milliseconds (Linux).

    Args:
        then: Called when the time has come.
    """

    def __init__(self, then: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "no timer")
        self._then = then
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._file, self._ring)

    def set(self, at: float) -> None:
        """Call at `at`, as `time.perf_counter` has it; at once if it is over."""
        seconds, part = divmod(max(0.0, at), 1.0)
        when = (ctypes.c_long * 4)(0, 0, int(seconds), 1 + int(part * 999_999_998))
        self._libc.timerfd_settime(self._file, _ABSOLUTE, when, None)

    def close(self) -> None:
        """Never again."""
        self._loop.remove_reader(self._file)
        os.close(self._file)

    def _ring(self) -> None:
        os.read(self._file, 8)
        self._then()


class _Run:
    """All workers, for one measurement."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._workers: list[_Worker] = []
        self._free: deque[_Worker] = deque()
        self._due: deque[float] = deque()
        self._random = random.Random(load.seed)  # noqa: S311 - times of requests
        self.latencies: list[float] = []
        self.bytes = 0

    async def measure(self) -> Measured:
        load = self._load
        contexts = _context(load.a), _context(load.b)
        for _ in range(load.connections):
            wires = [
                await self._connect(site.port, context)
                for site, context in zip((load.a, load.b), contexts, strict=True)
            ]
            self._workers.append(_Worker((wires[0], wires[1]), load.number, self))
        if load.kind == "closed":
            for worker in self._workers:
                worker.go(time.perf_counter())
        else:
            self._free.extend(self._workers)
            self._next = time.perf_counter()
            self._alarm = _Alarm(self._begin)
            self._begin()
        await self._pass(min(_WARM_S, load.seconds))
        before, began = self._spent(), time.perf_counter()
        self.latencies.clear()
        self.bytes = 0
        while len(self.latencies) < _LEAST:
            await self._pass(load.seconds)
        spent, took = self._spent(), time.perf_counter() - began
        times = sorted(self.latencies)
        cores = [max(late - early, _TICK_S) for early, late in zip(before, spent, strict=True)]
        self._ended.cancel()
        if load.kind == "open":
            self._alarm.close()
        for worker in self._workers:
            for wire in worker.wires:
                wire.close()
        pairs = max(1, len(times))
        a_us, b_us, client_us = (each / pairs for each in cores)
        return Measured(
            pairs=len(times),
            seconds=took,
            p50_ms=1e3 * times[len(times) // 2],
            p99_ms=1e3 * times[len(times) * 99 // 100],
            a_us=1e6 * a_us,
            b_us=1e6 * b_us,
            client_us=1e6 * client_us,
            pair_bytes=round(self.bytes / pairs),
        )

    async def _connect(self, port: int, context: ssl.SSLContext) -> _Wire:
        _, wire = await self._loop.create_connection(
            lambda: _Wire(self._fail), LOOPBACK, port, ssl=context, server_hostname=LOOPBACK
        )
        return wire

    async def _pass(self, seconds: float) -> None:
        """Let time go by; what failed meanwhile is raised."""
        done, _ = await asyncio.wait({self._ended}, timeout=seconds)
        for each in done:
            each.result()

    def _spent(self) -> tuple[float, float, float]:
        """Processor seconds of A, B and this process until now."""
        return cpu_seconds(self._load.a.pid), cpu_seconds(self._load.b.pid), time.process_time()

    def _fail(self, error: BaseException) -> None:
        if not self._ended.done():
            self._ended.set_exception(error)

    def done(self, worker: _Worker) -> None:
        """A worker has its pair."""
        if self._load.kind == "closed":
            worker.go(time.perf_counter())
        elif self._due:
            worker.go(self._due.popleft())
        else:
            self._free.append(worker)

    def _begin(self) -> None:
        """Begin all pairs that are due, and come back for the next."""
        now = time.perf_counter()
        while self._next <= now:
            if self._free:
                self._free.popleft().go(self._next)
            else:
                self._due.append(self._next)
            self._next += self._random.expovariate(self._load.rate)
        self._alarm.set(self._next)


def one_by_one(load: Load) -> Measured:
    """Pairs of requests, each over a connection of its own; ArithmeticError if two keys differ."""
    contexts = _context(load.a), _context(load.b)
    sessions: list[ssl.SSLSession | None] = [None, None]
    latencies: list[float] = []
    size = 0
    before = cpu_seconds(load.a.pid), cpu_seconds(load.b.pid), time.process_time()
    began = now = time.perf_counter()
    while now < began + load.seconds:
        data, answers = enc_keys(load.number), []
        for which, site in enumerate((load.a, load.b)):
            kept = sessions[which] if load.kind == "resumed" else None
            answer, sessions[which] = _ask_once(site.port, contexts[which], data, kept)
            size += len(data) + len(answer)
            answers.append(split(answer))
            data = dec_keys(answers[0] or b"")
        if answers[0] is None or answers[0] != answers[1]:
            raise ArithmeticError("the two KMEs gave different keys")
        earlier, now = now, time.perf_counter()
        latencies.append(now - earlier)
    times = sorted(latencies)
    spent = cpu_seconds(load.a.pid), cpu_seconds(load.b.pid), time.process_time()
    a, b, client = (max(late - early, _TICK_S) for early, late in zip(before, spent, strict=True))
    return Measured(
        pairs=len(times),
        seconds=now - began,
        p50_ms=1e3 * times[len(times) // 2],
        p99_ms=1e3 * times[len(times) * 99 // 100],
        a_us=1e6 * a / len(times),
        b_us=1e6 * b / len(times),
        client_us=1e6 * client / len(times),
        pair_bytes=round(size / len(times)),
    )


def _ask_once(
    port: int, context: ssl.SSLContext, data: bytes, session: ssl.SSLSession | None
) -> tuple[bytes, ssl.SSLSession | None]:
    with socket.create_connection((LOOPBACK, port), timeout=_TIMEOUT_S) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname=LOOPBACK, session=session) as tls:
            if session is not None and not tls.session_reused:
                raise ArithmeticError("a KME did not resume a session")
            tls.sendall(data)
            answer = b""
            while split(answer) is None:
                part = tls.recv(1 << 16)
                if not part:
                    raise ArithmeticError("a KME closed a connection")
                answer += part
            return answer, tls.session


def _context(site: Site) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(site.trusted)
    context.load_cert_chain(site.certificate, site.key)
    return context


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, all its threads, until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


async def _measure(load: Load) -> Measured:
    return await _Run(load).measure()


def main() -> None:
    """Do what the argument says; print what came of it."""
    load = msgspec.json.decode(sys.argv[1], type=Load)
    keep_freed_memory()
    if load.kind in {"one-shot", "resumed"}:
        measured = one_by_one(load)
    else:
        measured = uvloop.run(_measure(load))
    sys.stdout.write(msgspec.json.encode(measured).decode() + "\n")
