"""All figures of `bench distill`, in the order in which they are read."""

from typing import NamedTuple

from bellwire.base.detections import Side
from bellwire.base.memory import keep_freed_memory
from bellwire.bench.distill import block, ldpc, light, stages, start, wire
from bellwire.bench.distill.side import Done, Job
from bellwire.bench.model import Figure
from bellwire.distill.reconciliation import Method

_CORES = 2
"""Of the machine that the goal is set for; a party's rate is that of so many."""


class _Size(NamedTuple):
    """How much of each to run."""

    detections: int  # of a block
    rectilinear: float  # share of the preferred basis
    repeats: int
    blocks: int  # between two processes
    in_flight: int
    far_detections: int  # of a block over a latency
    far_blocks: int
    latencies_ms: tuple[int, ...]
    qbers: tuple[float, ...]  # besides 2 %


_FULL = _Size(
    detections=16_000_000,
    rectilinear=0.87,
    repeats=3,
    blocks=6,
    in_flight=3,
    far_detections=2_000_000,
    far_blocks=4,
    latencies_ms=(0, 50, 200),
    qbers=stages.OTHERS,
)
_QUICK = _Size(
    detections=400_000,
    rectilinear=0.75,
    repeats=1,
    blocks=2,
    in_flight=2,
    far_detections=300_000,
    far_blocks=1,
    latencies_ms=(1,),
    qbers=(0.05,),
)


def run(quick: bool = False) -> list[Figure]:
    """Measure everything.

    Args:
        quick: Smaller blocks and fewer of them, for a first impression.
    """
    size = _QUICK if quick else _FULL
    figures = [*stages.run(quick), *ldpc.run(quick)]
    whole = _block(size, stages.QBER)
    figures = [whole[0], *figures, *whole[1:]]
    for qber in size.qbers:
        rate = _block(size, qber)[0]
        figures.append(Figure(f"{rate.name}_{100 * qber:.0f}pc", rate.value, rate.unit))
    figures += _wire(size)
    for latency in size.latencies_ms:
        for method in Method:
            figures += _far(size, latency, method)
    return [*figures, *start.run()]


def _block(size: _Size, qber: float) -> list[Figure]:
    """A party's rate, then what goes with it."""
    keep_freed_memory()  # as a node does
    halves = light.halves(size.detections, qber, size.rectilinear, seed=1)
    block.run(halves, size.detections, size.rectilinear)  # compiles, and has its memory given
    costs = [block.run(halves, size.detections, size.rectilinear) for _ in range(size.repeats)]
    secret = costs[0].report.secret_bits
    each = {side: min(cost.seconds[side] for cost in costs) / secret for side in Side}
    return [
        Figure("secret_rate_per_party", _CORES / max(each.values()), "bit/s"),
        *(Figure(f"core_ns_per_secret_bit_{side}", 1e9 * each[side], "ns") for side in Side),
        Figure("wire_bytes_per_secret_bit", costs[0].wire_bytes / secret, "B"),
        Figure("sifting_bits_per_detection", _sifting_bits(costs[0]), "bit"),
    ]


def _sifting_bits(cost: block.Cost) -> float:
    return 8 * cost.report.sifting_bytes / cost.report.detected


def _wire(size: _Size) -> list[Figure]:
    done = wire.run(
        Job(size.detections, stages.QBER, size.rectilinear, size.blocks, size.in_flight)
    )
    return [
        Figure("end_to_end_rate", done.secret_bits / done.seconds, "bit/s"),
        Figure("end_to_end_core_ns", 1e9 * done.core_seconds / done.secret_bits, "ns"),
        Figure("end_to_end_memory_mb", done.peak_memory_mb, "MB"),
    ]


def _far(size: _Size, latency_ms: int, method: Method) -> list[Figure]:
    done: Done = wire.run(
        Job(
            size.far_detections,
            stages.QBER,
            size.rectilinear,
            size.far_blocks,
            size.far_blocks,
            method,
        ),
        latency_ms / 1e3,
    )
    at = f"latency_{latency_ms}ms_{method}"
    return [
        Figure(f"{at}_rate", done.secret_bits / done.seconds, "bit/s"),
        Figure(f"{at}_rounds", done.rounds, "messages of a side"),
        Figure(f"{at}_wire_bytes_per_secret_bit", done.wire_bytes / done.secret_bits, "B"),
        Figure(f"{at}_memory_mb", done.peak_memory_mb, "MB"),
    ]
