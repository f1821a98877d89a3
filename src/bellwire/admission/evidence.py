"""What a newcomer claims of its connection, and what the server measured itself.

A client can delay an answer and can never shorten its way, so what is measured bounds the way from
above only: a claim of a shorter way is a false claim or a delayed answer, and both are reasons to
doubt; that it is near where it says it is, nothing here proves.
"""

import ipaddress
import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bellwire.admission.errors import EvidenceUnusable

MAX_MS: Final = 60_000.0
"""Longest way there and back of a claim or a measurement; anything longer is a slip of the unit."""

MAX_ECHOES: Final = 256

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Claim:
    """What a newcomer says of itself.

    Attributes:
        ping_ms: Time there and back, milliseconds.
        jitter_ms: Median difference of two in succession, milliseconds.
        address: Its address, as it knows it.

    Raises:
        EvidenceUnusable: a time is negative, not finite, or over a minute.
    """

    ping_ms: float
    jitter_ms: float
    address: Address

    def __post_init__(self) -> None:
        _check("ping", self.ping_ms)
        _check("jitter", self.jitter_ms)


@dataclass(frozen=True, slots=True)
class Measured:
    """What the server saw on the newcomer's own connection.

    Attributes:
        ping_ms: The shortest time there and back, milliseconds.
        jitter_ms: Median difference of two in succession, milliseconds; None of fewer than two.
            A machine that stalls once would spoil the mean, and of one end alone.
        echoes: How many were timed.
        address: Where it came from, behind the proxies that are trusted.
    """

    ping_ms: float
    jitter_ms: float | None
    echoes: int
    address: Address


def measured(times_ms: Sequence[float], address: Address) -> Measured:
    """What timed echoes say.

    Args:
        times_ms: Time there and back of each, in order, milliseconds; 1 to 256.
        address: Where they came from.

    Raises:
        EvidenceUnusable: there is none, too many, or one is no time.
    """
    if not 1 <= len(times_ms) <= MAX_ECHOES:
        raise EvidenceUnusable(f"expected 1 to {MAX_ECHOES} timed echoes, got {len(times_ms)}")
    for time in times_ms:
        _check("echo", time)
    steps = [abs(b - a) for a, b in itertools.pairwise(times_ms)]
    jitter = statistics.median(steps) if steps else None
    return Measured(min(times_ms), jitter, len(times_ms), address)


def read_address(text: str) -> Address:
    """An address as people write it; one of IPv4 inside IPv6 counts as the former.

    Raises:
        EvidenceUnusable: it is none, or has a zone.
    """
    try:
        address = ipaddress.ip_address(text) if len(text) <= 45 and "%" not in text else None
    except ValueError:
        address = None
    if address is None:
        raise EvidenceUnusable(f"expected an IPv4 or IPv6 address, got {text[:45]!a}")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def seen_address(peer: Address, forwarded: Sequence[Address], proxies: int) -> Address:
    """Whom a connection comes from when our own proxies stand before us.

    Each proxy appends the address that it saw. Of the list, only as many of the last as there are
    proxies of ours can be believed: what stands before them, a client may have written.

    Args:
        peer: The other end of the TCP connection.
        forwarded: Of `X-Forwarded-For`, first to last; empty without proxies.
        proxies: How many of our own proxies a connection goes through; 0 ignores `forwarded`.

    Raises:
        EvidenceUnusable: there are fewer addresses than proxies: it did not come through them.
    """
    if proxies == 0:
        return peer
    if len(forwarded) < proxies:
        raise EvidenceUnusable(
            f"expected the addresses that {proxies} proxies add, got {len(forwarded)}"
        )
    return forwarded[-proxies]


def _check(what: str, value: float) -> None:
    if not (math.isfinite(value) and 0 <= value <= MAX_MS):
        raise EvidenceUnusable(f"expected a {what} of 0 to {MAX_MS:.0f} ms, got {value}")
