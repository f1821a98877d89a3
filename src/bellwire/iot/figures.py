"""What a cloud counts, for Prometheus: never by device, and nothing secret.

Events add to plain numbers; they become metrics when somebody asks.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from bellwire.iot.errors import StoreFailed
from bellwire.iot.events import (
    Arrived,
    Delivered,
    Event,
    OutputDown,
    OutputUp,
    SessionOpened,
    TurnedAway,
)
from bellwire.iot.gateway.queue import MessageQueue
from bellwire.iot.outputs.pump import Pump
from bellwire.iot.reception import Reception

BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper ends of the buckets of latencies."""


class _Times:
    """How long something took, in buckets."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def metric(self, name: str, about: str) -> Metric:
        ends = [*map(str, BOUNDS_S), "+Inf"]
        sums = [sum(self.counts[: i + 1]) for i in range(len(self.counts))]
        buckets = list(zip(ends, sums, strict=True))
        return HistogramMetricFamily(name, about, buckets=buckets, sum_value=self.sum_s)


class CloudFigures(Collector):
    """Counts of one cloud.

    Args:
        tell: Told all events as well.
    """

    def __init__(self, tell: Callable[[Event], None] = lambda event: None) -> None:
        self._tell = tell
        self._pumps: Sequence[Pump] = ()
        self._reception: Reception | None = None
        self._messages: MessageQueue | None = None
        self._delivered = 0
        self._sessions: Counter[tuple[str, str]] = Counter()
        self._handshakes, self._storing = _Times(), _Times()
        self._readings = self._bytes = self._beside = self._away = 0
        self._down: set[str] = set()

    def watch(
        self, pumps: Sequence[Pump], reception: Reception, messages: MessageQueue | None = None
    ) -> None:
        """Show what these have at the time of asking: outputs, connections, messages to devices."""
        self._pumps = pumps
        self._reception = reception
        self._messages = messages

    def notify(self, event: Event) -> None:
        """Count an event of the cloud, and pass it on."""
        self._count(event)
        self._tell(event)

    def _count(self, event: Event) -> None:
        match event:
            case SessionOpened():
                done = event.protections
                begun = "resumed" if done.resumed else "full"
                self._sessions[begun, "none" if done.qkd_source is None else done.qkd_source] += 1
                self._handshakes.add(event.seconds)
            case Arrived():
                self._readings += len(event.readings)
                self._bytes += sum(map(len, event.readings))
                self._beside += event.overhead_bytes
                self._storing.add(event.seconds)
            case Delivered():
                self._delivered += event.count
            case TurnedAway():
                self._away += 1
            case OutputDown():
                self._down.add(event.output)
            case OutputUp():
                self._down.discard(event.output)

    def collect(self) -> Iterable[Metric]:
        """All of them, as Prometheus has them; it may be called from a thread."""
        sessions = CounterMetricFamily(
            "bellwire_cloud_sessions",
            "Sessions, by how they began and where their last QKD key came from.",
            labels=["begun", "qkd"],
        )
        for labels, count in list(self._sessions.items()):
            sessions.add_metric(labels, count)
        yield sessions
        for name, about, value in (
            ("readings", "Readings that are durable.", self._readings),
            ("reading_bytes", "Their bytes.", self._bytes),
            ("overhead_bytes", "Bytes of records beside them, both ways.", self._beside),
            ("turned_away", "Connections that ended early.", self._away),
            ("messages_delivered", "Messages that devices took.", self._delivered),
        ):
            yield CounterMetricFamily(f"bellwire_cloud_{name}", about, value=value)
        if self._reception is not None:
            total, running = len(self._reception), self._reception.running
            yield GaugeMetricFamily("bellwire_cloud_connections", "Open now.", value=total)
            yield GaugeMetricFamily(
                "bellwire_cloud_sessions_running", "Of these, with a session.", value=running
            )
        yield from self._queued()
        yield self._handshakes.metric(
            "bellwire_cloud_handshake_seconds", "From a connection to its session."
        )
        yield self._storing.metric(
            "bellwire_cloud_storing_seconds", "From a batch that was read to its being durable."
        )
        yield from self._outputs()

    def _queued(self) -> Iterable[Metric]:
        if self._messages is None:
            return
        try:
            queues = self._messages.queues()
        except StoreFailed:
            return  # What is not known is not shown.
        for name, about, value in (
            ("messages_queued", "Messages that wait for devices.", sum(q.messages for q in queues)),
            ("messages_queued_bytes", "Their bytes.", sum(q.bytes for q in queues)),
            ("devices_awaited", "Devices for which messages wait.", len(queues)),
        ):
            yield GaugeMetricFamily(f"bellwire_cloud_{name}", about, value=value)

    def _outputs(self) -> Iterable[Metric]:
        sent = CounterMetricFamily(
            "bellwire_cloud_output_readings", "Readings an output took.", labels=["output"]
        )
        behind = GaugeMetricFamily(
            "bellwire_cloud_output_streams_behind",
            "Streams with readings that wait for an output.",
            labels=["output"],
        )
        up = GaugeMetricFamily(
            "bellwire_cloud_output_up", "Whether an output takes readings.", labels=["output"]
        )
        for pump in self._pumps:
            sent.add_metric([pump.name], pump.sent)
            behind.add_metric([pump.name], pump.behind)
            up.add_metric([pump.name], pump.name not in self._down)
        yield from (sent, behind, up)
