"""What can go wrong between many nodes.

BellwireError
├── NetworkError              the root: the network could not do it
│   ├── NoRoute               no way of usable links from here to there, or too few disjoint ones
│   ├── HopFailed             (in `carrier`) a hop of a share could not be made
│   ├── TransferFailed        a block did not reach the other end, as often as it was tried
│   └── BusFailed             (also an UnreachableError) messages do not get through
├── NetworkMisuse             (UsageError) a name, size or count that a network does not have
└── MessageRefused            (RefusedError) a message is not what its sender may send
    ├── Malformed             its bytes are no message of this version
    └── NotAuthentic          its signature or tag is not that of who it names
"""

from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError


class NetworkError(BellwireError):
    """The network could not do what was asked; nothing unconfirmed was kept."""


class NoRoute(NetworkError):
    """No way of usable links leads there, or fewer disjoint ones than were asked for.

    Attributes:
        wanted: Node-disjoint routes asked for.
        found: How many there are.
        bits: Link key that each hop takes.
    """

    def __init__(self, origin: str, target: str, wanted: int, found: int, size: int) -> None:
        super().__init__(
            f"expected {wanted} node-disjoint routes from {origin} to {target} on which every link "
            f"is trusted and has {8 * size} bits in stock, got {found}",
            hint="Wait for stock or for a link to recover, add links, or ask for fewer routes.",
        )
        self.wanted = wanted
        self.found = found
        self.bits = 8 * size


class TransferFailed(NetworkError):
    """No attempt to carry a block ended with both ends holding the same bits."""


class BusFailed(NetworkError, UnreachableError):
    """The bus between nodes does not answer, or does not take a message."""


class NetworkMisuse(UsageError):
    """A name, a size or a count that a network of nodes does not have."""


class MessageRefused(RefusedError):
    """A message is not what its sender may send now; nothing of it was used."""


class Malformed(MessageRefused):
    """The bytes are no message of this version, or a field is out of bounds."""


class NotAuthentic(MessageRefused):
    """The signature or tag of a message is not that of whom it names."""
