"""Many experiments over one or two parameters, in several processes, resumable.

Every experiment's seed derives from the sweep's seed and its place: the values of the swept
parameters, and its number among the repeats. So results depend neither on the number of workers
nor on the order, and a sweep that is made finer, wider or repeated more often keeps what it has.
"""

import itertools
import math
import secrets
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from bellwire.base import cores
from bellwire.base.errors import UsageError
from bellwire.crypto.kdf import hkdf
from bellwire.lab import cluster
from bellwire.lab import folder as folders
from bellwire.lab import workers as crews
from bellwire.lab.dispatch import experiment, row_kind
from bellwire.lab.errors import RangeError
from bellwire.lab.outputs import versions
from bellwire.lab.parameters import (
    SWEEPABLE,
    WEAK,
    WORDS,
    Words,
    either,
    protocol_of,
    refuse_elsewhere,
    said_by,
    vary,
    word,
)
from bellwire.lab.results import SweepResult, fixed_words
from bellwire.lab.rows import AnyRow
from bellwire.lab.workers import Job

MAX_EXPERIMENTS = 100_000
MAX_AXES = 2

Do = Callable[[Sequence[Job]], Generator[AnyRow, None, None]]
"""Who does the jobs of a sweep: processes here, or a cluster."""

_DIGITS = 12
"""Values are rounded to so many digits, so that 0.3 is 0.3 and not 0.30000000000000004."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One swept parameter.

    Attributes:
        name: The parameter, one of `SWEEPABLE`; for `eve` her share is swept.
        start: First value.
        stop: Last value.
        count: How many values.
        logarithmic: Spread them by equal factors, not by equal steps.

    Raises:
        UnknownParameter: a parameter that cannot be swept.
        RangeError: no finite range, or more values than it has.
    """

    name: str
    start: float
    stop: float
    count: int
    logarithmic: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", word(self.name, SWEEPABLE))
        said = f"{self.name}={self.start:g}:{self.stop:g}:{self.count}"
        if not (math.isfinite(self.start) and math.isfinite(self.stop)):
            raise RangeError(f"expected finite numbers as a range, got {said}")
        if self.logarithmic and min(self.start, self.stop) <= 0.0:
            raise RangeError(f"expected a logarithmic range above 0, got {said}")
        if not 1 <= self.count <= MAX_EXPERIMENTS:
            raise RangeError(f"expected 1 to {MAX_EXPERIMENTS} values of a range, got {said}")
        if len(set(self.values)) != self.count or (self.count == 1 and self.start != self.stop):
            raise RangeError(f"expected {self.count} different values from a range, got {said}")

    @classmethod
    def parse(cls, text: str) -> "Axis":
        """Read `PARAM=FROM:TO:N`, with `:log` behind it for a logarithmic range.

        Raises:
            UnknownParameter, RangeError: as the class says, or for another form.
        """
        name, _, spread = text.partition("=")
        parts = spread.split(":")
        logarithmic = parts[3:] == ["log"]
        try:
            first, last, number = parts[:-1] if logarithmic else parts
            start, stop, count = float(first), float(last), int(number)
        except ValueError:
            raise RangeError(
                f"expected a range as PARAM=FROM:TO:N or PARAM=FROM:TO:N:log, got {text}"
            ) from None
        return cls(name, start, stop, count, logarithmic)

    @property
    def values(self) -> tuple[float, ...]:
        """The values, from first to last."""
        spread = np.geomspace if self.logarithmic else np.linspace
        exact = spread(self.start, self.stop, self.count).tolist()
        if SWEEPABLE[self.name].whole:
            return tuple(float(round(value)) for value in exact)
        return tuple(float(f"{value:.{_DIGITS}g}") for value in exact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A sweep to be done, every experiment checked.

    Attributes:
        protocol: Of every experiment.
        axes: What is swept.
        fixed: All other parameters.
        repeat: Experiments per place.
    """

    protocol: str
    axes: tuple[Axis, ...]
    fixed: Mapping[str, Any]
    repeat: int = 1

    @classmethod
    def make(
        cls, protocol: str, over: Sequence[str | Axis], repeat: int, words: Mapping[str, Any]
    ) -> "Plan":
        """Check all of it before anything runs.

        Raises:
            RangeError: too many ranges, repeats or experiments, or what a sweep does not take.
            UsageError: whatever else is wrong with a word, a value or a range.
        """
        axes = tuple(axis if isinstance(axis, Axis) else Axis.parse(axis) for axis in over)
        names = tuple(axis.name for axis in axes)
        alone = [said_by(name) for name in names if either(name)]
        if not 1 <= len(axes) <= MAX_AXES or not len(set(names)) == len(names) == len(
            set(alone)
        ) + len(names) - len(alone):
            raise RangeError(f"expected one or two different parameters, got {len(names)} ranges")
        if repeat < 1:
            raise RangeError(f"expected at least one repeat, got {repeat}")
        total = repeat * math.prod(axis.count for axis in axes)
        if total > MAX_EXPERIMENTS:
            raise RangeError(f"expected at most {MAX_EXPERIMENTS} experiments, got {total}")
        kind = protocol_of(protocol)
        if kind in WEAK:
            words = {"until": "estimate", **words}
        given = {word(name, WORDS) for name in words}
        for name in ("backend", "reconciliation"):
            if words.get(name) is not None:
                raise RangeError(f"expected no {name} in a sweep, got {words[name]}")
        for name in names:
            refuse_elsewhere(name, kind, SWEEPABLE[name].of)
            if either(name) and said_by(name) in given:
                raise RangeError(f"expected {name} either as a range or as a value, got both")
        fixed = fixed_words(kind, words, names)
        if kind not in WEAK and fixed["until"] not in {None, "key"}:
            raise UsageError(
                f"expected no until in a sweep of {kind}, which goes on to the key, "
                f"got {fixed['until']}"
            )
        plan = cls(protocol=str(kind), axes=axes, fixed=fixed, repeat=repeat)
        for place in plan.places():
            experiment(protocol, plan.words(place))
        return plan

    @property
    def over(self) -> tuple[str, ...]:
        """The swept parameters."""
        return tuple(axis.name for axis in self.axes)

    def places(self) -> Iterable[tuple[float, ...]]:
        """Every combination of the swept values."""
        return itertools.product(*(axis.values for axis in self.axes))

    def words(self, place: tuple[float, ...]) -> dict[str, Any]:
        """The words of the experiments at a place, but for the seed."""
        words = dict(self.fixed)
        for axis, value in zip(self.axes, place, strict=True):
            words = vary(protocol_of(self.protocol), words, axis.name, value)
        return words

    def jobs(self, seed: int) -> list[Job]:
        """All experiments."""
        return [
            Job(
                self.protocol,
                {**self.words(place), "seed": _seed(seed, self.over, place, number)},
                number,
            )
            for place in self.places()
            for number in range(self.repeat)
        ]

    def identity(self, seed: int) -> dict[str, Any]:
        """What may not change while a sweep goes on."""
        return {
            "protocol": self.protocol,
            "over": list(self.over),
            "parameters": dict(self.fixed),
            "seed": seed,
        }


def sweep(
    protocol: str,
    over: str | Axis | Sequence[str | Axis],
    *,
    repeat: int = 1,
    workers: int | None = 1,
    dask: str | None = None,
    out: str | Path | None = None,
    progress: Callable[[int, int, int], None] | None = None,
    **words: Unpack[Words],
) -> SweepResult:
    """Run an experiment at every place of one or two ranges.

    Args:
        protocol: `e91`, `bbm92`, `bb84`, `wcp-bb84` or `decoy-bb84`; the last two up to the
            estimate, `decoy-bb84` to the key with `until="key"`.
        over: `PARAM=FROM:TO:N`, with `:log` behind it where steps are factors, or an `Axis`; one
            or two of them.
        repeat: Experiments per place.
        workers: Processes; None for one per core. Results do not depend on it.
        dask: `tcp://HOST:PORT` of a Dask scheduler, whose cluster does the work in their place.
        out: Folder for table, figure and description. What it has of this sweep is not done again.
        progress: Called with (experiments done, experiments in all, pulses just done).
        words: The parameters of `lab run`; `seed` is the whole sweep's.

    Raises:
        UsageError: before anything runs, for whatever is wrong with the parameters or the folder;
            RangeError for a number of workers, repeats or experiments that cannot be.
        WorkerLost, ClusterLost: a worker or the cluster ended early; what is done stays in `out`.
        ClusterUnreachable: no scheduler answers at `dask`.
    """
    plan = Plan.make(protocol, [over] if isinstance(over, str | Axis) else over, repeat, words)
    crew = cores.available() if workers is None else workers
    if not 1 <= crew <= crews.MAX_WORKERS:
        raise RangeError(f"expected 1 to {crews.MAX_WORKERS} workers, got {crew}")
    do: Do = partial(crews.rows, workers=crew)
    if dask is not None:
        cluster.ready(dask)
        do = partial(cluster.rows, address=dask)
    seed = words.get("seed")
    for place in itertools.islice(plan.places(), 1):
        experiment(protocol, {**plan.words(place), "seed": seed})
    if out is None:
        root = secrets.randbits(63) if seed is None else seed
        return _result(plan, root, _work(plan, root, [], do, _Watch(progress)))
    with folders.opened(Path(out), row_kind(protocol, plan.fixed)) as folder:
        known = folder.identity()
        root = _root(known, seed)
        if known is not None:
            _refuse_other(folder.path, known, plan.identity(root))
        _describe(folder, plan, root, complete=False)
        had = folder.rows()
        with folder.appending() as table:
            rows = _work(plan, root, had, do, _Watch(progress, table.add))
        result = _result(plan, root, rows)
        result.save(folder.path)
        _describe(folder, plan, root, complete=True)
    return result


@dataclass(frozen=True, slots=True)
class _Watch:
    """Who is told of each finished experiment."""

    progress: Callable[[int, int, int], None] | None
    keep: Callable[[AnyRow], None] | None = None

    def tell(self, row: AnyRow, finished: int, total: int) -> None:
        if self.keep is not None:
            self.keep(row)
        if self.progress is not None:
            self.progress(finished, total, row.pulses)


def _work(plan: Plan, seed: int, had: list[AnyRow], do: Do, watch: _Watch) -> list[AnyRow]:
    """Do what `had` lacks of the plan; gives the rows of both."""
    done = {row.seed for row in had}
    jobs = plan.jobs(seed)
    left = [job for job in jobs if job.words["seed"] not in done]
    rows = list(had)
    with closing(do(left)) as fresh:
        for finished, row in enumerate(fresh, start=len(jobs) - len(left) + 1):
            rows.append(row)
            watch.tell(row, finished, len(jobs))
    return rows


def _result(plan: Plan, seed: int, rows: Iterable[AnyRow]) -> SweepResult:
    ordered = sorted(rows, key=lambda row: (*map(row.swept, plan.over), row.repeat))
    return SweepResult(
        protocol=plan.protocol,
        over=plan.over,
        logarithmic=tuple(axis.logarithmic for axis in plan.axes),
        fixed=plan.fixed,
        seed=seed,
        rows=tuple(ordered),
    )


def _seed(root: int, names: tuple[str, ...], place: tuple[float, ...], number: int) -> int:
    """Seed of one experiment: 63 bits, which every reader of tables can hold."""
    where = " ".join(f"{name}={value!r}" for name, value in zip(names, place, strict=True))
    info = f"lab sweep {where} repeat {number}".encode()
    return int.from_bytes(hkdf(root.to_bytes(16, "big"), info=info, length=8), "big") >> 1


def _root(known: Mapping[str, Any] | None, seed: int | None) -> int:
    """The sweep's seed: as asked, else as the folder has it, else from the operating system."""
    if seed is not None:
        return seed
    recorded = None if known is None else known.get("seed")
    return recorded if isinstance(recorded, int) else secrets.randbits(63)


def _refuse_other(path: Path, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    parameters = known.get("parameters")
    folders.same_or_refuse(path, known, {k: v for k, v in wanted.items() if k != "parameters"})
    folders.same_or_refuse(
        path, parameters if isinstance(parameters, dict) else {}, wanted["parameters"]
    )


def _describe(folder: folders.SweepFolder, plan: Plan, seed: int, *, complete: bool) -> None:
    folder.describe(
        {
            **plan.identity(seed),
            "ranges": [asdict(axis) for axis in plan.axes],
            "repeat": plan.repeat,
            "complete": complete,
            "versions": versions(),
        }
    )
