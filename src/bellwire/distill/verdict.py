"""Whether a block may become key, decided alike by both sides from what is public.

E91 is judged on S, never on its QBER alone: its key settings are not conjugate, and an Eve who
measures at 3π/8 causes only 7.3 % errors and knows the key.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from bellwire.distill.bounds import EpsilonBudget
from bellwire.distill.errors import ParameterError
from bellwire.distill.estimation import Correlations, ErrorRate

TSIRELSON = 2.0 * math.sqrt(2.0)
CLASSICAL = 2.0


class Reason(StrEnum):
    """Why a block was rejected."""

    TOO_FEW = "too few"
    QBER = "qber above limit"
    CHSH = "chsh below limit"
    SINGLE_PHOTONS = "no single photons"
    NO_NET_KEY = "no net key"
    RECONCILIATION = "reconciliation failed"
    VERIFICATION = "verification failed"
    AUTHENTICATION = "authentication failed"
    MALFORMED = "malformed message"
    OUT_OF_STEP = "message out of step"
    DISAGREED = "sides disagree"
    TIMEOUT = "peer did not answer in time"
    PEER = "peer ended the block"
    LINK = "link gave no detections"
    BOX = "box gave no key"
    DIFFER = "boxes gave different keys"
    UNPROVEN = "keys not compared yet"
    RESERVE = "authentication key used up"
    RANDOMNESS = "random device failed"
    LOST = "connection to the peer lost"
    STORE = "block could not be stored"
    RED = "link is RED"
    BUSY = "too many sessions"
    GRANT = "no such grant"


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits of acceptance.

    Attributes:
        red_qber: A block whose QBER reaches this is rejected.
        chsh_floor: A block whose estimate of S lies below this is rejected.
    """

    red_qber: float = 0.11
    chsh_floor: float = 2.2

    def __post_init__(self) -> None:
        if not 0.0 < self.red_qber <= 0.5:
            raise ParameterError(f"red_qber: expected above 0, at most 0.5, got {self.red_qber}")
        if not CLASSICAL <= self.chsh_floor < TSIRELSON:
            raise ParameterError(f"chsh_floor: expected 2 to below 2√2, got {self.chsh_floor}")


@dataclass(frozen=True, slots=True)
class Rejection:
    """A block that gives no key: why, and in words with the numbers."""

    reason: Reason
    message: str


def judge_e91(correlations: Correlations, rules: Rules, budget: EpsilonBudget) -> Rejection | None:
    """Judge a block of E91 on S; None accepts.

    A block is too small to decide if its uncertainty spans the whole quantum advantage (from 2 to
    2√2), or if its S is good but its lower limit does not exceed 2.
    """
    s = correlations.chsh
    lower = correlations.chsh_lower(budget.estimation)
    shown = f"S = {s:.3f} ± {correlations.chsh_stderr:.3f}, lower limit {lower:.3f}"
    if s - lower >= TSIRELSON - CLASSICAL:
        return Rejection(
            Reason.TOO_FEW,
            f"too few pairs to decide: {shown}, {correlations.chsh_pairs()} pairs in the scarcest "
            "correlation",
        )
    if s < rules.chsh_floor:
        return Rejection(Reason.CHSH, f"{shown}: below the limit {rules.chsh_floor:g}")
    if lower <= CLASSICAL:
        return Rejection(Reason.TOO_FEW, f"too few pairs to decide: {shown} does not exceed 2")
    return None


def judge_qber(sample: ErrorRate, rules: Rules, budget: EpsilonBudget) -> Rejection | None:
    """Judge a block by compared bits; None accepts.

    A sample is too small to decide if its own uncertainty (Hoeffding) exceeds the limit.
    """
    if sample.bits == 0 or (
        math.sqrt(math.log(1.0 / budget.estimation) / (2.0 * sample.bits)) > rules.red_qber
    ):
        return Rejection(
            Reason.TOO_FEW, f"too few bits to decide: {sample.bits} compared, {sample.errors} wrong"
        )
    if sample.value >= rules.red_qber:
        return Rejection(
            Reason.QBER,
            f"QBER {sample.value:.2%} ± {sample.stderr:.2%} of {sample.bits:,} compared bits, "
            f"limit {rules.red_qber:.0%}",
        )
    return None
