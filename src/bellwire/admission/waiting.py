"""What the server saw of those who wait for the operator, and of those it turned away lately.

It is in memory alone: once the operator has decided, or the server ends, it is gone. Who waits
registers again to be seen anew.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

from bellwire.admission.assessment import Assessment
from bellwire.admission.evidence import Claim, Measured
from bellwire.admission.register import MAX_WAITING

MOST_TURNED_AWAY: Final = 20


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict on a newcomer rests on.

    Attributes:
        handle: What it wants to be called.
        claim: What it says of its connection.
        seen: What was measured.
        judged: The verdict.
        at: When, seconds since the epoch.
    """

    handle: str
    claim: Claim
    seen: Measured
    judged: Assessment
    at: int


class EvidenceBook:
    """Evidence by name; what an operator looks at may be in a thread."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Evidence] = OrderedDict()
        self._away: deque[Evidence] = deque(maxlen=MOST_TURNED_AWAY)

    def waits(self, evidence: Evidence) -> None:
        """Keep the latest of who waits; the oldest goes where there is no room."""
        self._waiting[evidence.handle] = evidence
        self._waiting.move_to_end(evidence.handle)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)

    def turned_away(self, evidence: Evidence) -> None:
        """Keep that of who was turned away; the oldest goes."""
        self._away.append(evidence)

    def forget(self, handle: str) -> None:
        """Somebody waits no longer."""
        self._waiting.pop(handle, None)

    def of(self, handle: str) -> Evidence | None:
        """That of who waits; None where it was seen by another process, or before it."""
        return self._waiting.get(handle)

    def away(self) -> list[Evidence]:
        """Those of who was turned away, the latest first."""
        return list(self._away)[::-1]
