"""How many readings devices may bring: who brings more is answered later, and so sends later.

Nothing is refused and nothing is kept in memory: a device waits for the answer to its batch before
it sends the next.
"""

from collections import OrderedDict
from dataclasses import dataclass

MAX_DEVICES = 10_240
"""Whose allowances are kept; of more, the ones that were used last."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Readings a second, and how many may come at once (`burst`) before that counts."""

    per_s: float
    burst: float


class Allowance:
    """What is left of a rate; it may be overdrawn, by a wait.

    Args:
        rate: How fast it fills, and how far.
        now: Seconds, of a clock that never goes back.
    """

    __slots__ = ("_left", "_rate", "_seen")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._left, self._seen = rate.burst, now

    def spend(self, count: int, now: float) -> float:
        """Take so many; returns the seconds to wait until they would have been there."""
        filled = self._left + max(0.0, now - self._seen) * self._rate.per_s
        self._seen = now
        self._left = min(self._rate.burst, filled) - count
        return max(0.0, -self._left / self._rate.per_s)


class Rates:
    """Allowances of all devices together and of each.

    Args:
        each: Of one device.
        total: Of all.
    """

    def __init__(self, each: Rate, total: Rate) -> None:
        self._each = each
        self._total_rate = total
        self._total: Allowance | None = None
        self._devices: OrderedDict[bytes, Allowance] = OrderedDict()

    def spend(self, device: bytes, count: int, now: float) -> float:
        """Take from both; returns the seconds to wait."""
        own = self._devices.get(device)
        if own is None:
            if len(self._devices) >= MAX_DEVICES:
                self._devices.popitem(last=False)
            own = self._devices[device] = Allowance(self._each, now)
        self._devices.move_to_end(device)
        if self._total is None:
            self._total = Allowance(self._total_rate, now)
        return max(own.spend(count, now), self._total.spend(count, now))
