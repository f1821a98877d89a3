"""What nodes say of their own links, and how everybody comes to know it.

Each node signs an announcement of its links and sends it to its neighbours, at least every
`REFRESH_S` and when something changes; who hears a newer one passes it on. What always holds:

- A link is in the topology only while both of its ends announce it, with the worse of the two
  statuses, the higher cost, and each end's own stock of what it may draw. So a node that makes up
  links, or a relay that forges what others say, attracts no routes: the first lacks the other end's
  word, the second its signature.
- A number that was heard is never taken again, an announcement ends `MAX_AGE_S` after it was made,
  and there is one for each member at most: memory is bounded by the roster.

A member may still overstate its own stock: what is carried over such a link fails for want of key,
and the next attempt goes around it. Layout: spec/key-relay.md, *Announcements*.

`now` is in seconds since the epoch.
"""

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.crypto.signatures import SigningKey
from bellwire.keys.model import KeySourceKind
from bellwire.keys.status import Status
from bellwire.network.errors import Malformed, NetworkMisuse, NotAuthentic
from bellwire.network.identity import NodeName, Roster, check, sign, signer_of
from bellwire.network.topology import MAX_COST, MAX_STOCK_BITS, Link, Topology

PURPOSE: Final = b"links"
MAX_LINKS: Final = 128
"""Links of one node."""

REFRESH_S: Final = 30.0
MAX_AGE_S: Final = 100.0
"""Three refreshes, and time to travel."""

MAX_SKEW_S: Final = 30.0
"""How far ahead of ours the clock of who announces may be."""

_WORSE = {Status.GREEN: 0, Status.YELLOW: 1, Status.RED: 2}


class OwnLink(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a node says of one of its links.

    Attributes:
        peer: The other end.
        status: What its verdicts say.
        stale: True if the last verdict is too old.
        stock_bits: Secret bits that the announcer may draw for this link.
        cost: 1 to 10,000.
        source: Where the link's keys come from; None where that is not known.
    """

    peer: NodeName
    status: Status
    stale: bool
    stock_bits: Annotated[int, Meta(ge=0, le=MAX_STOCK_BITS)]
    cost: Annotated[int, Meta(ge=1, le=MAX_COST)]
    source: KeySourceKind | None = None


class _Announcement(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    number: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    made_at: Annotated[float, Meta(ge=0.0, le=1e11)]
    links: Annotated[tuple[OwnLink, ...], Meta(max_length=MAX_LINKS)]
    first: bool = False


_decoder = msgspec.msgpack.Decoder(_Announcement)


def announce(
    identity: SigningKey,
    name: str,
    links: Iterable[OwnLink],
    *,
    after: int,
    now: float,
    first: bool = False,
) -> tuple[bytes, int]:
    """Sign what a node says of its links.

    Args:
        identity: Its long-term key.
        name: Its name.
        links: All of its links.
        after: Number of its last announcement, 0 for none.
        now: Seconds since the epoch.
        first: Whether the node has just started, and knows nothing of the others.

    Returns:
        The message, and its number: above `after`, and above those of an earlier life as long as
        the clock did not go back, so that a node that forgot its last number is heard again.

    Raises:
        NetworkMisuse: too many links, or two to one peer.
    """
    told = tuple(sorted(links, key=lambda link: link.peer))
    if len(told) > MAX_LINKS or len({link.peer for link in told}) < len(told):
        raise NetworkMisuse(
            f"expected at most {MAX_LINKS} links, each to another peer, got {len(told)}"
        )
    number = max(after + 1, int(1000 * now))
    body = msgspec.msgpack.encode(_Announcement(number, now, told, first))
    return sign(identity, name, PURPOSE, body), number


class LinkState:
    """What one node has heard of all.

    Args:
        roster: The members of the network.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._heard: dict[str, _Announcement] = {}
        self._last: dict[str, int] = {}

    def receive(self, message: bytes, now: float) -> str | None:
        """Take an announcement in.

        Args:
            message: As it came, from whomever.
            now: Seconds since the epoch.

        Returns:
            Whose links it tells, if it is news that is to be passed on; None if it was heard.

        Raises:
            Malformed: it is no announcement.
            NotAuthentic: it is not its signer's, or not of this time.
        """
        claimed, body = signer_of(message)
        said = _parse(body)
        if said.number <= self._last.get(claimed, 0):
            return None
        signer, _ = check(self._roster, PURPOSE, message)
        if not now - MAX_AGE_S <= said.made_at <= now + MAX_SKEW_S:
            raise NotAuthentic(
                f"expected an announcement of {signer} made up to {MAX_AGE_S:.0f} s ago, "
                f"got one made {now - said.made_at:.0f} s ago"
            )
        self._last[signer] = said.number
        self._heard[signer] = said
        return signer

    def is_first(self, name: str) -> bool:
        """Whether a node that was heard had just started then."""
        said = self._heard.get(name)
        return said is not None and said.first

    def expire(self, now: float) -> None:
        """Forget what is too old to be believed."""
        old = [name for name, said in self._heard.items() if said.made_at < now - MAX_AGE_S]
        for name in old:
            del self._heard[name]

    def __len__(self) -> int:
        """Of how many nodes something is known."""
        return len(self._heard)

    def topology(self, now: float) -> Topology:
        """The links that both ends announce."""
        self.expire(now)
        told = {
            (name, link.peer): link for name, said in self._heard.items() for link in said.links
        }
        return Topology(
            _joined(name, link, told[link.peer, name])
            for (name, _), link in sorted(told.items())
            if (link.peer, name) in told
        )


def _joined(name: str, own: OwnLink, others: OwnLink) -> Link:
    return Link(
        name,
        own.peer,
        max(own.status, others.status, key=_WORSE.__getitem__),
        own.stale or others.stale,
        own.stock_bits,
        max(own.cost, others.cost),
        own.source if own.source is others.source else None,
    )


def _parse(body: bytes) -> _Announcement:
    try:
        said = _decoder.decode(body)
    except UNDECODABLE as error:
        raise Malformed(f"expected an announcement, got something else: {error}") from error
    if len({link.peer for link in said.links}) < len(said.links):
        raise Malformed("expected an announcement with one link to each peer, got two")
    return said
