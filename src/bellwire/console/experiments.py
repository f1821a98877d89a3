"""Experiments of the lab for who is signed in: what may be asked for, and how many at once.

Nothing here touches the link: its photons are simulated for the experiment alone, and its bits
enter no pool. Every experiment is small enough to be answered while somebody waits; larger ones are
for `bellwire lab` on one's own machine.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta

from bellwire.base.errors import UnreachableError, UsageError
from bellwire.console.views import Count, Ratio

LabProtocol = Literal["e91", "bbm92", "bb84", "decoy-bb84"]
MOST_OF_ACCOUNT = 3
"""Experiments of one account at once."""

_PHOTONS = ("intercept-resend", "breidbart", "ghz", "cloner")
_PAIRS = (*_PHOTONS, "substitution")
_WEAK = ("intercept-resend", "pns", "beam-splitting")
_MOST = 1_000_000


class ProtocolOffer(msgspec.Struct, frozen=True):
    """What experiments of a protocol may be asked for.

    Attributes:
        name: Of the protocol.
        most_pulses: Pulses, or pairs.
        eves: What Eve may do.
        bell: Whether it measures S, and hidden variables can take the place of the pairs.
    """

    name: LabProtocol
    most_pulses: Count
    eves: tuple[str, ...]
    bell: bool


OFFERS = (
    ProtocolOffer("e91", _MOST, _PAIRS, bell=True),
    ProtocolOffer("bbm92", _MOST, _PAIRS, bell=False),
    ProtocolOffer("bb84", _MOST, _PHOTONS, bell=False),
    ProtocolOffer("decoy-bb84", 2 * _MOST, _WEAK, bell=False),
)


class LabOffer(msgspec.Struct, frozen=True):
    """What the lab offers."""

    protocols: tuple[ProtocolOffer, ...]


class AskedExperiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An experiment; its words are those of `bellwire lab run`.

    Attributes:
        protocol: Which.
        seed: Repeats it.
        pulses: Pulses, or pairs.
        km: Length of the fibre.
        efficiency: Of every detector.
        dark: Dark counts per detector and gate.
        misalignment: QBER of the optics alone.
        eve: What she does; null without her.
        share: Of the pulses, which she touches.
        hidden: Whether the pairs carry their outcomes with them, in the place of entanglement;
            then nothing is lost on the way, and nobody else clicks.
    """

    protocol: LabProtocol
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    pulses: Annotated[int, Meta(ge=1000, le=10_000_000)] = 200_000
    km: Annotated[float, Meta(ge=0, le=300)] = 0.0
    efficiency: Annotated[float, Meta(ge=0.01, le=1)] = 1.0
    dark: Annotated[float, Meta(ge=0, le=0.01)] = 0.0
    misalignment: Annotated[float, Meta(ge=0, le=0.5)] = 0.02
    eve: Annotated[str, Meta(max_length=40)] | None = None
    share: Ratio = 1.0
    hidden: bool = False

    def words(self) -> dict[str, Any]:
        """Its words.

        Raises:
            UsageError: more than is offered of this protocol, or no such Eve.
        """
        offer = next(each for each in OFFERS if each.name == self.protocol)
        if self.pulses > offer.most_pulses:
            raise UsageError(
                f"pulses: expected at most {offer.most_pulses} of {self.protocol} here, "
                f"got {self.pulses}"
            )
        if self.eve is not None and self.eve not in offer.eves:
            raise UsageError(f"eve: expected one of {', '.join(offer.eves)}")
        words: dict[str, Any] = {
            "pulses": self.pulses,
            "km": self.km,
            "efficiency": self.efficiency,
            "dark": self.dark,
            "misalignment": self.misalignment,
            "seed": self.seed,
        }
        if self.eve is not None:
            words["eve"] = self.eve if self.share == 1.0 else f"{self.eve}:{self.share!r}"
        if self.hidden:
            words["engine"] = "hidden-variables"
        return words


class Figure(msgspec.Struct, frozen=True):
    """A measured figure beside theory.

    Attributes:
        value: Measured; null if the block ended before.
        stderr: Its standard error; null where it is not known from one run.
        theory: What theory expects; null where it has no closed form.
    """

    value: float | None
    stderr: float | None
    theory: float | None


class CorrelationView(msgspec.Struct, frozen=True):
    """How outcomes at two settings agree: 1 always, −1 never."""

    alice_deg: float
    bob_deg: float
    value: float
    stderr: float
    pairs: Count


class MorePhotons(msgspec.Struct, frozen=True):
    """What the experiment could not tell.

    Attributes:
        why: `chsh` or `qber`: on which side of its limit it is; `key`: whether there is one.
        pulses: So many are enough on average; null where nobody can say.
    """

    why: Literal["chsh", "qber", "key"]
    pulses: Count | None


class ExperimentView(msgspec.Struct, frozen=True):
    """What came of an experiment; simulated, and of no use as a key.

    Attributes:
        asked: The experiment.
        detections: Slots that both sides have.
        sifted_bits: Bits from settings or bases that fit.
        qber: Error rate of sifted bits.
        chsh: S; null where the protocol measures none.
        key_per_pulse: Secret bits over pulses; theory is that of long blocks.
        secret_bits: Of this block.
        secret_rate_bps: A second of simulated time.
        verdict: `accept` or `abort`.
        reason: Why it was aborted.
        keys_match: Whether both sides' bits are equal; null without any.
        correlations: E91: by pair of settings.
        red_qber: Blocks from this error rate on are rejected.
        more: What more photons would tell; null if these are enough.
        wall_s: Time that it took.
        command: The command that repeats it.
        python: The same in Python.
    """

    asked: AskedExperiment
    detections: Count
    sifted_bits: Count
    qber: Figure | None
    chsh: Figure | None
    key_per_pulse: Figure | None
    secret_bits: Count
    secret_rate_bps: float
    verdict: Literal["accept", "abort"]
    reason: str | None
    keys_match: bool | None
    correlations: list[CorrelationView]
    red_qber: Ratio
    more: MorePhotons | None
    wall_s: float
    command: str
    python: str


class ExperimentLost(UnreachableError):
    """An experiment did not end; it may be asked for again."""


class TooManyExperiments(UnreachableError):
    """Others wait already."""


class Laboratory(Protocol):
    """Where experiments are run."""

    async def run(self, protocol: str, words: Mapping[str, Any]) -> dict[str, Any]:
        """What came of one, as plain values (`lab.answering`).

        Raises:
            ExperimentLost: nothing did.
            TooManyExperiments: it was not begun.
        """

    async def close(self) -> None:
        """End whatever runs."""


class Experiments:
    """What a console's members ask of the lab.

    Args:
        laboratory: Where it is done.
    """

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory
        self._running: Counter[str] = Counter()

    async def run(self, account: str, asked: AskedExperiment) -> ExperimentView:
        """Run an experiment; who stops waiting for one that has not begun takes it back.

        Raises:
            UsageError: there is no such experiment.
            TooManyExperiments: of this account, or in all.
            ExperimentLost: it did not end.
        """
        words = asked.words()
        with self._one_of(account):
            found = await self._laboratory.run(asked.protocol, words)
        if "refused" in found:
            raise UsageError(found["refused"])
        return msgspec.convert({**found, "asked": asked}, ExperimentView)

    @contextlib.contextmanager
    def _one_of(self, account: str) -> Iterator[None]:
        if self._running[account] >= MOST_OF_ACCOUNT:
            raise TooManyExperiments(f"{MOST_OF_ACCOUNT} experiments of this account run already")
        self._running[account] += 1
        try:
            yield
        finally:
            self._running[account] -= 1
            if not self._running[account]:
                del self._running[account]
