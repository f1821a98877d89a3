"""E91, BBM92 and BB84 up to the estimate: correlations, S and QBER of any number of slots.

All sifted bits are compared, none becomes key; what distillation would give is null. Slots are
streamed and only counted, so that memory does not depend on how many there are.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bellwire.base.angles import KEY_PAIRS
from bellwire.base.detections import Protocol
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.stream import SEED_BYTES
from bellwire.distill.bounds import EpsilonBudget
from bellwire.distill.errors import ParameterError
from bellwire.distill.estimation import Correlations, ErrorRate
from bellwire.distill.evidence import Evidence
from bellwire.distill.report import ASSUMPTIONS
from bellwire.distill.verdict import Rules
from bellwire.lab.experiment import assumed, predict_light
from bellwire.lab.quantities import Measured, Prediction, Quantity
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve
from bellwire.link.packed import PackedLink, Seeds, check_slots, is_ideal
from bellwire.link.pair_law import check_source
from bellwire.link.pair_stream import CoincidenceStream
from bellwire.link.pairs import PairSource
from bellwire.link.weak import check_pulses

STEPS = 200
"""Parts of a run after which its progress is told, at least."""

LONGEST_STEP = 1 << 30
"""Slots between two reports of progress at most: about a second."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """What to run.

    Attributes:
        protocol: E91, BBM92 or BB84.
        pulses: Pulses, pairs or windows: 1 to 10¹³ of an ideal link, else to 10¹⁵.
        config: The link.
        source: Of pairs, several of which may come in a window; None for one pair in each.
        eve: Who is on it.
        seed: Makes the run reproducible; None draws from the operating system.
        epsilon: Total ε, of which the judgement spends its part.
        red_qber: Runs from this QBER on are rejected.
        chsh_floor: Runs with S below this are rejected.

    Raises:
        ParameterError: a value outside its range, by name.
    """

    protocol: Protocol
    pulses: int
    config: LinkConfig = field(default_factory=LinkConfig)
    source: PairSource | None = None
    eve: Eve | None = None
    seed: int | None = None
    epsilon: float = 1e-10
    red_qber: float = 0.11
    chsh_floor: float = 2.2

    def __post_init__(self) -> None:
        check_source(self.protocol, self.source)
        self.config.detectors.refuse_for("in an estimate")
        if self.packed:
            check_slots(self.pulses)
        else:
            check_pulses(self.pulses)
        if self.seed is not None and not 0 <= self.seed < 1 << 64:
            raise ParameterError(f"seed: expected 0 to 2^64 - 1, got {self.seed}")
        if self.eve is not None:
            self.eve.check(self.protocol)
        EpsilonBudget.divide(self.epsilon)
        Rules(self.red_qber, self.chsh_floor)

    @property
    def packed(self) -> bool:
        """Whether every slot is detected, so that bit planes hold them all."""
        return self.source is None and is_ideal(self.protocol, self.config)


@dataclass(frozen=True, slots=True)
class Counted:
    """What an engine counted.

    Attributes:
        slots: (settings, settings, 2, 2) int64: slots that both sides have, by Alice's setting,
            Bob's, her outcome, his.
        eve_known_bits: Sifted bits that Eve knows; None where her own data are not kept.
    """

    slots: NDArray[np.int64]
    eve_known_bits: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What came of it; the fields that are not below are those of `experiment.Result`.

    Attributes:
        sifted_bits: All of them compared.
        qber, qber_stderr: Of these.
        chsh, chsh_stderr: S; E91 only.
        until: `estimate`.
        detections: Slots that both sides registered.
        expected_qber, expected_chsh: What theory gives for this link and this Eve.
        eve_known_bits: Sifted bits that Eve knows once bases are public; None where there is no
            Eve, or her own data are not kept.
    """

    protocol: str
    engine: str
    seed: int | None
    pulses: int
    detections: int
    sifted_bits: int
    qber: float | None
    qber_stderr: float | None
    chsh: float | None
    chsh_stderr: float | None
    reconciliation: None
    secret_bits: None
    secret_rate_bps: None
    epsilon: None
    eve: dict[str, Any] | None
    verdict: str
    reason: str | None
    keys_match: None
    wall_s: float
    correlations: list[dict[str, float]]
    assumptions: tuple[str, ...]
    until: str
    expected_qber: float | None
    expected_chsh: float | None
    eve_known_bits: int | None

    def measured(self) -> dict[Quantity, Measured]:
        """What was measured, each with its standard error; no key was made."""
        return {
            Quantity.QBER: (self.qber, self.qber_stderr),
            Quantity.CHSH: (self.chsh, self.chsh_stderr),
            Quantity.KEY: (None, None),
        }

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return asdict(self)


def run(what: Counting, progress: Progress | None = None) -> Statistics:
    """Stream all slots, and say what their statistics show.

    Args:
        what: What to run.
        progress: Called with the number of further slots that are done.
    """
    began = time.perf_counter()
    counted = count(what, progress or (lambda _slots: None))
    evidence = _evidence(what.protocol, counted.slots)
    budget = EpsilonBudget.divide(what.epsilon)
    rejection = evidence.judge(Rules(what.red_qber, what.chsh_floor), budget)
    figures, expected = evidence.figures(budget), predict(what)
    return Statistics(
        protocol=what.protocol.value,
        engine="fast",
        seed=what.seed,
        pulses=what.pulses,
        detections=int(counted.slots.sum()),
        sifted_bits=evidence.sample.bits,
        qber=figures.get("qber"),
        qber_stderr=figures.get("qber_stderr"),
        chsh=figures.get("chsh"),
        chsh_stderr=figures.get("chsh_stderr"),
        reconciliation=None,
        secret_bits=None,
        secret_rate_bps=None,
        epsilon=None,
        eve=None if what.eve is None else {"kind": what.eve.kind.value, "share": what.eve.share},
        verdict="accept" if rejection is None else "abort",
        reason=None if rejection is None else rejection.message,
        keys_match=None,
        wall_s=time.perf_counter() - began,
        correlations=figures.get("correlations", []),
        assumptions=ASSUMPTIONS[what.protocol] + assumed(what.protocol, what.source),
        until="estimate",
        expected_qber=expected.qber,
        expected_chsh=expected.chsh,
        eve_known_bits=counted.eve_known_bits,
    )


def predict(what: Counting) -> Prediction:
    """Closed forms of theory; the key's is that of blocks that are distilled."""
    return predict_light(what.protocol, what.config, what.source, what.eve)


def count(what: Counting, progress: Progress) -> Counted:
    """Let the engine count that is made for such a link: bit planes, or a table of coincidences."""
    if what.packed:
        return _packed(what, progress)
    light = what.config, what.source, what.eve
    stream = CoincidenceStream(what.protocol, *light, _seeds(what.seed).noise)
    state, step = stream.start(), -(-what.pulses // STEPS)
    while state.pulses < what.pulses:
        part = min(step, what.pulses - state.pulses)
        state = stream.advance(state, part)
        progress(part)
    return Counted(stream.counts(state), None)


def _packed(what: Counting, progress: Progress) -> Counted:
    link = PackedLink(what.protocol, what.config, _seeds(what.seed), what.eve)
    state, step = link.start(), min(LONGEST_STEP, -(-what.pulses // STEPS))
    while state.slots < what.pulses:
        part = min(step, what.pulses - state.slots)
        state = link.advance(state, part)
        progress(part)
    return Counted(link.counts(state), state.known if link.keeps_eve else None)


def _seeds(seed: int | None) -> Seeds:
    if seed is None:
        return Seeds.fresh()
    root = seed.to_bytes(16, "big")
    alice, bob, noise = (
        hkdf(root, info=b"lab estimate " + whose, length=SEED_BYTES)
        for whose in (b"alice", b"bob", b"noise")
    )
    return Seeds(alice, bob, noise)


def _evidence(protocol: Protocol, slots: NDArray[np.int64]) -> Evidence:
    """The counts as the judges of a block take them."""
    pairs, different = slots.sum(axis=(2, 3)), slots[:, :, 0, 1] + slots[:, :, 1, 0]
    alike = KEY_PAIRS if protocol is Protocol.E91 else ((0, 0), (1, 1))
    first, second = (ErrorRate(int(different[at]), int(pairs[at])) for at in alike)
    correlations = Correlations(pairs, different) if protocol.judged_on_chsh else None
    return Evidence(protocol, (first, second), correlations)
