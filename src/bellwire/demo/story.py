"""What a run of the demo was: the document that `bellwire demo --json` prints and the report shows.

Plain values in the order of the story, all public: no key bit has a place here. Page, figures and
terminal summary read nothing else, so that they can never disagree. What always holds: a stage's
budget adds up from pulses to its secret bits, and a rejected stage has none.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any

from bellwire.base.detections import Protocol
from bellwire.distill.verdict import CLASSICAL, TSIRELSON
from bellwire.keys.model import KeySourceKind
from bellwire.keys.status import Status

HONESTY = (
    "The light of this run is simulated: a program played the photons and knows every one of them, "
    "so these keys have no physical secrecy. The post-quantum half of the channel (ML-KEM-768 "
    "beside X25519) holds by itself, and it is what protects the data today; with real optics in "
    "the simulator's place, either half would be enough."
)

_BESIDE = (
    "The post-quantum half of the channel (ML-KEM-768 beside X25519) holds by itself, and it is "
    "what protects the data today."
)
GENERATED_HONESTY = (
    "The time tags of this run are generated: a program played the source and knows every photon, "
    f"so these keys have no physical secrecy. {_BESIDE}"
)
RECORDED_HONESTY = (
    "The light of this run was recorded before it: whoever had both recordings, or one and what "
    f"the nodes said to each other, has these keys. {_BESIDE}"
)

PREVIEW_LINES = 6
PREVIEW_COLUMNS = 160


class Verdict(StrEnum):
    """What became of a block."""

    ACCEPT = "accept"
    ABORT = "abort"


class EventKind(StrEnum):
    """What happened at a moment of the timeline."""

    NOTE = "note"
    BLOCK_ACCEPTED = "block accepted"
    BLOCK_REJECTED = "block rejected"
    SENT = "data sent"
    REFUSED = "send refused"
    EVE_ON = "eve on"
    EVE_OFF = "eve off"


class StepKind(StrEnum):
    """How a step of the key budget counts."""

    COUNT = "count"  # what remains at this point
    LOSS = "loss"  # what is taken away
    NET = "net"  # what remains at the end


class StoryInconsistent(ValueError):
    """The numbers of a story contradict each other: a mistake of ours, never of the input."""


@dataclass(frozen=True, slots=True)
class Eve:
    """The attack of a stage and the share of pulses it took, 0 to 1."""

    kind: str
    share: float


@dataclass(frozen=True, slots=True)
class BudgetStep:
    """One step from pulses to secret bits; `bits` is never negative, `kind` says how it counts."""

    name: str
    bits: int
    kind: StepKind
    explanation: str


@dataclass(frozen=True, slots=True)
class Correlation:
    """E(a, b) of one pair of settings.

    Attributes:
        alice_deg: Alice's angle on the Bloch sphere, degrees.
        bob_deg: Bob's.
        value: Measured, −1 to 1.
        stderr: Its standard error.
        pairs: Coincidences behind it.
        ideal: V·cos(a − b) of this link without Eve; of recorded light V is that of the block's S.
    """

    alice_deg: float
    bob_deg: float
    value: float
    stderr: float
    pairs: int
    ideal: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One block: what was tried, what was measured, what came of it.

    Attributes:
        name: Short and stable, for scripts: `e91`, `bb84-eve`.
        title: For people.
        verdict: Accepted or aborted.
        reason: Why aborted, in words; None if accepted.
        protocol: What was run.
        eve: The attack, or None.
        qber: Error rate of sifted bits, 0 to 1, with its standard error; None if not reached.
        qber_stderr: See above.
        qber_expected: What theory says for this link and this attack.
        chsh: S with its standard error; E91 only, None if not reached.
        chsh_stderr: See above.
        chsh_expected: What theory says.
        secret_bits: Net of what the block's authentication used up; 0 if aborted.
        epsilon: Upper limit of the probability that anything stated of the key fails.
        epsilon_secrecy: Its parts, which add up to it.
        epsilon_correctness: See above.
        epsilon_authentication: See above.
        wall_s: Duration, seconds.
        status: Status of the link after the block.
        budget: From `key_budget`.
        correlations: E91: nine pairs of settings.
    """

    name: str
    title: str
    verdict: Verdict
    reason: str | None = None
    protocol: Protocol
    eve: Eve | None = None
    qber: float | None = None
    qber_stderr: float | None = None
    qber_expected: float | None = None
    chsh: float | None = None
    chsh_stderr: float | None = None
    chsh_expected: float | None = None
    secret_bits: int = 0
    epsilon: float | None = None
    epsilon_secrecy: float | None = None
    epsilon_correctness: float | None = None
    epsilon_authentication: float | None = None
    wall_s: float
    status: Status
    budget: tuple[BudgetStep, ...] = ()
    correlations: tuple[Correlation, ...] = ()

    def __post_init__(self) -> None:
        if self.verdict is Verdict.ABORT and self.secret_bits:
            raise StoryInconsistent(f"{self.name}: expected 0 bits of an aborted block")
        if self.budget and self.budget[-1].bits != self.secret_bits:
            raise StoryInconsistent(
                f"{self.name}: expected a budget that ends at {self.secret_bits} secret bits, "
                f"got {self.budget[-1].bits}"
            )

    @property
    def accepted(self) -> bool:
        """Whether the block became key."""
        return self.verdict is Verdict.ACCEPT

    def step(self, name: str) -> int | None:
        """Bits of the budget's step of that name, None if the block did not reach it."""
        return next((step.bits for step in self.budget if step.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The device's readings on their way to the cloud.

    Attributes:
        origin: Where the readings came from, in words.
        sent: Readings that the device sent.
        received: Readings that the cloud decrypted.
        sha256_in: Hex, over the bytes as the device read them; None if it sent none.
        sha256_out: Hex, over the bytes as the cloud decrypted them.
        refused_while_red: Whether a send was tried on RED and refused.
        refusal: The sentence with which it was refused.
        protections: What the channel's keys were derived from.
        readings_preview: First lines that the cloud decrypted, from `preview`.
    """

    origin: str
    sent: int
    received: int
    sha256_in: str | None
    sha256_out: str | None
    refused_while_red: bool
    refusal: str | None = None
    protections: tuple[str, ...] = ("x25519", "ml-kem-768", "qkd (simulated)")
    readings_preview: tuple[str, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether the cloud has, to the byte, what the device read."""
        return (
            self.sent == self.received > 0
            and self.sha256_in is not None
            and self.sha256_in == self.sha256_out
        )


@dataclass(frozen=True, slots=True)
class Event:
    """A moment: seconds since the start, what it was, and the link's status after it."""

    t_s: float
    kind: EventKind
    title: str
    status: Status | None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits that decided, and the two of physics that they lie between."""

    yellow_qber: float = 0.05
    red_qber: float = 0.11
    chsh_floor: float = 2.2
    classical_bound: float = CLASSICAL
    tsirelson: float = TSIRELSON


@dataclass(frozen=True, slots=True)
class Authentication:
    """Pre-shared key that the classical channel used up, and what was put back."""

    consumed_bits: int
    refilled_bits: int
    first_contact: str


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the run: `link`, `node-a`, `node-b`, `device` or `cloud`."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The whole run; see `docs/reference/report.md` for the document field by field."""

    stages: tuple[Stage, ...]
    device: Device
    timeline: tuple[Event, ...]
    authentication: Authentication
    processes: tuple[Process, ...]
    wall_s: float
    versions: dict[str, str]
    report: str
    thresholds: Thresholds = field(default_factory=Thresholds)
    source: KeySourceKind = KeySourceKind.SIMULATED
    honesty: str = HONESTY
    assumptions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    eve_left_out: str | None = None

    @property
    def secret_bits(self) -> int:
        """Net secret bits of all accepted blocks."""
        return sum(stage.secret_bits for stage in self.stages)

    @property
    def attacked(self) -> tuple[Stage, ...]:
        """Stages that Eve took part in."""
        return tuple(stage for stage in self.stages if stage.eve is not None)

    @property
    def succeeded(self) -> bool:
        """Whether all that the demo is to show was seen: key, Eve caught, data intact, GREEN.

        Where Eve is left out, nobody is to be caught and nothing to be refused.
        """
        quiet = [stage for stage in self.stages if stage.eve is None]
        caught = (
            self.device.refused_while_red
            and len(self.attacked) > 0
            and not any(stage.accepted for stage in self.attacked)
        )
        return (
            self.secret_bits > 0
            and self.device.intact
            and all(stage.accepted for stage in quiet)
            and (caught or self.eve_left_out is not None)
            and self.stages[-1].status is not Status.RED
        )

    def first(self, protocol: Protocol, *, accepted: bool = True) -> Stage | None:
        """The first stage of a protocol with that verdict."""
        return next(
            (s for s in self.stages if s.protocol is protocol and s.accepted is accepted), None
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for one JSON document.

        Raises:
            StoryInconsistent: A number is not finite.
        """
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain


def key_budget(
    *,
    protocol: Protocol,
    accepted: bool,
    pulses: int,
    detected: int,
    sifted: int,
    left: int,
    leaked: int,
    verification: int,
    extracted: int,
    authentication: int,
) -> tuple[BudgetStep, ...]:
    """Order a block's counts from pulses to secret bits, each step explained.

    What privacy amplification takes beyond the leak and the hash is the phase-error term: what
    Eve could know, with the margins for finite size. A rejected block's list ends where it was
    rejected, with all that was left given up.

    Args:
        protocol: Names the second step: detections, or coincidences of pairs.
        accepted: Whether the block became key.
        pulses: Pulses, or pairs, sent.
        detected: Slots that both sides have.
        sifted: Bits of equal bases, or of key settings.
        left: Bits that went into reconciliation, after sampling.
        leaked: Parities of reconciliation.
        verification: Bits of the verification hash.
        extracted: Bits that amplification gave.
        authentication: Bits set aside to refill the authentication key.

    Raises:
        StoryInconsistent: The counts grow where they must shrink, or take away more than there is.
    """
    pairs = protocol.entangled
    steps = [
        BudgetStep(
            "pulses",
            pulses,
            StepKind.COUNT,
            "entangled pairs that the source sent" if pairs else "single photons that Alice sent",
        ),
        BudgetStep(
            "coincidences" if pairs else "detected",
            detected,
            StepKind.COUNT,
            "pairs of which both photons were detected" if pairs else "photons that Bob detected",
        ),
        BudgetStep(
            "sifted",
            sifted,
            StepKind.COUNT,
            "both measured at the same key setting"
            if protocol.judged_on_chsh
            else "both chose the same basis; the others carry no common bit",
        ),
        BudgetStep(
            "after sampling",
            left,
            StepKind.COUNT,
            "all of them: E91 is judged on its other settings"
            if protocol.judged_on_chsh
            else "a random part was compared in the open and lost",
        ),
    ]
    for above, below in pairwise(steps):
        if not 0 <= below.bits <= above.bits:
            raise StoryInconsistent(
                f"{below.name}: expected 0 to {above.bits} bits, got {below.bits}"
            )
    if not accepted:
        if left:
            steps.append(
                BudgetStep("rejected", left, StepKind.LOSS, "the block was rejected as a whole")
            )
        steps.append(BudgetStep("secret", 0, StepKind.NET, "no key from a rejected block"))
        return tuple(steps)
    eve = left - leaked - verification - extracted
    net = extracted - authentication
    if min(leaked, verification, eve, authentication, net) < 0:
        raise StoryInconsistent(
            f"expected steps that take away at most {left} bits, got {leaked} leaked, "
            f"{verification} hash, {extracted} extracted, {authentication} authentication"
        )
    steps += [
        BudgetStep(
            "error correction",
            leaked,
            StepKind.LOSS,
            "parities that were told in the open to find and mend the errors",
        ),
        BudgetStep(
            "verification",
            verification,
            StepKind.LOSS,
            "the hash that shows both sides now hold the same bits",
        ),
        BudgetStep(
            "Eve could know",
            eve,
            StepKind.LOSS,
            "limit from the measured disturbance, with margins for finite statistics",
        ),
        BudgetStep(
            "authentication",
            authentication,
            StepKind.LOSS,
            "set aside to replace the key that authenticated this block's messages",
        ),
        BudgetStep(
            "secret",
            net,
            StepKind.NET,
            "held by both nodes alike, and kept from whoever listens on the line",
        ),
    ]
    return tuple(steps)


def measured(value: float | None, stderr: float | None, *, percent: bool) -> str:
    """A value with its standard error for people: `2.1 ± 0.1 %`, `2.719 ± 0.010`; `–` for None."""
    if value is None:
        return "–"
    scale, digits, unit = (100.0, 1, " %") if percent else (1.0, 3, "")
    if percent and stderr is not None and 0.0 < scale * stderr < 0.05:
        digits = 2
    error = "" if stderr is None else f" ± {scale * stderr:.{digits}f}"
    return f"{scale * value:.{digits}f}{error}{unit}"


def preview(data: bytes) -> tuple[str, ...]:
    """The first lines of readings for people: bounded, and without control characters."""
    lines = data[: PREVIEW_LINES * PREVIEW_COLUMNS * 4].decode("utf-8", "replace").splitlines()
    shown = []
    for line in lines[:PREVIEW_LINES]:
        clean = "".join(c if c.isprintable() else "�" for c in line.replace("\t", " "))
        long = len(clean) > PREVIEW_COLUMNS
        shown.append(clean[: PREVIEW_COLUMNS - 1] + "…" if long else clean)
    return tuple(shown)


def _plain(value: object) -> object:
    """A value of this module as JSON knows it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise StoryInconsistent(f"expected a finite number, got {value}")
    if isinstance(value, str):
        # Enums become plain text; a file name may hold bytes that are no text, JSON is UTF-8.
        return str(value).encode("utf-8", "replace").decode()
    return value
