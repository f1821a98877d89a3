"""What a site's console sees of its node, its lab, its guards and its sessions; kept for an hour.

It asks its own node alone, twice a second, and tells the feed what is new. All of it is public, or
of this site's people: no key is ever here. In memory: a console that is started again knows what
its node still tells, and nothing older.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Literal, Protocol

import msgspec

from bellwire.base.errors import BellwireError
from bellwire.console.errors import KeysAbsent
from bellwire.console.feed import Feed
from bellwire.console.guards import GuardReport, Guards, ShownGuard
from bellwire.console.sessions import Told
from bellwire.console.status import Status
from bellwire.console.views import (
    BlockView,
    EventView,
    EveView,
    LabView,
    Level,
    LinkView,
    NetworkView,
    SessionView,
    Site,
    StockView,
    Thresholds,
)

EVERY_S: Final = 0.5
SAMPLE_S: Final = 1.0
OVER_S: Final = 60.0
"""Rates are means over so long."""

BLOCKS: Final = 5000
SAMPLES: Final = 3600
EVENTS: Final = 2000
SESSIONS: Final = 500
_UNKNOWN: Final = LinkView(
    "RED", "the node was not asked yet", None, None, None, None, True, False, False
)


@dataclass(frozen=True, slots=True)
class Balance:
    """Key that a node has: bits that it may hand out, and blocks that its tags' key is good for."""

    stock_bits: int
    reserve_sets: int


class Node(Protocol):
    """The site's own node."""

    async def reports(self, after: int) -> Sequence[tuple[int, float, dict[str, Any]]]:
        """(running number, seconds since the epoch, report) of blocks and probes above a number.

        Raises:
            BellwireError: it does not say.
        """

    async def balance(self) -> Balance:
        """Key that it has; errors as above."""


class Hand(Protocol):
    """The lab's hand on the link.

    Each raises UnreachableError where no link of the lab answers.
    """

    async def let_in(self, eve: EveView) -> EveView | None:
        """Let Eve in; who is on the link now.

        Raises:
            UsageError: there is no such Eve.
        """

    async def send_away(self) -> EveView | None:
        """Send Eve away; who is on the link now."""

    async def look(self) -> EveView | None:
        """Who is on the link."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Attacks that there are."""


class Watch:
    """Sees, keeps and tells; in one event loop.

    Args:
        site: Of the console.
        status: The link now.
        node: Of the site.
        hand: None outside the lab.
        guards: Of the site.
        known: Whether a guard of that name has an account.
        thresholds: Of the status.
        feed: What is told.
    """

    def __init__(
        self,
        site: Site,
        *,
        status: Callable[[], Awaitable[Status]],
        node: Node,
        hand: Hand | None,
        guards: Guards,
        known: Callable[[str], bool],
        thresholds: Thresholds,
        feed: Feed,
    ) -> None:
        self.feed = feed
        self.site: Site = site
        self._status = status
        self._node = node
        self._hand = hand
        self._guards = guards
        self._known = known
        self._thresholds = thresholds
        self._numbers = count(1)
        self._link = _UNKNOWN
        self._lab = None if hand is None else LabView(None, hand.kinds, reachable=False)
        self._sampled = 0.0
        self._seen: tuple[int, float] = (0, 0.0)
        self.blocks: deque[BlockView] = deque(maxlen=BLOCKS)
        self.samples: deque[StockView] = deque(maxlen=SAMPLES)
        self.events: deque[tuple[EventView, frozenset[str]]] = deque(maxlen=EVENTS)
        self._sessions: OrderedDict[str, SessionView] = OrderedDict()
        self._silent: dict[str, bool] = {}

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Look once, and tell what is new."""
        await asyncio.gather(self._look_at_link(), self._look_at_node(), self._look_at_lab())
        self._look_at_guards()

    def network(self, *, watcher: bool) -> NetworkView:
        """Everything now.

        Args:
            watcher: Whether guards are shown.
        """
        return NetworkView(
            at=time.time(),
            site=self.site,
            link=self._link,
            stock=self.samples[-1] if self.samples else None,
            thresholds=self._thresholds,
            lab=self._lab,
            guards=self.guards() if watcher else None,
        )

    def guards(self) -> list[ShownGuard]:
        """Each guard, and how it is."""
        return self._guards.shown(self._known)

    def sessions(self, name: str | None, most: int) -> list[SessionView]:
        """Sessions, latest first: all, or those of a member of this site."""
        who = f"{name}@{self.site}"
        found = [
            each
            for each in reversed(self._sessions.values())
            if name is None or who in each.members
        ]
        return found[:most]

    def session(self, session: str) -> SessionView:
        """The session of an id that `tell_session` told.

        Raises:
            KeysAbsent: it was forgotten already.
        """
        try:
            return self._sessions[session]
        except KeyError:
            raise KeysAbsent("too many sessions at once") from None

    # What happens

    def happened(
        self,
        kind: Literal["status", "attack", "reset", "guard", "session", "node"],
        text: str,
        *,
        level: Level | None = None,
        actor: str | None = None,
        watchers: bool = False,
        names: frozenset[str] = frozenset(),
    ) -> None:
        """Put something on the timeline, and tell it."""
        view = EventView(next(self._numbers), time.time(), kind, level, text, actor, watchers)
        self.events.append((view, names))
        self.feed.publish("event", view, watchers=watchers, names=names)

    def tell_guard(self, name: str, report: GuardReport, *, changed: bool) -> None:
        """A guard said how it is; whether that is another word than before."""
        self.feed.publish("guards", list[object](self.guards()), watchers=True)
        if changed:
            stops = report.packets == "stop"
            what = "stops packets" if stops else "lets packets pass"
            self.happened("guard", f"guard {name} {what}: {report.reason}", watchers=True)

    def tell_session(self, told: Told) -> None:
        """A session was opened or joined."""
        now = time.time()
        before = self._sessions.pop(told.session, None)
        decided = told.joined is not None
        view = SessionView(
            session_id=told.session,
            opened_by=(str(told.caller) if told.joined is False else None)
            if before is None
            else before.opened_by,
            members=(str(told.caller), str(told.other)) if before is None else before.members,
            opened_at=now if before is None else before.opened_at,
            joined_at=now if told.joined else None,
            decided_here=decided,
            source=told.source,
            qber=told.link.qber,
            link_status=told.link.status,
        )
        self._sessions[told.session] = view
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        ours = frozenset(each.name for each in (told.caller, told.other) if each.site == self.site)
        self.feed.publish("session", view, watchers=True, names=ours)
        done = "opens a session with" if told.joined is False else "has a session with"
        self.happened(
            "session",
            f"{told.caller} {done} {told.other}",
            actor=str(told.caller),
            watchers=True,
            names=ours,
        )

    def tell_eve(self, eve: EveView | None, actor: str | None) -> LabView:
        """Eve was let in, or sent away, by an operator or by somebody else."""
        assert self._hand is not None  # who acts has a hand
        before, self._lab = self._lab, LabView(eve, self._hand.kinds, reachable=True)
        if self._lab != before:
            self.feed.publish("lab", self._lab)
        if before is None or before.eve != eve:
            if eve is None:
                self.happened("reset", "Eve is sent away", actor=actor)
            else:
                self.happened(
                    "attack", f"Eve: {eve.kind}, {eve.share:.0%} of the pulses", actor=actor
                )
        return self._lab

    # Looking

    async def _look_at_link(self) -> None:
        try:
            now = await self._status()
        except BellwireError as error:
            view = LinkView("RED", str(error), None, None, None, None, True, False, False)
        else:
            view = LinkView(
                _level(now.status),
                now.reason,
                now.mean_qber,
                now.last_qber,
                now.last_chsh,
                now.since,
                now.stale,
                now.keys_may_flow,
                True,
            )
        before, self._link = self._link, view
        if before == view:
            return
        self.feed.publish("link", view)
        if before is _UNKNOWN:
            return
        if before.reachable is not view.reachable:
            self.happened("node", "the node answers" if view.reachable else view.reason)
        if before.status != view.status:
            self.happened("status", view.reason, level=view.status)

    async def _look_at_node(self) -> None:
        now = time.time()
        try:
            await self._take_reports()
            if now - self._sampled >= SAMPLE_S or now < self._sampled:
                self._sampled = now
                self._sample(now, await self._node.balance())
        except BellwireError:
            return  # the link's status says it

    async def _take_reports(self) -> None:
        """Those that are new: of a node that began anew, those after the last that was seen."""
        number, at = self._seen
        found = list(await self._node.reports(max(0, number - 1)))
        if number and (not found or found[0][:2] != (number, at)):
            found = [each for each in await self._node.reports(0) if each[1] > at]
        elif number:
            del found[0]
        for running, decided, report in found:
            self._seen = running, decided
            view = _block(next(self._numbers), decided, report)
            self.blocks.append(view)
            self.feed.publish("block", view)

    def _sample(self, now: float, balance: Balance) -> None:
        since = now - OVER_S
        made = sum(each.secret_bits for each in self.blocks if each.at >= since)
        oldest = next((each for each in self.samples if each.at >= since), None)
        change = 0.0
        if oldest is not None and now > oldest.at:
            change = (balance.stock_bits - oldest.stock_bits) / (now - oldest.at)
        ends = now - balance.stock_bits / change if change < 0 else None
        view = StockView(now, balance.stock_bits, balance.reserve_sets, made / OVER_S, change, ends)
        self.samples.append(view)
        self.feed.publish("stock", view)

    async def _look_at_lab(self) -> None:
        if self._hand is None or self._lab is None:
            return
        try:
            eve = await self._hand.look()
        except BellwireError:
            if self._lab.reachable:
                self._lab = LabView(self._lab.eve, self._hand.kinds, reachable=False)
                self.feed.publish("lab", self._lab)
            return
        self.tell_eve(eve, None)

    def _look_at_guards(self) -> None:
        """Who has fallen silent, or speaks again."""
        silent = {each.name: each.silent for each in self.guards()}
        for name, is_silent in silent.items():
            if is_silent is not self._silent.get(name, False):
                what = "says nothing any more" if is_silent else "speaks again"
                self.happened("guard", f"guard {name} {what}", watchers=True)
        if silent != self._silent:
            self.feed.publish("guards", list[object](self.guards()), watchers=True)
        self._silent = silent


def _level(status: str) -> Level:
    return "GREEN" if status == "GREEN" else "YELLOW" if status == "YELLOW" else "RED"


def _block(seq: int, at: float, report: dict[str, Any]) -> BlockView:
    """A node's report as browsers see it; what it has beside is not theirs."""
    try:
        return msgspec.convert({**report, "seq": seq, "at": at}, BlockView)
    except msgspec.ValidationError as error:
        raise KeysAbsent("the node's report is not that of a block") from error
