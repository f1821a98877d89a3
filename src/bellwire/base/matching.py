"""A half that two sides must first agree on: which of their detections belong together.

A simulated link numbers its slots for both sides. Two recordings have no common number: what one
side registered has to be found in the other's time. How that is done is the source's business; a
block only carries its messages, one each way a round, in its authenticated transcript, and gets a
half at the end (`bellwire.distill.steps`).
"""

from abc import ABC, abstractmethod

from bellwire.base.detections import Half
from bellwire.base.errors import BellwireError


class NotMatched(BellwireError):
    """The detections of both sides could not be brought together; there is no half."""


class MatchingMalformed(BellwireError):
    """The peer said what no peer says while detections are matched."""


class Matching(ABC):
    """One side of the agreement, sans-I/O: `message`, then `take`, round by round.

    Messages are public: times at most, never settings or outcomes.
    """

    @abstractmethod
    def message(self) -> bytes:
        """Our message of this round; may be empty.

        Raises:
            NotMatched: we find no half.
        """

    @abstractmethod
    def take(self, theirs: bytes) -> Half | None:
        """Take the peer's message of this round; our half, or None if there are more rounds.

        Raises:
            NotMatched: there is no half.
            MatchingMalformed: the peer's message is none.
        """
