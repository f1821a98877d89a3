"""What the blocks of a node are made from: photons of its link, or keys of a vendor's box.

A `Material` opens blocks (Alice), says which of the peer's blocks are acceptable (Bob), and gets
this side's part. All that is beyond it is the same for both: numbers, tags, keeping, status.
"""

import asyncio
from typing import TYPE_CHECKING
from typing import Protocol as Interface

from bellwire.base.detections import Half, Protocol
from bellwire.base.errors import BellwireError, UsageError
from bellwire.base.matching import Matching
from bellwire.base.secret import Secret
from bellwire.crypto.errors import RandomnessFailed
from bellwire.distill.choice import Conditions
from bellwire.distill.messages import TICKET_BYTES, Fresh, Open, Supply, decode
from bellwire.distill.verdict import Reason
from bellwire.keys.model import KeySourceKind
from bellwire.node.policy import Policy

if TYPE_CHECKING:  # who only hands keys out need not load the kernels
    from bellwire.distill.planes import Planes

Opening = Open | Supply


class NoPart(BellwireError):
    """There is nothing to make a block from at this side; `reason` ends it."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotOpened(NoPart):
    """A block cannot begin: nothing was said about it, and no number was spent on it.

    Attributes:
        opening: As far as it got.
    """

    def __init__(self, opening: Opening, reason: Reason, message: str) -> None:
        super().__init__(reason, message)
        self.opening = opening


class Material(Interface):
    """Where a node's part of a block comes from."""

    kind: KeySourceKind
    """What every key made of it is called."""

    watched: bool
    """Whether probes alone can tell that the link is good."""

    overlapping: bool
    """Whether a block may begin while an earlier one is under way."""

    @property
    def spent(self) -> str | None:
        """Why no further block can come, or None while one can."""

    def check_order(self, protocol: Protocol, pulses: int) -> None:
        """Let a block that an operator asks for pass; UsageError."""

    async def open(
        self, number: int, protocol: Protocol, pulses: int, conditions: Conditions, *, probe: bool
    ) -> Opening:
        """The first message of a block of ours; NotOpened.

        Protocol, pulses and conditions are of a block of photons; a vendor's box has none.
        """

    def read(self, body: bytes) -> Opening:
        """The first message of a block of the peer's; MalformedMessage."""

    def accepts(self, opening: Opening) -> bool:
        """Whether we take part in a block that the peer opens."""

    async def fetch(
        self, opening: Opening, *, flowing: bool
    ) -> "Half | Planes | Matching | Secret":
        """Our part of a block; NoPart. `flowing`: Bob's status lets keys flow (Alice: true)."""


class Link(Interface):
    """Where halves come from."""

    async def block(
        self, ticket: bytes, protocol: Protocol, pulses: int, choice_seed: bytes
    ) -> Half | Matching:
        """Our half of a block, or what agrees on it with the peer."""

    @property
    def spent(self) -> str | None:
        """Why no further block can come, or None while one can."""


class Photons:
    """A `Material` of detections.

    Args:
        link: Gives our half.
        policy: What blocks must be like.
        kind: Where the light comes from.
        overlapping: Whether the link gives a further block before an earlier one is agreed on.
    """

    watched = True

    def __init__(
        self,
        link: Link,
        policy: Policy,
        kind: KeySourceKind = KeySourceKind.SIMULATED,
        *,
        overlapping: bool = True,
    ) -> None:
        self._link = link
        self._policy = policy
        self.kind = kind
        self.overlapping = overlapping

    @property
    def spent(self) -> str | None:
        """As the link says."""
        return self._link.spent

    def check_order(self, protocol: Protocol, pulses: int) -> None:
        """A block must not be longer than the policy allows, nor empty; UsageError."""
        if not 1 <= pulses <= self._policy.max_pulses:
            raise UsageError(f"pulses: expected 1 to {self._policy.max_pulses}, got {pulses}")

    async def open(
        self, number: int, protocol: Protocol, pulses: int, conditions: Conditions, *, probe: bool
    ) -> Open:
        """As the policy says; NotOpened once the light is spent, or without randomness."""

        def opening(ticket: bytes) -> Open:
            return self._policy.opening(number, protocol, pulses, ticket, conditions, probe=probe)

        try:  # in a thread, because a random device may have to be waited for
            ticket = await asyncio.to_thread(self._policy.ticket, number, probe=probe)
        except RandomnessFailed as error:
            nothing = bytes(TICKET_BYTES)  # of an opening that is never said
            raise NotOpened(opening(nothing), Reason.RANDOMNESS, str(error)) from error
        if self._link.spent is not None:
            raise NotOpened(opening(ticket), Reason.LINK, self._link.spent)
        return opening(ticket)

    def read(self, body: bytes) -> Opening:
        """An `Open`, or the `Supply` of a peer that is set otherwise."""
        return read_opening(body)

    def accepts(self, opening: Opening) -> bool:
        """The peer's settings must be ours."""
        return isinstance(opening, Open) and self._policy.accepts(opening)

    async def fetch(self, opening: Opening, *, flowing: bool) -> Half | Matching:
        """Our half, for choices of our own; NoPart without randomness for them, or detections."""
        assert isinstance(opening, Open)
        try:
            seed = await asyncio.to_thread(self._policy.choice_seed, opening)
        except RandomnessFailed as error:
            raise NoPart(Reason.RANDOMNESS, str(error)) from error
        try:
            return await self._link.block(opening.ticket, opening.protocol, opening.pulses, seed)
        except BellwireError as error:
            raise NoPart(Reason.LINK, f"no detections: {error}") from error


def read_opening(body: bytes) -> Opening:
    """Read step 0, whichever kind of block it opens.

    Raises:
        MalformedMessage: it opens none.
    """
    # Only two begin with text: ["supply", …] and, of 16 elements or more, ["fresh", …].
    if body[1:8] == b"\xa6supply":
        return decode(body, Supply)
    if body[3:9] == b"\xa5fresh":
        return decode(body, Fresh)
    return decode(body, Open)
