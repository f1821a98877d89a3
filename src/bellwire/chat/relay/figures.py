"""What a relay shows to Prometheus: counts and how it is, never by account, mailbox or source."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bellwire.chat.relay.counted import Counted
from bellwire.chat.relay.ladder import Whereabouts
from bellwire.chat.relay.operator import Condition

_PREFIX: Final = "bellwire_relay"


class RelayFigures(Collector):
    """Figures of one relay.

    Args:
        counted: What it counts.
        condition: How it is now; it is asked in a thread.
        there: Where it is now; likewise.
    """

    def __init__(
        self,
        counted: Counted,
        condition: Callable[[], Condition],
        there: Callable[[], Whereabouts],
    ) -> None:
        self._counted, self._condition, self._there = counted, condition, there

    def collect(self) -> Iterable[Metric]:
        """All of them, as Prometheus has them."""
        counted, condition = self._counted, self._condition()
        for name, about, value in (
            ("payloads", "Payloads taken.", counted.taken),
            ("payload_bytes", "Their bytes.", counted.taken_bytes),
            ("payloads_stored", "Of them, those that were stored.", counted.stored),
            ("payloads_delivered", "Payloads that their owners have.", counted.delivered),
            ("connections_refused", "Connections beyond a limit.", counted.turned_away),
        ):
            yield CounterMetricFamily(f"{_PREFIX}_{name}", about, value=value)
        refused = CounterMetricFamily(
            f"{_PREFIX}_payloads_refused", "Payloads not taken.", labels=["reason"]
        )
        for reason, count in list(counted.refused.items()):
            refused.add_metric([reason.name.lower()], count)
        yield refused
        gauges = [
            ("connections", "Open now.", condition.connections),
            ("listeners", "Of them, those that get payloads.", condition.listeners),
            ("waiting", "Requests that wait for the store.", condition.waiting),
            ("store_works", "1 while the store does what it is asked.", condition.store_works),
            ("level", "How far it has moved, 0 home to 4 lockdown.", self._there().level),
        ]
        if condition.news != "none":
            heard = condition.news == "heard"
            gauges.append(("others_heard", "1 while relays of this store are heard.", heard))
        for name, about, value in gauges:
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", about, value=value)
