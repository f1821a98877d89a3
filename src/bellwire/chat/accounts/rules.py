"""What every request heeds, and what it is refused with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bellwire.chat.accounts.fields import AccountReason
from bellwire.chat.accounts.limits import AccountLimits, Rate
from bellwire.chat.relay.rates import Rates


class NotDone(Exception):
    """A request is refused, and nothing of it was done."""

    def __init__(self, reason: AccountReason) -> None:
        super().__init__(reason.name)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Rules:
    """What all requests heed.

    Attributes:
        relay_id: As in the relay's challenges.
        limits: Of sources, and of each account.
        now: Seconds since the epoch.
        clock: Seconds that only grow.
        rates: What each source, or account, has left, by the names of `limits`.
    """

    relay_id: bytes
    limits: AccountLimits
    now: Callable[[], float]
    clock: Callable[[], float]
    rates: dict[str, Rates] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in AccountLimits.__slots__:
            rate = getattr(self.limits, name)
            if isinstance(rate, Rate):
                self.rates[name] = Rates(rate.per_s, rate.burst)

    def is_admitted(self, what: str, who: str) -> bool:
        """Whether one more of it is within its rate."""
        return self.rates[what].admit(who, self.clock())

    def admit(self, what: str, who: str) -> None:
        """Return only if it is; NotDone."""
        if not self.is_admitted(what, who):
            raise NotDone(AccountReason.TOO_FAST)
