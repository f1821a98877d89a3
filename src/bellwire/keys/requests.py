"""What is asked of a pool, and what becomes of it."""

from collections.abc import Sequence

import msgspec

from bellwire.base.errors import BellwireError
from bellwire.keys.key_ids import Place
from bellwire.keys.kme import Delivery


class Take(msgspec.Struct, frozen=True):
    """A request for new keys of the link, as master.

    Attributes:
        grant: Number of an own grant that both KMEs know.
        number: How many keys.
        bits: Length of each, a multiple of 8.
        master: Who asks.
        copied: Slaves of this site that get the keys too.
    """

    grant: int
    number: int
    bits: int
    master: str = ""
    copied: tuple[str, ...] = ()

    def times(self, count: int) -> "Take":
        """So many requests like this as one."""
        return Take(self.grant, count * self.number, self.bits, self.master, self.copied)


class Make(msgspec.Struct, frozen=True):
    """A request for new keys whose slaves are all of this site; they are no link's.

    Attributes:
        number: How many keys.
        bits: Length of each, a multiple of 8.
        master: Who asks.
        slaves: Who gets them too.
    """

    number: int
    bits: int
    master: str
    slaves: tuple[str, ...]


class Leave(msgspec.Struct, frozen=True):
    """A request for keys that the peer's master got.

    Attributes:
        ids: As they came.
        places: What they say, in their order.
        slave: Who asks.
        sharers: For each place the slaves of this site that each get its keys, `slave` among them.
        epoch: The pool's when `places` were read: those of another one are elsewhere now.
        shared: Whether any of the keys had several slaves, however many are of this site now.
    """

    ids: bytes
    places: Sequence[Place]
    slave: str
    sharers: Sequence[tuple[str, ...]]
    epoch: int = 0
    shared: bool = False

    def spans(self) -> list[tuple[int, int]]:
        """Of each key its first unit, and the one behind its last."""
        return [span for place in self.places for span in place.spans()]


class Fetch(msgspec.Struct, frozen=True):
    """A request for keys that a master of this site got.

    Attributes:
        ids: As they came.
        slave: Who asks.
        master: Who got them.
    """

    ids: bytes
    slave: str
    master: str


Request = Take | Make | Leave | Fetch
Outcome = Delivery | BellwireError
