"""What one side's two detectors do in time: dead time, afterpulses, and when clicks are told.

A click blinds both detectors of its side for some gates. With a probability it leaves a carrier
behind in the detector of its outcome, which clicks again once it comes free, unless the detector is
blind then; one detector holds one carrier. Light and carrier in the same gate and detector are one
click; in different detectors they are a double click, squashed to a random bit. In gates between,
detectors behave as if nothing had been before. (Weak pulses have detectors of their own kind as
well, each with a dead time of its own: `bellwire.link.weak`.)
"""

from dataclasses import dataclass, field

from bellwire.link.errors import ParameterError
from bellwire.link.timing import MAX_JITTER_PERIODS, Timing

MAX_DEAD_GATES = 10**9
MAX_DECAY_GATES = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectors:
    """Both detectors of a receiving side; without arguments they forget and are never late.

    Attributes:
        dead_gates: Gates that both are blind after a click, 0 to 10⁹.
        afterpulse: Probability that a click leaves a carrier behind, in [0, 1).
        afterpulse_gates: Decay time of that carrier behind the blind gates, in (0, 10⁹].
        timing: Jitter and gates, in any unit of time; None for clicks that are never late.

    Raises:
        ParameterError: a value outside its range, by name.
    """

    dead_gates: int = 0
    afterpulse: float = 0.0
    afterpulse_gates: float = 100.0
    timing: Timing | None = field(default=None)

    def __post_init__(self) -> None:
        dead, decay, timing = self.dead_gates, self.afterpulse_gates, self.timing
        _check("dead gates", f"from 0 to {MAX_DEAD_GATES}", dead, 0 <= dead <= MAX_DEAD_GATES)
        _check("afterpulse probability", "in [0, 1)", self.afterpulse, 0.0 <= self.afterpulse < 1.0)
        _check("afterpulse decay", "in (0, 1e9] gates", decay, 0.0 < decay <= MAX_DECAY_GATES)
        if timing is not None:
            period, jitter, gate = timing.period, timing.jitter, timing.gate
            most = MAX_JITTER_PERIODS * period
            _check("jitter", f"in [0, {most:g}] ps, two periods", jitter, 0.0 <= jitter <= most)
            _check("gate", f"in (0, {period:g}] ps, a period", gate, 0.0 < gate <= period)

    @property
    def remember(self) -> bool:
        """Whether a gate depends on those before it."""
        return bool(self.dead_gates or self.afterpulse)

    def refuse_for(self, what: str) -> None:
        """Raise ParameterError unless a gate is a gate: no memory and no jitter."""
        if self.remember or self.timing is not None:
            raise ParameterError("detectors", f"without memory or jitter {what}", self)

    @property
    def inside(self) -> float:
        """Share of registered photons that are told in their own gate."""
        return 1.0 if self.timing is None else self.timing.inside

    def strays(self, registered: float) -> tuple[float, float]:
        """What neighbours' light does to a gate, with one photon in each of their pulses.

        Args:
            registered: Probability that a photon of Alice's, or of the source, is registered.

        Returns:
            Probability that no photon strays into a gate, and that none does into one of its two
            detectors; it knows nothing of the bit, and takes either.
        """
        neither = one = 1.0
        for share in () if self.timing is None else self.timing.astray:
            neither *= (1.0 - registered * share) ** 2
            one *= (1.0 - registered * share / 2.0) ** 2
        return neither, one


def _check(parameter: str, permitted: str, got: object, holds: bool) -> None:
    if not holds:
        raise ParameterError(parameter, permitted, got)
