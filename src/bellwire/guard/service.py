"""The guard at work: hears the node, holds the lease, and looks after its rules.

It owns nothing but what the kernel has: the lease runs out there, whatever becomes of this process,
of the node, or of the way between them.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable
from dataclasses import replace

import structlog

from bellwire.base.clock import Clock
from bellwire.base.errors import BellwireError
from bellwire.guard.changes import Changes
from bellwire.guard.decision import Decision, Verdict
from bellwire.guard.enforcer import Enforcer
from bellwire.guard.errors import FirewallFailed, StatusRefused
from bellwire.guard.journal import BY_OVERRIDE, NO_RULES, What
from bellwire.guard.messages import Told
from bellwire.guard.override import Override
from bellwire.guard.state import Moves, Packets, State, Words

TICK_S = 0.25
PAUSES_S = (0.1, 0.2, 0.5, 1.0)

log = structlog.get_logger("guard")

LOCKED = "the relay is in lockdown"


class Guard:
    """One guard.

    Args:
        enforcer: The firewall.
        decision: Judges the node's words.
        listener: Where they come from.
        lease_s: How long an operator's leave to pass holds without this process, in seconds.
        override: What an operator decided, now.
        clock: Seconds since the epoch.
        told: Is given each change of the state.
        did: Is given what the guard has done, and why.
        moves: The relay that is followed; None for none.
    """

    def __init__(
        self,
        enforcer: Enforcer,
        decision: Decision,
        listener: Words,
        *,
        lease_s: float,
        override: Callable[[], Override | None],
        clock: Clock,
        told: Callable[[State], None] = lambda state: None,
        did: Callable[[What, str], None] = lambda what, why: None,
        moves: Moves | None = None,
    ) -> None:
        self._enforcer = enforcer
        self._decision = decision
        self._listener = listener
        self._lease_s = lease_s
        self._find_override = override
        self._clock = clock
        self._tell = told
        self._did = did
        self._moves = moves
        self._scope = None if moves is None else moves.scope()
        self._until = 0.0
        self.state = State("stop", "the node was not heard yet", clock())

    def begin(self) -> None:
        """Put the rules in place.

        Raises:
            RightsMissing, FirewallFailed: they are not.
        """
        if self._enforcer.begin():
            log.info("the rules of an earlier guard are still there, and were taken over")
        self._did("begin", self.state.reason)

    async def run(self) -> None:
        """Guard, for ever."""
        try:
            changes = Changes(self._look)
        except OSError as error:
            log.warning("others' changes are seen at ticks only", error=str(error))
            changes = None
        work = [self._tick(), self._listen()]
        if self._moves is not None:
            work.append(self._moves.run(self._follow))
        tasks = [asyncio.create_task(each) for each in work]
        try:
            # None ends by itself: if one does, the guard must not live on without it.
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if changes is not None:
                changes.close()

    def end(self, *, remove: bool) -> None:
        """Stop guarding: take the rules away, or leave them with nothing passing.

        Raises:
            FirewallFailed: they are as they were; the lease runs out.
        """
        if remove:
            self._enforcer.remove()
        else:
            self._enforcer.forbid()
        self._did("end", NO_RULES if remove else "the rules stay, and nothing passes")

    # What happens

    def hear(self, told: Told) -> None:
        """The node said something.

        Raises:
            StatusRefused: it is no word of now.
        """
        loop = asyncio.get_running_loop()
        try:
            verdict = self._decision.told(told, wall=self._clock(), now=loop.time())
        except StatusRefused as error:
            self._refuse(error)
            raise
        self.state = replace(self.state, heard_at=self._clock(), told_at=told.at, qber=verdict.qber)
        self._apply(verdict)

    def _refuse(self, error: StatusRefused) -> None:
        """What came is a replay, forged or no word: nothing passes until all is well anew."""
        self._decision.refused()
        self._apply(Verdict(0.0, str(error)))

    def _lost(self, error: BellwireError) -> None:
        log.warning("no leave to pass from the node", error=str(error))
        if not isinstance(error, StatusRefused):
            return  # silence: the lease runs out
        try:
            self._refuse(error)
        except BellwireError as failed:
            log.warning("the guard could not do what it should", error=str(failed))

    def _apply(self, verdict: Verdict) -> None:
        if self.state.override is not None or self._is_locked:
            return  # the ticks hold it
        now = asyncio.get_running_loop().time()
        if verdict.lease_s:
            self._permit(verdict.lease_s)
            self._become("pass", verdict.reason)
        elif not verdict.keep or now >= self._until:
            self._forbid()
            self._become("stop", verdict.reason)

    def _permit(self, seconds: float) -> None:
        self._until = asyncio.get_running_loop().time() + seconds
        self._firmly(lambda: self._enforcer.permit(seconds))

    def _forbid(self) -> None:
        self._until = 0.0
        self._firmly(self._enforcer.forbid)

    def _firmly(self, act: Callable[[], None]) -> None:
        """Act on the firewall; if it has not our rules any more, it gets them first."""
        try:
            act()
        except FirewallFailed:
            self._restore()
            act()

    def _become(self, packets: Packets, reason: str) -> None:
        before = self.state
        if (packets, reason) == (before.packets, before.reason):
            return
        since = before.since if packets == before.packets else self._clock()
        self.state = replace(before, packets=packets, reason=reason, since=since)
        if packets != before.packets:
            log.info("packets pass" if packets == "pass" else "packets are stopped", reason=reason)
            self._did(packets, reason)
        self._tell(self.state)

    # Where the relay is

    @property
    def _is_locked(self) -> bool:
        return self.state.followed is not None and self.state.followed.is_locked

    def _follow(self) -> None:
        """There may be news of the relay."""
        try:
            self._mind_places()
        except BellwireError as error:
            log.warning("the guard could not do what it should", error=str(error))

    def _mind_places(self) -> None:
        if self._moves is None:
            return
        scope, followed = self._moves.scope(), self._moves.followed()
        if scope != self._scope:
            self._scope = None  # until it is done, it is to be tried again
            left = 0.0 if followed.is_locked else self._until - asyncio.get_running_loop().time()
            self._firmly(lambda: self._enforcer.rescope(scope, max(0.0, left)))
            self._scope = scope
        before = self.state.followed
        if followed != before:
            self.state = replace(self.state, followed=followed)
            if before is None or before.level != followed.level or before.places != followed.places:
                where = ", ".join(followed.places) or "nowhere"
                why = f"level {followed.level}: {where} (notice {followed.sequence})"
                if followed.level is not None:
                    log.info("the relay is followed", to=why)
                    self._did("move", why)
            self._tell(self.state)
        if followed.is_locked:
            self._until = 0.0
            self._become("stop", LOCKED)
        elif self.state.reason == LOCKED:
            self._become(
                "stop", "the relay's lockdown is over: waiting for a good word of the node"
            )

    # What is looked after

    def _look(self) -> None:
        """Somebody changed the firewall."""
        try:
            if not self._enforcer.intact():
                if self._moves is not None:
                    self._moves.hasten()  # another guard of the same relay may have heard first
                self._restore()
        except BellwireError as error:
            log.warning("the rules could not be looked after", error=str(error))

    def _restore(self) -> None:
        self._enforcer.begin()
        self.state = replace(self.state, restored=self.state.restored + 1)
        log.warning("somebody changed the guard's rules, and they were put back")
        self._did("restore", "somebody changed the guard's rules")
        left = self._until - asyncio.get_running_loop().time()
        if left > 0:
            self._enforcer.permit(left)

    async def _tick(self) -> None:
        while True:
            try:
                self._mind_places()
                self._mind_override()
                self._mind_time()
                blocked = self._enforcer.blocked()
                if blocked != self.state.blocked:
                    self.state = replace(self.state, blocked=blocked)
                    self._tell(self.state)
            except FirewallFailed:
                self._look()
            except BellwireError as error:
                log.warning("the guard could not do what it should", error=str(error))
            await asyncio.sleep(TICK_S)

    def _mind_override(self) -> None:
        override = self._found_override()
        if override != self.state.override:
            self.state = replace(self.state, override=override)
            if override is None:
                log.info("the operator's override is over, and the link decides again")
        if override is None or self._is_locked:
            return  # what it let pass runs out with it, and the next good word renews
        if override.packets == "pass":
            self._permit(min(self._lease_s, max(0.001, override.until - self._clock())))
        else:
            self._forbid()
        self._become(override.packets, f"{BY_OVERRIDE}: {override.reason}")

    def _found_override(self) -> Override | None:
        try:
            return self._find_override()
        except BellwireError as error:
            # What somebody wanted is not known: nothing passes until it is.
            return Override("stop", 0.0, math.inf, str(error))

    def _mind_time(self) -> None:
        now = asyncio.get_running_loop().time()
        if self.state.packets == "pass" and now >= self._until:
            self._become("stop", "the lease ran out: no good word of the node in time")

    async def _listen(self) -> None:
        pauses = iter(PAUSES_S)
        while True:
            try:
                self._decision.connected()
                async with contextlib.aclosing(self._listener.words()) as words:
                    async for told in words:
                        self.hear(told)
                        pauses = iter(PAUSES_S)
            except BellwireError as error:
                self._lost(error)
            await asyncio.sleep(next(pauses, PAUSES_S[-1]))
