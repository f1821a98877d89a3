"""Decoy states in the lab to the key: the light and the sessions of two nodes, in one process.

Alice's and Bob's choices come from seeds of their own, as in a node (`link.weak_nodes`). What an
experiment up to the estimate has beyond this, Bob's monitors and detectors blind one by one, is
refused here by name: no block knows of the first, and no proof of the second.
"""

import math
import time
from dataclasses import dataclass, field

from bellwire.base.bits import binary_entropy
from bellwire.base.decoys import Decoys
from bellwire.base.detections import Protocol, Side
from bellwire.base.limits import MAX_DETECTIONS, MAX_PULSES
from bellwire.distill.bounds import EpsilonBudget
from bellwire.distill.errors import ParameterError
from bellwire.distill.messages import TICKET_BYTES, VERSION, Open
from bellwire.distill.verdict import Rules
from bellwire.lab.experiment import Result, public_reader, seeds
from bellwire.lab.pair import PairOutcome, derive_authentication, distil
from bellwire.lab.quantities import Prediction
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve
from bellwire.link.weak_law import joint_law
from bellwire.link.weak_nodes import WeakLink
from bellwire.link.weak_theory import click_rate, closed, decoy_bounds, expected


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoyExperiment:
    """A block of decoy states to be distilled.

    Attributes:
        pulses: 1 to 2²⁷, with at most 2²⁴ detections to be expected.
        config: The link; three intensities, a dead time common to both detectors.
        eve: Who is on it.
        seed: Makes the run reproducible; None draws from the operating system.
        epsilon: Total ε.
        red_qber: Blocks from this QBER on are rejected.

    Raises:
        ParameterError: a value outside its range, by name.
    """

    pulses: int
    config: WeakConfig = field(default_factory=WeakConfig)
    eve: WeakEve | None = None
    seed: int | None = None
    epsilon: float = 1e-10
    red_qber: float = 0.11

    def __post_init__(self) -> None:
        if not 1 <= self.pulses <= MAX_PULSES:
            raise ParameterError(f"pulses: expected 1 to {MAX_PULSES} to a key, got {self.pulses}")
        if self.config.protocol is not Protocol.DECOY:
            raise ParameterError(
                f"intensities: expected three to a key, got {len(self.config.intensities)}"
            )
        if self.config.dead_time is not DeadTime.COMMON:
            raise ParameterError(
                "dead_time: expected common to a key, since a detector that is blind by itself "
                f"betrays the bit, got {self.config.dead_time}"
            )
        if self.seed is not None and not 0 <= self.seed < 1 << 64:
            raise ParameterError(f"seed: expected 0 to 2^64 - 1, got {self.seed}")
        law = joint_law(self.config, self.eve)
        detections = self.pulses * float(law[:, 1:].sum())
        if detections > MAX_DETECTIONS:
            raise ParameterError(
                f"pulses: expected at most {MAX_DETECTIONS} detections to a key, got "
                f"{detections:.0f} from {self.pulses}"
            )
        EpsilonBudget.divide(self.epsilon)
        Rules(self.red_qber)

    @property
    def opening(self) -> Open:
        """The message with which both sides begin the block."""
        (mu, nu, omega), (signal, decoy, vacuum) = self.config.intensities, self.config.shares
        return Open(
            VERSION,
            1,
            False,
            Protocol.DECOY,
            self.pulses,
            bytes(TICKET_BYTES),
            0.2,  # of bases that are both key: not asked for here
            self.epsilon,
            self.red_qber,
            2.2,  # of S: not asked for here
            self.config.rectilinear,
            Decoys((mu, nu, omega), (signal, decoy, vacuum)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoyResult(Result):
    """What came of a block of decoy states.

    Attributes:
        intensities: What each intensity showed, signal first (`distill.decoys.DecoySample.table`).
        vacuum_bits: At least so many key bits came from empty pulses.
        single_photon_bits: At least so many came from single photons; None where none were asked.
        phase_error: Upper limit of these photons' phase error rate.
    """

    intensities: list[dict[str, float]]
    vacuum_bits: float | None
    single_photon_bits: float | None
    phase_error: float | None


def run(experiment: DecoyExperiment) -> DecoyResult:
    """Send the light, distil it, and say what came of it."""
    began = time.perf_counter()
    outcome = distilled(experiment)
    report, accepted = outcome.reports[Side.ALICE], outcome.accepted
    secret_bits = report.secret_bits if accepted else 0
    eve = experiment.eve
    return DecoyResult(
        protocol=Protocol.DECOY.value,
        engine="fast",
        seed=experiment.seed,
        pulses=experiment.pulses,
        detections=report.detected,
        sifted_bits=report.sifted_bits,
        qber=report.qber,
        qber_stderr=report.qber_stderr,
        qber_limits=report.qber_limits,
        chsh=None,
        chsh_stderr=None,
        reconciliation=(
            {
                "method": report.reconciliation,
                "leaked_bits": report.leaked_bits,
                "efficiency": report.efficiency,
                "rounds": report.rounds,
            }
            if report.key_bits
            else None
        ),
        secret_bits=secret_bits,
        secret_rate_bps=secret_bits * experiment.config.pulse_rate_hz / experiment.pulses,
        epsilon=report.epsilon,
        eve=None if eve is None else {"kind": eve.kind.value, "share": eve.share},
        verdict="accept" if accepted else "abort",
        reason=report.message,
        keys_match=(
            outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
            if len(outcome.secrets) == 2
            else None
        ),
        wall_s=time.perf_counter() - began,
        correlations=[],
        assumptions=report.assumptions,
        epsilon_secrecy=report.epsilon_secrecy,
        epsilon_correctness=report.epsilon_correctness,
        epsilon_authentication=report.epsilon_authentication,
        intensities=report.intensities,
        vacuum_bits=report.vacuum_bits,
        single_photon_bits=report.single_photon_bits,
        phase_error=report.phase_errors[0] if report.phase_errors else None,
    )


def distilled(experiment: DecoyExperiment) -> PairOutcome:
    """Send the light of an experiment and distil it."""
    seed = seeds(experiment.seed)
    choices = seed("alice"), seed("bob"), seed("noise")
    link = WeakLink(experiment.config, experiment.eve, *choices)
    alice, bob, _ = link.block(link.start(), experiment.pulses)
    return distil(
        dict.fromkeys(Side, experiment.opening),
        {Side.ALICE: alice, Side.BOB: bob},
        dict.fromkeys(Side, derive_authentication(seed("authentication"))),
        {side: public_reader(seed(f"public {side}")) for side in Side},
    )


def predict(what: DecoyExperiment) -> Prediction:
    """QBER of all sifted bits, and the key of long blocks; nothing where there is no closed form.

    The key is p²·{Σ_k P_k·[k e^−k Y₁(1 − h(e₁)) − Q_k h(E)]}, p the probability of the preferred
    basis, E the error rate of all intensities together, at the Shannon limit of reconciliation.
    """
    config = what.config
    if not closed(config):
        return Prediction(qber=None, key=None)
    signal, decoy, vacuum = (expected(config, k, what.eve) for k in range(3))
    parts = list(zip(config.shares, (signal, decoy, vacuum), strict=True))
    gain = sum(share * each.gain for share, each in parts)
    if not gain:
        return Prediction(qber=None, key=0.0)
    qber = sum(share * each.errors for share, each in parts) / gain
    single = decoy_bounds(signal, decoy, vacuum)
    weight = sum(share * each.mean * math.exp(-each.mean) for share, each in parts)
    of_one = weight * single.yield_lower * (1.0 - binary_entropy(single.error_upper))
    preferred = max(config.rectilinear, 1.0 - config.rectilinear)
    live = 1.0 - config.dead_gates * click_rate(config, what.eve)
    key = preferred**2 * (of_one - gain * binary_entropy(min(0.5, qber))) * live
    return Prediction(qber=qber, key=max(0.0, key))
