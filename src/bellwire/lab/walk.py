"""A block photon by photon: the real halves of the real link, opened one slot at a time.

Both sides' choices and nature's noise are those of `lab run` with the same seed, so that a walk to
the end of a block is that block. Eve may come and go on the way: what she leaves alone is the same
light without her. Whether she touched one photon is not recorded anywhere; only her share is known.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES, CHSH_TERMS, KEY_PAIRS
from bellwire.base.detections import Detections, Half, Protocol, Side
from bellwire.distill.errors import ParameterError
from bellwire.distill.estimation import Correlations, ErrorRate
from bellwire.distill.report import BlockReport
from bellwire.lab.experiment import Experiment, distil_halves, halves, seeds
from bellwire.link.choices import PreparedPulses
from bellwire.link.eve import BB84_ANGLES, Eve, EveKind

MAX_WALK = 1 << 18
"""Photons of a walk: half a second of simulation, and more than anybody looks at."""

NOT_SEEN = 255
"""Setting and bit of a side that detected nothing."""

_Row = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Photon:
    """One pulse, or pair, as both sides have it. The bits are both known in the lab alone.

    Attributes:
        number: Slot, from 0.
        alice, bob: (angle on the Bloch sphere in degrees, bit); None where nothing was detected.
        use: What it serves: `lost`, `dropped`, `key` (sifted bits) or `test` (opened for S).
        term: Its sign in S if it is one of the four correlations of S, else 0.
        eve: Who was on the line.
    """

    number: int
    alice: tuple[float, int] | None
    bob: tuple[float, int] | None
    use: str
    term: int
    eve: Eve | None

    @property
    def equal(self) -> bool:
        """Whether both bits are alike."""
        assert self.alice is not None
        assert self.bob is not None
        return self.alice[1] == self.bob[1]


@dataclass(frozen=True, slots=True)
class Tally:
    """Statistics of the photons so far.

    Attributes:
        sent: Pulses, or pairs.
        detected: Slots that both sides have.
        sifted: Sifted bits; in BB84 and BBM92 of equal bases, in E91 of the key settings.
        dropped: Detected slots that serve nothing.
        test: Slots opened for S; E91.
        errors: Errors among the sifted bits.
        correlations: Of all detected slots; E91, else None.
    """

    sent: int
    detected: int
    sifted: int
    dropped: int
    test: int
    errors: ErrorRate
    correlations: Correlations | None

    @property
    def chsh(self) -> tuple[float, float] | None:
        """S and its standard error, once each of its four correlations has a pair."""
        if self.correlations is None or not self.correlations.chsh_pairs():
            return None
        return self.correlations.chsh, self.correlations.chsh_stderr


class Walk:
    """A block of single photons or pairs, walked through from its first slot.

    Raises:
        ParameterError: more photons than a walk has, a source of several pairs, or an Eve in the
            middle, who sits on the classical channel as well.
    """

    def __init__(self, experiment: Experiment) -> None:
        if experiment.pulses > MAX_WALK:
            raise ParameterError(
                f"pulses: expected 1 to {MAX_WALK} in a walk, got {experiment.pulses}"
            )
        if experiment.middle is not None:
            raise ParameterError("eve: expected one on the light in a walk, got one in the middle")
        if experiment.source is not None:
            raise ParameterError("mean_pairs: expected exactly one pair a window in a walk")
        self.experiment = experiment
        self.eve = experiment.eve
        self.position = 0
        self._seed = seeds(experiment.seed)
        self._seeds = {each: self._seed(each) for each in ("alice", "bob", "noise")}
        self._quiet = self._rows(None)
        self._heard = self._quiet if self.eve is None else self._rows(self.eve)
        self._taken = np.full((4, experiment.pulses), NOT_SEEN, np.uint8)
        self._eves: list[tuple[int, Eve | None]] = [(0, self.eve)]

    @property
    def protocol(self) -> Protocol:
        """Of the block."""
        return self.experiment.protocol

    @property
    def now(self) -> Experiment:
        """The experiment with the Eve of the moment."""
        return replace(self.experiment, eve=self.eve)

    @property
    def left(self) -> int:
        """Photons that are still to come."""
        return self.experiment.pulses - self.position

    def meet(self, eve: Eve | None) -> None:
        """Let this Eve, or nobody, be on the line from the next photon on.

        Raises:
            ParameterError: there is no such attack on this protocol.
        """
        if eve is not None:
            eve.check(self.protocol)
            self._heard = self._rows(eve)
        self.eve = eve
        self._eves.append((self.position, eve))

    def advance(self, count: int = 1) -> int:
        """Let `count` photons pass, or as many as are left; gives how many did."""
        count = min(count, self.left)
        rows = self._quiet if self.eve is None else self._heard
        slots = slice(self.position, self.position + count)
        self._taken[:, slots] = rows[:, slots]
        self.position += count
        return count

    def photon(self, number: int) -> Photon:
        """A photon that has passed; IndexError for another."""
        if not 0 <= number < self.position:
            raise IndexError(f"expected a photon below {self.position}, got {number}")
        a, x, b, y = (int(each) for each in self._taken[:, number])
        e91 = self.protocol is Protocol.E91
        angles = (ALICE_ANGLES, BOB_ANGLES) if e91 else (BB84_ANGLES, BB84_ANGLES)
        use, term = "lost", 0
        if NOT_SEEN not in {a, b}:
            alike = (a, b) in KEY_PAIRS if e91 else a == b
            use = "key" if alike else "test" if e91 else "dropped"
            if e91:
                term = {(one, other): sign for one, other, sign in CHSH_TERMS}.get((a, b), 0)
        return Photon(
            number=number,
            alice=None if a == NOT_SEEN else (math.degrees(angles[0][a]), x),
            bob=None if b == NOT_SEEN else (math.degrees(angles[1][b]), y),
            use=use,
            term=term,
            eve=next(eve for start, eve in reversed(self._eves) if start <= number),
        )

    def tally(self) -> Tally:
        """Statistics of all that has passed."""
        a, x, b, y = self._taken[:, : self.position]
        both = (a != NOT_SEEN) & (b != NOT_SEEN)
        detected = int(both.sum())
        if self.protocol is Protocol.E91:
            key = np.zeros(a.size, np.bool_)
            for one, other in KEY_PAIRS:
                key |= (a == one) & (b == other)
            correlations = Correlations.count(a[both], b[both], x[both], y[both])
        else:
            key, correlations = both & (a == b), None
        sifted = int(key.sum())
        rest = detected - sifted
        return Tally(
            sent=self.position,
            detected=detected,
            sifted=sifted,
            dropped=0 if correlations is not None else rest,
            test=rest if correlations is not None else 0,
            errors=ErrorRate(int((x[key] != y[key]).sum()), sifted),
            correlations=correlations,
        )

    def distil(self) -> BlockReport:
        """Both sides' real sessions over what has passed, as if the block ended here.

        Raises:
            ParameterError: nothing has passed.
        """
        if not self.position:
            raise ParameterError("photons: expected at least one, got none")
        alice: Half = self._half(Side.ALICE)
        if not self.protocol.entangled:
            alice = PreparedPulses(self._seeds["alice"], self.position, self.experiment.rectilinear)
        block = replace(self.experiment, pulses=self.position)
        return distil_halves(block, alice, self._half(Side.BOB), self._seed).reports[Side.ALICE]

    def _half(self, side: Side) -> Detections:
        settings, bits = self._taken[(0, 1) if side is Side.ALICE else (2, 3), : self.position]
        slots = np.flatnonzero(settings != NOT_SEEN)
        return Detections(slots, settings[slots], bits[slots])

    def _rows(self, eve: Eve | None) -> _Row:
        """(4, pulses): Alice's settings and bits, Bob's; NOT_SEEN where nothing was detected."""
        what = self.experiment
        rows = np.full((4, what.pulses), NOT_SEEN, np.uint8)
        light = halves(replace(what, eve=eve), self._seeds.__getitem__)
        for place, half in zip((0, 2), light, strict=True):
            seen = half.received
            slots = np.arange(what.pulses) if seen is None else seen
            found = half.at(slots)
            rows[place, slots], rows[place + 1, slots] = found.settings, found.outcomes
        return rows


ATTACKS = (EveKind.INTERCEPT_RESEND, EveKind.BREIDBART, EveKind.GHZ, EveKind.CLONER)
"""What may be tried on any of the protocols; substitution takes a source of pairs."""


def attacks(protocol: Protocol) -> tuple[EveKind, ...]:
    """The attacks that a protocol permits, the usual one first."""
    return (*ATTACKS, EveKind.SUBSTITUTION) if protocol.entangled else ATTACKS
