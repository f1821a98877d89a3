"""Registrations under way: who was challenged with what, and how long its echoes took.

Sans-I/O: times come in. An echo is a request that carries the word of the answer before it, so that
it cannot be sent before that answer has come; the time between the two is a way there and back, and
whatever the client did in between.

What always holds: a challenge is answered once, from the address that it was given to; there are
never more than `MOST`, and no address has more than `MOST_EACH`.

`now` is in seconds of a clock that only advances.
"""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bellwire.admission.errors import ChallengeUnknown
from bellwire.admission.evidence import MAX_ECHOES, MAX_MS, Address, Measured, measured
from bellwire.admission.possession import Challenge

WITHIN_S: Final = 120.0
"""How long a challenge may be answered."""

MOST: Final = 1000
MOST_EACH: Final = 16
ID_BYTES: Final = 16


@dataclass(slots=True)
class Pending:
    """One registration under way.

    Attributes:
        id: By which the newcomer names it.
        challenge: What it has to answer.
        address: Whom it was given to.
        ends: When it is over, seconds of the caller's clock.
        word: What the next echo must carry.
        said_at: When that was said.
        times_ms: Of the echoes so far.
    """

    id: bytes
    challenge: Challenge
    address: Address
    ends: float
    word: bytes
    said_at: float
    times_ms: list[float] = field(default_factory=list)

    def measured(self) -> Measured | None:
        """What the echoes say; None before the first."""
        return measured(self.times_ms, self.address) if self.times_ms else None


class Challenges:
    """All that are open.

    Args:
        server: Our name, which proofs name.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._open: dict[bytes, Pending] = {}  # in the order in which they end

    def __len__(self) -> int:
        return len(self._open)

    def begin(
        self, handle: str, keys: Mapping[str, bytes], address: Address, now: float
    ) -> Pending:
        """Challenge a newcomer.

        Raises:
            PossessionUnusable: as `Challenge.issue`.
        """
        challenge = Challenge.issue(self._server, handle, keys)
        self._expire(now)
        mine = [each.id for each in self._open.values() if each.address == address]
        if len(mine) >= MOST_EACH:
            del self._open[mine[0]]
        elif len(self._open) >= MOST:
            del self._open[next(iter(self._open))]
        made = Pending(
            os.urandom(ID_BYTES), challenge, address, now + WITHIN_S, os.urandom(ID_BYTES), now
        )
        self._open[made.id] = made
        return made

    def echo(self, which: bytes, word: bytes, address: Address, now: float) -> bytes:
        """Time one echo; the word for the next.

        Raises:
            ChallengeUnknown: no such challenge is open, or the word is not its last.
        """
        found = self._find(which, address, now)
        if not hmac.compare_digest(found.word, word) or len(found.times_ms) >= MAX_ECHOES:
            raise ChallengeUnknown("expected the word of the last answer, once, got another")
        found.times_ms.append(min(1000.0 * (now - found.said_at), MAX_MS))
        found.word, found.said_at = os.urandom(ID_BYTES), now
        return found.word

    def take(self, which: bytes, address: Address, now: float) -> Pending:
        """The challenge that is answered now; it is over with this.

        Raises:
            ChallengeUnknown: as `echo`.
        """
        found = self._find(which, address, now)
        del self._open[found.id]
        return found

    def _find(self, which: bytes, address: Address, now: float) -> Pending:
        self._expire(now)
        found = self._open.get(which)
        if found is None or found.address != address:
            raise ChallengeUnknown(
                "expected a challenge that is open for this address, got another",
                hint="Ask for a new one at /register/challenge.",
            )
        return found

    def _expire(self, now: float) -> None:
        while self._open:
            first = next(iter(self._open.values()))
            if now <= first.ends:
                return
            del self._open[first.id]
