"""Link status: GREEN, YELLOW or RED, from the outcomes of blocks and probes.

A pure state machine: outcomes and times come in, a view comes out. Its behaviour is the table
`TRANSITIONS`; `diagram` draws it for `docs/explanation/link-status.md`, which also argues each
rule. What always holds:

- a block above a threshold (QBER at or over `red_qber`, an E91 estimate of S under `chsh_floor`)
  turns the status RED at once, whatever the mean of the blocks before it;
- keys flow only on a fresh verdict: never on RED, never when stale, never before the first block.
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bellwire.base.protocols import Protocol
from bellwire.keys.errors import StatusRulesInvalid

HISTORY = 60
"""Outcomes kept for display: a minute of probes, one a second."""

REASON_LIMIT = 500
"""Characters of an outcome's reason, so that a view stays small."""


class Status(StrEnum):
    """What people, guards and consumers of keys are told."""

    GREEN = "GREEN"
    YELLOW = "YELLOW"
    RED = "RED"


class Phase(StrEnum):
    """Where the machine stands; GREEN and YELLOW are FLOWING, told apart by the mean QBER."""

    WAITING = "waiting"
    FLOWING = "flowing"
    ALARM = "alarm"


class Decision(StrEnum):
    """What an outcome says about the link."""

    ACCEPTED = "accepted"
    ANSWERED = "answered"
    NOISY = "above a threshold"
    TAMPERED = "tampered"
    FAILED = "failed"
    TOO_FEW = "too few"


class Effect(StrEnum):
    """What an outcome does to the mean and to the count of accepted blocks since the alarm."""

    NOTHING = "nothing"
    AVERAGE = "joins the mean"
    RAISE = "empties the mean, count from 0"
    COUNT = "joins the mean, counts"
    RECOUNT = "empties the mean, counts from 0 again"


class Step(NamedTuple):
    """One row of the table: what follows an outcome."""

    phase: Phase
    effect: Effect


TRANSITIONS: dict[tuple[Phase, Decision], Step] = {
    (Phase.WAITING, Decision.ACCEPTED): Step(Phase.FLOWING, Effect.AVERAGE),
    (Phase.WAITING, Decision.ANSWERED): Step(Phase.WAITING, Effect.NOTHING),
    (Phase.WAITING, Decision.NOISY): Step(Phase.ALARM, Effect.RAISE),
    (Phase.WAITING, Decision.TAMPERED): Step(Phase.ALARM, Effect.RAISE),
    (Phase.WAITING, Decision.FAILED): Step(Phase.WAITING, Effect.NOTHING),
    (Phase.WAITING, Decision.TOO_FEW): Step(Phase.WAITING, Effect.NOTHING),
    (Phase.FLOWING, Decision.ACCEPTED): Step(Phase.FLOWING, Effect.AVERAGE),
    (Phase.FLOWING, Decision.ANSWERED): Step(Phase.FLOWING, Effect.NOTHING),
    (Phase.FLOWING, Decision.NOISY): Step(Phase.ALARM, Effect.RAISE),
    (Phase.FLOWING, Decision.TAMPERED): Step(Phase.ALARM, Effect.RAISE),
    (Phase.FLOWING, Decision.FAILED): Step(Phase.FLOWING, Effect.NOTHING),
    (Phase.FLOWING, Decision.TOO_FEW): Step(Phase.FLOWING, Effect.NOTHING),
    (Phase.ALARM, Decision.ACCEPTED): Step(Phase.ALARM, Effect.COUNT),
    (Phase.ALARM, Decision.ANSWERED): Step(Phase.ALARM, Effect.NOTHING),
    (Phase.ALARM, Decision.NOISY): Step(Phase.ALARM, Effect.RAISE),
    (Phase.ALARM, Decision.TAMPERED): Step(Phase.ALARM, Effect.RAISE),
    (Phase.ALARM, Decision.FAILED): Step(Phase.ALARM, Effect.RECOUNT),
    (Phase.ALARM, Decision.TOO_FEW): Step(Phase.ALARM, Effect.NOTHING),
}
"""Every phase with every decision. COUNT leaves ALARM for FLOWING at `recovery_blocks`."""

RENEWS = frozenset({Decision.ACCEPTED, Decision.NOISY, Decision.TAMPERED})
"""Decisions that are a verdict on the link, and so renew its freshness. ANSWERED does so while
FLOWING: a vendor's boxes that answer, after keys of theirs were found equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockOutcome:
    """How a block or a probe ended, at one node.

    Attributes:
        protocol: What was run; None for a vendor's boxes, which do not say.
        accepted: True if its statistics passed, and everything after them.
        qber: Error rate of the compared bits, 0 to 1; None if the block ended before that.
        chsh: Estimate of S (E91); None if there is none.
        chsh_lower: Lower limit of S (E91); for display.
        reason: Why it was not accepted, in words without secrets.
        decided_at: Seconds since the epoch.
        probe: True for a block that was never to yield key.
        too_few: True if it was too small to decide anything.
        starved: True if decoy states showed that no single photons arrive: Eve keeps them.
        tampered: True if an authentication tag of the classical channel did not verify, or a
            vendor's boxes gave different keys.
    """

    protocol: Protocol | None
    accepted: bool
    qber: float | None
    decided_at: float
    chsh: float | None = None
    chsh_lower: float | None = None
    reason: str | None = None
    probe: bool = False
    too_few: bool = False
    starved: bool = False
    tampered: bool = False

    def __post_init__(self) -> None:
        if self.qber is not None and not 0.0 <= self.qber <= 1.0:
            raise ValueError(f"expected a QBER from 0 to 1, got {self.qber}")
        for name, value in (("S", self.chsh), ("lower limit of S", self.chsh_lower)):
            if value is not None and not math.isfinite(value):
                raise ValueError(f"expected a finite {name}, got {value}")
        if not math.isfinite(self.decided_at):
            raise ValueError(f"expected a finite time, got {self.decided_at}")
        if self.reason is not None and len(self.reason) > REASON_LIMIT:
            raise ValueError(f"expected a reason of at most {REASON_LIMIT} characters")
        if self.accepted and (self.too_few or self.starved or self.tampered):
            raise ValueError("an accepted block is neither too small, starved nor tampered with")
        if self.protocol is None:
            if self.qber is not None or self.chsh is not None:
                raise ValueError("nothing is measured of a vendor's link")
            return
        if self.accepted and self.qber is None:
            raise ValueError("an accepted block has a QBER")
        if self.accepted and self.protocol.judged_on_chsh and self.chsh is None:
            raise ValueError("an accepted E91 block has an estimate of S")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRules:
    """Thresholds of the status; the defaults are the product's.

    Attributes:
        yellow_qber: Mean QBER from which the status is YELLOW.
        red_qber: QBER of one block from which it is RED. At 11.0 % the share 1 − 2h(QBER) that
            BB84 keeps after one-way post-processing of long blocks reaches zero.
        chsh_floor: Estimate of S (E91) under which one block is RED.
        window: Accepted blocks in the mean.
        recovery_blocks: Accepted blocks in a row that end RED.
        stale_after_s: Least age of the last verdict at which the status is stale, in seconds.
    """

    yellow_qber: float = 0.05
    red_qber: float = 0.11
    chsh_floor: float = 2.2
    window: int = 5
    recovery_blocks: int = 3
    stale_after_s: float = 3.0

    def __post_init__(self) -> None:
        if not 0.0 < self.yellow_qber <= self.red_qber <= 0.5:
            raise StatusRulesInvalid(
                "expected 0 < yellow_qber <= red_qber <= 0.5, "
                f"got {self.yellow_qber} and {self.red_qber}"
            )
        if not 2.0 <= self.chsh_floor < 2.0 * math.sqrt(2.0):
            raise StatusRulesInvalid(f"expected 2 <= chsh_floor < 2√2, got {self.chsh_floor}")
        if not 1 <= self.window <= HISTORY:
            raise StatusRulesInvalid(f"expected a window of 1 to {HISTORY}, got {self.window}")
        if not 1 <= self.recovery_blocks <= HISTORY:
            raise StatusRulesInvalid(
                f"expected 1 to {HISTORY} recovery blocks, got {self.recovery_blocks}"
            )
        if not 0.0 < self.stale_after_s <= 3600.0:
            raise StatusRulesInvalid(
                f"expected stale_after_s above 0 and up to 3600, got {self.stale_after_s}"
            )

    def decision(self, outcome: BlockOutcome) -> Decision:
        """What `outcome` says about the link.

        The block's own numbers come before what the node made of them: a block above a threshold
        is NOISY even if it arrives as accepted.
        """
        if outcome.tampered:
            return Decision.TAMPERED
        if outcome.too_few:
            return Decision.TOO_FEW
        if self.above_threshold(outcome) is not None:
            return Decision.NOISY
        if outcome.protocol is None and outcome.probe and outcome.accepted:
            return Decision.ANSWERED
        return Decision.ACCEPTED if outcome.accepted else Decision.FAILED

    def above_threshold(self, outcome: BlockOutcome) -> str | None:
        """In words, the threshold that the block's own numbers cross, or None."""
        if (  # first, because E91 is judged on S
            outcome.protocol is not None
            and outcome.protocol.judged_on_chsh
            and outcome.chsh is not None
            and outcome.chsh < self.chsh_floor
        ):
            return f"S = {outcome.chsh:.2f} in one block, RED below {self.chsh_floor:.2f}"
        if outcome.starved:
            return "decoy states show no single photons"
        if outcome.qber is not None and outcome.qber >= self.red_qber:
            return f"QBER {outcome.qber:.1%} of one block, RED from {self.red_qber:.1%}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """The status at one moment.

    Attributes:
        status: GREEN, YELLOW or RED.
        reason: Why, in words.
        qber: Mean QBER of the last accepted blocks (at most `window`); None if there are none.
        last_qber: QBER of the latest block that had one, accepted or not.
        last_chsh: S of the latest block that had one.
        since: When this status began, seconds since the epoch.
        stale: True if nothing recent was decided about the link.
        history: Latest outcomes, newest last.
    """

    status: Status
    reason: str
    qber: float | None
    last_qber: float | None
    last_chsh: float | None
    since: float
    stale: bool
    history: tuple[BlockOutcome, ...]

    @property
    def keys_may_flow(self) -> bool:
        """True on a fresh GREEN or YELLOW, and only then."""
        return self.status is not Status.RED and not self.stale


class LinkStatus:
    """The status of one link; `decide` feeds it, `at` asks it.

    Args:
        rules: The thresholds.
        expected_interval_s: Seconds between blocks or probes when all is well.
        now: Seconds since the epoch; the view's `since` until a block is decided.
    """

    def __init__(
        self, rules: StatusRules | None = None, *, expected_interval_s: float = 1.0, now: float
    ) -> None:
        self.rules = rules or StatusRules()
        self._phase = Phase.WAITING
        self._level = Status.YELLOW
        self._reason = "no block decided yet"
        self._since = now
        self._accepted: deque[float] = deque(maxlen=self.rules.window)
        self._recovered = 0
        self._decided_at: float | None = None
        self._history: deque[BlockOutcome] = deque(maxlen=HISTORY)
        self.expect_every(expected_interval_s)

    def expect_every(self, interval_s: float) -> None:
        """Change how often a block or probe is expected; ValueError unless positive and finite."""
        if not (interval_s > 0.0 and math.isfinite(interval_s)):
            raise ValueError(f"expected a positive interval in seconds, got {interval_s}")
        self._limit_s = max(self.rules.stale_after_s, 3.0 * interval_s)

    def decide(self, outcome: BlockOutcome) -> None:
        """Take in how a block or probe ended."""
        decision = self.rules.decision(outcome)
        was_stale = self._stale(outcome.decided_at)
        before = self._level
        self._history.append(outcome)
        step = TRANSITIONS[self._phase, decision]
        self._phase = step.phase
        self._apply(step.effect, outcome)
        if decision in RENEWS or (decision is Decision.ANSWERED and self._phase is Phase.FLOWING):
            self._decided_at = outcome.decided_at
            if was_stale or self._level is not before:
                self._since = outcome.decided_at

    def at(self, now: float) -> StatusView:
        """The view at `now`, seconds since the epoch."""
        status, reason, since = self._level, self._reason, self._since
        stale = self._stale(now)
        if stale and self._decided_at is not None and self._phase is not Phase.ALARM:
            status = Status.YELLOW
            reason = f"no block decided within {self._limit_s:.1f} s{self._latest_failure()}"
            since = self._decided_at + self._limit_s
        return StatusView(
            status=status,
            reason=reason,
            qber=self._mean(),
            last_qber=next((o.qber for o in reversed(self._history) if o.qber is not None), None),
            last_chsh=next((o.chsh for o in reversed(self._history) if o.chsh is not None), None),
            since=since,
            stale=stale,
            history=tuple(self._history),
        )

    def _apply(self, effect: Effect, outcome: BlockOutcome) -> None:
        if effect in (Effect.RAISE, Effect.RECOUNT):
            self._accepted.clear()
            self._recovered = 0
        if effect is Effect.RAISE:
            self._level = Status.RED
            self._reason = (
                self.rules.above_threshold(outcome)
                or (outcome.reason if outcome.protocol is None else None)
                or "the classical channel was tampered with"
            )
        if effect in (Effect.AVERAGE, Effect.COUNT) and outcome.qber is not None:
            self._accepted.append(outcome.qber)
        if effect is Effect.COUNT:
            self._recovered += 1
            if self._recovered == self.rules.recovery_blocks:
                self._phase = Phase.FLOWING
        mean = self._mean()
        if self._phase is Phase.FLOWING and outcome.protocol is None:
            self._level, self._reason = Status.GREEN, "the vendor's boxes gave the same keys"
        elif self._phase is Phase.FLOWING and mean is not None:
            green = mean < self.rules.yellow_qber
            self._level = Status.GREEN if green else Status.YELLOW
            self._reason = f"mean QBER {mean:.1%} of the last {len(self._accepted)} accepted"

    def _latest_failure(self) -> str:
        """Why the latest block was not decided, if there was one that failed."""
        latest = self._history[-1] if self._history else None
        return "" if latest is None or not latest.reason else f"; the last one: {latest.reason}"

    def _mean(self) -> float | None:
        return sum(self._accepted) / len(self._accepted) if self._accepted else None

    def _stale(self, now: float) -> bool:
        # The distance in either direction: a clock set back must not keep an old verdict fresh.
        return self._decided_at is None or abs(now - self._decided_at) > self._limit_s


def diagram() -> str:
    """The table as a Mermaid state diagram, rows of one step joined."""
    lines = ["stateDiagram-v2", "    [*] --> waiting"]
    joined: dict[tuple[Phase, Step], list[str]] = {}
    for (phase, decision), step in TRANSITIONS.items():
        joined.setdefault((phase, step), []).append(decision.value)
    for (phase, step), decisions in joined.items():
        label = f"{', '.join(decisions)} / {step.effect.value}"
        lines.append(f"    {phase.value} --> {step.phase.value}: {label}")
        if step.effect is Effect.COUNT:
            lines.append(
                f"    {phase.value} --> {Phase.FLOWING.value}: {', '.join(decisions)} for the last "
                "time needed / joins the mean"
            )
    return "\n".join(lines) + "\n"
