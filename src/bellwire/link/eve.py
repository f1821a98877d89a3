"""Eve: what she does to the photons, to which share of them, and along which axes.

Everything lies where the honest settings lie, on the X–Z plane of the Bloch sphere; BB84's and
BBM92's bases are the angles 0 (rectilinear) and π/2 (diagonal).

- Intercept-resend measures the photon on its way to Bob along an axis and sends on what was found;
  Breidbart's is the axis half-way between the key's. GHZ entangling makes a controlled-NOT in the
  basis of the axis onto a qubit of hers, Φ⁺ thus becoming a GHZ state. In all three the pair that
  Alice and Bob hold is dephased along the axis, and its correlation becomes
  cos(a − axis)·cos(b − axis): they see the same, while what Eve holds differs.
- Substitution replaces the pair by halves of two Bell pairs whose partners Eve keeps. What Alice
  and Bob then share is one of the four Bell states, all alike.
- The cloner copies the photon on its way to Bob and sends one of two equal copies on.

Sections of docs/explanation/eve.md say what each learns and leaves behind. Sources: Bennett,
Bessette, Brassard, Salvail, Smolin, J. Cryptology 5, 3 (1992) for Breidbart's basis; Bruß,
Cinchetti, D'Ariano, Macchiavello, PRA 62, 012302 (2000) for the cloner.
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
    BREIDBART = "breidbart"
    GHZ = "ghz"
    CLONER = "cloner"
    SUBSTITUTION = "substitution"


WITH_AXES = (EveKind.INTERCEPT_RESEND, EveKind.GHZ)
"""Attacks whose axes may be chosen; Breidbart is her axis, the other two have none."""

CLONED = math.sqrt(0.5)
"""Factor by which the symmetric phase-covariant cloner shrinks the plane, of either copy."""

_BELL = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
"""Φ⁺, Φ⁻, Ψ⁺, Ψ⁻: signs s and r of the correlation s·cos(a − r·b) on the X–Z plane."""


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes among which Eve picks one per photon, uniformly at random.

    Angles are in radians on the Bloch sphere, but for those of `degrees`.

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

    def known(self, a: float) -> float:
        """Mean over the axes φ of |cos(a − φ)|: how well a result along φ tells that along a."""
        if self.angles is None:
            return 2.0 / math.pi
        return math.fsum(abs(math.cos(a - axis)) for axis in self.angles) / len(self.angles)

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
    (EveKind.BREIDBART, Protocol.BB84): Axes((math.pi / 4,)),
    (EveKind.BREIDBART, Protocol.BBM92): Axes((math.pi / 4,)),
    (EveKind.BREIDBART, Protocol.E91): Axes((3 * math.pi / 8,)),
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
            key bases, for GHZ the first of them, for Breidbart half-way between them.

    Raises:
        ParameterError: the share is not in [0, 1], or axes for an attack that leaves no choice.
    """

    kind: EveKind
    share: float = 1.0
    axes: Axes | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ParameterError("Eve's share", "in [0, 1]", self.share)
        if self.axes is not None and self.kind not in WITH_AXES:
            raise ParameterError(
                "Eve's axes", f"only for {' and '.join(WITH_AXES)}", f"axes for {self.kind}"
            )

    def check(self, protocol: Protocol) -> None:
        """Raise ParameterError if there is no such attack on this protocol."""
        if protocol.weak:
            raise ParameterError("Eve", "of weak pulses", f"one of photons on {protocol}")
        if self.kind is EveKind.SUBSTITUTION and not protocol.entangled:
            raise ParameterError(
                "Eve's substitution",
                "only where a source sends pairs (bbm92, e91)",
                f"{protocol}, where Alice sends photons",
            )

    def axes_for(self, protocol: Protocol) -> Axes:
        """Her axes in this protocol; KeyError for the cloner and substitution, who have none."""
        return self.axes or _DEFAULT_AXES[self.kind, protocol]

    def correlation(self, protocol: Protocol, a: float, b: float) -> float:
        """Mean product of ±1 outcomes at angles a and b, radians, through ideal optics.

        (1 − share)·cos(a − b) + share·left, where left is the mean over her axes φ of
        cos(a − φ)·cos(b − φ); cos(a − b)/√2 of the cloner; 0 of substitution, as the four Bell
        states cancel.

        Raises:
            ParameterError: there is no such attack on this protocol.
        """
        self.check(protocol)
        if self.kind is EveKind.SUBSTITUTION:
            left = 0.0
        elif self.kind is EveKind.CLONER:
            left = CLONED * math.cos(a - b)
        else:
            left = self.axes_for(protocol).dephased(a, b)
        return (1.0 - self.share) * math.cos(a - b) + self.share * left

    def disturbed(
        self,
        protocol: Protocol,
        a: NDArray[np.float64],
        b: NDArray[np.float64],
        uniform: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Mean products of ±1 outcomes at angles a and b, radians, of photons that she touched.

        All are (n,) float64; `uniform` are numbers of [0, 1): what she draws, or what Bell states
        result.
        """
        if self.kind is EveKind.SUBSTITUTION:
            sign, turn = _BELL[(uniform * len(_BELL)).astype(np.intp)].T
            return np.asarray(sign * np.cos(a - turn * b))
        if self.kind is EveKind.CLONER:
            return np.asarray(CLONED * np.cos(a - b))
        return correlations(a, b, self.axes_for(protocol).draw(uniform))


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
