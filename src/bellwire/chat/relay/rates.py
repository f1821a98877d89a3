"""How fast one source may ask: token buckets, by address."""

import ipaddress
from typing import Final

MAX_SOURCES: Final = 65_536


class Bucket:
    """What one source may still ask for; several connections share it.

    Args:
        per_s: Requests that it gains in a second.
        burst: Most requests at once; it begins with as many.
        now: Seconds of a clock that only grows.
    """

    __slots__ = ("_burst", "_level", "_per_s", "_since")

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._level = burst
        self._since = now

    def refill(self, now: float) -> None:
        """It is `now`, in s of a clock that only grows."""
        self._level = min(self._burst, self._level + (now - self._since) * self._per_s)
        self._since = now

    def take(self, count: int = 1) -> bool:
        """Whether the source may ask so often more, as of the time of the last `refill`."""
        if self._level < count:
            return False
        self._level -= count
        return True

    def admit(self, now: float) -> bool:
        """Whether the source may ask once more at `now`."""
        self.refill(now)
        return self.take()


class Rates:
    """A bucket for each source.

    Args:
        per_s: Tokens that come each second.
        burst: Tokens that a bucket holds.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: dict[str, Bucket] = {}

    def bucket(self, source: str, now: float) -> Bucket:
        """The bucket of a source, for whoever asks often."""
        found = self._buckets.pop(source, None) or Bucket(self._per_s, self._burst, now)
        self._buckets[source] = found
        if len(self._buckets) > MAX_SOURCES:
            # The one that was asked for longest ago: its bucket is likely the fullest.
            del self._buckets[next(iter(self._buckets))]
        return found

    def admit(self, source: str, now: float) -> bool:
        """Whether `source` may ask once more at `now`, in seconds of any clock that only grows."""
        return self.bucket(source, now).admit(now)


def source_of(host: str) -> str:
    """What an address is counted under: itself, of IPv6 its /64."""
    try:
        address = ipaddress.ip_address(host.split("%", maxsplit=1)[0])
    except ValueError:
        return host
    if address.version == 6:
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
