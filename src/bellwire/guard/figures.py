"""What a guard shows to Prometheus: how it is, what it stopped, what it did; nothing secret."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bellwire.channel.places import Level
from bellwire.guard.following import Followed
from bellwire.guard.journal import What
from bellwire.guard.state import State

_PREFIX: Final = "bellwire_guard"


class GuardFigures(Collector):
    """Figures of one guard.

    Args:
        state: How the guard is now; it is asked in a thread.
        done: What the guard has done since its start, how often.
    """

    def __init__(self, state: Callable[[], State], done: Mapping[What, int]) -> None:
        self._state, self._done = state, done

    def collect(self) -> Iterable[Metric]:
        """All of them, as Prometheus has them."""
        state = self._state()
        override = state.override
        gauges: list[tuple[str, str, float]] = [
            ("passing", "1 while guarded packets may pass.", state.packets == "pass"),
            ("since_seconds", "When that began, since the epoch.", state.since),
            ("overridden", "1 while an operator decides.", override is not None),
        ]
        if state.heard_at is not None:
            gauges.append(
                ("heard_seconds", "The node's last word, since the epoch.", state.heard_at)
            )
        if state.qber is not None:
            gauges.append(("qber", "Highest of the links that count.", state.qber))
        if state.followed is not None:
            gauges += _of_relay(state.followed)
        for name, about, value in gauges:
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", about, value=value)
        for name, about, value in (
            ("blocked_packets", "Stopped since the rules are there.", state.blocked.packets),
            ("blocked_bytes", "Their bytes.", state.blocked.bytes),
            ("restored", "Times that others' changes were undone.", state.restored),
        ):
            yield CounterMetricFamily(f"{_PREFIX}_{name}", about, value=value)
        done = CounterMetricFamily(f"{_PREFIX}_acts", "What it did.", labels=["what"])
        for what, count in list(self._done.items()):
            done.add_metric([what], count)
        yield done


def _of_relay(followed: Followed) -> Iterable[tuple[str, str, float]]:
    if followed.level is not None:
        level = Level[followed.level.upper()]
        yield "relay_level", "How far the relay has moved, 0 home to 4 lockdown.", level
    yield "relay_notice", "Number of its last notice.", followed.sequence
    yield "relay_unheard", "1 while nothing newer is known of it.", bool(followed.problem)
