"""Weak coherent pulses: what Alice's laser sends, what lies in its way, and who is on the line.

A laser pulse attenuated to a mean of μ photons, its phase random, holds n photons with Poissonian
probability e^−μ μⁿ/n!; n ≥ 2 copies of one bit are what Eve lives on. In `wcp-bb84` all pulses have
one intensity; in `decoy-bb84` each is signal, weak decoy or vacuum-like decoy at random, and Eve,
who sees photons and not intentions, cannot tell them apart (docs/explanation/weak-pulses.md).
"""

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bellwire.base.decoys import MAX_MEAN_PHOTONS, Decoys
from bellwire.base.detections import Protocol
from bellwire.link.config import LinkConfig
from bellwire.link.detectors import Detectors
from bellwire.link.errors import ParameterError
from bellwire.link.timing import Timing

MAX_PULSES = 10**15
"""Eleven days at 1 GHz."""


class Undistilled(StrEnum):
    """The protocol of weak pulses that ends with an estimate: without decoys there is no key."""

    WCP = "wcp-bb84"


class DeadTime(StrEnum):
    """Which detectors a click blinds."""

    COMMON = "common"
    PER_DETECTOR = "per-detector"


class WeakEveKind(StrEnum):
    """What Eve does to a pulse that she touches."""

    INTERCEPT_RESEND = "intercept-resend"
    PHOTON_NUMBER_SPLITTING = "pns"
    BEAM_SPLITTING = "beam-splitting"
    BLINDING = "blinding"


@dataclass(frozen=True, slots=True)
class WeakEve:
    """An attack on weak pulses.

    Intercept-resend: she measures every photon of the pulse in a random one of the two bases and
    sends as many in the state that she found. Photon-number splitting: she counts the photons
    without disturbing them, blocks single ones as far as the gain permits, and of several forwards
    one over a line without loss and keeps the others until the bases are public; her rates
    reproduce the gain of the signal. Beam splitting: her line has no loss, and what the fibre would
    have lost is hers. Blinding: `bellwire.link.blinding`.

    Attributes:
        kind: What she does.
        share: Share of the pulses that she touches, in [0, 1].
        threshold_width: Blinding: scatter of the blind detectors' thresholds, in [0, 1] of them.

    Raises:
        ParameterError: a value outside its range, or a width for another attack.
    """

    kind: WeakEveKind
    share: float = 1.0
    threshold_width: float = 0.0

    def __post_init__(self) -> None:
        _check("Eve's share", "in [0, 1]", self.share, 0.0 <= self.share <= 1.0)
        width = self.threshold_width
        _check("threshold width", "in [0, 1]", width, 0.0 <= width <= 1.0)
        blinds = self.kind is WeakEveKind.BLINDING
        _check("threshold width", "0 unless Eve blinds detectors", width, blinds or not width)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakConfig:
    """A link of weak coherent pulses.

    Attributes:
        intensities: Mean photons per pulse at Alice's exit: one (`wcp-bb84`), or signal μ, decoy ν
            and vacuum-like decoy ω with μ > ν + ω and ν > ω ≥ 0; μ at most 5.
        shares: Probability of each intensity; they add up to 1.
        rectilinear: Probability of the rectilinear basis, Alice's and Bob's, in (0, 1).
        link: Fibre, insertion loss, detectors' efficiency and dark counts, misalignment; what
            detectors do in time is said here, since theirs may be blind one by one.
        dead_gates: Gates that a detector is blind after its click, 0 to 10⁹.
        dead_time: Whether a click blinds both detectors or only its own. Common is what proofs of
            security ask for: with one detector blind, the other betrays the bit.
        afterpulse: Probability that a click leaves a carrier behind which clicks later, in [0, 1).
        afterpulse_gates: Decay time of that carrier behind the blind gates, in (0, 10⁹].
        jitter_ps: Full width at half maximum of the Gaussian by which the time of a click scatters,
            ps, from 0 to two periods of the pulses.
        gate_ps: Width of a gate, ps, above 0 and at most a period; None for a whole period.
        pulse_rate_hz: Pulses, and gates, per second, above 0 and at most 10¹².

    Raises:
        ParameterError: a value outside its range, by name.
    """

    intensities: tuple[float, ...] = (0.5, 0.1, 0.0)
    shares: tuple[float, ...] = (0.7, 0.2, 0.1)
    rectilinear: float = 0.5
    link: LinkConfig = field(default_factory=LinkConfig)
    dead_gates: int = 0
    dead_time: DeadTime = DeadTime.COMMON
    afterpulse: float = 0.0
    afterpulse_gates: float = 100.0
    jitter_ps: float = 0.0
    gate_ps: float | None = None
    pulse_rate_hz: float = 1e9

    def __post_init__(self) -> None:
        means = self.intensities
        _check("intensities", "one or three", len(means), len(means) in {1, 3})
        mu = means[0]
        _check(
            "signal intensity", f"in (0, {MAX_MEAN_PHOTONS:g}]", mu, 0.0 < mu <= MAX_MEAN_PHOTONS
        )
        if len(means) == 3:
            nu, omega = means[1:]
            _check("vacuum decoy's intensity", "from 0", omega, 0.0 <= omega < math.inf)
            _check("decoy intensity", "above the vacuum decoy's", nu, omega < nu < math.inf)
            _check(
                "signal intensity", f"above {nu + omega:g}, the decoys' sum", mu, mu > nu + omega
            )
        shares = self.shares
        _check("shares", f"{len(means)}, one for each intensity", len(shares), _same(shares, means))
        for share in shares:
            _check("share of an intensity", "in (0, 1]", share, 0.0 < share <= 1.0)
        total = math.fsum(shares)
        _check("shares of the intensities", "adding up to 1", total, abs(total - 1.0) < 1e-9)
        _check("rectilinear share", "in (0, 1)", self.rectilinear, 0.0 < self.rectilinear < 1.0)
        own = self.link.detectors == Detectors()
        _check("link's detectors", "without memory or jitter", self.link.detectors, own)
        rate = self.pulse_rate_hz
        _check("pulse rate", "in (0, 1e12] Hz", rate, 0.0 < rate <= 1e12)
        # Their ranges are those of all detectors in time.
        Detectors(
            dead_gates=self.dead_gates,
            afterpulse=self.afterpulse,
            afterpulse_gates=self.afterpulse_gates,
            timing=self.timing,
        )

    @property
    def protocol(self) -> Protocol | Undistilled:
        """Which protocol has so many intensities."""
        return Undistilled.WCP if len(self.intensities) == 1 else Protocol.DECOY

    @property
    def transmittance(self) -> float:
        """Probability that a photon reaches the detectors; what Eve could take the place of."""
        return self.link.transmittance(Protocol.BB84)

    @property
    def timing(self) -> Timing:
        """When clicks are told, ps."""
        period = 1e12 / self.pulse_rate_hz
        return Timing(period, period if self.gate_ps is None else self.gate_ps, self.jitter_ps)

    @property
    def efficiency(self) -> float:
        """η_d: probability that a photon at the detectors is registered in its own gate."""
        return self.link.detector_efficiency * self.timing.inside

    @property
    def registered(self) -> float:
        """η: probability that a photon of Alice's is registered in its own gate."""
        return self.transmittance * self.efficiency

    @property
    def sifting(self) -> float:
        """Probability that the bases are alike."""
        return self.rectilinear**2 + (1.0 - self.rectilinear) ** 2


def decoy_config(decoys: Decoys, rectilinear: float, link: LinkConfig) -> WeakConfig:
    """Decoy states over a link whose detectors may have dead time and afterpulses.

    Raises:
        ParameterError: rectilinear is not in (0, 1), or the detectors have jitter.
    """
    detectors = link.detectors
    _check("detectors", "without jitter", detectors, detectors.timing is None)
    return WeakConfig(
        intensities=decoys.means,
        shares=decoys.shares,
        rectilinear=rectilinear,
        link=replace(link, detectors=Detectors()),
        dead_gates=detectors.dead_gates,
        afterpulse=detectors.afterpulse,
        afterpulse_gates=detectors.afterpulse_gates,
    )


def check_pulses(pulses: int) -> int:
    """`pulses` if it is in 1 … 10¹⁵, else ParameterError."""
    _check("pulses", f"in 1 … {MAX_PULSES}", pulses, 1 <= pulses <= MAX_PULSES)
    return pulses


def parse_weak_eve(text: str, threshold_width: float = 0.0) -> WeakEve | None:
    """Read `KIND[:SHARE]`, the share 1 unless given; `none` gives None.

    Raises:
        ParameterError: an unknown kind, a share that is no number of [0, 1], or a width that is out
            of range or for another attack.
    """
    kind, colon, share = text.strip().partition(":")
    if kind == "none" and not colon:
        unused = "0 unless Eve blinds detectors"
        _check("threshold width", unused, threshold_width, not threshold_width)
        return None
    try:
        known = WeakEveKind(kind)
    except ValueError:
        kinds = ", ".join(WeakEveKind)
        raise ParameterError(
            "Eve", f"as none or KIND[:SHARE], KIND of weak pulses {kinds}", repr(text)
        ) from None
    try:
        number = float(share) if colon else 1.0
    except ValueError:
        raise ParameterError("Eve's share", "in [0, 1]", repr(share)) from None
    return WeakEve(known, number, threshold_width)


@dataclass(frozen=True, slots=True)
class Splitting:
    """What Eve lets pass in photon-number splitting.

    Attributes:
        single: Probability that a single photon passes.
        multiple: Probability that one photon of several passes.
    """

    single: float
    multiple: float


def splitting(config: WeakConfig) -> Splitting:
    """Rates that give Bob the signal's gain with as few single photons as possible.

    With x = (1 − e^−μη)/η_d photons per pulse on her lossless line, Bob's gain is what the fibre
    gives him. Several photons alone suffice when x ≤ 1 − e^−μ(1 + μ), as over any long fibre; else
    single ones fill up. Without loss and with weak detectors even all of them are too few: the
    gain then falls, since she keeps photons that would have had a chance of their own.
    """
    mu, efficiency = config.intensities[0], config.efficiency
    wanted = -math.expm1(-mu * config.registered) / efficiency
    several = several_photons(mu)
    return Splitting(
        single=min(1.0, max(0.0, (wanted - several) / (mu * math.exp(-mu)))),
        multiple=min(1.0, wanted / several),
    )


def several_photons(mean: float) -> float:
    """Probability of two or more photons, 1 − e^−μ(1 + μ)."""
    return max(0.0, -math.expm1(-mean) - mean * math.exp(-mean))


def _same(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return len(one) == len(other)


def _check(parameter: str, permitted: str, got: object, holds: bool) -> None:
    if not holds:
        raise ParameterError(parameter, permitted, got)
