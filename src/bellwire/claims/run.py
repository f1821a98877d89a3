"""Running claims one after the other, each in a folder of its own, and what is known of the run."""

import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.backends.openssl import backend

from bellwire.bench.machine import cpu, versions
from bellwire.claims.errors import CannotRun, ClaimFailed
from bellwire.claims.model import Claim, Ground, Outcome, Result
from bellwire.claims.redaction import redacted

LONGEST_FIGURE: Final = 4_000

Say = Callable[[Result], None]
"""Called with each result as it comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a report says.

    Attributes:
        results: In the order in which the claims ran.
        full: Whether with more time.
        seed: Of simulated light; None if the operating system drew it.
        at: When it began, UTC.
        cpu: The processor's own name.
        system: Kind and release of the operating system.
        versions: Of Python, of the library that the cipher is, and of packages.
        wall_s: How long all took.
    """

    results: tuple[Result, ...]
    full: bool
    seed: int | None
    at: str
    cpu: str
    system: str
    versions: dict[str, str]
    wall_s: float

    @property
    def succeeded(self) -> bool:
        """Whether something was run, and nothing that was run failed."""
        outcomes = [each.outcome for each in self.results]
        return Outcome.HOLDS in outcomes and Outcome.FAILS not in outcomes

    def count(self, outcome: Outcome) -> int:
        """How many ended so."""
        return sum(each.outcome is outcome for each in self.results)

    def by_attacker(self) -> dict[str, list[Result]]:
        """The results, those against one attacker together."""
        found: dict[str, list[Result]] = {}
        for each in self.results:
            found.setdefault(each.attacker, []).append(each)
        return found

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        summary = {each.value: self.count(each) for each in Outcome}
        return {"succeeded": self.succeeded, "outcomes": summary, **asdict(self)}


def run(
    claims: Sequence[Claim],
    *,
    seed: int | None = None,
    full: bool = False,
    say: Say = lambda _: None,
    further: Callable[[], Sequence[Result]] = tuple,
) -> tuple[Evidence, list[bytes]]:
    """Run claims.

    Args:
        claims: Which.
        seed: Of simulated light.
        full: Whether to take time for more.
        say: Hears each result.
        further: Gives results that come otherwise, at the end.

    Returns:
        The evidence, and the secrets that were made, for `redaction.check`.
    """
    began, at = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    seen: list[bytes] = []
    results = []
    for claim in claims:
        result = _one(claim, seed=seed, full=full, seen=seen)
        say(result)
        results.append(result)
    for result in further():
        say(result)
        results.append(result)
    evidence = Evidence(
        results=tuple(results),
        full=full,
        seed=seed,
        at=at,
        cpu=cpu(),
        system=f"{platform.system()} {platform.release()}",
        versions={**versions(), "openssl": backend.openssl_version_text()},
        wall_s=time.monotonic() - began,
    )
    return evidence, seen


def _one(claim: Claim, *, seed: int | None, full: bool, seen: list[bytes]) -> Result:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bw") as name:
        folder = Path(name)
        ground = Ground(folder=folder, seed=seed, full=full, seen=seen)
        try:
            outcome, figure = Outcome.HOLDS, claim.run(ground)
        except CannotRun as error:
            outcome, figure = Outcome.NOT_RUN, str(error)
        except ClaimFailed as error:
            outcome, figure = Outcome.FAILS, str(error)
        except Exception as error:  # whatever it is, the claim was not shown to hold
            outcome, figure = Outcome.FAILS, f"ended by {type(error).__name__}: {error}"
    words = [f"bellwire prove {claim.name}"]
    words += [f"--seed {seed}"] if seed is not None else []
    words += ["--full"] if full else []
    return Result(
        name=claim.name,
        attacker=claim.attacker.value,
        says=claim.says,
        outcome=outcome,
        figure=redacted(figure, folder=folder)[:LONGEST_FIGURE],
        command=" ".join(words),
        wall_s=time.monotonic() - began,
    )
