"""Closed forms for repeaters, and the bounds that they are measured against.

Notation: p success probability of an attempt on a link, q = 1 − p, τ its time, T a memory's
coherence time, η the transmittance of the whole fibre.

Sources: Pirandola, Laurenza, Ottaviani, Banchi, Nat. Commun. 8, 15043 (2017) (the repeaterless
bound); Pirandola, Commun. Phys. 2, 51 (2019) (its form for a chain); Shor, Preskill, PRL 85, 441
(2000). The expectations are sums over geometric waiting times, derived in
docs/explanation/repeaters.md.
"""

import math
from dataclasses import dataclass

from bellwire.base.bits import binary_entropy
from bellwire.link.bell_pairs import Memory
from bellwire.link.repeater import ROUNDING, RepeaterConfig, herald


def repeaterless_bound(transmittance: float) -> float:
    """Secret bits per mode that no protocol without repeaters exceeds: −log₂(1 − η) (PLOB).

    About 1.44·η over long fibres; infinite without loss.
    """
    return chain_bound(transmittance, 1)


def chain_bound(transmittance: float, links: int) -> float:
    """The same for a chain of equal links, per use of each: −log₂(1 − η^(1/n))."""
    of_link = math.pow(transmittance, 1.0 / links)
    return math.inf if of_link >= 1.0 else -math.log1p(-of_link) / math.log(2.0)


def mean_slowest(links: int, success: float) -> float:
    """Attempts until the slowest of n links is there: the mean of the largest of n geometrics.

    Each attempt of a link succeeds with probability `success`.

    M_n = (1 + Σ_{k=1}^{n−1} C(n, k) qᵏ p^(n−k) M_k)/(1 − qⁿ), where k are those still missing
    after an attempt. All terms are positive, so nothing cancels, as it does in the alternating sum.
    """
    q = 1.0 - success
    means = [0.0]
    for n in range(1, links + 1):
        missing = (
            math.comb(n, k) * q**k * success ** (n - k) * means[k] for k in range(1, n)
        )  # fmt: skip
        some = -math.expm1(n * math.log1p(-success)) if success < 1.0 else 1.0
        means.append((1.0 + math.fsum(missing)) / some)
    return means[links]


def pair_key_fraction(x: float, z: float) -> float:
    """Secret bits per pair of long runs, 1 − h(e_x) − h(e_z) with e = (1 − correlation)/2.

    `x` and `z` are the correlations in the two bases, −1 to 1. Bases are chosen so unevenly that
    sifting costs nothing; at least 0.
    """
    errors = [(1.0 - value) / 2.0 for value in (x, z)]
    if max(errors) >= 0.5:
        return 0.0
    return max(0.0, 1.0 - math.fsum(binary_entropy(max(0.0, each)) for each in errors))


def pair_key_gradient(x: float, z: float) -> tuple[float, float]:
    """Derivatives of 1 − h(e_x) − h(e_z) by x and by z: ½ log₂((1 + c)/(1 − c)); 0 at c = 1."""
    one, other = (
        0.5 * math.log2((1.0 + value) / (1.0 - value)) if -1.0 < value < 1.0 else 0.0
        for value in (x, z)
    )
    return one, other


@dataclass(frozen=True, slots=True)
class Delivered:
    """What theory expects of a chain.

    Attributes:
        time_s: Mean time from one pair to the next.
        x: Mean ⟨XX⟩ of the pairs.
        y: Mean −⟨YY⟩.
        z: Mean ⟨ZZ⟩.
    """

    time_s: float
    x: float
    y: float
    z: float

    @property
    def fidelity(self) -> float:
        """Of the mean state with Φ⁺."""
        return (1.0 + self.x + self.y + self.z) / 4.0

    @property
    def key_rate_bps(self) -> float:
        """Secret bits per second of long runs."""
        return pair_key_fraction(self.x, self.z) / self.time_s


def delivered(config: RepeaterConfig) -> Delivered | None:
    """Exact time and state of a chain, where there is a closed form; None where there is not.

    There is one for one link and for two, without purification; any memory, cut-off, swap and ends.
    Two links: the first is there when either succeeded; then the other has c = ⌊cut-off/τ⌋ attempts
    left. With s = 1 − q² and λ = e^(−mτ/T), m halves of the first pair being in memories,

        P(in time) = (p² + 2pq(1 − q^c))/s
        E[attempts] = 1/s + (2pq/s)·(1 − q^c)/p
        E[λ^wait; in time] = (p² + 2p²qλ·(1 − (qλ)^c)/(1 − qλ))/s

    and a swap that fails, or a wait that is cut off, starts it all again.
    """
    if config.rounds or config.links > 2:
        return None
    law = herald(config)
    if not law.success:
        return None
    state = (law.x, law.y, law.z)
    if config.links == 1:
        halves = 2 if config.store_ends else 0
        state = _decayed(state, config, math.exp(-halves * config.travel_s / config.memory_s))
        return Delivered(config.attempt_s / law.success, *state)
    halves = 2 if config.store_ends else 1
    news = config.travel_s if config.swap_success < 1.0 or config.store_ends else 0.0
    p, q = law.success, 1.0 - law.success
    attempts = config.cutoff_s / config.attempt_s
    # A wait is a whole number of attempts; one that equals the cut-off is still in time.
    c = math.inf if math.isinf(attempts) else math.floor(attempts * (1.0 + ROUNDING))
    some, kept = p * (2.0 - p), math.exp(-halves * config.attempt_s / config.memory_s)
    late, decayed = _power(q, c), _power(q * kept, c)
    in_time = (p * p + 2.0 * p * q * (1.0 - late)) / some
    waits = (1.0 - late) / p * config.attempt_s
    if late:
        waits += late * (config.cutoff_s - c * config.attempt_s)
    tries_s = (config.attempt_s + 2.0 * p * q * waits) / some
    reached = 2.0 * p * p * q * kept * (1.0 - decayed) / (1.0 - q * kept)
    waited = (p * p + reached) / some / in_time
    fresh = _decayed(state, config, math.exp(-halves * config.travel_s / config.memory_s))
    gate = 1.0 - config.gate_error
    joined = (gate * fresh[0] ** 2, gate * fresh[1] ** 2, gate * fresh[2] ** 2)
    ends = math.exp(-2.0 * news / config.memory_s) if config.store_ends else 1.0
    time_s = (tries_s / in_time + news) / config.swap_success
    return Delivered(time_s, *_decayed(joined, config, waited * ends))


def mean_time_s(config: RepeaterConfig) -> float | None:
    """Mean time from one pair to the next, where there is a closed form; None where there is not.

    Besides what `delivered` covers: any number of links without purification or cut-off, if swaps
    always succeed and the ends do not store. The slowest link then decides.
    """
    known = delivered(config)
    if known is not None:
        return known.time_s
    waits = config.rounds or config.swap_success < 1.0 or config.store_ends
    success = herald(config).success
    if waits or not math.isinf(config.cutoff_s) or not success:
        return None
    return mean_slowest(config.links, success) * config.attempt_s


def _power(base: float, exponent: float) -> float:
    """base^exponent, of 0 ≤ base < 1, to infinite exponents."""
    return math.exp(exponent * math.log(base)) if base > 0.0 else float(exponent == 0)


def _decayed(
    state: tuple[float, float, float], config: RepeaterConfig, decay: float
) -> tuple[float, float, float]:
    x, y, z = state
    return x * decay, y * decay, z if config.memory is Memory.DEPHASING else z * decay
