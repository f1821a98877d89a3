"""How often a sender hears that the one-time tag of a message did not hold.

What is told is bounded so that nobody gets an oracle by it: only what the session's own keys have
opened is answered at all, a message under a pad once, and of one sender few an hour. What the relay
repeats is answered no more; whoever has stolen the session's keys, and not the pad, learns of so
many forgeries that they failed, which the tag's bound counts anyway. The answer is of the size of a
receipt, so that the relay cannot tell it from one.

Source: spec/chat.md, 7.5.
"""

from typing import Final

MAX_TOLD: Final = 16
"""Of one sender in `PERIOD_S`. Pads that differ fail at the first message, and the sender takes
another one then: more are no accident."""

PERIOD_S: Final = 3600.0


class Failures:
    """What was told lately, in memory."""

    def __init__(self) -> None:
        self._told: dict[bytes, dict[bytes, float]] = {}

    def may_tell(self, contact: bytes, failed: bytes, now: float) -> bool:
        """Whether a sender is told of this one; if so, it counts.

        Args:
            contact: The sender.
            failed: Which message, under which pad.
            now: Seconds since the epoch.
        """
        told = self._told.setdefault(contact, {})
        for each in [each for each, at in told.items() if not now - PERIOD_S < at <= now]:
            del told[each]
        if failed in told or len(told) >= MAX_TOLD:
            return False
        told[failed] = now
        return True
