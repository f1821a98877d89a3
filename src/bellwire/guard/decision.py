"""Whether packets may pass: a lease, from what the node says and when. Sans-I/O.

What always holds:

- Nothing passes before `Rules.good` good words, half a second apart at least; one that is not good
  ends it at once, and the count begins anew.
- Each good word makes a lease of `Rules.lease_s`, no longer. Silence, a broken connection, a word
  too old or from the future make none: permission then runs out by itself.
- A word that was said before, or before another that came, is none.
"""

from dataclasses import dataclass

from bellwire.guard.errors import StatusRefused
from bellwire.guard.messages import LinkTold, Told

APART_S = 0.5
"""Words closer together count as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When packets may pass.

    Attributes:
        lease_s: How long after a good word, in seconds.
        good: Good words before the first lease.
        age_s: How old a word may be, by our clock, and how far in the future.
        links: Those that count; none means each that the node tells of.
    """

    lease_s: float = 3.0
    good: int = 3
    age_s: float = 3.0
    links: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a word.

    Attributes:
        lease_s: How long packets may pass from now on; 0 for not at all.
        reason: Why, in words.
        keep: Whether a lease that was given before may run on.
        qber: The highest of the links that count; None if none was told.
    """

    lease_s: float
    reason: str
    keep: bool = False
    qber: float | None = None


class Decision:
    """Judges words; one for the life of a guard, over all connections.

    Args:
        rules: When packets may pass.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._links: dict[str, LinkTold] = {}
        self._last_at = 0.0
        self._good = 0
        self._counted_at = 0.0
        self._until = 0.0

    def connected(self) -> None:
        """A connection to the node begins: it has told nothing yet."""
        self._links = {}

    def refused(self) -> None:
        """Something came that is no word of the node now: it must be well for long enough anew."""
        self._links = {}
        self._good, self._until = 0, 0.0

    def told(self, told: Told, *, wall: float, now: float) -> Verdict:
        """A word of the node.

        Args:
            told: It.
            wall: Our clock, seconds since the epoch.
            now: A clock that never jumps, in seconds.

        Raises:
            StatusRefused: it is no word of now; no lease follows from it.
        """
        if told.at <= self._last_at:
            raise StatusRefused("expected a later word than the one before, got one said earlier")
        age = wall - told.at
        if abs(age) > self._rules.age_s:
            when = f"{abs(age):.1f} s {'ago' if age > 0 else 'ahead'}"
            raise StatusRefused(
                f"expected a word of the last {self._rules.age_s:g} s, got one said {when}",
                hint="If nobody holds words back, the clocks of guard and node differ.",
            )
        self._last_at = told.at
        if told.links is not None:
            self._links = told.links
        return self._judge(told.at, now)

    def _judge(self, at: float, now: float) -> Verdict:
        wanted = self._rules.links or frozenset(self._links)
        missing = sorted(wanted - set(self._links))
        if missing or not wanted:
            self._good, self._until = 0, 0.0
            return Verdict(0.0, f"the node tells nothing of {', '.join(missing) or 'any link'}")
        counting = {name: self._links[name] for name in sorted(wanted)}
        qber = max((each.qber for each in counting.values() if each.qber is not None), default=None)
        bad = [(name, link) for name, link in counting.items() if not link.good]
        if bad:
            self._good, self._until = 0, 0.0
            name, link = bad[0]
            return Verdict(0.0, f"{name} is {link.status}: {link.reason}", qber=qber)
        if now >= self._until:
            self._good = 0 if self._until else self._good  # a lease that ran out is silence
            self._until = 0.0
            if at - self._counted_at >= APART_S:
                self._good += 1
                self._counted_at = at
        if self._good < self._rules.good:
            said = f"{self._good} of {self._rules.good} good words"
            return Verdict(0.0, said, keep=True, qber=qber)
        self._until = now + self._rules.lease_s
        worst = "YELLOW" if any(each.status == "YELLOW" for each in counting.values()) else "GREEN"
        return Verdict(self._rules.lease_s, worst, qber=qber)
