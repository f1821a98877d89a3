"""Benchmarks of distillation, one core, each beside the textbook's way in the same run.

Rates count bits of the input key per second of processor time; both sides of a reconciliation
run here, so the rate of one side is over half of the time.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bellwire.base.bits import Bits, PackedBits, binary_entropy
from bellwire.bench.model import Figure
from bellwire.bench.textbook import row_by_row_toeplitz, textbook_cascade
from bellwire.distill.amplification import amplify, seed_bits
from bellwire.distill.cascade import Cascade
from bellwire.distill.reconciliation import ReconciliationBudget
from bellwire.distill.verification import HASH_KEY_BYTES, key_hash

QBER = 0.02
SHRINK = 0.7  # secret bits per reconciled bit at 2 %, near enough

_SEED = 20
_TEXTBOOK = "textbook Cascade in Python"
_ROWS = "NumPy, row by row"


class _Size(NamedTuple):
    """How much of each to run."""

    block: int  # bits of a block
    blocks: int
    plain: int  # bits of the textbook's block
    amplified: int  # bits of the key that is amplified
    rows: int  # bits of the key hashed row by row


_FULL = _Size(block=4_000_000, blocks=4, plain=100_000, amplified=2_000_000, rows=100_000)
_QUICK = _Size(block=200_000, blocks=4, plain=20_000, amplified=200_000, rows=20_000)


class _Reconciled(NamedTuple):
    bits: int
    seconds: float  # of one side
    leaked: int
    needed: float  # n · h(errors / n), what Shannon asks for


def run(quick: bool = False) -> list[Figure]:
    """Measure reconciliation, amplification and verification.

    Args:
        quick: Smaller blocks and fewer of them, for a first impression.
    """
    size = _QUICK if quick else _FULL
    rng = np.random.default_rng(_SEED)
    return [*_cascade(size, rng), _amplify(size, rng), _verify(size, rng)]


def _cascade(size: _Size, rng: np.random.Generator) -> list[Figure]:
    _reconcile(size.block, rng)  # compiles
    ours = [_reconcile(size.block, rng) for _ in range(size.blocks)]
    plain = _textbook(size.plain, rng)
    efficiency = sum(b.leaked for b in ours) / sum(b.needed for b in ours)
    rate = max(b.bits / b.seconds for b in ours)
    return [
        Figure(
            "cascade_efficiency",
            efficiency,
            "× Shannon limit",
            _TEXTBOOK,
            efficiency / (plain.leaked / plain.needed),
        ),
        Figure("cascade_rate", rate, "bit/s", _TEXTBOOK, rate / (plain.bits / plain.seconds)),
    ]


def _pair(n: int, rng: np.random.Generator) -> tuple[Bits, Bits, float]:
    """Two keys with errors, and the Shannon limit of reconciling them."""
    alice = rng.integers(0, 2, n, np.uint8)
    errors = (rng.random(n) < QBER).astype(np.uint8)
    return alice, alice ^ errors, n * binary_entropy(float(errors.mean()))


def _reconcile(n: int, rng: np.random.Generator) -> _Reconciled:
    alice, bob, needed = _pair(n, rng)
    seed = rng.bytes(32)
    budget = ReconciliationBudget(max_leaked_bits=n, max_rounds=100_000)
    packed_alice, packed_bob = PackedBits.of(alice), PackedBits.of(bob)
    start = time.process_time()
    a = Cascade(packed_alice, (n,), QBER, seed, corrects=False, budget=budget)
    b = Cascade(packed_bob, (n,), QBER, seed, corrects=True, budget=budget)
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
    return _Reconciled(n, seconds / 2, a.leaked_bits, needed)


def _textbook(n: int, rng: np.random.Generator) -> _Reconciled:
    alice, bob, needed = _pair(n, rng)
    start = time.process_time()
    result = textbook_cascade(alice, bob, QBER, seed=_SEED)
    return _Reconciled(n, (time.process_time() - start) / 2, result.leaked_bits, needed)


def _amplify(size: _Size, rng: np.random.Generator) -> Figure:
    def drawn(n: int) -> tuple[Bits, Bits, int]:
        m = int(SHRINK * n)
        return rng.integers(0, 2, n, np.uint8), rng.integers(0, 2, seed_bits(n, m), np.uint8), m

    key, seed, m = drawn(size.amplified)
    packed_key, packed_seed = PackedBits.of(key), PackedBits.of(seed)
    ours = key.size / _best(lambda: amplify(packed_key, packed_seed, m), 10)
    plain = drawn(size.rows)
    theirs = size.rows / _best(lambda: row_by_row_toeplitz(*plain), 1)
    return Figure("amplify_rate", ours, "bit/s", _ROWS, ours / theirs)


def _verify(size: _Size, rng: np.random.Generator) -> Figure:
    key = PackedBits.of(rng.integers(0, 2, size.block, np.uint8))
    hash_key = rng.bytes(HASH_KEY_BYTES)
    ours = size.block / _best(lambda: key_hash(key, hash_key), 20)
    return Figure("verify_rate", ours, "bit/s")


def _best(work: Callable[[], object], repeats: int) -> float:
    """Shortest processor time of some repeats, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return max(min(times), 1e-9)
