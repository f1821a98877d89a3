"""Rate of requests of each SAE: a bucket of tokens that fills with time.

Times are in seconds of a clock that only advances.
"""

from dataclasses import dataclass

MAX_BUCKETS = 100_000


@dataclass(slots=True)
class Bucket:
    """Tokens that were left at a time."""

    tokens: float
    at: float


class Rates:
    """A bucket for each name.

    Args:
        per_s: Tokens that each gains in a second.
        burst: Most tokens of a bucket.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: dict[str, Bucket] = {}

    def change(self, per_s: float, burst: float) -> None:
        """Other bounds from now on; what was taken counts on."""
        self._per_s, self._burst = per_s, burst

    def wait_s(self, name: str, now: float) -> float:
        """Take a token: 0; or take none, and the seconds until there is one."""
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= MAX_BUCKETS:
                self._forget(now)
            bucket = self._buckets[name] = Bucket(self._burst, now)
        tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_s)
        bucket.at = now
        if tokens < 1.0:
            bucket.tokens = tokens
            return (1.0 - tokens) / self._per_s
        bucket.tokens = tokens - 1.0
        return 0.0

    def _forget(self, now: float) -> None:
        """Drop buckets that are full again: a new one is like them."""
        for name, each in list(self._buckets.items()):
            if each.tokens + (now - each.at) * self._per_s >= self._burst:
                del self._buckets[name]
