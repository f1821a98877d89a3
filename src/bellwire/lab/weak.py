"""Weak coherent pulses in the lab, up to the estimate: gains, error rates, what decoys prove.

All pulses are streamed, and only what the statistics need is counted, so that memory does not
depend on how many there are. An estimate distils nothing: what distillation would give is null, and
the key rate is that of infinitely long runs.
"""

import json
import math
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bellwire.base.detections import Protocol
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.stream import SEED_BYTES
from bellwire.distill.errors import ParameterError
from bellwire.distill.verdict import Rules
from bellwire.lab import tables
from bellwire.lab.monitors import USUAL, Monitor, Reading, check_monitors, read
from bellwire.lab.quantities import Measured, Prediction, Quantity
from bellwire.link.blinding import check_blinding
from bellwire.link.weak import Undistilled, WeakConfig, WeakEve, check_pulses
from bellwire.link.weak_counts import WeakCounts, WeakStream
from bellwire.link.weak_theory import (
    Observed,
    SinglePhotons,
    click_rate,
    closed,
    decoy_bounds,
    expected,
    key_fraction,
    worst_case,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = 200
"""Parts of a run after which its progress is told."""

NAMES = ("signal", "decoy", "vacuum")
BASES = ("rectilinear", "diagonal")

ASSUMPTIONS = (
    "Simulated light gives no secrecy.",
    "Phases of the pulses are random, and Eve cannot tell intensities apart but by photons.",
    "Both detectors are alike, and pulses in blind gates are left out.",
    "Bounds are asymptotic: measured rates are taken as exact.",
)

UNWATCHED = "Bob's detectors answer to single photons: nobody holds them blind."
"""What is assumed where no monitor looks."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakExperiment:
    """What to run.

    Attributes:
        pulses: 1 to 10¹⁵.
        config: The link; its intensities name the protocol.
        eve: Who is on it.
        seed: Makes the run reproducible; None draws from the operating system.
        red_qber: A signal with this QBER or more is rejected; above 0, at most 0.5.
        monitors: What Bob watches at his detectors.
        false_alarm: Probability, above 0 and at most 0.1, that they reject a run without Eve.

    Raises:
        ParameterError: a value outside its range, by name.
    """

    pulses: int
    config: WeakConfig = field(default_factory=WeakConfig)
    eve: WeakEve | None = None
    seed: int | None = None
    red_qber: float = 0.11
    monitors: tuple[Monitor, ...] = USUAL
    false_alarm: float = 1e-6

    def __post_init__(self) -> None:
        check_pulses(self.pulses)
        check_blinding(self.config, self.eve)
        check_monitors(self.config, self.monitors, self.false_alarm)
        if self.seed is not None and not 0 <= self.seed < 1 << 64:
            raise ParameterError(f"seed: expected 0 to 2^64 - 1, got {self.seed}")
        Rules(self.red_qber)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasisEstimate:
    """Counts of one intensity in one of Alice's bases.

    Attributes:
        basis: `rectilinear` or `diagonal`.
        sent: Pulses.
        clicks: Gates with a click.
        sifted: Bits of like bases.
        errors: Wrong ones among them.
    """

    basis: str
    sent: int
    clicks: int
    sifted: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IntensityEstimate:
    """What was measured of one intensity.

    Attributes:
        name: signal, decoy or vacuum.
        mean: Photons per pulse.
        sent: Pulses.
        live: Of them, those in gates that were not blind; gains are shares of these.
        clicks: Gates with a click.
        gain, gain_stderr: clicks / live.
        sifted, errors: Bits of like bases, and wrong ones among them.
        qber, qber_stderr: errors / sifted; None without sifted bits.
        expected_gain, expected_qber: What theory gives for this link and this Eve; None with
            afterpulses or a dead time per detector, for which it does not hold.
        bases: The counts by Alice's basis.
    """

    name: str
    mean: float
    sent: int
    live: int
    clicks: int
    gain: float
    gain_stderr: float
    sifted: int
    errors: int
    qber: float | None
    qber_stderr: float | None
    expected_gain: float | None
    expected_qber: float | None
    bases: tuple[BasisEstimate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What an experiment came to; the fields that are not below are those of `experiment.Result`.

    Attributes:
        detections: Clicks of all intensities, a double click being one.
        sifted_bits: Bits of like bases, of all intensities.
        qber, qber_stderr: Of all of them.
        eve_known_bits: Sifted bits that Eve knows; None without Eve.
        double_clicks: Gates in which both detectors clicked; their bit is a coin's.
        blind_share: Share of gates in which no detector was live.
        intensities: Each by itself.
        single_photons: What is proved of single photons, by decoys or without them by assuming the
            worst.
        single_photon_yield_stderr: Standard error of the bound of their yield; None where it is 0.
        asymptotic_key_per_pulse: Secret bits per pulse of an infinitely long run like this one.
        asymptotic_key_stderr: Its standard error; None where it is 0.
        monitors: What Bob's monitors read; empty if they are off.
    """

    protocol: str
    engine: str
    seed: int | None
    pulses: int
    detections: int
    sifted_bits: int
    qber: float | None
    qber_stderr: float | None
    chsh: None
    chsh_stderr: None
    reconciliation: None
    secret_bits: None
    secret_rate_bps: None
    epsilon: None
    eve: dict[str, Any] | None
    verdict: str
    reason: str | None
    keys_match: None
    wall_s: float
    correlations: tuple[()]
    assumptions: tuple[str, ...]
    until: str
    eve_known_bits: int | None
    double_clicks: int
    blind_share: float
    intensities: tuple[IntensityEstimate, ...]
    single_photons: SinglePhotons
    single_photon_yield_stderr: float | None
    asymptotic_key_per_pulse: float
    asymptotic_key_stderr: float | None
    monitors: tuple[Reading, ...]

    def measured(self) -> dict[Quantity, Measured]:
        """What was measured, each with its standard error; the QBER is the signal's."""
        signal = self.intensities[0]
        return {
            **{
                Quantity(f"gain_{each.name}"): (each.gain, each.gain_stderr)
                for each in self.intensities
            },
            Quantity.QBER: (signal.qber, signal.qber_stderr),
            Quantity.SINGLE_PHOTON_YIELD: (
                self.single_photons.yield_lower,
                self.single_photon_yield_stderr,
            ),
            Quantity.KEY: (self.asymptotic_key_per_pulse, self.asymptotic_key_stderr),
        }

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """The result as one JSON document."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_pandas(self) -> Any:
        """What was measured of each intensity as a pandas DataFrame, one row for each.

        Raises:
            LibraryMissing: pandas is not installed.
        """
        return tables.frame(
            {name: value for name, value in asdict(each).items() if name != "bases"}
            for each in self.intensities
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw gain over photons per pulse, on `ax` or on a figure of its own."""
        from bellwire.lab.estimates import draw  # noqa: PLC0415 - Matplotlib takes a second to load

        return draw(self, ax)


def estimate(experiment: WeakExperiment, progress: Callable[[int], None] | None = None) -> Estimate:
    """Stream all pulses, and say what their statistics show.

    Args:
        experiment: What to run.
        progress: Called with the number of further pulses that are done.
    """
    began = time.perf_counter()
    config, eve = experiment.config, experiment.eve
    seed = _seed(experiment.seed)
    stream = WeakStream(config, eve, seed)
    state = stream.start()
    step = -(-experiment.pulses // STEPS)
    while state.pulses < experiment.pulses:
        part = min(step, experiment.pulses - state.pulses)
        state = stream.advance(state, part)
        if progress is not None:
            progress(part)
    counts = stream.counts(state)
    intensities = tuple(_intensity(config, eve, counts, k) for k in range(len(config.intensities)))
    observed = [Observed(each.mean, each.gain, _errors(each)) for each in intensities]
    live_share = int(counts.live.sum()) / experiment.pulses
    single, key = _proved(config, observed, live_share)
    yield_stderr, key_stderr = _propagated(config, intensities, live_share)
    signal = intensities[0]
    noise = hkdf(seed, info=b"monitors", length=32)
    monitors = read(
        config,
        eve,
        counts,
        experiment.monitors,
        experiment.false_alarm,
        np.random.Generator(np.random.Philox(np.random.SeedSequence(list(noise)))),
    )
    reason = _objection(config.protocol, signal, single, key, experiment.red_qber)
    if reason is None:
        reason = next((each.objection for each in monitors if each.alarm), None)
    sifted = sum(each.sifted for each in intensities)
    qber, stderr = _rate(sum(each.errors for each in intensities), sifted)
    return Estimate(
        protocol=config.protocol.value,
        engine="fast",
        seed=experiment.seed,
        pulses=experiment.pulses,
        detections=int(counts.clicks.sum()),
        sifted_bits=sifted,
        qber=qber,
        qber_stderr=stderr,
        chsh=None,
        chsh_stderr=None,
        reconciliation=None,
        secret_bits=None,
        secret_rate_bps=None,
        epsilon=None,
        eve=None if eve is None else {"kind": eve.kind.value, "share": eve.share},
        verdict="accept" if reason is None else "abort",
        reason=reason,
        keys_match=None,
        wall_s=time.perf_counter() - began,
        correlations=(),
        assumptions=ASSUMPTIONS if monitors else (*ASSUMPTIONS, UNWATCHED),
        until="estimate",
        eve_known_bits=None if eve is None else int(_alike(counts.clicks[1]).sum()),
        double_clicks=int(counts.doubles.sum()),
        blind_share=1.0 - live_share,
        intensities=intensities,
        single_photons=single,
        single_photon_yield_stderr=yield_stderr if single.yield_lower else None,
        asymptotic_key_per_pulse=max(0.0, key),
        asymptotic_key_stderr=key_stderr if key > 0.0 else None,
        monitors=monitors,
    )


def predict(what: WeakExperiment) -> Prediction:
    """What an estimate would say of exact rates; nothing where there is no closed form."""
    config, eve = what.config, what.eve
    if not closed(config):
        return Prediction(qber=None, key=None)
    observed = [expected(config, k, eve) for k in range(len(config.intensities))]
    signal = observed[0]
    live_share = 1.0 - config.dead_gates * click_rate(config, eve)
    single, key = _proved(config, observed, live_share)
    gains = {f"gain_{name}": each.gain for name, each in zip(NAMES, observed, strict=False)}
    return Prediction(
        qber=signal.errors / signal.gain if signal.gain else None,
        single_photon_yield=single.yield_lower,
        key=max(0.0, key),
        **gains,
    )


def _seed(seed: int | None) -> bytes:
    if seed is None:
        return secrets.token_bytes(SEED_BYTES)
    return hkdf(seed.to_bytes(16, "big"), info=b"lab weak pulses", length=SEED_BYTES)


def _alike(clicks: Counts) -> Counts:
    """(…, bob, alice, bit, outcome) counts to (basis, …, bit, outcome), of like bases."""
    return np.stack([clicks[..., basis, basis, :, :] for basis in range(2)])


def _rate(count: int, of: int) -> tuple[float | None, float | None]:
    """A share and its standard error; None of nothing."""
    if not of:
        return None, None
    share = count / of
    return share, math.sqrt(share * (1.0 - share) / of)


def _intensity(
    config: WeakConfig, eve: WeakEve | None, counts: WeakCounts, k: int
) -> IntensityEstimate:
    clicks, sent = counts.clicks[:, k].sum(axis=0), counts.sent[:, k].sum(axis=0)
    alike = _alike(clicks)
    bases = tuple(
        BasisEstimate(
            basis=name,
            sent=int(sent[:, basis].sum()),
            clicks=int(clicks[:, basis].sum()),
            sifted=int(alike[basis].sum()),
            errors=int(alike[basis, 0, 1] + alike[basis, 1, 0]),
        )
        for basis, name in enumerate(BASES)
    )
    live, clicked = int(counts.live[:, k].sum()), int(clicks.sum())
    gain, gain_stderr = _rate(clicked, live)
    sifted, errors = sum(each.sifted for each in bases), sum(each.errors for each in bases)
    qber, qber_stderr = _rate(errors, sifted)
    theory = expected(config, k, eve) if closed(config) else None
    return IntensityEstimate(
        name=NAMES[k],
        mean=config.intensities[k],
        sent=int(sent.sum()),
        live=live,
        clicks=clicked,
        gain=gain or 0.0,
        gain_stderr=gain_stderr or 0.0,
        sifted=sifted,
        errors=errors,
        qber=qber,
        qber_stderr=qber_stderr,
        expected_gain=None if theory is None else theory.gain,
        expected_qber=None if theory is None or not theory.gain else theory.errors / theory.gain,
        bases=bases,
    )


def _errors(intensity: IntensityEstimate) -> float:
    return intensity.gain * (intensity.qber or 0.0)


def _proved(
    config: WeakConfig, observed: Sequence[Observed], live_share: float
) -> tuple[SinglePhotons, float]:
    """What the rates prove of single photons, and the key that follows; negative if it is none."""
    single = worst_case(observed[0]) if len(observed) == 1 else decoy_bounds(*observed)
    return single, key_fraction(config, observed[0], single) * live_share


def _propagated(
    config: WeakConfig, intensities: Sequence[IntensityEstimate], live_share: float
) -> tuple[float, float]:
    """Standard errors of the yield's bound and of the key, from those of gains and error rates.

    To first order, by a step of one standard error to either side; gains and error rates of the
    intensities are independent of each other.
    """
    spread = []
    for moved, each in enumerate(intensities):
        for by_gain, by_qber in ((each.gain_stderr, 0.0), (0.0, each.qber_stderr or 0.0)):
            ends = []
            for sign in (1, -1):
                observed = [Observed(one.mean, one.gain, _errors(one)) for one in intensities]
                gain = each.gain + sign * by_gain
                errors = gain * ((each.qber or 0.0) + sign * by_qber)
                observed[moved] = Observed(each.mean, gain, errors)
                single, key = _proved(config, observed, live_share)
                ends.append((single.yield_lower, key))
            (high_yield, high_key), (low_yield, low_key) = ends
            spread.append(((high_yield - low_yield) / 2.0, (high_key - low_key) / 2.0))
    of_yield, of_key = zip(*spread, strict=True)
    return math.hypot(*of_yield), math.hypot(*of_key)


def _objection(
    protocol: Protocol | Undistilled,
    signal: IntensityEstimate,
    single: SinglePhotons,
    key: float,
    red_qber: float,
) -> str | None:
    """Why this run is to be rejected, in words; None if its protocol sees nothing against it."""
    if signal.qber is None:
        return "too few: expected sifted bits of the signal, got none"
    if signal.qber >= red_qber:
        return (
            f"qber above limit: expected below {red_qber:.2%} of the signal, got {signal.qber:.2%}"
        )
    if protocol is Undistilled.WCP:
        return None
    if not single.yield_lower:
        return "no single photons: the decoys' gains leave no yield of single photons"
    if key <= 0.0:
        return (
            "no net key: expected more from single photons than reconciliation costs, got a "
            f"yield of {single.yield_lower:.3g} or more with errors up to {single.error_upper:.2%}"
        )
    return None
