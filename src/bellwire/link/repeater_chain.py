"""Pairs of Alice and Bob over a chain of repeaters, event by event.

Nothing is stepped from attempt to attempt: the wait for a link is one geometric draw, ⌈ln u/ln(1 −
p)⌉ attempts, so work grows with heralded pairs and not with distance. Swaps and purifications that
fail, and waits beyond the cut-off, send the branch below them back to its start; a branch is
therefore a renewal, and whole arrays of branches are drawn at once (`repeater.plan`).

A pair's correlations are those of its own history: how long each part of it waited. Means over
pairs are what Alice and Bob, who do not keep pairs apart by age, have.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bellwire.crypto.stream import KeyStream
from bellwire.link.bell_pairs import BellPairs, purified, stored, swapped
from bellwire.link.errors import ParameterError, TooRare
from bellwire.link.repeater import ROUNDING, Join, Link, Plan, RepeaterConfig, herald, plan
from bellwire.link.repeater_theory import pair_key_fraction, pair_key_gradient

Values = NDArray[np.float64]

MAX_PAIRS = 10_000_000
MAX_LINKS_PER_PAIR = 100_000
"""Heralded links per pair, on average, beyond which a chain is called hopeless."""

_LEAST_SUCCESS = 1e-100
"""Of an attempt: beyond it, squares of times leave the range of a double."""

_BLOCK = 8192
"""Pairs at a time: arrays of a block stay in a core's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class ChainSample:
    """What a simulated chain delivered.

    Attributes:
        pairs: How many pairs.
        links: Heralded links that it took.
        means: Of (time in s, x, y, z): one pair after the other, (4,).
        covariance: Of these means, (4, 4).
    """

    pairs: int
    links: int
    means: Values
    covariance: Values

    @property
    def rate_hz(self) -> tuple[float, float]:
        """Pairs per second, and standard error."""
        mean = float(self.means[0])
        return 1.0 / mean, math.sqrt(self.covariance[0, 0]) / mean**2

    @property
    def fidelity(self) -> tuple[float, float]:
        """Of the mean state, and standard error."""
        value = (1.0 + float(self.means[1:].sum())) / 4.0
        return value, math.sqrt(max(0.0, float(self.covariance[1:, 1:].sum()))) / 4.0

    @property
    def qber_x(self) -> tuple[float, float]:
        """Of measurements in the X basis, and standard error."""
        return (1.0 - float(self.means[1])) / 2.0, math.sqrt(self.covariance[1, 1]) / 2.0

    @property
    def qber_z(self) -> tuple[float, float]:
        """Of measurements in the Z basis, and standard error."""
        return (1.0 - float(self.means[3])) / 2.0, math.sqrt(self.covariance[3, 3]) / 2.0

    @property
    def key_fraction(self) -> float:
        """Secret bits per pair of long runs."""
        return pair_key_fraction(float(self.means[1]), float(self.means[3]))

    @property
    def key_rate_bps(self) -> tuple[float, float]:
        """Secret bits per second of long runs, and standard error (by the gradient).

        Where the fraction is 0 the error is 0: the rate is a bound, cut off there.
        """
        fraction, (rate, _) = self.key_fraction, self.rate_hz
        if not fraction:
            return 0.0, 0.0
        by_x, by_z = pair_key_gradient(float(self.means[1]), float(self.means[3]))
        slope = np.array([-fraction * rate, by_x, 0.0, by_z]) * rate
        return fraction * rate, math.sqrt(max(0.0, float(slope @ self.covariance @ slope)))


def simulate_chain(
    config: RepeaterConfig,
    pairs: int,
    seed: bytes,
    progress: Callable[[int], None] | None = None,
) -> ChainSample:
    """Deliver so many pairs, one after the other.

    Args:
        config: The chain.
        pairs: 2 to 10⁷.
        seed: Of the draws.
        progress: Called with the number of further pairs that are done.

    Raises:
        ParameterError: a number of pairs that cannot be.
        TooRare: no link ever succeeds, or a pair takes more than 100,000 of them.
    """
    if not 2 <= pairs <= MAX_PAIRS:
        raise ParameterError("pairs", f"2 to {MAX_PAIRS}", pairs)
    chain, total = _Chain(config, pairs, seed), _Moments()
    done = 0
    while done < pairs:
        count = min(_BLOCK, pairs - done)
        total.add(chain.histories(count))
        done += count
        if progress is not None:
            progress(count)
    return ChainSample(pairs, chain.links, total.means, total.scatter / (pairs - 1) / pairs)


def histories(config: RepeaterConfig, pairs: int, seed: bytes) -> Values:
    """(pairs, 4): time to each pair in seconds, and its x, y, z. For a closer look at few pairs.

    Raises:
        TooRare: as `simulate_chain`.
    """
    return _Chain(config, pairs, seed).histories(pairs)


class _Moments:
    """Mean and scatter of rows, merged block by block (Chan, Golub, LeVeque, 1983)."""

    def __init__(self) -> None:
        self.count = 0
        self.means = np.zeros(4)
        self.scatter = np.zeros((4, 4))

    def add(self, rows: Values) -> None:
        mean = rows.mean(axis=0)
        apart, off = mean - self.means, rows - mean
        total = self.count + len(rows)
        self.scatter += off.T @ off + np.outer(apart, apart) * (self.count * len(rows) / total)
        self.means = self.means + apart * (len(rows) / total)
        self.count = total


class _Chain:
    """Draws branches of a plan, and counts what it costs."""

    def __init__(self, config: RepeaterConfig, pairs: int, seed: bytes) -> None:
        words = KeyStream(seed, "repeater chain").at(0, 32).view("<u4").tolist()
        self._random = np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))
        self._config = config
        self._herald = herald(config)
        self._plan = plan(config)
        self._most = pairs * MAX_LINKS_PER_PAIR
        self.links = 0
        if self._herald.success < _LEAST_SUCCESS:
            raise TooRare("no photon ever reaches the middle of a link")

    def histories(self, count: int) -> Values:
        times, pairs = self._branch(self._plan, count)
        return np.stack([times, pairs.x, pairs.y, pairs.z], axis=1)

    def _branch(self, node: Plan, count: int) -> tuple[Values, BellPairs]:
        """Time to so many pairs of a branch, each from its own start, and the pairs."""
        return self._link(node, count) if isinstance(node, Link) else self._join(node, count)

    def _link(self, node: Link, count: int) -> tuple[Values, BellPairs]:
        self.links += count
        if self.links > self._most:
            raise TooRare(f"a pair takes more than {MAX_LINKS_PER_PAIR:,} heralded links")
        config, law = self._config, self._herald
        pairs = BellPairs.alike(law.x, law.y, law.z, count)
        attempts = np.ones(count)
        if law.success < 1.0:
            u = 1.0 - self._random.random(count)
            attempts = np.maximum(1.0, np.ceil(np.log(u) / math.log1p(-law.success)))
        decay = math.exp(-node.halves * config.travel_s / config.memory_s)
        return attempts * config.attempt_s, stored(pairs, config.memory, np.full(count, decay))

    def _join(self, node: Join, count: int) -> tuple[Values, BellPairs]:
        config = self._config
        times, done = np.zeros(count), BellPairs.alike(0.0, 0.0, 0.0, count)
        open_ = np.arange(count)
        while open_.size:
            at_one, one = self._branch(node.one, open_.size)
            at_other, other = self._branch(node.other, open_.size)
            first, last = np.minimum(at_one, at_other), np.maximum(at_one, at_other)
            kept = last - first <= config.cutoff_s * (1.0 + ROUNDING)
            one = self._waited(one, node.waiting[0], last - at_one)
            other = self._waited(other, node.waiting[1], last - at_other)
            if node.purifies:
                success, pairs = purified(one, other, config.gate_error)
            else:
                pairs = swapped(one, other, config.gate_error)
                success = np.full(open_.size, config.swap_success)
            kept_on = kept & (self._random.random(open_.size) < success)
            times[open_] += np.where(kept, last + node.news_s, first + config.cutoff_s)
            pairs = self._waited(pairs, node.halves, np.full(open_.size, node.news_s))
            where = open_[kept_on]
            left = pairs.at(kept_on)
            done.x[where], done.y[where], done.z[where] = left.x, left.y, left.z
            open_ = open_[~kept_on]
        return times, done

    def _waited(self, pairs: BellPairs, halves: int, wait_s: Values) -> BellPairs:
        if not halves:
            return pairs
        decay = np.exp(wait_s * (-halves / self._config.memory_s))
        return stored(pairs, self._config.memory, decay)
