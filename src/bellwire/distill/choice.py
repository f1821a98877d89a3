"""Which way of reconciling a block is the better one, by a stated rule.

Cascade leaks the least and computes the least, but talks for hundreds of rounds. Low-density codes
need two to ten rounds, leak a tenth to a third of Shannon's limit more and compute ten times as
long. Photons are dear, and while one block waits another can go on: so it is Cascade as long as a
block's rounds take no more than `PATIENCE_S`. Beyond that the rule takes what gives more secret
bits a second, for a block that has the channel to itself:

    secret bits / (rounds · one-way latency + key bits · time a bit)

with the secret bits n·(1 - h(q)) - leak, whatever else the finite-key bound takes. The figures of
both are measured (docs/explanation/reconciliation.md); between them lines are drawn. Only the side
that opens a block applies the rule, so the other need not agree on the figures.
"""

from dataclasses import dataclass, replace

import numpy as np

from bellwire.base.bits import PackedBits, binary_entropy
from bellwire.distill.ldpc_code import plan
from bellwire.distill.reconciliation import Method, Reconciler
from bellwire.distill.report import BlockReport

PATIENCE_S = 5.0
"""How long the rounds of a block may take before bits are given up for time."""

_RATES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.11)


@dataclass(frozen=True, slots=True)
class _Figures:
    """Of a method at the error rates `_RATES`: efficiency, rounds and ns a bit (of Bob)."""

    efficiency: tuple[float, ...]
    rounds: tuple[float, ...]
    time_ns: tuple[float, ...]


_MEASURED = {
    Method.CASCADE: _Figures(
        (1.04, 1.04, 1.04, 1.05, 1.06, 1.08, 1.09),
        (251, 244, 253, 325, 281, 460, 896),
        (1.5, 1.9, 2.2, 2.9, 3.5, 5.0, 7.4),
    ),
    Method.LDPC: _Figures(
        (1.36, 1.20, 1.14, 1.12, 1.11, 1.10, 1.10),
        (4, 4, 6, 5, 4, 3, 3),
        (49, 22, 28, 29, 25, 19, 19),
    ),
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is known of a link before a block.

    Attributes:
        round_trip_s: Of the classical channel.
        key_bits: That the block will probably have.
        qber: Their probable error rate.
    """

    round_trip_s: float = 0.0
    key_bits: int = 100_000
    qber: float = 0.02

    def after(self, report: BlockReport) -> "Conditions":
        """What is known after a block: the next key will be like its own, if it had any."""
        if not report.key_bits or report.qber is None:
            return self
        return replace(self, key_bits=report.key_bits, qber=report.qber)


def choose(conditions: Conditions) -> Method:
    """Cascade within `PATIENCE_S`, then the method that gives more secret bits a second.

    Where neither gives any, or there is no code for such a key, it is Cascade.
    """
    rounds = float(np.interp(conditions.qber, _RATES, _MEASURED[Method.CASCADE].rounds))
    if rounds * conditions.round_trip_s / 2.0 <= PATIENCE_S:
        return Method.CASCADE
    if plan(conditions.key_bits, conditions.qber) is None:
        return Method.CASCADE
    return max(Method, key=lambda method: _secret_rate(method, conditions))


def _secret_rate(method: Method, conditions: Conditions) -> float:
    """Secret bits a second, 0 if there are none."""
    q, n = conditions.qber, conditions.key_bits
    efficiency, rounds, time_ns = (
        float(np.interp(q, _RATES, figures))
        for figures in (
            _MEASURED[method].efficiency,
            _MEASURED[method].rounds,
            _MEASURED[method].time_ns,
        )
    )
    secret = n * (1.0 - (1.0 + efficiency) * binary_entropy(q))
    seconds = rounds * conditions.round_trip_s / 2.0 + n * time_ns * 1e-9
    return max(0.0, secret / seconds)


def reconciler(
    method: Method,
    key: PackedBits,
    parts: tuple[int, ...],
    qber: float,
    public_seed: bytes,
    *,
    corrects: bool,
) -> tuple[Method, Reconciler]:
    """The engine of a method, or Cascade's where a code was named and none fits this key.

    Arguments are as of `Cascade` and `Ldpc`; both sides fall back alike, as key size and estimate
    are public.

    Returns:
        Which method it is, and the engine.
    """
    from bellwire.distill.cascade import Cascade  # noqa: PLC0415 - bring the kernels
    from bellwire.distill.ldpc import Ldpc  # noqa: PLC0415

    if method is Method.LDPC and plan(key.size, qber) is not None:
        return method, Ldpc(key, parts, qber, public_seed, corrects=corrects)
    cascade = Cascade(key, parts, qber, public_seed, corrects=corrects)
    return Method.CASCADE, cascade
