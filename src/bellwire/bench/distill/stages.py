"""Each stage of distillation alone, on one core, beside the textbook's way in the same run.

Rates count bits that go in, a second of processor time; both sides of a reconciliation run here,
and a side's time is half of it. The stages are given again as nanoseconds a bit.
"""

import hmac
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bellwire.base.bits import Bits, PackedBits, binary_entropy
from bellwire.base.detections import Protocol
from bellwire.base.secret import Secret
from bellwire.bench.model import Figure
from bellwire.bench.textbook import row_by_row_toeplitz, textbook_cascade
from bellwire.crypto.one_time_mac import tag
from bellwire.distill import fourier
from bellwire.distill.amplification import amplify, seed_bits
from bellwire.distill.cascade import Cascade
from bellwire.distill.choices import Choices
from bellwire.distill.sifting import sift
from bellwire.distill.verification import HASH_KEY_BYTES, key_hash

QBER = 0.02
OTHERS = (0.01, 0.03, 0.05, 0.08)
SHRINK = 0.7  # secret bits per reconciled bit at 2 %, near enough

_SEED = 20
_TEXTBOOK = "textbook Cascade in Python"
_ROWS = "NumPy, row by row"
_FFT = "NumPy, real FFTs"
_INDEXED = "NumPy, boolean indexing and a shuffle"
_HMAC = "HMAC-SHA256 of the standard library"


class _Size(NamedTuple):
    """How much of each to run."""

    block: int  # bits of a block
    blocks: int
    plain: int  # bits of the textbook's block
    amplified: int  # bits of the key that is amplified
    others: tuple[int, ...]  # further sizes of it
    rows: int  # bits of the key hashed row by row
    qbers: tuple[float, ...]  # besides 2 %


_FULL = _Size(
    block=4_000_000,
    blocks=4,
    plain=100_000,
    amplified=2_000_000,
    others=(100_000, 1_048_576, 10_000_000),
    rows=100_000,
    qbers=OTHERS,
)
_QUICK = _Size(
    block=200_000,
    blocks=3,
    plain=20_000,
    amplified=200_000,
    others=(100_000,),
    rows=20_000,
    qbers=(0.05,),
)


class _Reconciled(NamedTuple):
    bits: int
    seconds: float  # of one side
    leaked: int
    needed: float  # n · h(errors / n), what Shannon asks for
    rounds: int


def run(quick: bool = False) -> list[Figure]:
    """Measure sifting, reconciliation, verification, amplification and authentication.

    Args:
        quick: Smaller blocks and fewer of them, for a first impression.
    """
    size = _QUICK if quick else _FULL
    rng = np.random.default_rng(_SEED)
    cascade = _cascade(size, rng)
    rates = [
        _sift(size, rng),
        cascade[1],
        _verify(size, rng),
        _amplify(size.amplified, size.rows, rng),
        _authenticate(size, rng),
    ]
    stages = [
        Figure(f"stage_{rate.name.removesuffix('_rate')}_ns", 1e9 / rate.value, "ns/bit")
        for rate in rates
    ]
    amplified = [
        Figure(f"amplify_rate_{bits:.0e}".replace("e+0", "e"), _amplified(bits, rng), "bit/s")
        for bits in size.others
    ]
    fft = _by_fourier(size.amplified, rng)
    return [cascade[0], *rates, *stages, *amplified, fft, *cascade[2:]]


def _cascade(size: _Size, rng: np.random.Generator) -> list[Figure]:
    """Efficiency and rate at 2 %, then efficiency, rate and rounds at other error rates."""
    _reconcile(size.block, QBER, rng)  # compiles
    efficiency, rate, rounds = _summed(size, QBER, rng)
    plain = _textbook(size.plain, rng)
    against = efficiency / (plain.leaked / plain.needed)
    figures = [
        Figure("cascade_efficiency", efficiency, "× Shannon limit", _TEXTBOOK, against),
        Figure("cascade_rate", rate, "bit/s", _TEXTBOOK, rate / (plain.bits / plain.seconds)),
        Figure("cascade_rounds", rounds, "messages of a side"),
    ]
    for qber in size.qbers:
        efficiency, rate, rounds = _summed(size, qber, rng)
        at = f"{100 * qber:.0f}pc"
        figures += [
            Figure(f"cascade_efficiency_{at}", efficiency, "× Shannon limit"),
            Figure(f"cascade_rate_{at}", rate, "bit/s"),
            Figure(f"cascade_rounds_{at}", rounds, "messages of a side"),
        ]
    return figures


def _summed(size: _Size, qber: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Efficiency of some blocks together, rate of the fastest, mean of their rounds."""
    ours = [_reconcile(size.block, qber, rng) for _ in range(size.blocks)]
    efficiency = sum(b.leaked for b in ours) / sum(b.needed for b in ours)
    return (
        efficiency,
        max(b.bits / b.seconds for b in ours),
        sum(b.rounds for b in ours) / len(ours),
    )


def _pair(n: int, qber: float, rng: np.random.Generator) -> tuple[Bits, Bits, float]:
    """Two keys with errors, and the Shannon limit of reconciling them."""
    alice = rng.integers(0, 2, n, np.uint8)
    errors = (rng.random(n) < qber).astype(np.uint8)
    return alice, alice ^ errors, n * binary_entropy(float(errors.mean()))


def _reconcile(n: int, qber: float, rng: np.random.Generator) -> _Reconciled:
    alice, bob, needed = _pair(n, qber, rng)
    seed = rng.bytes(32)
    packed_alice, packed_bob = PackedBits.of(alice), PackedBits.of(bob)
    start = time.process_time()
    a = Cascade(packed_alice, (n,), qber, seed, corrects=False)
    b = Cascade(packed_bob, (n,), qber, seed, corrects=True)
    from_a, from_b = a.first(), b.first()
    while True:
        next_a, next_b = a.receive(from_b), b.receive(from_a)
        if next_a is None or next_b is None:
            break
        from_a, from_b = next_a, next_b
    same = np.array_equal(a.corrected.words, b.corrected.words)
    seconds = time.process_time() - start
    if not same:
        raise ArithmeticError("the reconciled keys differ")
    return _Reconciled(n, seconds / 2, a.leaked_bits, needed, a.rounds)


def _textbook(n: int, rng: np.random.Generator) -> _Reconciled:
    alice, bob, needed = _pair(n, QBER, rng)
    start = time.process_time()
    result = textbook_cascade(alice, bob, QBER, seed=_SEED)
    return _Reconciled(n, (time.process_time() - start) / 2, result.leaked_bits, needed, 0)


def _sift(size: _Size, rng: np.random.Generator) -> Figure:
    """Bits of equal bases a second, from settings and outcomes of all common slots."""
    alice, bob, outcomes = (rng.integers(0, 2, 2 * size.block, np.uint8) for _ in range(3))
    packed = PackedBits.of(outcomes)
    bases = Choices(PackedBits.of(alice)), Choices(PackedBits.of(bob))
    sifted = int((alice == bob).sum())
    ours = _best(lambda: sift(Protocol.BB84, bases, packed, 0.2, bytes(32)), 10)

    def indexed() -> None:
        for basis in (0, 1):
            places = np.flatnonzero((alice == basis) & (bob == basis))
            places = rng.permutation(places)
            cut = round(0.2 * places.size)
            _ = outcomes[np.sort(places[:cut])], outcomes[np.sort(places[cut:])]

    theirs = _best(indexed, 1)
    return Figure("sift_rate", sifted / ours, "bit/s", _INDEXED, theirs / ours)


def _amplify(bits: int, rows: int, rng: np.random.Generator) -> Figure:
    ours = _amplified(bits, rng)
    small = int(SHRINK * rows)
    key = rng.integers(0, 2, rows, np.uint8)
    seed = rng.integers(0, 2, seed_bits(rows, small), np.uint8)
    theirs = rows / _best(lambda: row_by_row_toeplitz(key, seed, small), 1)
    return Figure("amplify_rate", ours, "bit/s", _ROWS, ours / theirs)


def _amplified(bits: int, rng: np.random.Generator) -> float:
    m = int(SHRINK * bits)
    key, seed = (PackedBits.of(rng.integers(0, 2, n, np.uint8)) for n in (bits, seed_bits(bits, m)))
    amplify(key, seed, m)  # compiles
    return bits / _best(lambda: amplify(key, seed, m), 10)


def _by_fourier(bits: int, rng: np.random.Generator) -> Figure:
    """What a portable way to amplify makes, beside which ours stands."""
    m = int(SHRINK * bits)
    key, seed = (
        PackedBits.of(rng.integers(0, 2, n, np.uint8)) for n in (bits - m, seed_bits(bits, m))
    )
    theirs = bits / _best(lambda: fourier.toeplitz(key, seed, m), 2)
    ours = _amplified(bits, rng)
    return Figure("amplify_vs_fft", ours / theirs, "times as fast", _FFT, ours / theirs)


def _verify(size: _Size, rng: np.random.Generator) -> Figure:
    key = PackedBits.of(rng.integers(0, 2, size.block, np.uint8))
    hash_key = rng.bytes(HASH_KEY_BYTES)
    ours = size.block / _best(lambda: key_hash(key, hash_key), 20)
    return Figure("verify_rate", ours, "bit/s")


def _authenticate(size: _Size, rng: np.random.Generator) -> Figure:
    """Bits of a transcript a second, one tag made."""
    message = rng.bytes(size.block // 8)
    key, pad = Secret(rng.bytes(16)), Secret(rng.bytes(16))
    ours = size.block / _best(lambda: tag(key, pad, message), 20)
    theirs = size.block / _best(lambda: hmac.digest(bytes(32), message, "sha256"), 20)
    return Figure("authenticate_rate", ours, "bit/s", _HMAC, ours / theirs)


def _best(work: Callable[[], object], repeats: int) -> float:
    """Shortest processor time of some repeats, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return max(min(times), 1e-9)
