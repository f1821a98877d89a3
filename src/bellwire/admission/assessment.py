"""The verdict on a newcomer, by rules: every reason is said, and one against is enough.

An assessor looks at a connection. It is not the gate: a token or an operator is (`gate`), because
whoever controls its own connection can make it look as it likes.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bellwire.admission.circuit import angles, distance
from bellwire.admission.evidence import Claim, Measured

MIN_ECHOES: Final = 8
"""Fewer echoes bound neither ping nor jitter."""

MAX_JITTER_MS: Final = 250.0
"""A way whose time changes by more is not one that a time can be judged on."""

MAX_DISTANCE: Final = 0.5
"""The circuit's outcomes for claim and measurement may differ by this share."""


class Verdict(enum.StrEnum):
    """Nothing between the two: what is unclear is INSECURE."""

    SECURE = "SECURE"
    INSECURE = "INSECURE"

    def and_(self, other: "Verdict") -> "Verdict":
        """The stricter of two."""
        return self if self is Verdict.INSECURE else other


@dataclass(frozen=True, slots=True)
class Assessment:
    """A verdict and its grounds.

    Attributes:
        verdict: SECURE only if no reason is against it.
        reasons: What speaks against; empty if nothing does.
        distance: Between the circuit's outcomes for claim and measurement, 0 to 1.
        assessor: Who judged: `local`, or the name of a model.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    distance: float
    assessor: str


def assess(claim: Claim, seen: Measured) -> Assessment:
    """Compare what is claimed with what was measured; the same input gives the same verdict."""
    reasons = _reasons(claim, seen)
    return Assessment(
        Verdict.INSECURE if reasons else Verdict.SECURE,
        tuple(reasons),
        _apart(claim, seen),
        "local",
    )


def _apart(claim: Claim, seen: Measured) -> float:
    jitter = 0.0 if seen.jitter_ms is None else seen.jitter_ms
    return distance(
        angles(claim.ping_ms, claim.jitter_ms, claim.address),
        angles(seen.ping_ms, jitter, seen.address),
    )


def _reasons(claim: Claim, seen: Measured) -> Sequence[str]:
    reasons = []
    fitted = claim
    if seen.echoes < MIN_ECHOES:
        reasons.append(f"{seen.echoes} echoes were timed, and {MIN_ECHOES} are asked for")
    if claim.address != seen.address:
        reasons.append("the address claimed is not the one that it comes from")
    if abs(claim.ping_ms - seen.ping_ms) <= _tolerance(seen.ping_ms, seen.jitter_ms):
        fitted = replace(fitted, ping_ms=seen.ping_ms)
    else:
        reasons.append(
            f"a ping of {claim.ping_ms:.1f} ms is claimed, and {seen.ping_ms:.1f} ms was measured"
        )
    if seen.jitter_ms is not None:
        if abs(claim.jitter_ms - seen.jitter_ms) <= _tolerance(seen.jitter_ms, seen.jitter_ms):
            fitted = replace(fitted, jitter_ms=seen.jitter_ms)
        else:
            reasons.append(
                f"a jitter of {claim.jitter_ms:.1f} ms is claimed, "
                f"and {seen.jitter_ms:.1f} ms was measured"
            )
        if seen.jitter_ms > MAX_JITTER_MS:
            reasons.append(f"a jitter of {seen.jitter_ms:.0f} ms lets nothing be judged")
    # The circuit tells times of milliseconds apart, which two who measure on busy machines may
    # differ by: those that fit have none of it.
    apart = _apart(fitted, seen)
    if apart > MAX_DISTANCE:
        reasons.append(f"claim and measurement differ by {apart:.2f} in the circuit's outcomes")
    return reasons


def _tolerance(value_ms: float, jitter_ms: float | None) -> float:
    """Two who measure one way at two moments differ by so much, milliseconds."""
    return max(25.0, 0.5 * value_ms, 3.0 * (jitter_ms or 0.0))
