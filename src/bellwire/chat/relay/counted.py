"""What a relay counts as it works: plain numbers, which become metrics when somebody asks."""

from collections import Counter
from dataclasses import dataclass, field

from bellwire.chat.relay.frames import Reason


@dataclass(slots=True)
class Counted:
    """What a relay counts as it works.

    Attributes:
        taken: Payloads.
        taken_bytes: Their bytes.
        stored: Those of them that came to rest in the store.
        delivered: Payloads that their owners have safely.
        refused: Payloads that were not taken.
        turned_away: Connections beyond a limit.
    """

    taken: int = 0
    taken_bytes: int = 0
    stored: int = 0
    delivered: int = 0
    refused: Counter[Reason] = field(default_factory=Counter)
    turned_away: int = 0
