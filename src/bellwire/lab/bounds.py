"""How much key each theorem proves of blocks of every size, at a link as theory describes it.

Nothing is sent. The numbers that the theorems themselves are held against are in
`bound_references`.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from bellwire.base.detections import Protocol
from bellwire.base.errors import UsageError
from bellwire.lab import tables
from bellwire.lab.bound_curves import Curve, Light, decoys, photons
from bellwire.lab.errors import RangeError
from bellwire.lab.outputs import write_outputs
from bellwire.lab.parameters import Numbers, numbers, settle, word
from bellwire.lab.sweep import Axis
from bellwire.link import theory
from bellwire.link.config import LinkConfig
from bellwire.link.weak import WeakConfig
from bellwire.link.weak_theory import expected

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILES = tuple(f"bounds.{kind}" for kind in ("csv", "parquet", "json", "svg", "png"))
"""What is left in the folder."""

PULSES = "1e3:1e12:28:log"
EPSILON = 1e-10
MAX_SIZES = 500
MAX_SIZE = 10**18

_KEY_BASIS = 0.9
"""Probability of the key's basis with decoys, unless given: the other need only be compared."""


class LightWords(TypedDict, total=False):
    """Words of `lab run` that say what light arrives, as `Settings`; the last three of decoys."""

    km: float
    loss: float
    insertion_loss: float
    efficiency: float
    dark: float
    misalignment: float
    intensities: Numbers
    intensity_shares: Numbers
    rectilinear: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """One theorem, one size of block.

    Attributes:
        theorem: Its name.
        pulses: Pulses, or pairs.
        secret_bits: That it proves.
        rate: Secret bits per pulse or pair.
        share: Of the rate of endless blocks; None if there is none.
    """

    theorem: str
    pulses: int
    secret_bits: int
    rate: float
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundsResult:
    """Every theorem that applies, at every size.

    Attributes:
        protocol: Of the blocks.
        qber: Error rate in like bases; of decoy states, of the signal.
        chsh: S; None but for E91.
        detected: Detections, or coincidences, per pulse or pair; of decoy states, of the signal.
        epsilon: Total failure probability of a block.
        parameters: The words in force.
        curves: The theorems.
        points: One for each theorem and size, but for those that know endless blocks alone.
    """

    protocol: str
    qber: float
    chsh: float | None
    detected: float
    epsilon: float
    parameters: Mapping[str, Any]
    curves: tuple[Curve, ...]
    points: tuple[Proved, ...]

    def of(self, theorem: str) -> list[Proved]:
        """The points of a theorem, by size."""
        return [point for point in self.points if point.theorem == theorem]

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "protocol": self.protocol,
            "qber": self.qber,
            "chsh": self.chsh,
            "detected": self.detected,
            "epsilon": self.epsilon,
            "parameters": dict(self.parameters),
            "theorems": [
                {
                    "theorem": each.theorem,
                    "against": each.against,
                    "finite": each.length is not None,
                    "limit_per_pulse": each.limit,
                }
                for each in self.curves
            ],
            "points": [asdict(point) for point in self.points],
        }

    def to_json(self) -> str:
        """The result as one JSON document."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_pandas(self) -> Any:
        """The points as a pandas DataFrame.

        Raises:
            LibraryMissing: pandas is not installed.
        """
        return tables.frame(self.points)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the key rate against the size of a block, on `ax` or on a figure of its own."""
        from bellwire.lab import bounds_figure  # noqa: PLC0415 - Matplotlib takes a second to load

        return bounds_figure.panel(self, ax)

    def figure(self) -> "Figure":
        """Key rate, and its share of the rate of endless blocks, against the size."""
        from bellwire.lab import bounds_figure  # noqa: PLC0415 - Matplotlib takes a second to load

        return bounds_figure.draw(self)

    def save(self, folder: Path) -> list[Path]:
        """Write `FILES` into a folder, which is made if missing.

        Raises:
            PathUnusable, FileUnusable: the folder cannot be made or written.
        """
        return write_outputs(
            folder,
            "bounds",
            kind=Proved,
            rows=self.points,
            figure=self.figure(),
            document=self.to_dict(),
        )


def bounds(
    protocol: str,
    *,
    pulses: str | int | Sequence[int] = PULSES,
    qber: float | None = None,
    epsilon: float = EPSILON,
    progress: Callable[[], None] | None = None,
    **words: Unpack[LightWords],
) -> BoundsResult:
    """What every theorem that applies to a protocol proves, at every size of block.

    Args:
        protocol: `bb84`, `bbm92`, `e91` or `decoy-bb84`.
        pulses: Sizes of block in pulses or pairs, as FROM:TO:N[:log], N[,N…] or numbers.
        qber: Error rate in like bases in the place of what the link would give; not with decoys.
        epsilon: Total failure probability of a block.
        progress: Called once for every size of every theorem.
        words: The link, as in `lab run`.

    Raises:
        UsageError: whatever is wrong with a word, a value, a range or their number.
    """
    kind, sizes = _protocol(protocol), sizes_of(pulses)
    same = LightWords.__annotations__
    given = {word(name, same): value for name, value in words.items()}
    plain = settle(kind, given)
    if kind.weak:
        if qber is not None:
            raise UsageError(f"expected qber only of photons and pairs, got it with {kind}")
        if "rectilinear" not in given:
            plain["rectilinear"] = _KEY_BASIS
        config = _weak(plain)
        light, curves = _signal(config), decoys(config, epsilon)
    else:
        if "rectilinear" in given:
            raise UsageError(f"expected rectilinear only with decoy-bb84, got it with {kind}")
        plain.pop("rectilinear", None)
        light = _light(kind, _link(plain), qber)
        curves = photons(kind, light, epsilon)
    return BoundsResult(
        protocol=str(kind),
        qber=light.qber,
        chsh=light.chsh if kind.judged_on_chsh else None,
        detected=light.detected,
        epsilon=epsilon,
        parameters={name: plain[name] for name in same if name in plain},
        curves=curves,
        points=tuple(_points(curves, sizes, progress)),
    )


def sizes_of(pulses: str | int | Sequence[int]) -> tuple[int, ...]:
    """Sizes of block.

    Raises:
        RangeError: none, too many, or one that no block can have.
    """
    if isinstance(pulses, str) and ":" in pulses:
        found = [round(each) for each in Axis.parse(f"pulses={pulses}").values]
    elif isinstance(pulses, str):
        found = [_whole(each) for each in pulses.split(",")]
    else:
        found = [pulses] if isinstance(pulses, int) else list(pulses)
    sizes = tuple(sorted(set(found)))
    if not 1 <= len(sizes) <= MAX_SIZES:
        raise RangeError(f"expected 1 to {MAX_SIZES} sizes of block, got {len(sizes)}")
    if not 1 <= sizes[0] <= sizes[-1] <= MAX_SIZE:
        raise RangeError(f"expected sizes of block from 1 to {MAX_SIZE:g}, got {pulses}")
    return sizes


def _whole(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise RangeError(
            f"expected sizes of block as 1e4,1e6 or 1e4:1e10:25:log, got {text or 'nothing'}"
        )
    return int(number)


def _protocol(name: str) -> Protocol:
    if name not in list(Protocol):
        known = ", ".join(sorted(Protocol))
        raise UsageError(f"expected a protocol that theorems are here for, {known}, got {name}")
    return Protocol(name)


def _link(plain: Mapping[str, Any]) -> LinkConfig:
    return LinkConfig(
        fibre_km=plain["km"],
        loss_db_per_km=plain["loss"],
        insertion_loss_db=plain["insertion_loss"],
        detector_efficiency=plain["efficiency"],
        dark_count_probability=plain["dark"],
        misalignment=plain["misalignment"],
    )


def _weak(plain: Mapping[str, Any]) -> WeakConfig:
    return WeakConfig(
        intensities=numbers(plain["intensities"]),
        shares=numbers(plain["intensity_shares"]),
        rectilinear=plain["rectilinear"],
        link=_link(plain),
    )


def _light(protocol: Protocol, link: LinkConfig, qber: float | None) -> Light:
    if qber is not None and not 0.0 <= qber <= 0.5:
        raise UsageError(f"expected a qber from 0 to 0.5, got {qber}")
    detected = (
        theory.coincidence_probability(link)
        if protocol.entangled
        else theory.detection_probability(protocol, link)
    )
    return Light(detected, theory.qber(protocol, link) if qber is None else qber)


def _signal(config: WeakConfig) -> Light:
    seen = expected(config, 0)
    return Light(seen.gain, min(0.5, seen.errors / seen.gain) if seen.gain else 0.5)


def _points(
    curves: Sequence[Curve], sizes: Sequence[int], progress: Callable[[], None] | None
) -> Iterator[Proved]:
    for curve in curves:
        if curve.length is None:
            continue
        for pulses in sizes:
            secret = curve.length(pulses)
            rate = secret / pulses
            yield Proved(
                theorem=curve.theorem,
                pulses=pulses,
                secret_bits=secret,
                rate=rate,
                share=rate / curve.limit if curve.limit else None,
            )
            if progress is not None:
                progress()
