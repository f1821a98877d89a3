"""What a door counts, for Prometheus: by route and code, never by SAE or key.

Requests add to plain numbers; they become metrics when somebody asks.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0, 10.0)
"""Upper ends of the buckets of latencies; p99 of a fast disk lies in the middle."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A value that somebody else keeps: stock, sync time of the store, status of a link.

    Attributes:
        name: Of the metric, with its unit, without our prefix.
        about: In a sentence.
        value: Now.
        labels: Names and values that tell readings of one name apart; no secrets, no SAE ids.
    """

    name: str
    about: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


Readings = Callable[[], Iterable[Reading]]


class Figures:
    """Counts of one door."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._times: dict[str, list[int]] = {}
        self._sums: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()
        self.handshakes_failed = 0
        self.connections_refused = 0
        self.connections_ended: Counter[str] = Counter()

    def answered(self, route: str, code: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests[route, code] += 1
        self._sums[route] += seconds  # type: ignore[assignment] # a Counter of seconds
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = [0] * (len(BOUNDS_S) + 1)
        times[bisect_left(BOUNDS_S, seconds)] += 1

    def metrics(self) -> Iterable[Metric]:
        """All of them, as Prometheus has them."""
        requests = CounterMetricFamily(
            "bellwire_requests", "Requests answered, by route and code.", labels=["route", "code"]
        )
        for (route, code), count in self._requests.items():
            requests.add_metric([route, str(code)], count)
        yield requests
        times = HistogramMetricFamily(
            "bellwire_request_seconds", "From a whole request to its answer.", labels=["route"]
        )
        for route, counts in self._times.items():
            ends = [*map(str, BOUNDS_S), "+Inf"]
            sums = [sum(counts[: i + 1]) for i in range(len(counts))]
            times.add_metric([route], list(zip(ends, sums, strict=True)), self._sums[route])
        yield times
        keys = CounterMetricFamily(
            "bellwire_keys_delivered", "Keys that left by this door.", labels=["route"]
        )
        for route, count in self.keys.items():
            keys.add_metric([route], count)
        yield keys
        ended = CounterMetricFamily(
            "bellwire_connections_ended", "Connections that we ended.", labels=["reason"]
        )
        for reason, count in self.connections_ended.items():
            ended.add_metric([reason], count)
        yield ended
        yield CounterMetricFamily(
            "bellwire_handshakes_failed",
            "Connections without a handshake of TLS.",
            self.handshakes_failed,
        )
        yield CounterMetricFamily(
            "bellwire_connections_refused",
            "Connections beyond a limit.",
            self.connections_refused,
        )


class _All(Collector):
    def __init__(self, figures: Figures, connections: Callable[[], int], readings: Readings):
        self._figures = figures
        self._connections = connections
        self._readings = readings

    def collect(self) -> Iterable[Metric]:
        yield from self._figures.metrics()
        yield GaugeMetricFamily("bellwire_connections", "Connections now.", self._connections())
        families: dict[str, GaugeMetricFamily] = {}
        for each in self._readings():
            family = families.setdefault(
                each.name,
                GaugeMetricFamily(f"bellwire_{each.name}", each.about, labels=list(each.labels)),
            )
            family.add_metric(list(each.labels.values()), each.value)
        yield from families.values()


def exposition(figures: Figures, connections: Callable[[], int], readings: Readings) -> bytes:
    """All metrics of a door in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_All(figures, connections, readings))
    return generate_latest(registry)
