"""Sessions that one member has opened and the other has not joined yet: which call gets what.

Sans-I/O: times come in, decisions come out. What always holds: a session is given to the member who
waits for it, once; it is taken out of the book before anybody is given anything; a key that nobody
takes in time is overwritten. Nothing is kept on a disk: with the process all open sessions are
gone, and their keys are lost, not given again.

Of one pair there is at most one open session. A member who calls again before the other has joined
puts a new one in its place: his first answer may have been lost, and the other must not join a
session that he does not have. `now` is in seconds of a clock that only advances.
"""

from dataclasses import dataclass

from bellwire.base.secret import Secret
from bellwire.console.accounts import Member

WINDOW_S = 60.0
"""How long a session waits for its second member."""

MOST = 10_000
"""Open sessions at once; beyond it the oldest ends early."""

Pair = frozenset[Member]


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that waits for one member.

    Attributes:
        session: Its id.
        waits_for: Who may join it.
        key_id: Under which the key server of the other site has the key; None of a local key.
        key: The key itself, if `waits_for` is of this site. Secret.
        source: Where the key comes from.
    """

    session: str
    waits_for: Member
    key_id: str | None
    key: Secret | None
    source: str


class Book:
    """Open sessions.

    Args:
        window_s: How long each waits.
        most: How many there may be.
    """

    def __init__(self, *, window_s: float = WINDOW_S, most: int = MOST) -> None:
        self._window_s = window_s
        self._most = most
        self._open: dict[Pair, tuple[float, Opened]] = {}  # in the order in which they end

    def __len__(self) -> int:
        return len(self._open)

    def take(self, caller: Member, peer: Member, now: float) -> Opened | None:
        """The session that waits for `caller`, who joins it now; None if there is none."""
        self.expire(now)
        pair = frozenset((caller, peer))
        found = self._open.get(pair)
        if found is None or found[1].waits_for != caller:
            return None
        del self._open[pair]
        return found[1]

    def put(self, caller: Member, opened: Opened, now: float) -> None:
        """`caller` has opened a session; an earlier one of the pair ends."""
        self.expire(now)
        pair = frozenset((caller, opened.waits_for))
        self._end(pair)
        if len(self._open) >= self._most:
            self._end(next(iter(self._open)))
        self._open[pair] = (now + self._window_s, opened)

    def expire(self, now: float) -> None:
        """End what has waited long enough."""
        while self._open:
            pair, (ends, _) = next(iter(self._open.items()))
            if now <= ends:
                return
            self._end(pair)

    def _end(self, pair: Pair) -> None:
        ended = self._open.pop(pair, None)
        if ended is not None and ended[1].key is not None:
            ended[1].key.wipe()
