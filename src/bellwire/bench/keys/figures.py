"""All figures of key delivery, and their names."""

import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bellwire.base.disk import sync_time
from bellwire.bench.keys import pairs, postgres, stock
from bellwire.bench.keys.load import Load, Measured
from bellwire.bench.model import Figure

RATE = 1500.0
"""Pairs a second of the open loop."""

BATCH = 128
BATCH_CONNECTIONS = 8
CONNECTIONS = (32, 64, 128)
"""To each KME, in closed loops; latencies and processor times are told of the first."""

MANY, SOME, FEW = 10_000_000, 200_000, 100_000

_PLAIN = "FastAPI on uvicorn, keys in memory, nothing durable"
_NO_PLAIN = "the plain alternative is in the checkout's benchmarks/"


@dataclass(frozen=True, slots=True)
class _Size:
    stock: int
    seconds: float
    rounds: int
    plain_keys: int


_FULL_SIZE = _Size(MANY, 2.0, 3, 2_000_000)
_QUICK = _Size(FEW, 0.1, 1, 80_000)


class _Rounds:
    """The same load on ours and on the alternative in turn, so that both have the same minutes."""

    def __init__(self, size: _Size, ours: pairs.Pair, plain: pairs.Pair | None) -> None:
        self._size = size
        self._pairs = ours, plain

    def run(self, kind: str, **more: Any) -> "_Compared":
        found: tuple[list[Measured], list[Measured]] = [], []
        for seed in range(self._size.rounds):
            for pair, into in zip(self._pairs, found, strict=True):
                if pair is None:
                    continue
                load = Load(*pair.sites, kind=kind, seconds=self._size.seconds, seed=seed, **more)  # type: ignore[arg-type] # of few words
                into.append(pairs.measure(load))
        return _Compared(*found)


@dataclass(frozen=True, slots=True)
class _Compared:
    """Rounds of one load: ours, and the alternative's beside each."""

    ours: list[Measured]
    plain: list[Measured]

    def figure(self, name: str, value: str, unit: str, factor: float = 1.0) -> Figure:
        """The median of an attribute, and of its ratio to the alternative's in the same round."""
        mine = factor * self.median(value)
        if not self.plain:
            return Figure(name, mine, unit, _NO_PLAIN)
        return Figure(name, mine, unit, _PLAIN, self.ratio(value))

    def median(self, value: str, *, plain: bool = False) -> float:
        """Of an attribute: ours, or the alternative's."""
        return statistics.median(
            float(getattr(each, value)) for each in (self.plain if plain else self.ours)
        )

    def ratio(self, value: str) -> float:
        """Ours / theirs: median of the rounds."""
        both = zip(self.ours, self.plain, strict=True)
        found = [float(getattr(a, value)) / float(getattr(b, value)) for a, b in both]
        return statistics.median(found)


def run(quick: bool = False) -> list[Figure]:
    """Measure two KMEs in two processes, and the plain alternative beside them.

    Args:
        quick: Shorter, with 10⁵ keys in stock; leaves out what is about 10⁷.

    Raises:
        ArithmeticError: a process failed, or the two KMEs gave different keys.
    """
    size = _QUICK if quick else _FULL_SIZE
    with _prepared(size.stock) as state:
        sync_ms = 1e3 * sync_time(state)
        after = f"sync {sync_ms:.2f} ms"
        with contextlib.ExitStack() as stack:
            ours = stack.enter_context(pairs.bellwire(state))
            plain = None
            if pairs.PLAIN.exists():
                plain = stack.enter_context(pairs.plain(state, size.plain_keys))
            figures = _delivery(_Rounds(size, ours, plain), after)
            closed = figures.pop(0)
            figures = [Figure("disk_sync_ms", sync_ms, "ms, a write of 4 KiB"), *figures]
    figures += _on_postgres(size, after)
    if quick:
        return figures
    started = ours.began
    figures += [
        Figure(
            "start_s_1e7_keys",
            max(each.start_s for each in started),
            f"s, from opening the store, {after}",
        ),
        Figure(
            "start_memory_mb_1e7_keys",
            max(each.memory_mb - each.imported_mb for each in started),
            "MB, beyond the program's own",
        ),
        Figure("process_memory_mb_1e7_keys", max(each.memory_mb for each in started), "MB"),
        _constant(size, closed.value, after),
    ]
    return figures


def _delivery(rounds: _Rounds, after: str) -> list[Figure]:
    """Figures of requests; the first is A's and B's time of a pair, which another one needs."""
    loops = {each: rounds.run("closed", connections=each) for each in CONNECTIONS}
    closed = loops[CONNECTIONS[0]]
    opened = rounds.run("open", rate=RATE)
    batch = rounds.run("closed", number=BATCH, connections=BATCH_CONNECTIONS)
    whole, resumed = rounds.run("one-shot"), rounds.run("resumed")
    served = statistics.median(each.a_us + each.b_us for each in closed.ours)
    return [
        Figure("served_us", served, ""),
        *_best(loops, after),
        *(
            loop.figure(f"pairs_per_s_{each}", "per_s", f"pairs/s, {each} connections, {after}")
            for each, loop in loops.items()
        ),
        closed.figure("closed_p50_ms", "p50_ms", f"ms, {after}"),
        closed.figure("closed_p99_ms", "p99_ms", f"ms, {after}"),
        opened.figure("pairs_p50_ms", "p50_ms", f"ms at {RATE:.0f} pairs/s, {after}"),
        opened.figure("pairs_p99_ms", "p99_ms", f"ms at {RATE:.0f} pairs/s, {after}"),
        closed.figure("cpu_us_a", "a_us", f"µs of a core, a request, {after}"),
        closed.figure("cpu_us_b", "b_us", f"µs of a core, a request, {after}"),
        closed.figure("cpu_us_client", "client_us", f"µs of a core, a pair, {after}"),
        closed.figure("pair_bytes", "pair_bytes", "bytes of a pair, before TLS"),
        batch.figure("keys_per_s_batched", "per_s", f"keys/s, {BATCH} a request, {after}", BATCH),
        batch.figure("batch_cpu_us_a", "a_us", f"µs of a core, {BATCH} keys, {after}"),
        batch.figure("batch_cpu_us_b", "b_us", f"µs of a core, {BATCH} keys, {after}"),
        whole.figure("one_shot_ms", "p50_ms", f"ms, a connection for each request, {after}"),
        resumed.figure("one_shot_resumed_ms", "p50_ms", f"ms, sessions resumed, {after}"),
    ]


def _best(loops: dict[int, _Compared], after: str) -> list[Figure]:
    """Both where each does best: with which number of connections is told."""
    ours, at = max((loop.median("per_s"), each) for each, loop in loops.items())
    unit = f"pairs/s, {at} connections, {after}"
    if not all(loop.plain for loop in loops.values()):
        return [Figure("pairs_per_s", ours, unit, _NO_PLAIN)]
    plain, there = max((loop.median("per_s", plain=True), each) for each, loop in loops.items())
    against = f"{_PLAIN}, {there} connections"
    return [
        Figure("pairs_per_s", ours, unit, against, ours / plain),
        Figure("vs_plain_python", ours / plain, "× its pairs/s", against),
    ]


def _on_postgres(size: _Size, after: str) -> list[Figure]:
    """Pairs with stores on PostgreSQL, and beside them, in the same minutes, on SQLite.

    None where there is no PostgreSQL, or not the extra for it.
    """
    at = postgres.programs()
    if at is None or find_spec("psycopg") is None:
        return []
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres.server(at))
        on_server = stack.enter_context(pairs.bellwire(stack.enter_context(_prepared(FEW, url))))
        on_files = stack.enter_context(pairs.bellwire(stack.enter_context(_prepared(FEW))))
        compared = _Rounds(size, on_server, on_files).run("closed")
    told = [
        ("pairs_per_s_postgres", "per_s", f"pairs/s, {after}"),
        ("postgres_p99_ms", "p99_ms", f"ms, {after}"),
        ("postgres_cpu_us_a", "a_us", "µs of a core, a request, without the server's own"),
        ("postgres_cpu_us_b", "b_us", "µs of a core, a request, without the server's own"),
    ]
    return [
        replace(compared.figure(name, value, unit), against="the same on SQLite")
        for name, value, unit in told
    ]


def _constant(size: _Size, served_us: float, after: str) -> Figure:
    """What a pair costs both KMEs with 10⁷ keys in stock, and beside it with 2·10⁵."""
    with _prepared(SOME) as state, pairs.bellwire(state) as ours:
        small = _Rounds(size, ours, None).run("closed").ours
    few = statistics.median(each.a_us + each.b_us for each in small)
    unit = f"µs of a core, both KMEs, a pair, {after}"
    return Figure("cpu_us_1e7_keys", served_us, unit, "the same with 2·10⁵ keys", served_us / few)


@contextlib.contextmanager
def _prepared(keys: int, url: str = "") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        stock.prepare(state, keys, url=url)
        pairs.certify(state)
        yield state
