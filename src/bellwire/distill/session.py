"""One block at one side, sans-I/O: messages in, effects out, and every way it can end.

The two sides run in lockstep: in step n each sends one message, and a side sends step n only after
it has the peer's n − 1. The transcript is therefore the same on both sides, in canonical order:
step by step, Alice's message before Bob's, each with its length. Whatever a peer or Eve does ends
the block with a named reason, never the process.

The host feeds `receive`, `provide`, `stored` and `resume`, and does what the returned effects ask
for:

    start ──> Send 0 ──receive──> FetchHalf ──provide──> Send 1 … n ──receive──> Store
          ──stored──> Send n+1 ──receive──> Finished

A block that is rejected goes straight to Finished; whoever finds the reason sends End first.
What the steps say is in `distill.steps`, and in `distill.supply` for a vendor's keys, where
FetchKeys stands for FetchHalf.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bellwire.base.detections import Half, Side
from bellwire.base.matching import Matching
from bellwire.base.secret import Secret
from bellwire.crypto.errors import RandomnessFailed, TagMismatch
from bellwire.distill.conversation import (
    Answer,
    BlockAuthentication,
    BlockRejected,
    Compute,
    FetchHalf,
    FetchKeys,
    Phase,
    Send,
    Store,
)
from bellwire.distill.errors import MalformedMessage, ParameterError
from bellwire.distill.messages import VERSION, Open, Supply, decode, encode
from bellwire.distill.report import BlockReport
from bellwire.distill.supply import SupplySteps
from bellwire.distill.verdict import Reason

if TYPE_CHECKING:  # who only hands keys out need not load the kernels
    from bellwire.distill.planes import Planes
    from bellwire.distill.steps import Steps


@dataclass(frozen=True, slots=True)
class End:
    """Tell the peer that the block is over."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Finished:
    """The block is over. If accepted, the peer keeps it durably too: it may be used."""

    report: BlockReport


Effect = Send | End | FetchHalf | FetchKeys | Store | Compute | Finished


class Session:
    """One side of one block.

    Args:
        side: Which side we are.
        opening: What the block is; both sides must hold the same.
        authentication: Pre-shared key for the tags; None exactly for a probe, which carries none.
        random_bytes: Source of public randomness (nonces, hash keys, seeds); RandomnessFailed
            ends the block.
        drawn_from: What the report says of it, besides what every report assumes.
        pauses: Whether Compute is returned before anything that takes long; else it is just done.

    Raises:
        ParameterError: another version, limits out of range, tags where none belong or missing.
    """

    def __init__(
        self,
        side: Side,
        opening: Open | Supply,
        authentication: BlockAuthentication | None,
        random_bytes: Callable[[int], bytes],
        *,
        drawn_from: str | None = None,
        pauses: bool = False,
    ) -> None:
        if opening.version != VERSION:
            raise ParameterError(f"version: expected {VERSION}, got {opening.version}")
        try:
            decode(encode(opening), type(opening))
        except MalformedMessage as error:
            raise ParameterError(str(error)) from error
        if opening.probe != (authentication is None):
            raise ParameterError("a probe carries no tags, every other block does")
        if isinstance(opening, Supply) and not opening.sound:
            raise ParameterError("a probe draws no keys, every other block a bounded number, once")
        if isinstance(opening, Open) and not opening.sound:
            raise ParameterError(
                "intensities belong to decoy states and to nothing else, and sessions are of E91"
            )
        self.opening = opening
        self._pauses = pauses
        self._steps = _steps(side, opening, authentication, random_bytes)
        if drawn_from is not None and isinstance(opening, Open):  # of keys, nothing is drawn
            report = self._steps.report
            self._steps.report = replace(report, assumptions=(*report.assumptions, drawn_from))
        self._run = self._steps.run()
        self._waiting: type[Effect] | None = None
        self._early: bytes | None = None
        self._finished = False

    @property
    def finished(self) -> bool:
        """Whether the block is over, one way or the other."""
        return self._finished

    @property
    def phase(self) -> Phase:
        """Where in the block this side is."""
        return self._steps.phase

    @property
    def report(self) -> BlockReport:
        """What this side can say of the block so far."""
        return replace(self._steps.report, transcript_bytes=self._steps.transcript_bytes)

    @property
    def transcript(self) -> bytes:
        """Everything both sides have said so far, in canonical order; public."""
        return self._steps.transcript

    def start(self) -> list[Effect]:
        """Begin: the first effects."""
        return self._advance(None)

    def receive(self, step: int, body: bytes) -> list[Effect]:
        """Take the peer's message of a step, which may be one ahead of what we can answer."""
        if self._finished:
            return []
        expected = self._steps.step - (self._waiting is Send)
        if step != expected or self._early is not None:
            return self._reject(
                Reason.OUT_OF_STEP, f"expected step {expected} from the peer, got {step}"
            )
        if self._waiting is not Send:
            self._early = body
            return []
        return self._advance(body)

    def provide(self, got: "Half | Planes | Matching | Secret") -> list[Effect]:
        """Hand over our half, or what agrees on one, after FetchHalf; our keys after FetchKeys.

        Raises:
            RuntimeError: the session did not ask for it.
        """
        if self._waiting is not (FetchKeys if isinstance(got, Secret) else FetchHalf):
            raise RuntimeError("the session did not ask for a half, or for keys")
        return self._advance(got)

    def stored(self) -> list[Effect]:
        """Say, after Store, that the secret is durable; at any other time RuntimeError."""
        if self._waiting is not Store:
            raise RuntimeError("the session did not ask for storage")
        return self._advance(None)

    def resume(self) -> list[Effect]:
        """Do, after Compute, what takes long; at any other time RuntimeError."""
        if self._waiting is not Compute:
            raise RuntimeError("the session did not ask for time to compute")
        return self._advance(None)

    def end(self, reason: Reason, message: str, *, tell: bool = True) -> list[Effect]:
        """End the block from outside: time is up, the peer or the link gave up.

        A block that was judged already is reported by that verdict: what its few open bits show is
        not to be read without it.
        """
        if self._finished:
            return []
        if self._steps.rejection is not None:
            reason, message = self._steps.rejection.reason, self._steps.rejection.message
        effects = self._reject(reason, message)
        return effects if tell else effects[1:]

    def _reject(self, reason: Reason, message: str) -> list[Effect]:
        self._run.close()
        self._finished = True
        report = replace(
            self._steps.report,
            accepted=False,
            reason=reason,
            message=message,
            secret_bits=0,
            transcript_bytes=self._steps.transcript_bytes,
            steps=self._steps.step,
        )
        return [End(reason), Finished(report)]

    def _advance(self, answer: Answer) -> list[Effect]:
        effects: list[Effect] = []
        while True:
            try:
                effect = self._run.send(answer)
            except StopIteration as stop:
                self._finished = True
                return [*effects, Finished(stop.value)]
            except BlockRejected as rejected:
                return effects + self._reject(rejected.reason, str(rejected))
            except MalformedMessage as error:
                return effects + self._reject(Reason.MALFORMED, str(error))
            except RandomnessFailed as error:
                return effects + self._reject(Reason.RANDOMNESS, str(error))
            except TagMismatch:
                return effects + self._reject(
                    Reason.AUTHENTICATION, "a tag does not fit its message"
                )
            if isinstance(effect, Compute) and not self._pauses:
                answer = None
                continue
            effects.append(effect)
            self._waiting = type(effect)
            if self._early is None or self._waiting is not Send:
                return effects
            answer, self._early = self._early, None


def _steps(
    side: Side,
    opening: Open | Supply,
    authentication: BlockAuthentication | None,
    random_bytes: Callable[[int], bytes],
) -> "Steps | SupplySteps":
    if isinstance(opening, Supply):
        return SupplySteps(side, opening, authentication)
    from bellwire.distill.steps import Steps  # noqa: PLC0415 - brings the kernels

    return Steps(side, opening, authentication, random_bytes)
