"""A chain of quantum repeaters: what its parts are, and what one attempt on a link gives.

n links of equal length join n + 1 stations, Alice first and Bob last. On a link both stations make
a memory qubit entangled with a photon, and a Bell station half-way interferes the two photons: four
detectors (two outputs, two polarisations), a click of both polarisations being the herald. Both
memories hear of it one link's travel time after they sent, which is how long an attempt takes.

Neighbouring links are swapped as soon as both are there; each may be purified first. A pair that
waits for another decays, and is given up after the cut-off, with whatever it was waiting for.
Explained in docs/explanation/repeaters.md.

Sources: Briegel, Dür, Cirac, Zoller, PRL 81, 5932 (1998); Sangouard, Simon, de Riedmatten, Gisin,
Rev. Mod. Phys. 83, 33 (2011).
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from bellwire.base.limits import MAX_LOSS_DB_PER_KM
from bellwire.link.bell_pairs import Memory
from bellwire.link.errors import ParameterError

LIGHT_KM_PER_S = 2.0e5
"""Light in fibre, to the two digits that the refractive index of 1.47 justifies."""

MODES_PER_PHOTON = 2
"""A photon's qubit needs two modes: two polarisations, or two time bins."""

ROUNDING = 1e-9
"""A wait that exceeds the cut-off by no more than this share of it equals it."""

MAX_KM = 20_000.0
"""Half the way around the Earth."""

MAX_LINKS = 64
MAX_ROUNDS = 4
MAX_MODES = 1_000_000


class Order(StrEnum):
    """Which neighbours are swapped first."""

    NESTED = "nested"
    SEQUENTIAL = "sequential"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeaterConfig:
    """A chain's physics and protocol.

    Attributes:
        km: Alice to Bob, along the fibre, above 0 and at most 20,000.
        links: Elementary links, 1 to 64; one less repeater.
        loss_db_per_km: Attenuation of the fibre, 0 to 10.
        source: Probability that an attempt puts a photon into the fibre, in (0, 1].
        detector: Probability that a detector registers a photon, in (0, 1].
        dark: Dark counts per detector and attempt, in [0, 1).
        fidelity: Of a pair heralded without dark counts, in [0.25, 1]; it is a Werner state.
        prepare_s: Time of an attempt beyond the light's travel, 0 to 1 s.
        modes: Attempts at once on a link, 1 to 10⁶; one that succeeds is used.
        memory_s: Coherence time of every memory, above 0; math.inf for no decay.
        memory: What a memory does to its qubit.
        cutoff_s: Longest wait for the other pair, above 0; math.inf for no cut-off.
        swap_success: Probability that a Bell measurement at a repeater succeeds, in (0, 1].
        gate_error: Probability that a two-qubit gate mixes its qubits fully, in [0, 1).
        order: Which neighbours are swapped first.
        rounds: Of purification on every link before it is swapped, 0 to 4; each doubles the
            memories and the attempts of a link.
        store_ends: Whether Alice and Bob keep their qubits until the whole pair is there. For key
            they measure at once, and only repeaters need memories.

    Raises:
        ParameterError: a value outside its range, by name.
    """

    km: float
    links: int = 1
    loss_db_per_km: float = 0.2
    source: float = 0.9
    detector: float = 0.9
    dark: float = 1e-8
    fidelity: float = 0.99
    prepare_s: float = 1e-6
    modes: int = 1
    memory_s: float = 1.0
    memory: Memory = Memory.DEPHASING
    cutoff_s: float = math.inf
    swap_success: float = 1.0
    gate_error: float = 0.0
    order: Order = Order.NESTED
    rounds: int = 0
    store_ends: bool = False

    def __post_init__(self) -> None:
        _check("km", f"above 0, at most {MAX_KM:g}", self.km, 0.0 < self.km <= MAX_KM)
        _check("links", f"1 to {MAX_LINKS}", self.links, 1 <= self.links <= MAX_LINKS)
        loss = self.loss_db_per_km
        _check("loss", f"from 0 to {MAX_LOSS_DB_PER_KM:g}", loss, 0.0 <= loss <= MAX_LOSS_DB_PER_KM)
        for name in ("source", "detector", "swap_success"):
            value = getattr(self, name)
            _check(name, "in (0, 1]", value, 0.0 < value <= 1.0)
        for name in ("dark", "gate_error"):
            value = getattr(self, name)
            _check(name, "in [0, 1)", value, 0.0 <= value < 1.0)
        _check("fidelity", "in [0.25, 1]", self.fidelity, 0.25 <= self.fidelity <= 1.0)
        _check("prepare_s", "from 0 to 1", self.prepare_s, 0.0 <= self.prepare_s <= 1.0)
        _check("modes", f"1 to {MAX_MODES}", self.modes, 1 <= self.modes <= MAX_MODES)
        for name in ("memory_s", "cutoff_s"):
            value = getattr(self, name)
            _check(name, "above 0", value, value > 0.0)
        _check("rounds", f"0 to {MAX_ROUNDS}", self.rounds, 0 <= self.rounds <= MAX_ROUNDS)

    @property
    def link_km(self) -> float:
        """Length of an elementary link."""
        return self.km / self.links

    @property
    def transmittance(self) -> float:
        """Of the whole fibre from Alice to Bob."""
        return math.pow(10.0, -self.km * self.loss_db_per_km / 10.0)

    @property
    def travel_s(self) -> float:
        """Light's time along a link; what stations at its ends need to tell each other."""
        return self.link_km / LIGHT_KM_PER_S

    @property
    def attempt_s(self) -> float:
        """Time from one attempt to the next."""
        return self.travel_s + self.prepare_s

    @property
    def modes_per_s(self) -> float:
        """Modes that every link uses per second, those of purification too."""
        return MODES_PER_PHOTON * self.modes * (1 << self.rounds) / self.attempt_s


@dataclass(frozen=True, slots=True)
class Herald:
    """What an attempt on a link gives.

    Attributes:
        success: Probability that at least one of its modes heralds a pair.
        x: ⟨XX⟩ of a heralded pair.
        y: −⟨YY⟩.
        z: ⟨ZZ⟩.
    """

    success: float
    x: float
    y: float
    z: float


def herald(config: RepeaterConfig) -> Herald:
    """The exact law of the Bell station half-way.

    With h the probability that a photon is registered there and d the dark count probability, a
    herald is exactly two clicks of unlike polarisation:

        two photons, unlike            h²/2 · (1 − d)²          the pair, a Werner state
        two photons, bunched           h²/2 · 2d(1 − d)²        z = −1, x = y = 0
        one photon, one dark count     2h(1 − h) · 2d(1 − d)²   nothing: fully mixed
        two dark counts                (1 − h)² · 4d²(1 − d)²   nothing

    Photons in the same state leave together (Hong, Ou, Mandel), so that two photons herald in half
    of the cases at best.
    """
    d = config.dark
    half_db = config.link_km / 2.0 * config.loss_db_per_km
    h = config.source * config.detector * math.pow(10.0, -half_db / 10.0)
    true, bunched = h * h / 2.0, h * h * d
    one = (true, bunched, 4.0 * d * h * (1.0 - h), 4.0 * d * d * (1.0 - h) ** 2)
    total = math.fsum(one)
    if not total:
        return Herald(0.0, 0.0, 0.0, 0.0)
    success = -math.expm1(config.modes * math.log1p(-total * (1.0 - d) ** 2))
    werner = (4.0 * config.fidelity - 1.0) / 3.0 * true / total
    return Herald(success, werner, werner, werner - bunched / total)


@dataclass(frozen=True, slots=True)
class Link:
    """An elementary link, the leaf of a plan.

    Attributes:
        halves: Halves of its pair that are in memories from the moment they are sent.
    """

    halves: int


@dataclass(frozen=True, slots=True)
class Join:
    """Two pairs that become one, by swapping or by purification.

    Attributes:
        one, other: How they come about, at the same time and independently.
        purifies: Whether it purifies; else it swaps.
        waiting: Halves in memories while the one waits, and while the other does.
        news_s: Time until everybody concerned knows the outcome.
        halves: Halves of the new pair that are in memories in that time.
    """

    one: "Plan"
    other: "Plan"
    purifies: bool
    waiting: tuple[int, int]
    news_s: float
    halves: int


Plan = Link | Join


def plan(config: RepeaterConfig) -> Plan:
    """How the pair of Alice and Bob is put together.

    Who has to know before going on: with swaps that may fail, or ends that store, both ends of a
    new segment hear from the station between; otherwise nobody waits for news of a swap, since its
    outcome is only a correction. Purification is heralded at both ends of its link.
    """
    return _segment(config, 0, config.links)


def _segment(config: RepeaterConfig, left: int, right: int) -> Plan:
    if right - left == 1:
        return _link(config, left, config.rounds)
    middle = (left + right + 1) // 2 if config.order is Order.NESTED else right - 1
    heard = config.swap_success < 1.0 or config.store_ends
    return Join(
        one=_segment(config, left, middle),
        other=_segment(config, middle, right),
        purifies=False,
        waiting=(_halves(config, left, middle), _halves(config, middle, right)),
        news_s=max(middle - left, right - middle) * config.travel_s if heard else 0.0,
        halves=_halves(config, left, right),
    )


def _link(config: RepeaterConfig, left: int, rounds: int) -> Plan:
    """A link after so many rounds of purification; until the last one both ends keep all."""
    halves = _halves(config, left, left + 1) if rounds == config.rounds else 2
    if not rounds:
        return Link(halves)
    before = _link(config, left, rounds - 1)
    return Join(before, before, True, (2, 2), config.travel_s, halves)


def _halves(config: RepeaterConfig, left: int, right: int) -> int:
    """Halves of a segment's pair that are in memories."""
    if config.store_ends:
        return 2
    return int(left > 0) + int(right < config.links)


def _check(parameter: str, permitted: str, got: object, holds: bool) -> None:
    if not holds:
        raise ParameterError(parameter, permitted, got)
