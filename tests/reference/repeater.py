"""A chain of repeaters attempt by attempt, its pairs as density matrices.

Time goes in attempts, and light takes one attempt's time along a link (`prepare_s` is 0), so that
every wait is a whole number of them. Every memory's decay, every swap and every purification is a
circuit of `bell_circuits`; nothing is drawn but whether one attempt, or one operation, succeeds.
"""

import math
import random
from dataclasses import dataclass

from tests.reference import bell_circuits as circuits
from tests.reference.bell_circuits import Matrix

from bellwire.link.bell_pairs import Memory
from bellwire.link.repeater import Order, RepeaterConfig


@dataclass
class Heralding:
    """Law of the Bell station, photon by photon: clicks of H and V in both outputs."""

    success: float
    rho: Matrix


def bell_station(config: RepeaterConfig) -> Heralding:
    """Enumerate photons, where they leave, and dark counts; keep the heralds."""
    km = config.km / config.links / 2
    h = config.source * config.detector * 10 ** (-km * config.loss_db_per_km / 10)
    d = config.dark
    w = (4 * config.fidelity - 1) / 3
    werner = circuits.pair(((1 - w) / 4,) * 3)
    wrong = circuits.pair((0.5, 0.5, 0.0))  # X or Y happened: the bits are unlike, phases random
    mixed = circuits.pair((0.25, 0.25, 0.25))
    heralds = [{"1H", "1V"}, {"2H", "2V"}, {"1H", "2V"}, {"2H", "1V"}]
    detectors = ["1H", "1V", "2H", "2V"]
    light: list[tuple[float, set[str], Matrix]] = []
    light += [(h * h / 2 / 4, each, werner) for each in heralds]
    light += [(h * h / 2 / 4, {each}, wrong) for each in detectors]
    light += [(2 * h * (1 - h) / 4, {each}, mixed) for each in detectors]
    light += [((1 - h) ** 2, set(), mixed)]
    success, whole = 0.0, 0 * mixed
    for probability, lit, rho in light:
        for pattern in range(16):
            dark = {name for k, name in enumerate(detectors) if pattern >> k & 1}
            chance = probability * d ** len(dark) * (1 - d) ** (4 - len(dark))
            # A dark count where light clicks already is no further click.
            if lit | dark in heralds:
                success += chance
                whole = whole + chance * rho
    return Heralding(1 - (1 - success) ** config.modes, whole / success)


class Segment:
    """A part of the chain that makes one pair at a time."""

    pair: Matrix | None = None

    def step(self) -> None:
        raise NotImplementedError

    def reset(self) -> None:
        self.pair = None


class Chain:
    """Everything that the segments share."""

    def __init__(self, config: RepeaterConfig, seed: int) -> None:
        assert config.prepare_s == 0.0
        self.config, self.random = config, random.Random(seed)
        self.station = bell_station(config)
        self.kept = math.exp(-config.attempt_s / config.memory_s)
        self.cutoff = (
            math.inf if math.isinf(config.cutoff_s) else round(config.cutoff_s / config.attempt_s)
        )
        self.whole = self.over(0, config.links)

    def over(self, left: int, right: int) -> Segment:
        if right - left == 1:
            return self.link(left, self.config.rounds)
        nested = self.config.order is Order.NESTED
        middle = (left + right + 1) // 2 if nested else right - 1
        heard = self.config.swap_success < 1 or self.config.store_ends
        return Joined(
            self,
            (self.over(left, middle), self.over(middle, right)),
            (self.stored(left, middle), self.stored(middle, right)),
            max(middle - left, right - middle) if heard else 0,
            self.stored(left, right),
            purifies=False,
        )

    def link(self, left: int, rounds: int) -> Segment:
        held = self.stored(left, left + 1) if rounds == self.config.rounds else (True, True)
        if rounds == 0:
            return Single(self, held)
        parts = (self.link(left, rounds - 1), self.link(left, rounds - 1))
        return Joined(self, parts, ((True, True), (True, True)), 1, held, purifies=True)

    def stored(self, left: int, right: int) -> tuple[bool, bool]:
        """Which of a segment's two qubits lie in memories."""
        ends = self.config.store_ends
        return left > 0 or ends, right < self.config.links or ends

    def aged(self, rho: Matrix, held: tuple[bool, bool], attempts: int) -> Matrix:
        dephasing = self.config.memory is Memory.DEPHASING
        channel = circuits.dephased if dephasing else circuits.depolarised
        for qubit in (0, 1):
            if held[qubit]:
                rho = channel(rho, qubit, self.kept**attempts)
        return rho

    def deliver(self) -> tuple[int, Matrix]:
        """Attempts until the next pair, and the pair."""
        self.whole.reset()
        attempts = 0
        while self.whole.pair is None:
            attempts += 1
            self.whole.step()
        return attempts, self.whole.pair


class Single(Segment):
    """An elementary link."""

    def __init__(self, chain: Chain, held: tuple[bool, bool]) -> None:
        self.chain, self.held = chain, held

    def step(self) -> None:
        if self.pair is None and self.chain.random.random() < self.chain.station.success:
            self.pair = self.chain.aged(self.chain.station.rho, self.held, 1)


class Joined(Segment):
    """Two segments and what joins them."""

    def __init__(
        self,
        chain: Chain,
        parts: tuple[Segment, Segment],
        held: tuple[tuple[bool, bool], tuple[bool, bool]],
        news: int,
        after: tuple[bool, bool],
        *,
        purifies: bool,
    ) -> None:
        self.chain, self.parts, self.held = chain, parts, held
        self.news, self.after, self.purifies = news, after, purifies
        self.waited, self.left, self.good = 0, 0, False
        self.outcome: Matrix | None = None

    def reset(self) -> None:
        self.pair = self.outcome = None
        self.waited = 0
        for part in self.parts:
            part.reset()

    def step(self) -> None:
        if self.pair is not None:
            return
        if self.outcome is not None:
            self.left -= 1
            self._conclude()
            return
        before = [part.pair is not None for part in self.parts]
        for part in self.parts:
            part.step()
        self.waited += any(before)
        there = [part.pair is not None for part in self.parts]
        if all(there):
            self._join(before)
        elif any(there) and self.waited >= self.chain.cutoff:
            self.reset()

    def _join(self, before: list[bool]) -> None:
        chain, error = self.chain, self.chain.config.gate_error
        rhos = [
            chain.aged(part.pair, held, self.waited if early else 0)
            for part, held, early in zip(self.parts, self.held, before, strict=True)
            if part.pair is not None
        ]
        if self.purifies:
            chance, joined = circuits.purify(rhos[0], rhos[1], error)
        else:
            chance, joined = chain.config.swap_success, circuits.swap(rhos[0], rhos[1], error)
        self.good = chain.random.random() < chance
        self.outcome, self.left = joined, self.news
        self._conclude()

    def _conclude(self) -> None:
        if self.left:
            return
        assert self.outcome is not None
        if self.good:
            self.pair = self.chain.aged(self.outcome, self.after, self.news)
        else:
            self.reset()
