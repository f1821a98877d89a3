"""How a guard is, and what it is told from outside."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from bellwire.guard.enforcer import NOTHING, Blocked
from bellwire.guard.following import Followed
from bellwire.guard.messages import Told
from bellwire.guard.override import Override
from bellwire.guard.scope import Scope

Packets = Literal["pass", "stop"]


class Words(Protocol):
    """Where a node's words come from."""

    def words(self) -> AsyncGenerator[Told, None]:
        """Its words, until the connection is over."""


class Moves(Protocol):
    """Where the relay is that is guarded."""

    def scope(self) -> Scope:
        """What is guarded now."""

    def followed(self) -> Followed:
        """Where the relay is, in words."""

    def hasten(self) -> None:
        """Look for news at once."""

    async def run(self, asked: Callable[[], None]) -> None:
        """Look for news, for ever, and call this each time."""


@dataclass(frozen=True, slots=True)
class State:
    """How a guard is.

    Attributes:
        packets: Whether guarded packets pass now.
        reason: Why, in words.
        since: When that began, seconds since the epoch.
        heard_at: When the node was last heard; None if not yet.
        told_at: When it said that, by its own clock.
        qber: Highest of the links that count, as last told.
        blocked: What was stopped since the rules are there.
        restored: How often others' changes of the rules were undone.
        override: What an operator decided, while it lasts.
        followed: Where the relay is; None if none is followed.
    """

    packets: Packets
    reason: str
    since: float
    heard_at: float | None = None
    told_at: float | None = None
    qber: float | None = None
    blocked: Blocked = NOTHING
    restored: int = 0
    override: Override | None = None
    followed: Followed | None = None
