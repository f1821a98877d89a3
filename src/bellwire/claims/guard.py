"""Claims about a guard: packets pass for a lease after good words, and at no other time."""

import os
import shutil
from typing import Final

from bellwire.bench.guard.errors import NetworkUnusable
from bellwire.claims.errors import CannotRun
from bellwire.claims.model import Attacker, Claim, Ground, refused, require
from bellwire.guard.decision import Decision, Rules
from bellwire.guard.errors import StatusRefused
from bellwire.guard.messages import LinkTold, Told

LATE_S: Final = 0.5
"""That a kernel on a busy machine may be late with the end of a lease."""

GOOD: Final = {"link": LinkTold("GREEN", keys_may_flow=True, stale=False, reason="", qber=0.02)}
RED: Final = {"link": LinkTold("RED", keys_may_flow=False, stale=False, reason="Eve", qber=0.25)}
STALE: Final = {"link": LinkTold("GREEN", keys_may_flow=True, stale=True, reason="", qber=0.02)}


class _Guarded:
    """A guard's decision, and until when packets pass."""

    def __init__(self) -> None:
        self.rules = Rules()
        self.decision = Decision(self.rules)
        self.now = 1_000.0
        self.until = 0.0

    def hear(self, links: dict[str, LinkTold] | None, *, late_s: float = 0.0) -> None:
        """A word of the node, said `late_s` ago."""
        verdict = self.decision.told(Told(self.now - late_s, links), wall=self.now, now=self.now)
        if verdict.lease_s > 0:
            self.until = self.now + verdict.lease_s
        elif not verdict.keep:
            self.until = 0.0

    @property
    def open(self) -> bool:
        """Whether packets pass now."""
        return self.now < self.until

    def become_open(self) -> int:
        """Good words until packets pass; how many it took."""
        words = 0
        while not self.open:
            self.now += 1.0
            self.hear(GOOD)
            words += 1
            require(words <= 100, "good words never make a lease")
        return words


def _lease(_ground: Ground) -> str:
    guard = _Guarded()
    require(not guard.open, "packets pass before any word")
    words = guard.become_open()
    require(words == guard.rules.good, f"{words} good words made a lease, not {guard.rules.good}")
    for bad in (RED, STALE):
        guard.become_open()
        guard.now += 0.1
        guard.hear(bad)
        require(not guard.open, "packets pass after a bad word")
    guard.become_open()
    begun = guard.now
    while guard.open:
        guard.now += 0.05
    silent_s = guard.now - begun
    require(silent_s <= guard.rules.lease_s + 0.1, f"{silent_s:.2f} s of silence, and open")
    guard.become_open()
    before = guard.until
    guard.now += 1.0
    with refused("a word said long ago", StatusRefused):
        guard.hear(GOOD, late_s=guard.rules.age_s + 10.0)
    with refused("a word that was said before", StatusRefused):
        guard.hear(GOOD, late_s=1.0)
    require(guard.until == before, "an old word made a lease longer")
    return f"opens after {words} good words, closes at a bad one or {silent_s:.1f} s of silence"


def _kernel(_ground: Ground) -> str:
    if os.geteuid() != 0 or shutil.which("nft") is None:
        raise CannotRun("needs root and nftables")
    from bellwire.bench import guard as bench  # noqa: PLC0415 - loads what only this claim needs

    try:
        figures = {each.name: each for each in bench.run(quick=True)}
    except NetworkUnusable as error:
        raise CannotRun(str(error)) from error
    cut, lease = figures["event_to_cut_p99_ms"], figures["lease_s"]
    words = (
        f"last packet {cut.value:.1f} ms after the node's word (99 %), {lease.value:.2f} s after"
        " the guard was killed"
    )
    allowed_s = Rules().lease_s + LATE_S
    require(cut.value / 1e3 <= allowed_s and lease.value <= allowed_s, words)
    return words


CLAIMS: Final = (
    Claim(
        name="guard.lease",
        attacker=Attacker.NODE,
        says="A guard lets nothing pass before enough good words, after a bad one, or in silence"
        " beyond the lease; words that are old or come again give no leave",
        run=_lease,
    ),
    Claim(
        name="guard.kernel",
        attacker=Attacker.NODE,
        says="Real packets through a router stop within the lease when Eve is on the link",
        run=_kernel,
        long=True,
    ),
)
