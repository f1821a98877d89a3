"""What a hello must pass before the responder does public-key work for it.

In this order, each step cheaper than the next: form and length, `mac1`, the cookie, the budget of
the sender's network. Nothing is kept of a hello that is turned back; the budgets of networks are
bounded in number. A network's budget for hellos with a cookie is apart from that without: who
forges another's address spends only the latter, and costs the other one round trip.

No input or output, and no public-key work; `now` is passed in.

Source: Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", NDSS 2017, 5.3 (cookies).
"""

import hmac
import ipaddress
import os
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from bellwire.channel.errors import HandshakeFailed, TooManyHandshakes
from bellwire.channel.fragments import Fragment, parse_knock
from bellwire.channel.macs import NO_MAC, Hello, mac, mac_key, make_retry, make_unknown, parse_hello
from bellwire.channel.messages import Suite

COOKIE_LIFE_S: Final = 120.0
"""The secret behind cookies changes this often; a cookie of the one before still counts."""

MAX_NETWORKS: Final = 4096
"""Networks whose budgets are remembered, of each kind; the longest unseen gives way."""

ALL_SUITES: Final = frozenset(Suite)


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Hellos a second, and how many at once after a pause.

    Attributes:
        total_per_s: From everywhere, before cookies are asked for.
        total_burst: The same, at once.
        network_per_s: From one network (/24 of IPv4, /56 of IPv6).
        network_burst: The same, at once.
    """

    total_per_s: float = 400.0
    total_burst: float = 2000.0
    network_per_s: float = 200.0
    network_burst: float = 1500.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: the sender is to come again with the cookie in this message."""

    message: bytes


class _Bucket:
    """Tokens that come back over time."""

    __slots__ = ("_burst", "_per_s", "_seen", "_tokens")

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._tokens, self._seen = burst, now

    def take(self, now: float) -> bool:
        """Whether there was a token to take."""
        since = max(0.0, now - self._seen)
        self._tokens = min(self._burst, self._tokens + since * self._per_s)
        self._seen = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Gate:
    """One responder's gate, for all its handshakes.

    Args:
        responder_public: The responder's public key.
        suites: Which it takes.
        limits: When it asks for cookies, and when it turns away.
        random: Gives so many random bytes; for the secret behind cookies.
    """

    def __init__(
        self,
        responder_public: bytes,
        *,
        suites: Collection[Suite] = ALL_SUITES,
        limits: GateLimits | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._key = mac_key(responder_public)
        self._suites = frozenset(suites)
        self._limits = limits or GateLimits()
        self._random = random
        self._secrets: list[bytes] = []
        self._changed = 0.0
        self._total: _Bucket | None = None
        self._networks: dict[bool, OrderedDict[str, _Bucket]] = {
            False: OrderedDict(),
            True: OrderedDict(),
        }

    def __repr__(self) -> str:
        return f"Gate({sum(map(len, self._networks.values()))} networks)"

    def admit(self, message: bytes, source: str, now: float) -> Hello | Retry:
        """Judge what came as a hello.

        Args:
            message: As received.
            source: Where from: an IP address, or what else an answer is sent to.
            now: Seconds, of a clock that never goes back.

        Returns:
            The hello, if it is worth public-key work; or a retry to send.

        Raises:
            HandshakeFailed: not a hello for us, or its cookie is not one of ours.
            TooManyHandshakes: its network has spent its budget.
        """
        hello = parse_hello(message, self._key, self._suites)
        proved = hello.mac2 != NO_MAC
        if proved:
            self._check_cookie(hello, source, now)
        may = self._take(_network(source), proved=proved, now=now)
        if proved and not may:
            raise TooManyHandshakes("expected fewer handshakes from this network, got too many")
        if proved or may:
            return hello
        return Retry(self._retry(hello.suite, hello.mac1, hello.digest, source, now))

    def knock(self, message: bytes, source: str, now: float) -> bytes:
        """What to answer to a knock, which is longer; nothing is kept, and no budget is spent.

        Args:
            message: As received.
            source: Where from, as for `admit`.
            now: As for `admit`.

        Raises:
            HandshakeFailed: not a knock for us.
        """
        found = parse_knock(message, self._key, self._suites)
        return self._retry(found.suite, found.mac1, found.digest, source, now)

    def recognise(self, fragment: Fragment, source: str, now: float) -> None:
        """Return only if a fragment shows the cookie that we gave to its sender for its hello.

        Arguments are as of `admit`.

        Raises:
            HandshakeFailed: it does not.
        """
        cookies = self._cookies(fragment.digest, source, now)
        good = [hmac.compare_digest(fragment.cookie, each) for each in cookies]
        if not any(good):
            raise HandshakeFailed("expected the cookie of this hello and address, got another")

    def spend(self, source: str, now: float) -> None:
        """Count, against its network's budget, what comes instead of a hello over a connection.

        Arguments are as of `admit`.

        Raises:
            TooManyHandshakes: its network has spent its budget.
        """
        if not self._take(_network(source), proved=True, now=now):
            raise TooManyHandshakes("expected fewer handshakes from this network, got too many")

    def unknown(self, hello: Hello) -> bytes:
        """What to answer to a hello whose ticket is not known."""
        return make_unknown(hello, self._key)

    def _retry(self, suite: Suite, mac1: bytes, digest: bytes, source: str, now: float) -> bytes:
        return make_retry(suite, mac1, self._key, self._cookies(digest, source, now)[0])

    def _check_cookie(self, hello: Hello, source: str, now: float) -> None:
        good = [
            hmac.compare_digest(hello.mac2, mac(cookie, hello.core + hello.mac1))
            for cookie in self._cookies(hello.digest, source, now)
        ]
        if not any(good):
            raise HandshakeFailed("expected the cookie of this hello and address, got another")

    def _cookies(self, digest: bytes, source: str, now: float) -> list[bytes]:
        """The cookies of a hello with this digest under the current secret and the one before."""
        since = now - self._changed
        if not self._secrets or since >= COOKIE_LIFE_S:
            # After a longer pause the one before is too old as well. Else the new one counts from
            # when it was due, and not from now: the one before would live longer than it may.
            kept = self._secrets[:1] if since < 2 * COOKIE_LIFE_S else []
            self._secrets = [self._random(32), *kept]
            self._changed = self._changed + COOKIE_LIFE_S if kept else now
        return [mac(secret, digest + source.encode()) for secret in self._secrets]

    def _take(self, network: str, *, proved: bool, now: float) -> bool:
        limits = self._limits
        networks = self._networks[proved]
        bucket = networks.get(network)
        if bucket is None:
            if len(networks) >= MAX_NETWORKS:
                networks.popitem(last=False)
            bucket = _Bucket(limits.network_per_s, limits.network_burst, now)
            networks[network] = bucket
        networks.move_to_end(network)
        if proved:
            return bucket.take(now)
        if self._total is None:
            self._total = _Bucket(limits.total_per_s, limits.total_burst, now)
        return bucket.take(now) and self._total.take(now)


def _network(source: str) -> str:
    """The network that shares a budget with `source`; what is no IP address is its own."""
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    hosts = 32 - 24 if address.version == 4 else 128 - 56
    return f"{address.version}:{int(address) >> hosts:x}"
