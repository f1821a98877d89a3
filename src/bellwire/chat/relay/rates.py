"""How fast one source may ask: token buckets, by address."""

import ipaddress
from typing import Final

MAX_SOURCES: Final = 65_536


class Rates:
    """A bucket for each source.

    Args:
        per_s: Tokens that come each second.
        burst: Tokens that a bucket holds.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, source: str, now: float) -> bool:
        """Whether `source` may ask once more at `now`, in seconds of any clock that only grows."""
        level, since = self._buckets.pop(source, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._per_s)
        admitted = level >= 1
        self._buckets[source] = (level - admitted, now)
        if len(self._buckets) > MAX_SOURCES:
            # The one that has been silent longest: its bucket is the fullest.
            del self._buckets[next(iter(self._buckets))]
        return admitted


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
