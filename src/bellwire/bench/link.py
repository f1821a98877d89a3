"""Measurements of the simulated link, each beside a named alternative in the same run.

Ideal links, with everything kept (both parties' settings and outcomes, and Eve's), beside a plain
loop, Qiskit and QKDpy; weak pulses beside SeQUeNCe over the same fibre; decoy states follow
(`bellwire.bench.weak`), then sources of several pairs (`bellwire.bench.pairs`). Rates are the best
of many short runs, of one core in processor time: what others on the machine take is not ours.
"""

import math
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from bellwire.base import cores
from bellwire.base.detections import Protocol
from bellwire.bench import pairs, plain, rivals, weak
from bellwire.bench.model import Figure
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve, EveKind
from bellwire.link.packed import PackedLink, Seeds
from bellwire.link.weak import DeadTime, WeakConfig
from bellwire.link.weak_counts import WeakStream

USUAL = LinkConfig()
IDEAL = LinkConfig(misalignment=0.0)
EVE = Eve(EveKind.INTERCEPT_RESEND, 0.3)
SESSION_PAIRS = 100_000

Clock = Callable[[], float]

_BLOCK = 1 << 20
"""Slots of one run on a core: 0.5 MB of planes, which the allocator gives again. Fresh pages of the
system cost more than the bits that fill them."""

_LONG_BLOCK = 1 << 22
"""Slots of one run on all cores, long enough for their threads to start."""


class _Size(NamedTuple):
    """How much of each to run."""

    seconds: float  # spent on each of our rates
    plain: int  # slots of a plain loop
    sessions: int
    circuits: int  # one a pair
    shots: int  # of each of nine circuits
    sequence: int  # pulses
    qkdpy: int  # pulses


_FULL = _Size(1.0, 200_000, 200, 40, 200_000, 500_000, 20_000)
_QUICK = _Size(0.2, 20_000, 50, 8, 20_000, 100_000, 5_000)


def run(quick: bool = False) -> list[Figure]:
    """Measure everything about the link.

    Args:
        quick: Smaller runs, for a first impression.
    """
    size = _QUICK if quick else _FULL
    alone = [*weak.run(quick), *pairs.run(quick)]
    return [*_entangled(size), *_single_photons(size), *_fibre(size), *alone]


def _entangled(size: _Size) -> list[Figure]:
    threads = cores.available()
    link = PackedLink(Protocol.E91, USUAL, Seeds.fresh(), threads=threads)
    ours = _packed(link, _LONG_BLOCK, size, time.perf_counter)
    theirs = _rate(lambda: plain.e91(size.plain, USUAL.visibility), size.plain)
    unit = f"pairs/s, {threads} core{'s' if threads > 1 else ''}"
    per_pair, batched = rivals.measure(rivals.QISKIT, size.circuits, size.shots)
    return [
        Figure("e91_pairs_per_s", ours, unit, plain.AGAINST, ours / theirs),
        Figure("e91_session_100k_ms", _session_ms(size.sessions), "ms, fresh seeds to both halves"),
        _beside("e91_vs_qiskit_per_pair", ours, unit, per_pair),
        _beside("e91_vs_qiskit_batched", ours, unit, batched),
    ]


def _single_photons(size: _Size) -> list[Figure]:
    unit = "pulses/s, one core"

    def ours(eve: Eve | None) -> float:
        link = PackedLink(Protocol.BB84, IDEAL, Seeds.fresh(), eve, threads=1)
        return _packed(link, _BLOCK, size, time.process_time)

    def theirs(share: float) -> float:
        return _rate(lambda: plain.bb84(size.plain, share), size.plain)

    alone, with_eve = ours(None), ours(EVE)
    (qkdpy,) = rivals.measure(rivals.QKDPY, size.qkdpy)
    return [
        Figure("bb84_ideal_pulses_per_s", alone, unit, plain.AGAINST, alone / theirs(0.0)),
        Figure(
            "bb84_ideal_eve_pulses_per_s",
            with_eve,
            unit,
            plain.AGAINST,
            with_eve / theirs(EVE.share),
        ),
        _beside("bb84_vs_qkdpy", alone, unit, qkdpy),
    ]


def _fibre(size: _Size) -> list[Figure]:
    near, far = rivals.measure(rivals.SEQUENCE, 1.0, size.sequence, 50.0, 2 * size.sequence)
    unit = "pulses/s, {:g} km, one core"
    return [
        _beside("bb84_vs_sequence", _weak(1.0, size), unit.format(1), near),
        _beside("bb84_vs_sequence_50km", _weak(50.0, size), unit.format(50), far),
    ]


def fibre(km: float) -> WeakConfig:
    """The link that `rivals.sequence_bb84` simulates: its 40 ns at 80 MHz are three blind gates."""
    return WeakConfig(
        intensities=(0.1,),
        shares=(1.0,),
        link=LinkConfig(fibre_km=km, detector_efficiency=0.2),
        dead_gates=3,
        dead_time=DeadTime.PER_DETECTOR,
    )


def _beside(name: str, ours: float, unit: str, theirs: rivals.Result) -> Figure:
    ratio = None if theirs.rate is None else ours / theirs.rate
    return Figure(name, ours, unit, theirs.against, ratio)


def _packed(link: PackedLink, block: int, size: _Size, clock: Clock) -> float:
    """Slots per second with all planes kept, block after block."""
    link.planes(0, block)  # compiles
    return _rate(lambda: link.planes(0, block), block, size.seconds, clock)


def _weak(km: float, size: _Size) -> float:
    """Pulses per second with the raw data of both parties kept."""
    stream = WeakStream(fibre(km), None, weak.SEED)
    start, part = stream.start(), round(1e7 * 10 ** (0.02 * km))
    stream.block(start, 1000)  # compiles
    return _rate(lambda: stream.block(start, part), part, size.seconds)


def _session_ms(sessions: int) -> float:
    """Median time from fresh seeds of the system to both halves of 100,000 pairs in memory."""
    times = []
    for _ in range(sessions):
        began = time.perf_counter()
        PackedLink(Protocol.E91, USUAL, Seeds.fresh()).planes(0, SESSION_PAIRS)
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


def _rate(
    work: Callable[[], object],
    slots: int,
    seconds: float = 0.0,
    clock: Clock = time.process_time,
) -> float:
    """Slots per second of the best run: of two, or of as many as fit into so many seconds."""
    best, until, runs = math.inf, time.perf_counter() + seconds, 0
    while runs < 2 or time.perf_counter() < until:
        began = clock()
        work()
        best, runs = min(best, clock() - began), runs + 1
    return slots / max(best, 1e-9)
