"""Eve: what she does to the photons, to which share of them, and along which axes.

All her axes lie where the honest settings lie, on the X–Z plane of the Bloch sphere; BB84's and
BBM92's bases are the angles 0 (rectilinear) and π/2 (diagonal). Intercept-resend measures the
photon on its way to Bob along an axis and sends on what was found. GHZ entangling makes a
controlled-NOT in the basis of the axis onto a qubit of hers, Φ⁺ thus becoming a GHZ state. Either
way the pair that Alice and Bob hold is dephased along the axis, and its correlation becomes
cos(a − axis)·cos(b − axis): they see the same, while what Eve holds differs
(docs/explanation/eve.md).
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bellwire.base.detections import Protocol
from bellwire.link.errors import ParameterError

BB84_ANGLES = (0.0, math.pi / 2)
"""Bloch angles of the rectilinear and the diagonal basis, of BB84 and of BBM92."""

MAX_AXES = 16


class EveKind(StrEnum):
    """What Eve does to a photon that she touches."""

    INTERCEPT_RESEND = "intercept-resend"
    GHZ = "ghz"


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes among which Eve picks one per photon, uniformly at random.

    Attributes:
        angles: 1 to 16 Bloch angles, radians; None for the whole circle.

    Raises:
        ParameterError: no angle, too many, or one that is not finite.
    """

    angles: tuple[float, ...] | None

    def __post_init__(self) -> None:
        angles = self.angles
        if angles is not None and not (
            1 <= len(angles) <= MAX_AXES and all(math.isfinite(angle) for angle in angles)
        ):
            raise ParameterError("Eve's axes", f"1 to {MAX_AXES} finite angles", angles)

    @classmethod
    def uniform(cls) -> "Axes":
        """Any axis of the circle, all equally likely."""
        return cls(None)

    @classmethod
    def degrees(cls, *angles: float) -> "Axes":
        """Axes given in degrees on the Bloch sphere."""
        return cls(tuple(math.radians(angle) for angle in angles))

    def draw(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) axes, radians, from (n,) uniform numbers of [0, 1)."""
        if self.angles is None:
            return np.asarray(uniform * (2.0 * math.pi))
        chosen = (uniform * len(self.angles)).astype(np.intp)
        return np.array(self.angles)[chosen]

    def dephased(self, a: float, b: float) -> float:
        """Mean over the axes φ of cos(a − φ)·cos(b − φ): what is left of the correlation."""
        if self.angles is None:
            return math.cos(a - b) / 2.0
        terms = (math.cos(a - axis) * math.cos(b - axis) for axis in self.angles)
        return math.fsum(terms) / len(self.angles)


_DEFAULT_AXES = {
    (EveKind.INTERCEPT_RESEND, Protocol.BB84): Axes(BB84_ANGLES),
    (EveKind.INTERCEPT_RESEND, Protocol.BBM92): Axes(BB84_ANGLES),
    (EveKind.INTERCEPT_RESEND, Protocol.E91): Axes((math.pi / 4, math.pi / 2)),
    (EveKind.GHZ, Protocol.BB84): Axes((0.0,)),
    (EveKind.GHZ, Protocol.BBM92): Axes((0.0,)),
    (EveKind.GHZ, Protocol.E91): Axes((math.pi / 4,)),
}


@dataclass(frozen=True, slots=True)
class Eve:
    """An attack on a link.

    Attributes:
        kind: What she does.
        share: Share of the pulses or pairs that she touches, in [0, 1].
        axes: Where she measures or entangles; None for the obvious ones of the protocol: the two
            key bases, or for GHZ the first of them.

    Raises:
        ParameterError: the share is not in [0, 1].
    """

    kind: EveKind
    share: float = 1.0
    axes: Axes | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ParameterError("Eve's share", "in [0, 1]", self.share)

    def axes_for(self, protocol: Protocol) -> Axes:
        """Her axes in this protocol."""
        return self.axes or _DEFAULT_AXES[self.kind, protocol]

    def correlation(self, protocol: Protocol, a: float, b: float) -> float:
        """Mean product of ±1 outcomes at angles a and b through ideal optics.

        (1 − share)·cos(a − b) + share · mean over her axes φ of cos(a − φ)·cos(b − φ).
        """
        dephased = self.axes_for(protocol).dephased(a, b)
        return (1.0 - self.share) * math.cos(a - b) + self.share * dephased


def correlations(a: ArrayLike, b: ArrayLike, axis: ArrayLike) -> NDArray[np.float64]:
    """cos(a − axis)·cos(b − axis), element by element; angles in radians."""
    return np.cos(np.subtract(a, axis)) * np.cos(np.subtract(b, axis))


def parse_axes(text: str) -> Axes:
    """Read `uniform`, or degrees on the Bloch sphere separated by commas (`45,90`).

    Raises:
        ParameterError: neither.
    """
    if text.strip() == "uniform":
        return Axes.uniform()
    try:
        angles = [float(word) for word in text.split(",")]
    except ValueError:
        raise ParameterError(
            "Eve's axes", "as degrees separated by commas, or 'uniform'", repr(text)
        ) from None
    return Axes.degrees(*angles)


def parse_eve(text: str, axes: Axes | None = None) -> Eve | None:
    """Read `KIND[:SHARE]`, the share 1 unless given; `none` gives None.

    Raises:
        ParameterError: an unknown kind, a share that is no number of [0, 1], or axes for `none`.
    """
    kind, colon, share = text.strip().partition(":")
    if kind == "none" and not colon:
        if axes is not None:
            raise ParameterError("Eve's axes", "only where there is an Eve", "'none' with axes")
        return None
    kinds = ", ".join(EveKind)
    try:
        known = EveKind(kind)
    except ValueError:
        raise ParameterError("Eve", f"as none or KIND[:SHARE], KIND {kinds}", repr(text)) from None
    try:
        return Eve(known, float(share) if colon else 1.0, axes)
    except ValueError:
        raise ParameterError("Eve's share", "in [0, 1]", repr(share)) from None
