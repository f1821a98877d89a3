"""Repeaters against distance: rate, fidelity and key of chains, beside the repeaterless bound.

For every distance, number of links and number of purification rounds a chain is simulated until it
has delivered so many pairs. A row's seed derives from the run's seed and its place, so that a finer
range keeps the rows that it shares with a coarser one.
"""

import json
import math
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from bellwire.base.detections import Protocol
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.stream import SEED_BYTES
from bellwire.lab import tables
from bellwire.lab.errors import RangeError
from bellwire.lab.outputs import write_outputs
from bellwire.lab.sweep import Axis
from bellwire.link import theory
from bellwire.link.bell_pairs import Memory
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError, TooRare
from bellwire.link.repeater import MODES_PER_PHOTON, Order, RepeaterConfig, herald
from bellwire.link.repeater_chain import MAX_PAIRS, simulate_chain
from bellwire.link.repeater_theory import (
    chain_bound,
    delivered,
    mean_time_s,
    repeaterless_bound,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_ROWS = 10_000
FILES = ("repeater.csv", "repeater.parquet", "repeater.svg", "repeater.png", "repeater.json")
"""What is written into a folder."""

CLEAR = 3.0
"""Standard errors by which a rate must lie above the bound to count as beyond it."""


class ChainWords(TypedDict, total=False):
    """What all chains of a run have in common; as `RepeaterConfig` says.

    Attributes:
        loss: Attenuation of the fibre, dB/km.
        source, detector, dark, fidelity, prepare_s, modes: Of an attempt.
        memory_s: Coherence time; math.inf for no decay.
        memory: `dephasing` or `depolarising`.
        cutoff_s: Longest wait; math.inf for no cut-off.
        swap_success, gate_error: Of a repeater station.
        order: `nested` or `sequential`.
        store_ends: Whether Alice and Bob store.
    """

    loss: float
    source: float
    detector: float
    dark: float
    fidelity: float
    prepare_s: float
    modes: int
    memory_s: float
    memory: str
    cutoff_s: float
    swap_success: float
    gate_error: float
    order: str
    store_ends: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRow:
    """One chain; what it did not deliver is None, and `reason` says why.

    Attributes:
        km: Alice to Bob.
        links: Elementary links.
        purify: Rounds of purification on each.
        seed: Of this row.
        pairs: Delivered.
        heralds: Heralded links that they took.
        success: Probability that an attempt on a link succeeds.
        attempt_s: Time of an attempt.
        rate_hz, rate_stderr: Pairs per second.
        fidelity, fidelity_stderr: With Φ⁺.
        qber_x, qber_x_stderr, qber_z, qber_z_stderr: Error rates of the two bases.
        key_fraction: Secret bits per pair of long runs.
        key_rate_bps, key_rate_stderr: Secret bits per second of long runs.
        rate_theory, fidelity_theory, key_rate_theory: Closed forms, where there are any.
        key_per_mode: Secret bits per mode of a link.
        bound_per_mode: What no protocol without repeaters exceeds; None, as all bounds, without
            loss.
        chain_bound_per_mode: What no protocol with so many equal links exceeds.
        bound_bps: The same at the run's clock.
        direct_bps: Single photons over the whole fibre (BB84, long blocks) at that clock, with this
            source and these detectors; None beyond 1000 km.
        reason: Why nothing was delivered.
    """

    km: float
    links: int
    purify: int
    seed: int
    pairs: int
    heralds: int | None
    success: float
    attempt_s: float
    rate_hz: float | None
    rate_stderr: float | None
    fidelity: float | None
    fidelity_stderr: float | None
    qber_x: float | None
    qber_x_stderr: float | None
    qber_z: float | None
    qber_z_stderr: float | None
    key_fraction: float | None
    key_rate_bps: float | None
    key_rate_stderr: float | None
    rate_theory: float | None
    fidelity_theory: float | None
    key_rate_theory: float | None
    key_per_mode: float | None
    bound_per_mode: float | None
    chain_bound_per_mode: float | None
    bound_bps: float | None
    direct_bps: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where a chain lies beyond the repeaterless bound.

    Attributes:
        links: Of the chain.
        purify: Its rounds.
        measure: `bps` (at the run's clock) or `per-mode`.
        from_km: Where it gets beyond, between the rows by the logarithm of the ratio; the first
            row's distance if it is beyond there.
        to_km: Where it falls back; None if it does not within the range.
    """

    links: int
    purify: int
    measure: str
    from_km: float
    to_km: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeaterResult:
    """Chains against distance.

    Attributes:
        parameters: What all chains have in common; None is infinite.
        clock_hz: Modes per second that a source without repeaters is granted.
        seed: What every row's seed derives from.
        rows: By links, rounds and distance.
    """

    parameters: dict[str, Any]
    clock_hz: float
    seed: int
    rows: tuple[ChainRow, ...]

    def series(self) -> dict[tuple[int, int], list[ChainRow]]:
        """(links, rounds of purification) → rows, by distance."""
        found: dict[tuple[int, int], list[ChainRow]] = {}
        for row in self.rows:
            found.setdefault((row.links, row.purify), []).append(row)
        return found

    def chain(self, km: float, links: int = 1, purify: int = 0) -> RepeaterConfig:
        """A chain of this run's parts, at any distance."""
        plain: dict[str, Any] = {
            name: math.inf if value is None else value for name, value in self.parameters.items()
        }
        return RepeaterConfig(km=km, links=links, rounds=purify, **plain)

    def crossings(self) -> tuple[Crossing, ...]:
        """Every stretch on which a chain is beyond the bound by three standard errors."""
        return tuple(
            Crossing(links, purify, measure, start, end)
            for (links, purify), rows in self.series().items()
            for measure in ("bps", "per-mode")
            for start, end in _stretches(
                [row.km for row in rows], [_ratio(r, measure) for r in rows]
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return asdict(self) | {"crossings": [asdict(each) for each in self.crossings()]}

    def to_json(self) -> str:
        """The result as one JSON document."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame.

        Raises:
            LibraryMissing: pandas is not installed.
        """
        return tables.frame(self.rows)

    def figure(self) -> "Figure":
        """Key, fidelity and the ratio to the bound against distance, for print."""
        from bellwire.lab import repeater_figure  # noqa: PLC0415 - Matplotlib takes a second

        return repeater_figure.draw(self)

    def save(self, folder: Path) -> list[Path]:
        """Write table, figure and description (`FILES`).

        Raises:
            PathUnusable, FileUnusable: the folder cannot be made or written.
        """
        document = {
            "parameters": self.parameters,
            "clock_hz": self.clock_hz,
            "seed": self.seed,
            "crossings": [asdict(each) for each in self.crossings()],
        }
        return write_outputs(
            folder,
            "repeater",
            kind=ChainRow,
            rows=self.rows,
            figure=self.figure(),
            document=document,
        )


def repeater(
    km: str | float | Sequence[float],
    links: int | Iterable[int] = (1, 2, 4),
    *,
    purify: int | Iterable[int] = 0,
    pairs: int = 4000,
    clock: float = 1e9,
    seed: int | None = None,
    progress: Callable[[int], None] | None = None,
    **words: Unpack[ChainWords],
) -> RepeaterResult:
    """Simulate chains at every distance.

    Args:
        km: `FROM:TO:N`, with `:log` behind it for equal factors, or distances, or one.
        links: Numbers of links.
        purify: Rounds of purification on each link.
        pairs: To deliver in every row; 2 to 10⁷.
        clock: Modes per second of a source without repeaters, above 0 and at most 10¹².
        seed: Makes it reproducible; None draws from the operating system.
        progress: Called with the number of further pairs that are done.
        words: What all chains have in common.

    Raises:
        ParameterError, RangeError: before anything runs, for a value that cannot be, and for too
            many chains.
        UsageError: for whatever else is wrong with the parameters.
    """
    configs = plan_rows(km, links, purify, words)
    if not 2 <= pairs <= MAX_PAIRS:
        raise ParameterError("pairs", f"2 to {MAX_PAIRS}", pairs)
    if not 0.0 < clock <= 1e12:
        raise ParameterError("clock", "above 0, at most 1e12 Hz", clock)
    if seed is not None and not 0 <= seed < 1 << 64:
        raise ParameterError("seed", "0 to 2^64 - 1", seed)
    root = secrets.randbits(63) if seed is None else seed
    rows = tuple(_row(config, pairs, clock, root, progress) for config in configs)
    return RepeaterResult(parameters=_common(configs[0]), clock_hz=clock, seed=root, rows=rows)


def plan_rows(
    km: str | float | Sequence[float],
    links: int | Iterable[int],
    purify: int | Iterable[int],
    words: ChainWords,
) -> list[RepeaterConfig]:
    """All chains of a run, checked: by links, rounds, distance.

    Raises:
        RangeError: no chain, or more than `MAX_ROWS`.
        ParameterError: a word that no chain has, or a value out of its range.
        UsageError: as `repeater`.
    """
    distances = sorted(set(_distances(km)))
    counts = sorted({links} if isinstance(links, int) else set(links))
    rounds = sorted({purify} if isinstance(purify, int) else set(purify))
    total = len(distances) * len(counts) * len(rounds)
    if not 1 <= total <= MAX_ROWS:
        raise RangeError(f"expected 1 to {MAX_ROWS} chains, got {total}")
    given: dict[str, Any] = dict(words)
    if "loss" in given:
        given["loss_db_per_km"] = given.pop("loss")
    for name, kind in (("memory", Memory), ("order", Order)):
        if name in given:
            given[name] = _member(name, kind, given[name])
    try:
        first = RepeaterConfig(km=distances[0], **given)
    except TypeError:
        known = ", ".join(ChainWords.__annotations__)
        raise ParameterError("a chain's words", f"among {known}", ", ".join(words)) from None
    return [
        replace(first, km=distance, links=count, rounds=each)
        for count in counts
        for each in rounds
        for distance in distances
    ]


def _distances(km: str | float | Sequence[float]) -> Sequence[float]:
    if isinstance(km, str):
        text = km if ":" in km else f"{km}:{km}:1"
        return Axis.parse(f"km={text}").values
    return (km,) if isinstance(km, int | float) else [float(each) for each in km]


def _member(name: str, kind: type[Memory] | type[Order], value: str) -> Memory | Order:
    try:
        return kind(value)
    except ValueError:
        raise ParameterError(name, f"as {' or '.join(kind)}", value) from None


def _common(config: RepeaterConfig) -> dict[str, Any]:
    plain = asdict(config)
    for name in ("km", "links", "rounds"):
        plain.pop(name)
    return {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in plain.items()
    }


def _row(
    config: RepeaterConfig,
    pairs: int,
    clock: float,
    root: int,
    progress: Callable[[int], None] | None,
) -> ChainRow:
    seed = _seed(root, config)
    stream = hkdf(seed.to_bytes(16, "big"), info=b"lab repeater", length=SEED_BYTES)
    bound = repeaterless_bound(config.transmittance)
    expected, time_s = delivered(config), mean_time_s(config)
    blank = ChainRow(
        km=config.km,
        links=config.links,
        purify=config.rounds,
        seed=seed,
        pairs=0,
        heralds=None,
        success=herald(config).success,
        attempt_s=config.attempt_s,
        rate_hz=None,
        rate_stderr=None,
        fidelity=None,
        fidelity_stderr=None,
        qber_x=None,
        qber_x_stderr=None,
        qber_z=None,
        qber_z_stderr=None,
        key_fraction=None,
        key_rate_bps=None,
        key_rate_stderr=None,
        rate_theory=None if time_s is None else 1.0 / time_s,
        fidelity_theory=None if expected is None else expected.fidelity,
        key_rate_theory=None if expected is None else expected.key_rate_bps,
        key_per_mode=None,
        bound_per_mode=_finite(bound),
        chain_bound_per_mode=_finite(chain_bound(config.transmittance, config.links)),
        bound_bps=_finite(bound * clock),
        direct_bps=direct(config, clock),
        reason=None,
    )
    try:
        sample = simulate_chain(config, pairs, stream, progress)
    except TooRare as error:
        return replace(blank, reason=error.reason)
    rate, fidelity, key = sample.rate_hz, sample.fidelity, sample.key_rate_bps
    return replace(
        blank,
        pairs=pairs,
        heralds=sample.links,
        rate_hz=rate[0],
        rate_stderr=rate[1],
        fidelity=fidelity[0],
        fidelity_stderr=fidelity[1],
        qber_x=sample.qber_x[0],
        qber_x_stderr=sample.qber_x[1],
        qber_z=sample.qber_z[0],
        qber_z_stderr=sample.qber_z[1],
        key_fraction=sample.key_fraction,
        key_rate_bps=key[0],
        key_rate_stderr=key[1],
        key_per_mode=key[0] / config.modes_per_s,
    )


def _finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


def direct(config: RepeaterConfig, clock_hz: float) -> float | None:
    """Secret bits per second of single photons over the whole fibre; None beyond 1000 km.

    BB84 of long blocks, its bases chosen unevenly, with the chain's source, detectors, dark counts
    and, as misalignment, the error rate of its fresh pairs; two modes a photon.
    """
    try:
        link = LinkConfig(
            fibre_km=config.km,
            loss_db_per_km=config.loss_db_per_km,
            detector_efficiency=config.source * config.detector,
            dark_count_probability=config.dark,
            misalignment=min(0.5, 2.0 * (1.0 - config.fidelity) / 3.0),
        )
    except ParameterError:
        return None
    gain = theory.detection_probability(Protocol.BB84, link)
    return clock_hz / MODES_PER_PHOTON * gain * theory.bb84_key_fraction(link)


def _seed(root: int, config: RepeaterConfig) -> int:
    """Of one row: 63 bits, which every reader of tables can hold."""
    info = f"lab repeater km={config.km!r} links={config.links} purify={config.rounds}".encode()
    return int.from_bytes(hkdf(root.to_bytes(16, "big"), info=info, length=8), "big") >> 1


def _ratio(row: ChainRow, measure: str) -> float:
    """Key over bound, less three standard errors; 0 where there is no key."""
    if not row.key_rate_bps or row.key_rate_stderr is None or row.key_per_mode is None:
        return 0.0
    clear = max(0.0, 1.0 - CLEAR * row.key_rate_stderr / row.key_rate_bps)
    key, bound = (
        (row.key_rate_bps, row.bound_bps)
        if measure == "bps"
        else (row.key_per_mode, row.bound_per_mode)
    )
    if bound is None:
        return 0.0
    return key * clear / bound if bound > 0.0 else math.inf


def _stretches(at: list[float], ratios: list[float]) -> list[tuple[float, float | None]]:
    """Where the ratio exceeds 1: from and to, None if to the end."""
    found: list[tuple[float, float | None]] = []
    start: float | None = None
    for k, (km, ratio) in enumerate(zip(at, ratios, strict=True)):
        if ratio > 1.0 and start is None:
            start = km if k == 0 else _between(at[k - 1], ratios[k - 1], km, ratio)
        elif ratio <= 1.0 and start is not None:
            found.append((start, _between(at[k - 1], ratios[k - 1], km, ratio)))
            start = None
    if start is not None:
        found.append((start, None))
    return found


def _between(one_km: float, one: float, other_km: float, other: float) -> float:
    """Where the ratio is 1, straight in its logarithm; the row beyond, if the other has no key."""
    if min(one, other) <= 0.0 or math.isinf(max(one, other)):
        return one_km if one > other else other_km
    return one_km + (other_km - one_km) * math.log(one) / (math.log(one) - math.log(other))
