"""What a guard guards: ports, at any address and interface, or at some."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from bellwire.guard.errors import ScopeUnusable

CHAT_PORT = 8765
"""Of the relay."""

MAX_PORTS = 64
MAX_ADDRESSES = 256
MAX_INTERFACES = 16

Network = IPv4Network | IPv6Network

_INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}")  # IFNAMSIZ, without what a rule would read


@dataclass(frozen=True, slots=True)
class Scope:
    """What is guarded: a packet to or from one of the ports, of any protocol that has ports.

    Attributes:
        ports: Of the guarded service; ascending.
        addresses: Of the guarded service; none means any.
        interfaces: A packet counts if it comes in or goes out by one of these; none means any.

    Raises:
        ScopeUnusable: none, too many, or what is no such thing.
    """

    ports: tuple[int, ...] = (CHAT_PORT,)
    addresses: tuple[Network, ...] = ()
    interfaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, given, least, most in (
            ("ports", self.ports, 1, MAX_PORTS),
            ("addresses", self.addresses, 0, MAX_ADDRESSES),
            ("interfaces", self.interfaces, 0, MAX_INTERFACES),
        ):
            if not least <= len(given) <= most:
                raise ScopeUnusable(f"{name}: expected {least} to {most}, got {len(given)}")
        for port in self.ports:
            if not 1 <= port <= 65535:
                raise ScopeUnusable(f"port: expected 1 to 65535, got {port}")
        for each in self.interfaces:
            if not _INTERFACE.fullmatch(each):
                raise ScopeUnusable(f"interface: expected the name of one, got {each[:40]!r}")
        object.__setattr__(self, "ports", tuple(sorted(set(self.ports))))
        object.__setattr__(self, "interfaces", tuple(sorted(set(self.interfaces))))

    @property
    def addresses4(self) -> tuple[str, ...]:
        """Those of IPv4, as a rule writes them."""
        return tuple(sorted(str(each) for each in self.addresses if each.version == 4))

    @property
    def addresses6(self) -> tuple[str, ...]:
        """Those of IPv6."""
        return tuple(sorted(str(each) for each in self.addresses if each.version == 6))


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
