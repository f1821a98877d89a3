"""What a claim is, what it runs on, and what came of it.

A claim is a function that does what it speaks of with the product's own code, and returns its
figure in words. What does not hold raises.
"""

import math
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bellwire.base.errors import BellwireError
from bellwire.base.secret import Secret
from bellwire.claims.errors import ClaimFailed
from bellwire.crypto.kdf import hkdf

STDERRS = 5.0
"""Standard errors within which a measurement agrees with theory: of ten million honest ones, six
are further away."""


class Outcome(StrEnum):
    """How a claim ended."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_RUN = "not run"


class Attacker(StrEnum):
    """Against whom; the sections of the threat model, and what it rests on."""

    QUANTUM = "Who has the quantum channel"
    CLASSICAL = "Who has the classical channel"
    RELAY = "Who has a relay"
    NODE = "Who has a node's network, or its disk"
    LEDGER = "Who has the ledger"
    DEVICE = "Who has a device"
    LATER = "Who will have a quantum computer"
    FIGURES = "Figures of the performance page"
    TESTS = "Tests that the threat model names"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a claim is run on.

    Attributes:
        folder: Its own, empty, gone afterwards.
        seed: From which simulated light is drawn; None draws it from the operating system.
        full: Whether to take the time for more.
        seen: Secrets that it made, for which the report is searched.
    """

    folder: Path
    seed: int | None = None
    full: bool = False
    seen: list[bytes] = field(default_factory=list)

    def number(self, purpose: str) -> int:
        """A seed of 64 bits for one purpose."""
        if self.seed is None:
            return secrets.randbits(64)
        root = self.seed.to_bytes(8, "big")
        return int.from_bytes(hkdf(root, info=b"claim " + purpose.encode(), length=8), "big")

    def draw(self, count: int) -> bytes:
        """So many random bytes of the operating system, remembered as a secret."""
        return self.keep(secrets.token_bytes(count))

    def keep(self, secret: Secret | bytes) -> bytes:
        """Remember a secret that the product made; its bytes."""
        data = secret.reveal() if isinstance(secret, Secret) else secret
        self.seen.append(data)
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim.

    Attributes:
        name: `part.what`; `bellwire prove NAME` runs it alone.
        attacker: Against whom.
        says: What holds, as a sentence.
        run: Does it; returns the figure, raises `ClaimFailed` or `CannotRun`.
        long: Whether it takes minutes, and is left out unless asked for.
    """

    name: str
    attacker: Attacker
    says: str
    run: Callable[[Ground], str]
    long: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a claim.

    Attributes:
        name: Of the claim.
        attacker: Its section.
        says: The claim.
        outcome: Whether it holds.
        figure: What was measured, or why not, in words without secrets.
        command: That runs it again.
        wall_s: How long it took, in seconds.
    """

    name: str
    attacker: str
    says: str
    outcome: Outcome
    figure: str
    command: str
    wall_s: float


def require(holds: bool, figure: str) -> None:
    """Go on only if it holds.

    Raises:
        ClaimFailed: with the figure.
    """
    if not holds:
        raise ClaimFailed(figure)


def near(name: str, measured: float | None, stderr: float | None, theory: float | None) -> str:
    """A measurement beside its closed form, in words.

    Raises:
        ClaimFailed: they are more than `STDERRS` standard errors apart, or one is missing.
    """
    if measured is None or stderr is None or theory is None:
        raise ClaimFailed(f"{name}: expected a measurement beside theory, got none")
    words = f"{name} {measured:.4f} ± {stderr:.4f}, theory {theory:.4f}"
    apart = abs(measured - theory)
    require(math.isfinite(stderr) and apart <= STDERRS * max(stderr, 1e-9), words)
    return words


@contextmanager
def refused(what: str, *errors: type[BellwireError]) -> Iterator[None]:
    """Go on only if what is inside is refused, by one of these errors.

    Raises:
        ClaimFailed: it was accepted.
    """
    try:
        yield
    except errors:
        return
    raise ClaimFailed(f"{what}: expected a refusal, got it accepted")
