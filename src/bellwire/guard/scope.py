"""What a guard guards: ports, at any address and interface, or at some; and where a relay went.

Where a guard follows a relay, there are *spots* besides, which are judged first: one that is open
passes while there is a lease, one that is fenced never. What was configured is where the relay is
set up, its home, and has a lease only while the relay is there.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, Literal

from bellwire.guard.errors import ScopeUnusable

CHAT_PORT = 8765
"""Of the relay."""

MAX_PORTS = 64
MAX_ADDRESSES = 256
MAX_INTERFACES = 16
MAX_SPOTS: Final = 160

Network = IPv4Network | IPv6Network

_INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}")  # IFNAMSIZ, without what a rule would read

Kind = Literal["4", "6", "_any"]
"""How a spot is named: an address of a family and a port, or a port at any address."""

KINDS: Final[tuple[Kind, ...]] = ("4", "6", "_any")


@dataclass(frozen=True, slots=True)
class Spot:
    """A port, of TCP or whatever has ports, at one address, or at any.

    Raises:
        ScopeUnusable: it is no port.
    """

    address: IPv4Address | IPv6Address | None
    port: int

    def __post_init__(self) -> None:
        _require_port(self.port)

    @property
    def kind(self) -> Kind:
        """Which address it has."""
        if self.address is None:
            return "_any"
        return "4" if self.address.version == 4 else "6"


@dataclass(frozen=True, slots=True)
class Spots:
    """Where a relay that is followed is, and is no more; at home, what was configured is open too.

    Raises:
        ScopeUnusable: too many.
    """

    open: frozenset[Spot] = frozenset()
    fenced: frozenset[Spot] = frozenset()
    at_home: bool = True

    def __post_init__(self) -> None:
        if len(self.all) > MAX_SPOTS:
            raise ScopeUnusable(f"spots: expected up to {MAX_SPOTS}, got {len(self.all)}")

    @property
    def all(self) -> frozenset[Spot]:
        """Those that nothing passes without a lease."""
        return self.open | self.fenced


def of_kind(spots: frozenset[Spot], kind: Kind) -> list[Spot]:
    """Those that are named so, in an order that is always the same."""
    found = [spot for spot in spots if spot.kind == kind]
    return sorted(found, key=lambda spot: (str(spot.address), spot.port))


@dataclass(frozen=True, slots=True)
class Scope:
    """What is guarded: a packet to or from one of the ports, of any protocol that has ports.

    Attributes:
        ports: Of the guarded service; ascending.
        addresses: Of the guarded service; none means any.
        interfaces: A packet counts if it comes in or goes out by one of these; none means any.
        spots: Where the relay is that is followed, whatever the interface; None: none is followed.

    Raises:
        ScopeUnusable: none, too many, or what is no such thing.
    """

    ports: tuple[int, ...] = (CHAT_PORT,)
    addresses: tuple[Network, ...] = ()
    interfaces: tuple[str, ...] = ()
    spots: Spots | None = None

    def __post_init__(self) -> None:
        for name, given, least, most in (
            ("ports", self.ports, 1, MAX_PORTS),
            ("addresses", self.addresses, 0, MAX_ADDRESSES),
            ("interfaces", self.interfaces, 0, MAX_INTERFACES),
        ):
            if not least <= len(given) <= most:
                raise ScopeUnusable(f"{name}: expected {least} to {most}, got {len(given)}")
        for port in self.ports:
            _require_port(port)
        for each in self.interfaces:
            if not _INTERFACE.fullmatch(each):
                raise ScopeUnusable(f"interface: expected the name of one, got {each[:40]!r}")
        object.__setattr__(self, "ports", tuple(sorted(set(self.ports))))
        object.__setattr__(self, "interfaces", tuple(sorted(set(self.interfaces))))

    @property
    def leased_ports(self) -> tuple[int, ...]:
        """Those of `ports` that a lease is for: none while the relay is away from home."""
        return self.ports if self.spots is None or self.spots.at_home else ()

    @property
    def addresses4(self) -> tuple[str, ...]:
        """Those of IPv4, as a rule writes them."""
        return tuple(sorted(str(each) for each in self.addresses if each.version == 4))

    @property
    def addresses6(self) -> tuple[str, ...]:
        """Those of IPv6."""
        return tuple(sorted(str(each) for each in self.addresses if each.version == 6))


def _require_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise ScopeUnusable(f"port: expected 1 to 65535, got {port}")


def read_addresses(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Addresses and networks, as people write them.

    Raises:
        ScopeUnusable: one is neither, or two overlap.
    """
    found: list[Network] = []
    for text in texts:
        try:
            network = ip_network(text)
        except ValueError as error:
            raise ScopeUnusable(
                f"address: expected one of IPv4 or IPv6, or a network as 10.0.0.0/24, "
                f"got {text[:60]!r}"
            ) from error
        for other in found:
            if other.version == network.version and other.overlaps(network):
                raise ScopeUnusable(f"addresses: {other} and {network} overlap; one is enough")
        found.append(network)
    return tuple(found)
