"""One experiment: a link, an Eve, a block distilled by both sides, and what came of it.

The same engine and the same sessions that the nodes run, unless another engine is asked for; only
here both halves are in one process, and a seed may make it all reproducible.
"""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bellwire.base.detections import Half, Protocol, Side
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.stream import SEED_BYTES, KeyStream
from bellwire.distill.bounds import EpsilonBudget
from bellwire.distill.errors import ParameterError
from bellwire.distill.messages import TICKET_BYTES, VERSION, Open
from bellwire.distill.reconciliation import Method
from bellwire.distill.report import BlockReport
from bellwire.distill.verdict import Rules
from bellwire.lab import hidden, middle, tables
from bellwire.lab.engines import Engine, Player
from bellwire.lab.middle import Knows, SideOutcome, interpose
from bellwire.lab.pair import PairOutcome, Wire, derive_authentication, distil, faithful
from bellwire.lab.quantities import Measured, Prediction, Quantity
from bellwire.link import pair_theory, theory
from bellwire.link.config import LinkConfig, check_rectilinear
from bellwire.link.detectors import Detectors
from bellwire.link.eve import Eve
from bellwire.link.pair_law import check_source
from bellwire.link.pair_stream import PairStream
from bellwire.link.pairs import PairSource

MAX_PULSES = 1 << 24
"""Longest experiment, as long as a node's longest block; it takes about 1.5 GB."""

PULSE_RATE_HZ = {Protocol.BB84: 1e9, Protocol.BBM92: 1e7, Protocol.E91: 1e7}
"""Pulses, or pairs, per simulated second: a fast pulsed source, a bright pair source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What to run.

    Attributes:
        protocol: E91, BBM92 or BB84.
        pulses: Pulses, or pairs.
        config: The link.
        eve: Who is on it.
        source: Of pairs, several of which may come in a window; None for one pair in each.
        middle: What an Eve knows who sits between the two on both channels; None if none does.
        player: Who plays the photons; with an Eve in the middle, or a source, the fast engine.
        seed: Makes the run reproducible; None draws from the operating system.
        sample_share: Share of sifted bits compared in BB84 and BBM92, between 0 and 1.
        rectilinear: Probability of the rectilinear basis on both sides; ½ but in BB84 and BBM92.
        epsilon: Total failure probability, 1e-20 to 1e-3.
        red_qber: Blocks from this QBER on are rejected; above 0, at most 0.5.
        chsh_floor: Blocks with S below this are rejected.
        reconciliation: By which method.

    Raises:
        ParameterError: a value outside its range, by name.
    """

    protocol: Protocol
    pulses: int = 1_000_000
    config: LinkConfig = field(default_factory=LinkConfig)
    eve: Eve | None = None
    source: PairSource | None = None
    middle: Knows | None = None
    player: Player = field(default_factory=Player)
    seed: int | None = None
    sample_share: float = 0.2
    rectilinear: float = 0.5
    epsilon: float = 1e-10
    red_qber: float = 0.11
    chsh_floor: float = 2.2
    reconciliation: Method = Method.CASCADE

    def __post_init__(self) -> None:
        if not 1 <= self.pulses <= MAX_PULSES:
            raise ParameterError(f"pulses: expected 1 to {MAX_PULSES}, got {self.pulses}")
        if not 0.0 < self.sample_share < 1.0:
            raise ParameterError(f"sample_share: expected between 0 and 1, got {self.sample_share}")
        if self.seed is not None and not 0 <= self.seed < 1 << 64:
            raise ParameterError(f"seed: expected 0 to 2^64 - 1, got {self.seed}")
        check_source(self.protocol, self.source)
        if self.source is not None and self.middle is not None:
            raise ParameterError("mean_pairs: expected none with an Eve in the middle, got some")
        if self.eve is not None:
            self.eve.check(self.protocol)
            if self.middle is not None:
                raise ParameterError(
                    "eve: expected one Eve, on the light or in the middle, got both"
                )
        alone = self.middle is None and self.source is None
        if self.player.engine is not Engine.FAST and not alone:
            raise ParameterError(
                "engine: expected fast with Eve in the middle or several pairs in a window, "
                f"got {self.player.engine}"
            )
        self.player.check(self.protocol, self.config, self.pulses, self.eve)
        if self.source is not None and self.config.detectors != Detectors():
            raise ParameterError(
                "mean_pairs: expected detectors without dead time, afterpulses or jitter with "
                f"several pairs in a window, got {self.config.detectors}"
            )
        check_rectilinear(self.rectilinear)
        plain = alone and self.player.engine is Engine.FAST and not self.protocol.judged_on_chsh
        if self.rectilinear != 0.5 and not plain:
            raise ParameterError(
                "rectilinear: expected 0.5 but in BB84 and BBM92 with engine fast, one pair in a "
                f"window and no Eve in the middle, got {self.rectilinear}"
            )
        EpsilonBudget.divide(self.epsilon)
        Rules(self.red_qber, self.chsh_floor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of it; fields that the protocol has not, or the run did not reach, are None.

    With an Eve in the middle the figures are those that Alice sees, and `sides` says how it ended
    for each.

    Attributes:
        protocol: `e91`, `bbm92`, `bb84` or `decoy-bb84`.
        engine: Who played the photons.
        seed: None if it was drawn from the operating system.
        pulses: Pulses, or pairs.
        detections: Slots that both sides have.
        sifted_bits: Bits from settings or bases that fit.
        qber, qber_stderr: Error rate, 0 to 1, of all sifted bits that were compared or reconciled,
            and its standard error.
        chsh, chsh_stderr: S and its standard error; E91 only.
        reconciliation: `method`, `leaked_bits`, `rounds`, and `efficiency`: leaked bits over
            Shannon's limit.
        secret_bits: Net of the bits that pay for the block's authentication; 0 if aborted.
        secret_rate_bps: Secret bits per second of simulated time, at `PULSE_RATE_HZ` or, of decoy
            states, at the rate of the link.
        epsilon: Upper limit of the total failure probability.
        eve: Her `kind` and `share`, 0 to 1, or what she `knows` in the middle; None without her.
        verdict, reason: `accept` or `abort`, and why aborted.
        keys_match: Whether both sides' secret bits are equal.
        wall_s: Time that the run took, s.
        correlations: E91: `alice_deg`, `bob_deg`, the correlation's `value` and `stderr`, `pairs`.
        assumptions: What the security statement rests on.
        sides: How it ended for each of the honest sides, with an Eve in the middle.
        backend: Name of IBM's backend that ran the circuits.
        qber_limits: Between which the source's error rate lies, each wrong with probability ε/8.
        epsilon_secrecy, epsilon_correctness, epsilon_authentication: The parts of `epsilon`.
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
    reconciliation: dict[str, Any] | None
    secret_bits: int
    secret_rate_bps: float
    epsilon: float | None
    eve: dict[str, Any] | None
    verdict: str
    reason: str | None
    keys_match: bool | None
    wall_s: float
    correlations: list[dict[str, float]]
    assumptions: tuple[str, ...]
    sides: tuple[SideOutcome, ...] | None = None
    backend: str | None = None
    qber_limits: tuple[float, float] | None = None
    epsilon_secrecy: float | None = None
    epsilon_correctness: float | None = None
    epsilon_authentication: float | None = None

    def measured(self) -> dict[Quantity, Measured]:
        """What was measured, each with its standard error; the key's is not known from one run."""
        return {
            Quantity.QBER: (self.qber, self.qber_stderr),
            Quantity.CHSH: (self.chsh, self.chsh_stderr),
            Quantity.KEY: (self.secret_bits / self.pulses, None),
        }

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """The result as one JSON document."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_pandas(self) -> Any:
        """The result as a pandas DataFrame of one row.

        Raises:
            LibraryMissing: pandas is not installed.
        """
        return tables.frame([self])


def seeds(seed: int | None) -> Callable[[str], bytes]:
    """Purpose → 32 bytes: derived from the experiment's seed, or from the operating system."""
    if seed is None:
        return lambda _purpose: secrets.token_bytes(SEED_BYTES)
    root = seed.to_bytes(16, "big")
    return lambda purpose: hkdf(root, info=b"lab " + purpose.encode(), length=SEED_BYTES)


def public_reader(seed: bytes) -> Callable[[int], bytes]:
    """Count → so many further bytes of public randomness."""
    stream, at = KeyStream(seed, "public randomness"), 0

    def read(count: int) -> bytes:
        nonlocal at
        data = stream.at(at, count).tobytes()
        at += count
        return data

    return read


def run(experiment: Experiment) -> Result:
    """Run one experiment."""
    began = time.perf_counter()
    if experiment.middle is not None:
        met = interpose(
            opening(experiment),
            experiment.config,
            experiment.middle,
            seeds(experiment.seed),
            public_reader,
        )
        return _result(
            experiment,
            met.report(Side.ALICE),
            began,
            accepted=met.accepted,
            keys_match=met.keys_match,
            sides=met.sides,
        )
    outcome = distilled(experiment)
    return _result(
        experiment,
        outcome.reports[Side.ALICE],
        began,
        accepted=outcome.accepted,
        keys_match=(
            outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
            if len(outcome.secrets) == 2
            else None
        ),
    )


def distilled(experiment: Experiment) -> PairOutcome:
    """Send the light of an experiment and distil it; an Eve in the middle is not asked for here."""
    seed = seeds(experiment.seed)
    return distil_halves(experiment, *halves(experiment, seed), seed)


def halves(experiment: Experiment, seed: Callable[[str], bytes]) -> tuple[Half, Half]:
    """Alice's half and Bob's of an experiment's light."""
    if experiment.source is None:
        return experiment.player.photons(
            experiment.protocol,
            experiment.config,
            experiment.pulses,
            seed("alice"),
            seed("bob"),
            seed("noise"),
            experiment.eve,
            experiment.rectilinear,
        )
    light = experiment.config, experiment.source, experiment.eve
    stream = PairStream(experiment.protocol, *light, seed("pairs"))
    block, _ = stream.block(stream.start(), experiment.pulses)
    return block.alice, block.bob


def distil_halves(
    experiment: Experiment,
    alice: Half,
    bob: Half,
    seed: Callable[[str], bytes],
    wire: Wire = faithful,
) -> PairOutcome:
    """Distil an experiment's halves; what is random in public comes from its seeds."""
    tags = derive_authentication(seed("authentication"))
    return distil(
        dict.fromkeys(Side, opening(experiment)),
        {Side.ALICE: alice, Side.BOB: bob},
        dict.fromkeys(Side, tags),
        {side: public_reader(seed(f"public {side}")) for side in Side},
        wire,
    )


def opening(experiment: Experiment) -> Open:
    """The message with which both sides begin the experiment's block."""
    return Open(
        VERSION,
        1,
        False,
        experiment.protocol,
        experiment.pulses,
        bytes(TICKET_BYTES),
        experiment.sample_share,
        experiment.epsilon,
        experiment.red_qber,
        experiment.chsh_floor,
        experiment.rectilinear,
        reconciliation=experiment.reconciliation,
    )


def _result(
    experiment: Experiment,
    report: BlockReport,
    began: float,
    *,
    accepted: bool,
    keys_match: bool | None,
    sides: tuple[SideOutcome, ...] | None = None,
) -> Result:
    secret_bits = report.secret_bits if accepted else 0
    return Result(
        protocol=experiment.protocol.value,
        engine=experiment.player.engine.value,
        seed=experiment.seed,
        pulses=experiment.pulses,
        detections=report.detected,
        sifted_bits=report.sifted_bits,
        qber=report.qber,
        qber_stderr=report.qber_stderr,
        qber_limits=report.qber_limits,
        chsh=report.chsh,
        chsh_stderr=report.chsh_stderr,
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
        secret_rate_bps=secret_bits * PULSE_RATE_HZ[experiment.protocol] / experiment.pulses,
        epsilon=report.epsilon,
        eve=_described(experiment),
        verdict="accept" if accepted else "abort",
        reason=report.message if sides is None else sides[0].reason,
        keys_match=keys_match,
        wall_s=time.perf_counter() - began,
        correlations=report.correlations,
        assumptions=report.assumptions + assumed(experiment.protocol, experiment.source),
        sides=sides,
        backend=experiment.player.backend,
        epsilon_secrecy=report.epsilon_secrecy,
        epsilon_correctness=report.epsilon_correctness,
        epsilon_authentication=report.epsilon_authentication,
    )


def assumed(protocol: Protocol, source: PairSource | None) -> tuple[str, ...]:
    """What statements about windows of several pairs rest on beyond those about one pair.

    In BBM92 nothing: the source may be Eve's, and a double click's random bit makes a qubit of
    whatever arrives in two conjugate bases.
    """
    if source is None or not protocol.judged_on_chsh:
        return ()
    return (
        "windows of several pairs count as one pair of qubits: that a double click gives a random "
        "bit justifies it for two conjugate bases, not for three settings",
        "S is that of coincidences, and of nothing else that was sent",
    )


def _described(experiment: Experiment) -> dict[str, Any] | None:
    if experiment.middle is not None:
        return {"kind": middle.KIND, "share": 1.0, "knows": experiment.middle.value}
    if experiment.eve is None:
        return None
    return {"kind": experiment.eve.kind.value, "share": experiment.eve.share}


def predict(what: Experiment) -> Prediction:
    """Closed forms of `bellwire.link.theory` and `pair_theory` for an experiment.

    None of detectors with afterpulses; with dead time, no key of pairs, whose two sides are blind
    at times that have to do with each other. Of one with Eve in the middle, what each honest side
    shares with her, and no key; and of hidden variables their own.
    """
    if what.player.engine is Engine.HIDDEN:
        return hidden.predict(what.config.misalignment)
    of_light = predict_light(what.protocol, what.config, what.source, what.eve)
    if what.config.detectors.afterpulse:
        return Prediction(qber=None, chsh=None, key=None)
    if what.config.detectors.dead_gates:
        live = None if what.protocol.entangled else theory.live_share(what.protocol, what.config)
        plain = predict(replace(what, config=replace(what.config, detectors=_prompt(what))))
        key = None if live is None or plain.key is None else live * plain.key
        return replace(plain, key=key)
    if what.middle is not None or of_light.key is None:
        return replace(of_light, key=0.0)
    if what.rectilinear != 0.5:
        biased = what.protocol, what.config, what.rectilinear, what.eve
        key = (1.0 - what.sample_share) * theory.biased_key_fraction(*biased)
        return replace(of_light, qber=theory.biased_qber(*biased), key=key)
    compared = 0.0 if what.protocol.judged_on_chsh else what.sample_share
    return replace(of_light, key=(1.0 - compared) * of_light.key)


def _prompt(what: Experiment) -> Detectors:
    """Its detectors, were they never blind."""
    return replace(what.config.detectors, dead_gates=0)


def predict_light(
    protocol: Protocol, config: LinkConfig, source: PairSource | None, eve: Eve | None
) -> Prediction:
    """Closed forms of QBER, S and key per pulse, before any bits are compared."""
    if source is None:
        return Prediction(
            qber=theory.qber(protocol, config, eve),
            chsh=theory.chsh(protocol, config, eve),
            key=theory.key_fraction(protocol, config, eve),
        )
    return Prediction(
        qber=pair_theory.qber(protocol, config, source, eve),
        chsh=pair_theory.chsh(protocol, config, source, eve),
        key=pair_theory.key_fraction(protocol, config, source, eve),
    )
