"""What Bob watches at his detectors: their current, a light of his own, and missing clicks.

An Eve who blinds detectors leaves the statistics of light as they were. What she cannot leave is
the detector: it carries the current of her bright light, and it misses photons.

- `current`: the mean current of the detectors over the run, less that of ordinary operation, in
  units of the least that blinds a detector. It is read with a standard error of `CURRENT_NOISE`,
  drift included. Monitoring the photocurrent was proposed by Yuan, Dynes and Shields
  (arXiv:1109.3149 is their reply on it).
- `self-test`: in random gates, `TEST_SHARE` for every gate of the run and beside them, a source at
  Bob's sends a pulse of `TEST_PHOTONS` photons on average to his detectors. Whoever holds them
  blind does not know which gates these are. Too few clicks raise the alarm.
- `counts`: double clicks, and with decoys clicks of empty pulses, are fewer than light and dark
  counts must make. Any Eve shows here who sends one photon at most, or none for an empty pulse.

Limits: `current` is normal, and exceeds its limit by chance with the probability that it is given;
for counts the limit is Hoeffding's in its relative-entropy form, so with at most that probability.
The false alarm probability of a run is shared among what is watched. Noise, share and photons are
values of this model, not of a product.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np

from bellwire.distill.bounds import upper_mean
from bellwire.distill.errors import ParameterError
from bellwire.link.weak import DeadTime, WeakConfig, WeakEve, WeakEveKind
from bellwire.link.weak_counts import WeakCounts
from bellwire.link.weak_law import SHAPE, joint_law
from bellwire.link.weak_theory import expected

CURRENT_NOISE = 0.02
"""Standard error of the mean current, of the current that blinds."""

TEST_SHARE = 1e-3
TEST_PHOTONS = 1.0

MAX_FALSE_ALARM = 0.1


class Monitor(StrEnum):
    """What may be watched."""

    CURRENT = "current"
    SELF_TEST = "self-test"
    COUNTS = "counts"


USUAL = (Monitor.CURRENT, Monitor.SELF_TEST)
"""What `on` means: what is read at the detectors. `counts` is of the light, and apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one monitor read.

    Attributes:
        monitor: Which.
        quantity: What is read, in words with its unit.
        value: What was read.
        limit: Beyond which the alarm is raised; above for the current, below for all others.
        alarm: Whether it was.
    """

    monitor: str
    quantity: str
    value: float
    limit: float
    alarm: bool

    @property
    def words(self) -> str:
        """What was expected and what came."""
        if self.monitor == Monitor.CURRENT:
            return f"expected at most {self.limit:.3f} {self.quantity}, got {self.value:.3f}"
        return f"expected at least {self.limit:,.0f} {self.quantity}, got {self.value:,.0f}"

    @property
    def objection(self) -> str:
        """Why the run is rejected."""
        return f"monitor {self.monitor}: {self.words}"


def parse_monitors(text: str) -> tuple[Monitor, ...]:
    """Read `on`, `off`, or names with commas.

    Raises:
        ParameterError: another word, or one twice.
    """
    if text.strip() == "on":
        return USUAL
    if text.strip() == "off":
        return ()
    words = [word.strip() for word in text.split(",")]
    if len(set(words)) != len(words) or not set(words) <= set(Monitor):
        raise ParameterError(f"monitor: expected on, off, or of {', '.join(Monitor)}, got {text}")
    return tuple(Monitor(word) for word in words)


def check_monitors(config: WeakConfig, monitors: tuple[Monitor, ...], false_alarm: float) -> None:
    """Raise ParameterError for a probability out of range, or counts that are not understood."""
    if not 0.0 < false_alarm <= MAX_FALSE_ALARM:
        raise ParameterError(
            f"false_alarm: expected above 0, at most {MAX_FALSE_ALARM:g}, got {false_alarm}"
        )
    apart = config.dead_time is DeadTime.PER_DETECTOR and config.dead_gates
    if Monitor.COUNTS in monitors and apart:
        raise ParameterError(
            "monitor counts: expected a common dead time, since one live detector alone makes no "
            "double clicks, got per-detector"
        )


def read(  # noqa: PLR0917 - the run and what is watched in it
    config: WeakConfig,
    eve: WeakEve | None,
    counts: WeakCounts,
    monitors: Iterable[Monitor],
    false_alarm: float,
    rng: np.random.Generator,
) -> tuple[Reading, ...]:
    """Read all monitors of a run.

    Args:
        config: The link as Alice and Bob know it.
        eve: Who is on it, which decides what there is to read.
        counts: What the run counted.
        monitors: Which to read.
        false_alarm: Probability that any of them raises an alarm without Eve, at most.
        rng: Noise of the readings.
    """
    watched = tuple(monitors)
    each = false_alarm / max(1, len(watched))
    readings: list[Reading] = []
    for monitor in watched:
        if monitor is Monitor.CURRENT:
            readings.append(_current(eve, each, rng))
        elif monitor is Monitor.SELF_TEST:
            readings.append(_self_test(config, eve, counts, each, rng))
        else:
            readings += _missing(config, counts, each)
    return tuple(readings)


def current_alarm(share: float, false_alarm: float) -> float:
    """Probability that the current betrays an Eve who blinds so many gates: Φ(share/σ − z).

    Args:
        share: Share of the gates that she blinds, 0 to 1.
        false_alarm: Probability of an alarm without her; z is its quantile.
    """
    normal = NormalDist()
    return normal.cdf(share / CURRENT_NOISE - normal.inv_cdf(1.0 - false_alarm))


def self_test_click(config: WeakConfig, eve: WeakEve | None = None) -> float:
    """Probability of a click in a gate of the self-test.

    Bob's pulse comes on top of the signal: 1 − (1 − Q)·e^−mη_d, with Q the gain over all
    intensities and m the photons; where Eve holds the detectors blind, Q alone, of her own pulses.
    """
    unseen = math.exp(-TEST_PHOTONS * config.link.detector_efficiency)
    blinds = eve is not None and eve.kind is WeakEveKind.BLINDING
    share = eve.share if eve is not None and blinds else 0.0

    def gain(who: WeakEve | None) -> float:
        shares = enumerate(config.shares)
        return math.fsum(part * expected(config, k, who).gain for k, part in shares)

    if not blinds or eve is None:
        return 1.0 - (1.0 - gain(eve)) * unseen
    free = 1.0 - (1.0 - gain(None)) * unseen
    whole = WeakEve(eve.kind, 1.0, eve.threshold_width)
    return (1.0 - share) * free + share * gain(whole)


def least_self_test_click(config: WeakConfig) -> float:
    """What Bob relies on in the self-test: his own light alone, and dark counts."""
    live = 1.0 - config.link.dark_count_probability
    return 1.0 - live * live * math.exp(-TEST_PHOTONS * config.link.detector_efficiency)


def _current(eve: WeakEve | None, false_alarm: float, rng: np.random.Generator) -> Reading:
    blinded = eve.share if eve is not None and eve.kind is WeakEveKind.BLINDING else 0.0
    value = blinded + CURRENT_NOISE * float(rng.standard_normal())
    limit = CURRENT_NOISE * NormalDist().inv_cdf(1.0 - false_alarm)
    return Reading(
        monitor=Monitor.CURRENT.value,
        quantity="of the current that blinds a detector",
        value=value,
        limit=limit,
        alarm=value > limit,
    )


def _self_test(
    config: WeakConfig,
    eve: WeakEve | None,
    counts: WeakCounts,
    false_alarm: float,
    rng: np.random.Generator,
) -> Reading:
    tests = int(rng.binomial(int(counts.live.sum()), TEST_SHARE))
    clicks = int(rng.binomial(tests, self_test_click(config, eve)))
    what = f"clicks in the {tests:,} gates of the self-test"
    return _few(Monitor.SELF_TEST, what, clicks, tests, least_self_test_click(config), false_alarm)


def _missing(config: WeakConfig, counts: WeakCounts, false_alarm: float) -> list[Reading]:
    law = joint_law(config).reshape(*SHAPE, 4)
    live, doubles = int(counts.live.sum()), int(counts.doubles.sum())
    vacuum = 2 if len(config.intensities) == 3 else None
    part = false_alarm if vacuum is None else false_alarm / 2.0
    both = float(law[..., 3].sum())
    readings = [_few(Monitor.COUNTS, "double clicks", doubles, live, both, part)]
    if vacuum is not None:
        empty, clicks = int(counts.live[:, vacuum].sum()), int(counts.clicks[:, vacuum].sum())
        gain = expected(config, vacuum).gain
        readings.append(
            _few(Monitor.COUNTS, "clicks of the vacuum decoy", clicks, empty, gain, part)
        )
    return readings


def _few(  # noqa: PLR0917 - a count, of how many, and how likely
    monitor: Monitor, what: str, count: int, of: int, probability: float, false_alarm: float
) -> Reading:
    """Whether a count is too small to be of this probability."""
    limit = _least(of, probability, false_alarm)
    return Reading(
        monitor=monitor.value, quantity=what, value=count, limit=limit, alarm=count < limit
    )


def _least(of: int, probability: float, false_alarm: float) -> int:
    """The least of the counts that raise no alarm: their upper limit reaches the probability."""
    low, high = -1, of
    while high - low > 1:
        middle = (low + high) // 2
        if upper_mean(middle / of, of, false_alarm) < probability:
            low = middle
        else:
            high = middle
    return high
