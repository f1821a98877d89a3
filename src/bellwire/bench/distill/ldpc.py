"""Reconciliation by low-density codes beside Cascade in the same run, on one core.

The rate is Bob's, who decodes; Alice's share is given as nanoseconds a bit. Half of Cascade's time,
which is alike at both sides, is a side's.
"""

import time
from typing import NamedTuple

import numpy as np

from bellwire.base.bits import PackedBits, binary_entropy
from bellwire.bench.model import Figure
from bellwire.distill.choice import reconciler
from bellwire.distill.reconciliation import Method

_QBER = 0.02
_CASCADE = "Cascade"


class _Cost(NamedTuple):
    """Of one key."""

    leaked: int
    first: int  # bits leaked before Bob asked for more
    needed: float
    rounds: int
    alice_s: float
    bob_s: float


def run(quick: bool = False) -> list[Figure]:
    """Measure efficiency, rate and rounds at 2 %, then at other error rates.

    Args:
        quick: Smaller keys and fewer of them.
    """
    bits, keys = (200_000, 1) if quick else (4_000_000, 3)
    figures = []
    for qber in (_QBER, 0.05) if quick else (_QBER, 0.01, 0.03, 0.05, 0.08):
        at = "" if qber == _QBER else f"_{100 * qber:.0f}pc"
        rng = np.random.default_rng(20)
        code = _summed(Method.LDPC, bits, keys, qber, rng)
        cascade = _summed(Method.CASCADE, bits, keys, qber, rng)
        rate, other = bits / code.bob_s, bits / (0.5 * (cascade.alice_s + cascade.bob_s))
        f, other_f = code.leaked / code.needed, cascade.leaked / cascade.needed
        figures += [
            Figure(f"ldpc_efficiency{at}", f, "× Shannon limit", _CASCADE, f / other_f),
            Figure(f"ldpc_efficiency_first{at}", code.first / code.needed, "× Shannon limit"),
            Figure(f"ldpc_rate{at}", rate, "bit/s", _CASCADE, rate / other),
            Figure(f"ldpc_alice_ns{at}", 1e9 * code.alice_s / bits, "ns"),
            Figure(
                f"ldpc_rounds{at}",
                code.rounds / keys,
                "messages of a side",
                _CASCADE,
                code.rounds / cascade.rounds,
            ),
        ]
    return figures


def _summed(method: Method, bits: int, keys: int, qber: float, rng: np.random.Generator) -> _Cost:
    """Leaks and rounds of some keys together, times of the fastest; one more compiles."""
    costs = [_reconcile(method, bits, qber, rng) for _ in range(1 + keys)][1:]
    return _Cost(
        sum(each.leaked for each in costs),
        sum(each.first for each in costs),
        sum(each.needed for each in costs),
        sum(each.rounds for each in costs),
        min(each.alice_s for each in costs),
        min(each.bob_s for each in costs),
    )


def _reconcile(method: Method, n: int, qber: float, rng: np.random.Generator) -> _Cost:
    alice = rng.integers(0, 2, n, np.uint8)
    errors = (rng.random(n) < qber).astype(np.uint8)
    keys = PackedBits.of(alice), PackedBits.of(alice ^ errors)
    seed = rng.bytes(32)
    spent = [0.0, 0.0]
    engines, messages = [], []
    for i, key in enumerate(keys):
        start = time.process_time()
        _, made = reconciler(method, key, (n,), qber, seed, corrects=i == 1)
        messages.append(made.first())
        spent[i] += time.process_time() - start
        engines.append(made)
    first = engines[0].leaked_bits
    while True:
        answers = []
        for i, engine in enumerate(engines):
            start = time.process_time()
            answers.append(engine.receive(messages[1 - i]))
            spent[i] += time.process_time() - start
        if answers[0] is None or answers[1] is None:
            break
        messages = [answers[0], answers[1]]
    if not np.array_equal(engines[0].corrected.words, engines[1].corrected.words):
        raise ArithmeticError("the reconciled keys differ")
    needed = n * binary_entropy(float(errors.mean()))
    return _Cost(engines[0].leaked_bits, first, needed, engines[0].rounds, *spent)
