"""Where a service is, and is next: notices that it signs, so that clients and guards follow it.

A notice counts if the service's identity signed it with all its keys, if it has not expired, and if
no later one was seen: whoever keeps it, hands it on or repeats it can at worst hold the newest one
back. It is whole in itself: all that a reader needs beforehand is the identity's fingerprint.

Layout and rules: spec/places.md.
"""

import ipaddress
import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from urllib.parse import urlsplit

from bellwire.channel.errors import (
    ChannelMisuse,
    NoticeExpired,
    NoticeForged,
    NoticeMalformed,
    NoticeReplayed,
)
from bellwire.crypto import ed25519, signatures
from bellwire.crypto.composite import CompositeKey, CompositePublicKey
from bellwire.crypto.errors import SignatureInvalid
from bellwire.crypto.labels import PLACES

MAX_PLACES: Final = 16
MAX_HOST_BYTES: Final = 253
MAX_LIFE_S: Final = 30 * 86_400
"""How long a notice may count, in seconds."""

CLOCK_SLACK_S: Final = 300
"""How far ahead of the reader's clock a notice may be issued: clocks differ."""

_HEAD: Final = struct.Struct(f">5s{ed25519.PUBLIC_BYTES}s{signatures.PUBLIC_BYTES}sQQQBB")
_PLACE: Final = struct.Struct(">BHB")
_SIGNATURES_BYTES: Final = ed25519.SIGNATURE_BYTES + signatures.SIGNATURE_BYTES
_MAGIC: Final = b"bwpl\x01"
MIN_NOTICE_BYTES: Final = _HEAD.size + _SIGNATURES_BYTES
MAX_NOTICE_BYTES: Final = MIN_NOTICE_BYTES + MAX_PLACES * (_PLACE.size + MAX_HOST_BYTES)

_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_SCHEMES: Final = ("ws", "wss")


class Level(IntEnum):
    """How far a service has moved out of an attacker's way."""

    HOME = 0
    PORT = 1
    ADDRESS = 2
    INTERFACE = 3
    LOCKDOWN = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service can be reached.

    Attributes:
        host: An IP address as `ipaddress` writes it, or a name of lower-case letters, digits,
            hyphens and dots.
        port: 1 to 65535, TCP.
        tls: Whether it speaks TLS.

    Raises:
        ChannelMisuse: host or port is of another kind.
    """

    host: str
    port: int
    tls: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ChannelMisuse(f"expected a port of 1 to 65535, got {self.port}")
        if not _is_host(self.host):
            raise ChannelMisuse("expected a host as an IP address or a name in ASCII, got another")

    @classmethod
    def of_url(cls, url: str) -> "Place":
        """The place of `ws://HOST:PORT` or `wss://HOST:PORT`.

        Raises:
            ChannelMisuse: it is no such URL.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise _no_url() from None
        more = parts.path.strip("/") or parts.query or parts.fragment or parts.username
        if parts.scheme not in _SCHEMES or not host or port is None or more:
            raise _no_url()
        return cls(_canonical(host), port, parts.scheme == "wss")

    @property
    def url(self) -> str:
        """As clients are given it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{_SCHEMES[self.tls]}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a service says of its places.

    Attributes:
        sequence: Grows with each notice of the service.
        issued_at: In seconds since the epoch.
        expires_at: In seconds since the epoch; from then on it does not count.
        level: How far it has moved.
        places: Where it is: the first is where it should be looked for first. None in a lockdown.

    Raises:
        ChannelMisuse: numbers or places are out of their bounds.
    """

    sequence: int
    issued_at: int
    expires_at: int
    level: Level
    places: tuple[Place, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.sequence < 1 << 64:
            raise ChannelMisuse(f"expected a sequence of 1 to 2^64 - 1, got {self.sequence}")
        if not 0 <= self.issued_at < self.expires_at <= self.issued_at + MAX_LIFE_S:
            raise ChannelMisuse(f"expected a notice that counts for 1 to {MAX_LIFE_S} s")
        if len(self.places) > MAX_PLACES or (self.level is Level.LOCKDOWN) == bool(self.places):
            raise ChannelMisuse(
                f"expected 1 to {MAX_PLACES} places, none in a lockdown, got {len(self.places)}"
            )


def sign(notice: Notice, key: CompositeKey) -> bytes:
    """A notice as it is sent and kept.

    Raises:
        ChannelMisuse: the identity has not both keys, of Ed25519 and of ML-DSA-65.
    """
    first, second = key.public.ed25519, key.public.ml_dsa_65
    if first is None or second is None:
        raise ChannelMisuse("expected an identity with keys of Ed25519 and ML-DSA-65, got one key")
    head = _HEAD.pack(
        _MAGIC,
        first,
        second,
        notice.sequence,
        notice.issued_at,
        notice.expires_at,
        notice.level,
        len(notice.places),
    )
    body = head + b"".join(
        _PLACE.pack(each.tls, each.port, len(each.host)) + each.host.encode("ascii")
        for each in notice.places
    )
    return body + key.sign(body, PLACES)


def read(data: bytes, fingerprint: bytes, *, now: float, after: int) -> Notice:
    """What a notice says, if it counts.

    Args:
        data: As `sign` made it, from anybody.
        fingerprint: Of the service's identity, 32 bytes.
        now: In seconds since the epoch.
        after: The highest sequence that was read before; 0 for none. That one may come again.

    Raises:
        NoticeMalformed: it is no notice.
        NoticeForged: another identity's, or altered.
        NoticeExpired: its time has passed, or is far ahead.
        NoticeReplayed: a later one was read.
    """
    notice, public, body = _parse(data)
    if public.fingerprint != fingerprint:
        raise NoticeForged("expected a notice of the service that is known, got another's")
    try:
        public.verify(data[len(body) :], body, PLACES)
    except SignatureInvalid as error:
        raise NoticeForged("expected both signatures of the service, got others") from error
    if notice.expires_at <= now:
        raise NoticeExpired(f"the notice counted until {notice.expires_at}, it is {int(now)}")
    if notice.issued_at > now + CLOCK_SLACK_S:
        raise NoticeExpired(f"the notice counts from {notice.issued_at}, it is {int(now)}")
    if notice.sequence < after:
        raise NoticeReplayed(f"expected notice {after} or a later one, got {notice.sequence}")
    return notice


def _parse(data: bytes) -> tuple[Notice, CompositePublicKey, bytes]:
    if not MIN_NOTICE_BYTES <= len(data) <= MAX_NOTICE_BYTES:
        raise NoticeMalformed(
            f"expected {MIN_NOTICE_BYTES} to {MAX_NOTICE_BYTES} bytes, got {len(data)}"
        )
    body = data[:-_SIGNATURES_BYTES]
    magic, first, second, sequence, issued_at, expires_at, level, count = _HEAD.unpack_from(body)
    if magic != _MAGIC:
        raise NoticeMalformed("expected a notice of version 1, got something else")
    try:
        places, at = [], _HEAD.size
        for _ in range(count):
            tls, port, length = _PLACE.unpack_from(body, at)
            at += _PLACE.size + length
            if tls > 1 or at > len(body):
                raise NoticeMalformed("expected places as the version has them, got others")
            places.append(Place(body[at - length : at].decode("ascii"), port, bool(tls)))
        notice = Notice(sequence, issued_at, expires_at, Level(level), tuple(places))
    except (struct.error, ValueError, ChannelMisuse) as error:
        raise NoticeMalformed("expected a notice within its bounds, got another") from error
    if at != len(body):
        raise NoticeMalformed("expected nothing behind the places, got more")
    return notice, CompositePublicKey(first, second), body


def _no_url() -> ChannelMisuse:
    return ChannelMisuse("expected a URL ws://HOST:PORT or wss://HOST:PORT, got another")


def _canonical(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()


def _is_host(host: str) -> bool:
    if not 1 <= len(host) <= MAX_HOST_BYTES or "%" in host:
        return False
    try:
        return str(ipaddress.ip_address(host)) == host
    except ValueError:
        labels = host.split(".")
        # A last label of digits would be read as a cut or padded IPv4 address by some.
        return all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdecimal()
