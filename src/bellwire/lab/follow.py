"""One block from light to key, with every number on the way.

Both sides' real sessions run over a wire that keeps a copy. What is told is what their reports say,
and what `overheard` works out of the copy; where both know a number, they must agree. No key bit is
among it: of the key there is its length, and whether both sides have the same.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from bellwire.base.angles import KEY_PAIRS
from bellwire.base.bits import binary_entropy
from bellwire.base.detections import Protocol, Side
from bellwire.distill.amplification import seed_bits
from bellwire.distill.bounds import EpsilonBudget, lower_mean, upper_mean
from bellwire.distill.errors import ParameterError
from bellwire.distill.estimation import COMPLEMENT, Correlations, ErrorRate
from bellwire.distill.layout import Layout, layout
from bellwire.distill.reconciliation import Method
from bellwire.distill.report import BlockReport
from bellwire.lab.experiment import Experiment, distil_halves, halves, opening, seeds
from bellwire.lab.overheard import PARTS, FirstSlot, Overheard, Round, Tap

SHOWN_SLOTS = 12
"""How many of the first common slots are told of."""

SHOWN_PARITIES = 32
"""How many parities of the opening, less than any opening has."""

_NAMES = ("Open", "Received", "Announced", "Tested", "Decided")
_LAST = ("Proof", "Tagged", "Stored")


@dataclass(frozen=True, slots=True)
class Message:
    """A step: what each side sent, in bytes of its body."""

    step: int
    name: str
    alice_bytes: int
    bob_bytes: int


@dataclass(frozen=True, slots=True)
class Compared:
    """Opened bits of one basis.

    Attributes:
        name: Of the basis.
        bits: Compared.
        errors: Among them.
        qber: Their share, with its standard error.
        stderr: See above.
        lower, upper: Limits of the error rate, each wrong with probability ε₁.
    """

    name: str
    bits: int
    errors: int
    qber: float
    stderr: float
    lower: float
    upper: float

    @classmethod
    def of(cls, name: str, rate: ErrorRate, epsilon: float) -> "Compared":
        """From what was counted; each limit may be wrong with probability `epsilon`."""
        limits = (limit(rate.value, rate.bits, epsilon) for limit in (lower_mean, upper_mean))
        return cls(name, rate.bits, rate.errors, rate.value, rate.stderr, *limits)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the key, and what the bound leaves of it.

    Attributes:
        name: Its basis, or its settings.
        bits: n.
        errors: Found by reconciliation.
        observed: Share of phase errors that the opened outcomes show.
        phase_error: e, the upper limit of it.
        left: n·(1 − h(e)).
    """

    name: str
    bits: int
    errors: int
    observed: float
    phase_error: float
    left: float


@dataclass(frozen=True, slots=True)
class Stage:
    """How many bits, or slots, are left after a stage."""

    name: str
    left: float


@dataclass(frozen=True, slots=True)
class Spent:
    """A part of ε: what it is for, and how likely that fails."""

    name: str
    epsilon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A block, followed; what it did not come to is empty or None.

    Attributes:
        experiment: What was run.
        report: Alice's; Bob's says the same.
        messages: All steps.
        first_slots: What became of the first common slots.
        cells: Common slots by both settings, as `[alice, bob, slots]`.
        compared: Opened bits of each basis; none in E91.
        method: Of reconciliation.
        expected_qber: What it prepares for.
        layout: Frames and blocks of Cascade; None where every bit is said, and of codes.
        first_parities: Of Alice's opening and of Bob's, as digits; None without a layout.
        rounds: Of reconciliation.
        parts: Of the key.
        amplification_cost: 2·log₂(1 / 2ε_PA), bits.
        stages: What is left after each stage, pulses first.
        collision: Limit of the probability that different keys verify.
        seed_bits: Of amplification.
        epsilon: Where ε goes; empty unless accepted.
        keys_match: Whether both sides' keys are equal; None if there are none.
    """

    experiment: Experiment
    report: BlockReport
    messages: tuple[Message, ...]
    first_slots: tuple[FirstSlot, ...] = ()
    cells: tuple[tuple[int, int, int], ...] = ()
    compared: tuple[Compared, ...] = ()
    method: Method | None = None
    expected_qber: float | None = None
    layout: Layout | None = None
    first_parities: tuple[str, str] | None = None
    rounds: tuple[Round, ...] = ()
    parts: tuple[Part, ...] = ()
    amplification_cost: float = 0.0
    stages: tuple[Stage, ...] = ()
    collision: float | None = None
    seed_bits: int = 0
    epsilon: tuple[Spent, ...] = ()
    keys_match: bool | None = None

    @property
    def protocol(self) -> Protocol:
        """Of the block."""
        return self.experiment.protocol

    @property
    def budget(self) -> EpsilonBudget:
        """How ε is divided."""
        return EpsilonBudget.divide(self.experiment.epsilon)

    def step(self, name: str) -> Message | None:
        """The step of this name, the first if there are several; None if it was not reached."""
        return next((each for each in self.messages if each.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        document = asdict(self)
        given = self.experiment
        document["experiment"] = {
            "protocol": given.protocol.value,
            "pulses": given.pulses,
            "seed": given.seed,
            "misalignment": given.config.misalignment,
            "km": given.config.fibre_km,
            "sample_share": given.sample_share,
            "epsilon": given.epsilon,
            "eve": None if given.eve is None else [given.eve.kind.value, given.eve.share],
        }
        return document


def follow(experiment: Experiment) -> Followed:
    """Run a block and follow it.

    Raises:
        ParameterError: an Eve in the middle, who makes two blocks of it.
    """
    if experiment.middle is not None:
        raise ParameterError("eve: expected one on the light here, got one in the middle")
    seed, tap = seeds(experiment.seed), Tap()
    outcome = distil_halves(experiment, *halves(experiment, seed), seed, tap)
    report = outcome.reports[Side.ALICE]
    _agree("both reports", report.to_dict(), outcome.reports[Side.BOB].to_dict())
    said = tap.said
    messages = tuple(
        Message(step, _name(step, report), len(alice), len(bob))
        for step, (alice, bob) in enumerate(zip(*(said[side] for side in Side), strict=True))
    )
    if len(messages) <= _NAMES.index("Tested"):
        return Followed(experiment=experiment, report=report, messages=messages)
    heard = Overheard(opening(experiment), said)
    _agree("common slots", heard.slots.size, report.detected)
    told: dict[str, Any] = _sifting(heard, experiment)
    if heard.accepted:
        told |= _distillation(heard, experiment, report)
    if report.accepted:
        told["collision"] = report.epsilon_correctness
        told["seed_bits"] = seed_bits(report.key_bits, report.extracted_bits)
        told["epsilon"] = _epsilon(experiment, report)
        told["keys_match"] = outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
    return Followed(experiment=experiment, report=report, messages=messages, **told)


def _agree(what: str, here: object, reported: object) -> None:
    """A page that tells something else than the sessions is worse than none."""
    if here != reported:
        raise RuntimeError(f"{what}: the wire says {here}, the sessions {reported}")


def _name(step: int, report: BlockReport) -> str:
    if step < len(_NAMES):
        return _NAMES[step]
    # The last steps follow reconciliation, whose first message is in the last of `_NAMES`.
    after = step - (len(_NAMES) - 1) - report.rounds
    return "parities" if not report.rounds or after < 0 else _LAST[after]


def _sifting(heard: Overheard, experiment: Experiment) -> dict[str, Any]:
    budget = EpsilonBudget.divide(experiment.epsilon)
    rates = zip(PARTS[experiment.protocol], heard.evidence.samples, strict=True)
    compared = (Compared.of(name, rate, budget.estimation) for name, rate in rates if rate.bits)
    return {
        "first_slots": heard.first_slots(SHOWN_SLOTS),
        "cells": tuple((a, b, slots) for (a, b), slots in heard.cells().items()),
        "compared": tuple(compared),
        "stages": (
            Stage("sent", experiment.pulses),
            Stage("detected", heard.slots.size),
            Stage("sifted", heard.evidence.sample.bits + heard.sifted.key.size),
        ),
    }


def _distillation(heard: Overheard, experiment: Experiment, report: BlockReport) -> dict[str, Any]:
    method, engine = heard.engine()
    rounds = tuple(heard.rounds(method, engine))
    expected = heard.estimate
    plan = layout(heard.sifted.key.size, expected) if method is Method.CASCADE else None
    told: dict[str, Any] = {
        "method": method,
        "expected_qber": expected,
        "layout": plan,
        "first_parities": None if plan is None else heard.first_parities(SHOWN_PARITIES),
        "rounds": rounds,
    }
    if not report.key_bits:
        return told  # reconciliation came to no end
    _agree("bits of the key", heard.sifted.key.size, report.key_bits)
    _agree("method", method, report.reconciliation)
    _agree("leaked bits", engine.leaked_bits, report.leaked_bits)
    _agree("rounds", engine.rounds, report.rounds)
    if not report.phase_errors:
        return told
    parts = tuple(
        Part(name, bits, errors, observed, e, _left(bits, e))
        for name, bits, errors, observed, e in zip(
            PARTS[experiment.protocol],
            heard.sifted.parts,
            engine.errors,
            _observed(heard),
            report.phase_errors,
            strict=True,
        )
        if bits
    )
    budget = EpsilonBudget.divide(experiment.epsilon)
    cost = 2.0 * math.log2(1.0 / (2.0 * budget.amplification))
    told |= {"parts": parts, "amplification_cost": cost}
    left = [report.key_bits, sum(part.left for part in parts)]
    for taken in (report.leaked_bits, report.verification_bits, cost, report.authentication_bits):
        left.append(left[-1] - taken)
    _agree("length", max(0, math.floor(left[4])), report.extracted_bits)
    left[4:] = report.extracted_bits, report.extracted_bits - report.authentication_bits
    names = ("key", "phase errors", "leaked", "verification", "amplification", "tags")
    stages = zip(names, left, strict=True)
    told["stages"] = _sifting(heard, experiment)["stages"] + tuple(
        Stage(name, max(0.0, bits)) for name, bits in stages
    )
    return told


def _left(bits: int, phase_error: float) -> float:
    return bits * (1.0 - binary_entropy(phase_error)) if phase_error < 0.5 else 0.0


def _observed(heard: Overheard) -> tuple[float, ...]:
    """Phase error rate of each part as the opened outcomes show it, before any limit."""
    correlations = heard.evidence.correlations
    if correlations is None:
        return tuple(rate.value for rate in reversed(heard.evidence.samples))
    return tuple(complementary(correlations, pair) for pair in KEY_PAIRS)


def complementary(correlations: Correlations, pair: tuple[int, int]) -> float:
    """½(1 − E) in the complement of a key setting, from the two correlations that give it."""
    total = sum(sign * correlations.value(a, b) for (a, b), sign in COMPLEMENT[pair])
    return 0.5 * (1.0 - total / math.sqrt(2.0))


def _epsilon(experiment: Experiment, report: BlockReport) -> tuple[Spent, ...]:
    assert report.epsilon_correctness is not None
    assert report.epsilon_authentication is not None
    budget = EpsilonBudget.divide(experiment.epsilon)
    _agree("secrecy", budget.secrecy, report.epsilon_secrecy)
    return (
        Spent("secrecy: four limits of correlations", 4 * budget.estimation),
        Spent("secrecy: twice the smoothing", 2 * budget.smoothing),
        Spent("secrecy: amplification", budget.amplification),
        Spent("correctness: verification", report.epsilon_correctness),
        Spent("authentication: four tags", report.epsilon_authentication),
    )
