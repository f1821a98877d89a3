"""How much key an SAE may have: a quota of its own, and who goes first when there is little.

A quota is a bucket that holds a day's bits and fills evenly; a start of the node fills it. When the
stock of a link falls below a mark, masters without priority wait until it has risen again, and what
is left is for those with it. Slaves are never refused: their keys were granted before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bellwire.base.clock import Clock
from bellwire.keys.errors import QuotaReached

DAY_S = 86_400.0
MAX_BUCKETS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What SAEs may have.

    Attributes:
        bits_per_day: Quota of an SAE that is not named in `quotas`; 0 for none.
        quotas: Bits a day, by SAE; 0 for none.
        priority: SAEs that may use the last of a stock.
        kept_bits: Stock below which only they get new keys.
    """

    bits_per_day: int = 0
    quotas: Mapping[str, int] = field(default_factory=dict)
    priority: frozenset[str] = frozenset()
    kept_bits: int = 0


class Stock(Protocol):
    """The keys of a link."""

    @property
    def takeable_bits(self) -> int:
        """Those that may be handed out now."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Allowance:
    """Counts what masters get.

    Args:
        rules: What they may have.
        clock: Seconds since the epoch.

    Attributes:
        rules: May be replaced; what was had counts on.
    """

    def __init__(self, rules: Rules, clock: Clock) -> None:
        self.rules = rules
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def check_stock(self, sae: str, stock: Stock, bits: int) -> None:
        """Let a master take bits of a link's stock.

        Raises:
            QuotaReached: what is left is for others.
        """
        kept = self.rules.kept_bits
        if kept and stock.takeable_bits - bits < kept and sae not in self.rules.priority:
            raise QuotaReached("the stock is low, and what is left is for SAEs with priority")

    def spend(self, sae: str, bits: int) -> bool:
        """Count bits for a master.

        Returns:
            Whether they were counted: not if it has no quota.

        Raises:
            QuotaReached: it has had what it may have; nothing was counted.
        """
        quota = self.rules.quotas.get(sae, self.rules.bits_per_day)
        if not quota:
            return False
        now = self._clock()
        bucket = self._buckets.get(sae)
        if bucket is None:
            if len(self._buckets) >= MAX_BUCKETS:
                self._forget()
            bucket = self._buckets[sae] = _Bucket(quota, now)
        # A clock that was set back gives nothing, and takes nothing.
        gained = max(0.0, now - bucket.at) * quota / DAY_S
        bucket.left, bucket.at = min(float(quota), bucket.left + gained), now
        if bucket.left < bits:
            raise QuotaReached(f"expected at most {quota} bits of key a day for an SAE")
        bucket.left -= bits
        return True

    def give_back(self, sae: str, bits: int) -> None:
        """Count bits as not had: they were not given."""
        bucket = self._buckets.get(sae)
        if bucket is not None:
            bucket.left += bits

    def _forget(self) -> None:
        """Drop the bucket that was longest not asked."""
        del self._buckets[min(self._buckets, key=lambda sae: self._buckets[sae].at)]
