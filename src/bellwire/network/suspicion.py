"""Whom to avoid: relays of routes that altered or lost what they carried.

When a share arrives altered, one of its route's relays did it, and nobody can say which: each is
charged an equal part of one. Who has more than half of one against it is left out: a culprit that
was alone on its route at once, and for an hour; one among several when a second route through it
fails. Who has less makes routes dearer. A share that never came counts a quarter, and makes nobody
left out, however often: perhaps the target was down. Time halves every charge, and so does each
share that arrives unaltered: an innocent neighbour of a culprit is soon used again, and a culprit
that begins again is found again. No alteration passes meanwhile; what it costs is an attempt.

`now` is in seconds since the epoch.
"""

import math
from collections.abc import Iterable
from typing import Final

HALF_LIFE_S: Final = 3600.0
EXCLUDED: Final = 0.5
"""Charge above which a relay is left out."""

_ALTERED: Final = 1.0
_LOST: Final = 0.25
_DEARER: Final = 15.0


class Suspicion:
    """Charges against relays, as one node has gathered them; of members only, hence bounded."""

    def __init__(self) -> None:
        self._charges: dict[str, tuple[float, float]] = {}

    def altered(self, relays: Iterable[str], now: float) -> None:
        """Charge the relays of a route whose share arrived altered with one, in equal parts."""
        for relay, charge, part in self._parts(relays, _ALTERED, now):
            self._charges[relay] = (charge + part, now)

    def lost(self, relays: Iterable[str], now: float) -> None:
        """Charge those of a route whose share never came with a quarter, short of leaving out."""
        for relay, charge, part in self._parts(relays, _LOST, now):
            self._charges[relay] = (max(charge, min(charge + part, EXCLUDED)), now)

    def relieve(self, relays: Iterable[str], now: float) -> None:
        """Halve the charges of relays whose share arrived unaltered."""
        for relay in relays:
            if relay in self._charges:
                self._charges[relay] = (self.of(relay, now) / 2.0, now)

    def of(self, relay: str, now: float) -> float:
        """The charge against a relay now."""
        charge, since = self._charges.get(relay, (0.0, now))
        return charge * math.exp2(-max(0.0, now - since) / HALF_LIFE_S)

    def factor(self, relay: str, now: float) -> float:
        """How many times dearer a relay makes a route."""
        return 1.0 + _DEARER * self.of(relay, now)

    def excluded(self, now: float) -> frozenset[str]:
        """Relays that no route may pass."""
        return frozenset(relay for relay in self._charges if self.of(relay, now) > EXCLUDED)

    def _parts(
        self, relays: Iterable[str], weight: float, now: float
    ) -> list[tuple[str, float, float]]:
        blamed = tuple(relays)
        return [(relay, self.of(relay, now), weight / len(blamed)) for relay in blamed]
