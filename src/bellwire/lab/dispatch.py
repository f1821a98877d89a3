"""From words to an experiment, its result, its row in a table, and what theory expects.

The one place that knows which protocols are distilled and which end with an estimate. A job is
plain values in and a row out, so that it can be done in another process, or on another machine.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bellwire.base.detections import Protocol
from bellwire.base.errors import UsageError
from bellwire.distill.reconciliation import Method
from bellwire.lab import counting, decoys, weak
from bellwire.lab import experiment as distilled
from bellwire.lab.counting import Counting, Statistics
from bellwire.lab.decoys import DecoyExperiment
from bellwire.lab.engines import Engine, Player, parse_engine
from bellwire.lab.experiment import PULSE_RATE_HZ, Experiment, Result
from bellwire.lab.middle import KIND, parse_middle
from bellwire.lab.monitors import parse_monitors
from bellwire.lab.parameters import WEAK, WORDS, AnyProtocol, numbers, protocol_of, settle
from bellwire.lab.quantities import Prediction, Quantity
from bellwire.lab.rows import AnyRow, DecoyRow, Row, WeakRow
from bellwire.lab.weak import Estimate, WeakExperiment
from bellwire.link.config import LinkConfig
from bellwire.link.detectors import Detectors
from bellwire.link.eve import Eve, parse_axes, parse_eve
from bellwire.link.pairs import PairSource, parse_pair_source
from bellwire.link.timing import Timing
from bellwire.link.weak import DeadTime, Undistilled, WeakConfig, parse_weak_eve

AnyExperiment = Experiment | Counting | WeakExperiment | DecoyExperiment
AnyResult = Result | Statistics | Estimate

ESTIMATE, KEY = "estimate", "key"
"""Where an experiment ends; None is the key."""

_OF_DECOYS = (Quantity.GAIN_SIGNAL, Quantity.GAIN_DECOY, Quantity.GAIN_VACUUM)


def experiment(protocol: str, words: Mapping[str, Any]) -> AnyExperiment:
    """The experiment that the words describe.

    Raises:
        UnknownParameter: a word that no experiment has.
        UsageError: a word of another protocol, a value of the wrong kind; its `ParameterError`s:
            one outside its range.
    """
    kind = protocol_of(protocol)
    plain = settle(kind, words)
    link = LinkConfig(
        fibre_km=plain["km"],
        loss_db_per_km=plain["loss"],
        insertion_loss_db=plain["insertion_loss"],
        detector_efficiency=plain["efficiency"],
        dark_count_probability=plain["dark"],
        misalignment=plain["misalignment"],
    )
    if isinstance(kind, Undistilled) or kind.weak:
        return _of_weak_pulses(kind, link, plain)
    link = replace(link, detectors=_detectors(kind, plain))
    axis, middle = plain["eve_axis"], parse_middle(plain["eve"])
    if middle is not None and axis is not None:
        raise UsageError(f"expected no eve-axis with {KIND}, got {axis}")
    axes = None if axis is None else parse_axes(axis)
    eve = parse_eve(plain["eve"], axes) if middle is None else None
    source = parse_pair_source(plain.get("mean_pairs"), plain.get("pair_statistics"))
    if plain["until"] not in {None, KEY}:
        return _counting(kind, link, source, eve, plain)
    return Experiment(
        protocol=kind,
        pulses=plain["pulses"],
        config=link,
        eve=eve,
        source=source,
        middle=middle,
        player=Player(parse_engine(plain["engine"]), plain["backend"]),
        seed=plain["seed"],
        sample_share=plain["sample_share"],
        rectilinear=plain.get("rectilinear", 0.5),
        epsilon=plain["epsilon"],
        reconciliation=_reconciliation(plain["reconciliation"]),
    )


def _reconciliation(name: str | None) -> Method:
    if name is None:
        return Method.CASCADE
    try:
        return Method(name)
    except ValueError:
        known = " or ".join(Method)
        raise UsageError(f"expected reconciliation {known}, got {name}") from None


def _detectors(protocol: Protocol, plain: Mapping[str, Any]) -> Detectors:
    period = 1e12 / PULSE_RATE_HZ[protocol]
    timing = None
    if plain["jitter"] or plain["gate"] is not None:
        gate = period if plain["gate"] is None else plain["gate"]
        timing = Timing(period, gate, plain["jitter"])
    return Detectors(
        dead_gates=plain["dead_gates"],
        afterpulse=plain["afterpulse"],
        afterpulse_gates=plain["afterpulse_gates"],
        timing=timing,
    )


def _counting(
    protocol: Protocol,
    link: LinkConfig,
    source: PairSource | None,
    eve: Eve | None,
    plain: Mapping[str, Any],
) -> Counting:
    _check_until(plain["until"])
    if plain["backend"] is not None or parse_engine(plain["engine"]) is not Engine.FAST:
        raise UsageError(f"expected engine fast with --until estimate, got {plain['engine']}")
    if parse_middle(plain["eve"]) is not None:
        raise UsageError(f"expected an Eve on the light with --until estimate, got {KIND}")
    if link.detectors.remember or link.detectors.timing is not None:
        raise UsageError(
            f"expected no dead time, afterpulse, jitter, gate with --until estimate in {protocol}",
            hint="Leave --until out: blocks on the way to a key have them.",
        )
    if plain.get("rectilinear", 0.5) != 0.5:
        raise UsageError(
            f"expected rectilinear 0.5 with --until estimate in {protocol}, "
            f"got {plain['rectilinear']}"
        )
    return Counting(
        protocol=protocol,
        pulses=plain["pulses"],
        config=link,
        source=source,
        eve=eve,
        seed=plain["seed"],
        epsilon=plain["epsilon"],
    )


def _of_weak_pulses(
    protocol: AnyProtocol, link: LinkConfig, plain: Mapping[str, Any]
) -> WeakExperiment | DecoyExperiment:
    until, dead_time = plain["until"], plain["dead_time"]
    if until is not None:
        _check_until(until)
    if protocol is Undistilled.WCP and until != ESTIMATE:
        raise UsageError(
            f"expected --until estimate with {protocol}, which has no key: without decoys every "
            "loss may have been a single photon, and what is left be Eve's, "
            f"got {'none' if until is None else until}",
            hint="Add --until estimate, or take decoy-bb84.",
        )
    means, shares = numbers(plain["intensities"]), numbers(plain["intensity_shares"])
    single = protocol is Undistilled.WCP
    if (len(means) == 1) != single or len(means) != len(shares):
        count = "one intensity and one share" if single else "three intensities and three shares"
        raise UsageError(f"expected {count} with {protocol}, got {len(means)} and {len(shares)}")
    if dead_time not in list(DeadTime):
        raise UsageError(f"expected --dead-time {' or '.join(DeadTime)}, got {dead_time}")
    config = WeakConfig(
        intensities=means,
        shares=shares,
        rectilinear=plain["rectilinear"],
        link=link,
        dead_gates=plain["dead_gates"],
        dead_time=DeadTime(dead_time),
        afterpulse=plain["afterpulse"],
        afterpulse_gates=plain["afterpulse_gates"],
        jitter_ps=plain["jitter"],
        gate_ps=plain["gate"],
    )
    eve = parse_weak_eve(plain["eve"], plain["threshold_width"])
    _refuse_beyond(until, plain)
    if until != ESTIMATE:
        return DecoyExperiment(
            pulses=plain["pulses"],
            config=config,
            eve=eve,
            seed=plain["seed"],
            epsilon=plain["epsilon"],
        )
    return WeakExperiment(
        pulses=plain["pulses"],
        config=config,
        eve=eve,
        seed=plain["seed"],
        monitors=parse_monitors(plain["monitor"]),
        false_alarm=plain["false_alarm"],
    )


def _check_until(until: str) -> None:
    if until not in {ESTIMATE, KEY}:
        raise UsageError(
            f"expected --until estimate or key, got {until}",
            hint="Leave --until out to go on to the key.",
        )


def _refuse_beyond(until: str | None, plain: Mapping[str, Any]) -> None:
    """UsageError for a word that an experiment with this end has no use for."""
    unused = ("epsilon",) if until == ESTIMATE else ("monitor", "false_alarm")
    for name in unused:
        if name in plain and plain[name] != WORDS[name].default:
            where = "estimate" if until == ESTIMATE else "key"
            raise UsageError(
                f"expected no {name.replace('_', '-')} on the way to the {where} of weak pulses, "
                f"got {plain[name]}"
            )


def run(what: AnyExperiment, progress: Callable[[int], None] | None = None) -> AnyResult:
    """Run an experiment.

    Args:
        what: The experiment.
        progress: Called with the number of further pulses that are done, if it is streamed.
    """
    if isinstance(what, WeakExperiment):
        return weak.estimate(what, progress)
    if isinstance(what, Counting):
        return counting.run(what, progress)
    if isinstance(what, DecoyExperiment):
        return decoys.run(what)
    return distilled.run(what)


def predict(what: AnyExperiment) -> Prediction:
    """Closed forms of `bellwire.link.theory` and `weak_theory` for an experiment."""
    if isinstance(what, WeakExperiment):
        return weak.predict(what)
    if isinstance(what, DecoyExperiment):
        return decoys.predict(what)
    return counting.predict(what) if isinstance(what, Counting) else distilled.predict(what)


def row_kind(protocol: str, words: Mapping[str, Any]) -> type[AnyRow]:
    """The dataclass of the rows of a protocol's experiments with these words."""
    if protocol_of(protocol) not in WEAK:
        return Row
    return WeakRow if words.get("until") == ESTIMATE else DecoyRow


def row(protocol: str, words: Mapping[str, Any], repeat: int) -> AnyRow:
    """Run the experiment of these words, and make a row of it.

    Args:
        protocol: Its protocol.
        words: Its words, seed included.
        repeat: Its number among those with the same words but for the seed.
    """
    what = experiment(protocol, words)
    plain = settle(protocol_of(protocol), words)
    if isinstance(what, WeakExperiment):
        return WeakRow.of(plain, repeat, weak.estimate(what), weak.predict(what))
    if isinstance(what, DecoyExperiment):
        return DecoyRow.of(plain, repeat, decoys.run(what), decoys.predict(what))
    assert isinstance(what, Experiment)  # a sweep takes no others
    return Row.of(plain, repeat, distilled.run(what), distilled.predict(what))


def quantities(protocol: AnyProtocol, words: Mapping[str, Any]) -> tuple[Quantity, ...]:
    """What experiments of a protocol with these words have to show."""
    if not (isinstance(protocol, Undistilled) or protocol.weak):
        judged = (Quantity.CHSH,) if protocol.judged_on_chsh else ()
        return (Quantity.QBER, *judged, Quantity.KEY)
    if words.get("until") != ESTIMATE:
        return (Quantity.QBER, Quantity.KEY)
    gains = _OF_DECOYS if protocol is Protocol.DECOY else _OF_DECOYS[:1]
    return (*gains, Quantity.QBER, Quantity.SINGLE_PHOTON_YIELD, Quantity.KEY)
