"""Eve's power: how likely she is caught, against her share and against the size of a block.

At every place theory (`lab.odds`) stands beside blocks that were really sent and distilled by both
sides, and beside a plain rule: a fixed limit that asks nothing of the sample's size.
"""

import json
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from bellwire.base.detections import OF_PHOTONS, Side
from bellwire.base.errors import UsageError
from bellwire.crypto.kdf import hkdf
from bellwire.distill.verdict import Reason
from bellwire.lab import dispatch, tables
from bellwire.lab.errors import RangeError
from bellwire.lab.experiment import Experiment, distilled
from bellwire.lab.middle import KIND
from bellwire.lab.odds import Odds, odds, plain_caught
from bellwire.lab.outputs import write_outputs
from bellwire.lab.parameters import eve_kind, protocol_of, settle, vary, word
from bellwire.lab.sweep import Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILES = ("power.csv", "power.parquet", "power.svg", "power.png", "power.json")
"""What is left in the folder."""

MAX_PLACES = 2_000
MAX_SIZES = 6
MAX_RUNS = 10_000
SHARES = "0:1:21"
PULSES = (512, 20_000, 100_000)
RUNS = 20

_OVER_LIMIT = (Reason.QBER, Reason.CHSH)


class LinkWords(TypedDict, total=False):
    """Words of `lab run` that stay the same at every place, in the units of `Settings`."""

    km: float
    loss: float
    insertion_loss: float
    efficiency: float
    dark: float
    misalignment: float
    eve: str
    eve_axis: str | None
    sample_share: float
    epsilon: float
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPoint:
    """One share of Eve's, one size of block.

    Attributes:
        pulses: Pulses, or pairs, of a block.
        share: Eve's.
        caught: Probability, by theory, that the block's statistics are over a limit.
        withheld: That they are not and still no key is made.
        key: That key is made.
        plain_caught: That the plain rule catches her (`odds.plain_caught`).
        runs: Blocks that were sent.
        runs_caught, runs_withheld, runs_key: How they ended.
    """

    pulses: int
    share: float
    caught: float
    withheld: float
    key: float
    plain_caught: float
    runs: int
    runs_caught: int
    runs_withheld: int
    runs_key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerResult:
    """Odds and blocks at every place.

    Attributes:
        protocol: Of every block.
        eve: Her kind.
        parameters: What all places share, as words of `lab run`.
        seed: What every block's seed derives from.
        points: One per place, by size and then share.
    """

    protocol: str
    eve: str
    parameters: Mapping[str, Any]
    seed: int
    points: tuple[PowerPoint, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of block, each once, as asked for."""
        return tuple(dict.fromkeys(point.pulses for point in self.points))

    def of_size(self, pulses: int) -> list[PowerPoint]:
        """The points of blocks of so many pulses, or pairs, by share."""
        return [point for point in self.points if point.pulses == pulses]

    def experiment(self, share: float, pulses: int, seed: int | None = None) -> Experiment:
        """The experiment at a place, also between the points.

        Args:
            share: Share of the pulses, or pairs, that Eve touches, 0 to 1.
            pulses: Pulses, or pairs, of the block.
            seed: Makes it reproducible; None draws from the operating system.
        """
        named = {**self.parameters, "eve": self.eve, "pulses": pulses, "seed": seed}
        words = vary(protocol_of(self.protocol), named, "eve", share)
        what = dispatch.experiment(self.protocol, words)
        assert isinstance(what, Experiment)
        return what

    def odds(self, share: float, pulses: int) -> Odds:
        """What theory expects at a place, also between the points; arguments as of `experiment`."""
        return odds(self.experiment(share, pulses))

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return asdict(self)

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
        """Draw how likely she is caught against her share, on `ax` or on a figure of its own."""
        from bellwire.lab import power_figure  # noqa: PLC0415 - Matplotlib takes a second to load

        return power_figure.panel(self, ax)

    def figure(self) -> "Figure":
        """Caught and left without key against her share, and caught against the size, for print."""
        from bellwire.lab import power_figure  # noqa: PLC0415 - Matplotlib takes a second to load

        return power_figure.draw(self)

    def save(self, folder: Path) -> list[Path]:
        """Write `FILES` into a folder, which is made if missing.

        Raises:
            PathUnusable, FileUnusable: the folder cannot be made or written.
        """
        return write_outputs(
            folder,
            "power",
            kind=PowerPoint,
            rows=self.points,
            figure=self.figure(),
            document=self.to_dict(),
        )


def power(
    protocol: str,
    *,
    shares: str = SHARES,
    pulses: int | Sequence[int] = PULSES,
    runs: int = RUNS,
    seed: int | None = None,
    out: str | Path | None = None,
    progress: Callable[[int], None] | None = None,
    **words: Unpack[LinkWords],
) -> PowerResult:
    """How likely Eve is caught, at every share and size of block.

    Args:
        protocol: `e91`, `bbm92` or `bb84`.
        shares: Her shares, as FROM:TO:N.
        pulses: Sizes of block, in pulses or pairs.
        runs: Blocks to send at every place beside theory; 0 to send none.
        seed: Makes the blocks reproducible; None draws from the operating system.
        out: Folder for table, description and figure.
        progress: Called with the pulses just done.
        words: The link and the rules, as in `lab run`; `eve` says her kind, intercept-resend
            unless given.

    Raises:
        UsageError: whatever is wrong with a word, a value, a range or their number.
    """
    plan = plan_of(protocol, shares, pulses, runs, words)
    root = secrets.randbits(63) if seed is None else seed
    plan.experiment(0.0, plan.points[0].pulses, root)
    points = []
    for point in plan.points:
        expected = odds(plan.experiment(point.share, point.pulses))
        ended = [0, 0, 0]
        for number in range(runs):
            at = plan.experiment(point.share, point.pulses, _seed(root, point, number))
            ended[_ending(at)] += 1
            if progress is not None:
                progress(point.pulses)
        points.append(_filled(plan, point, expected, ended))
    result = PowerResult(
        protocol=plan.protocol,
        eve=plan.eve,
        parameters=plan.parameters,
        seed=root,
        points=tuple(points),
    )
    if out is not None:
        result.save(Path(out))
    return result


def plan_of(
    protocol: str,
    shares: str,
    pulses: int | Sequence[int],
    runs: int,
    words: Mapping[str, Any],
) -> PowerResult:
    """The places, every one checked, with nothing computed and nothing sent yet.

    Raises:
        RangeError: too many sizes, places or runs, or one size twice.
        UsageError: as `power`.
    """
    sizes = (pulses,) if isinstance(pulses, int) else tuple(pulses)
    places = Axis.parse(f"eve={shares}").values
    if not 1 <= len(set(sizes)) == len(sizes) <= MAX_SIZES:
        raise RangeError(f"expected 1 to {MAX_SIZES} different sizes of block, got {sizes}")
    if len(sizes) * len(places) > MAX_PLACES:
        raise RangeError(f"expected at most {MAX_PLACES} places, got {len(sizes) * len(places)}")
    if not 0 <= runs <= MAX_RUNS:
        raise RangeError(f"expected 0 to {MAX_RUNS} runs, got {runs}")
    if protocol not in OF_PHOTONS:
        known = ", ".join(sorted(OF_PHOTONS, reverse=True))
        raise UsageError(f"expected one of the protocols {known}, got {protocol}")
    same = LinkWords.__annotations__
    given = {word(name, same): value for name, value in words.items()}
    plain = settle(protocol_of(protocol), given)
    kind = eve_kind(plain["eve"])
    if kind == KIND:
        raise UsageError(f"expected an Eve on the light, who has a share, got {KIND}")
    plan = PowerResult(
        protocol=str(protocol),
        eve=kind,
        parameters={name: plain[name] for name in same if name != "eve"},
        seed=0,
        points=tuple(_empty(size, share) for size in sizes for share in places),
    )
    for point in plan.points:
        plan.experiment(point.share, point.pulses)
    return plan


def interval(count: int, runs: int) -> tuple[float, float]:
    """Wilson's interval of one standard error around a share of runs.

    Source: Wilson, J. Am. Stat. Assoc. 22, 209 (1927), with z = 1.
    """
    share, spread = count / runs, 1.0 + 1.0 / runs
    centre = (share + 0.5 / runs) / spread
    half = math.sqrt(share * (1.0 - share) / runs + 0.25 / runs**2) / spread
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def _ending(what: Experiment) -> int:
    """0 if the block's statistics were over a limit, 1 if it was left without key, 2 with one."""
    report = distilled(what).reports[Side.ALICE]
    if report.accepted:
        return 2
    return 0 if report.reason in _OVER_LIMIT else 1


def _seed(root: int, point: PowerPoint, number: int) -> int:
    info = f"lab power {point.pulses} {point.share!r} run {number}".encode()
    return int.from_bytes(hkdf(root.to_bytes(16, "big"), info=info, length=8), "big") >> 1


def _empty(pulses: int, share: float) -> PowerPoint:
    return PowerPoint(
        pulses=pulses, share=share, caught=0.0, withheld=0.0, key=0.0, plain_caught=0.0,
        runs=0, runs_caught=0, runs_withheld=0, runs_key=0,
    )  # fmt: skip


def _filled(plan: PowerResult, at: PowerPoint, expected: Odds, ended: Sequence[int]) -> PowerPoint:
    caught, withheld, key = ended
    return PowerPoint(
        pulses=at.pulses,
        share=at.share,
        caught=expected.caught,
        withheld=expected.withheld,
        key=expected.key,
        plain_caught=plain_caught(plan.experiment(at.share, at.pulses)),
        runs=sum(ended),
        runs_caught=caught,
        runs_withheld=withheld,
        runs_key=key,
    )
