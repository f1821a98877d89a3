"""Two messengers over a bad wire, a relay and people that are killed, Eve who comes and goes."""

import asyncio
import contextlib
import random
import sqlite3
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chat.messenger.pairs import User, reachable, until, user
from tests.chat.messenger.servers import Link, Server
from tests.chat.relay.running import Process
from tests.chat.relay.wire import Wire

from bellwire.chat.errors import StoreUnusable
from bellwire.chat.messenger.views import AlertKind, LineState, Mode
from bellwire.chat.store.person import Person

NAMES = ("alice", "bob")
AHEAD = 40
"""Messages that may be under way."""

DEAD = "the process has died"
SETTLED_WITHIN_S = 300.0
"""After which what has not come is lost: everything is tried again within seconds."""

FAULTY = 0.005
"""Share of delivered payloads that the wire loses, repeats, or has others overtake."""


class EngineProof:
    """One run; `faults` says what went wrong in it."""

    def __init__(self, folder: Path, drawn: random.Random) -> None:
        self._folder = folder
        self._drawn = drawn
        self.link = Link(1 << 26, seed=drawn.randrange(1 << 30))
        self.happened: Counter[str] = Counter()
        self._texts: dict[str, list[str]] = {name: [] for name in NAMES}
        self._users: dict[str, User] = {}
        self._open: dict[str, contextlib.AsyncExitStack] = {}
        self._found: list[str] = []
        self._relay: Process
        self._wire = Wire(lambda: self._relay.port, drawn, FAULTY)

    @property
    def said(self) -> int:
        return sum(map(len, self._texts.values()))

    async def run(self, messages: int, faults: int) -> None:
        """Say so many, with so many faults of each kind among them."""
        kinds = {
            "kill": self._kill,
            "crash": self._crash,
            "restart": self._restart,
            "cut": self._wire.cut,
            "eve": self._eve,
            "mode": self._mode,
        }
        plan: dict[int, list[str]] = {}
        for kind in kinds:
            for place in self._drawn.sample(range(1, messages), faults):
                plan.setdefault(place, []).append(kind)
        asyncio.get_running_loop().set_exception_handler(self._unheard)
        self._relay = await asyncio.to_thread(Process, self._folder / "relay")
        try:
            await self._open_wire()
            await self._meet()
            for place in range(messages):
                await self._say(self._drawn.choice(NAMES))
                for kind in plan.get(place, []):
                    self.happened[kind] += 1
                    await kinds[kind]()
                if place % AHEAD == AHEAD - 1:
                    self.link.eve = False
                    await self._all_came()
            self.link.eve = False
            await self._all_came()
            await self._check()
        finally:
            for stack in reversed(self._open.values()):
                await stack.aclose()
            self.happened += self._wire.happened
            await asyncio.to_thread(self._relay.stop)

    def faults(self) -> list[str]:
        return self._found

    def _unheard(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a task ended with that nobody waits for: right only where its person has died."""
        error = context.get("exception")
        told = context["message"] if error is None else "".join(traceback.format_exception(error))
        if DEAD not in told:
            self._found.append(told)

    async def _open_wire(self) -> None:
        self._open["wire"] = contextlib.AsyncExitStack()
        await self._open["wire"].enter_async_context(self._wire)

    async def _meet(self) -> None:
        for name in NAMES:
            await self._enter(name)
        alice, bob = (self._users[name] for name in NAMES)
        await bob.messenger.add(await alice.messenger.invite())
        for one in (alice, bob):
            await until(lambda one=one: reachable(one))  # type: ignore[misc]

    async def _enter(self, name: str) -> None:
        server = Server(self.link, f"app-{name}")
        entered: asyncio.Future[User] = asyncio.get_running_loop().create_future()
        leave = asyncio.Event()

        async def live() -> None:
            async with user(self._folder / name, name.title(), self._wire.url, server) as one:
                entered.set_result(one)
                await leave.wait()

        # A messenger whose store dies interrupts who has it open: not the proof, so.
        living = asyncio.create_task(live())
        both: set[asyncio.Future[Any]] = {living, entered}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if living.done():
            await living

        async def end() -> None:
            leave.set()
            await living

        self._users[name] = entered.result()
        self._open[name] = contextlib.AsyncExitStack()
        self._open[name].push_async_callback(end)

    async def _say(self, name: str) -> None:
        one = self._users[name]
        text = f"{name} {len(self._texts[name])}"
        await one.messenger.send(await one.peer(), text)
        self._texts[name].append(text)

    async def _kill(self) -> None:
        self._relay.kill()
        port = self._relay.port
        self._relay = await asyncio.to_thread(Process, self._folder / "relay", port)

    async def _crash(self) -> None:
        """A person's process dies: what it has under way never reaches the disk."""
        name = self._drawn.choice(NAMES)
        await asyncio.to_thread(die, self._users[name].person)
        with contextlib.suppress(StoreUnusable):  # as its messenger says, if it noticed
            await self._open.pop(name).aclose()
        await self._enter(name)

    async def _restart(self) -> None:
        name = self._drawn.choice(NAMES)
        await self._open.pop(name).aclose()
        await self._enter(name)

    async def _eve(self) -> None:
        self.link.eve = not self.link.eve

    async def _mode(self) -> None:
        one = self._users[self._drawn.choice(NAMES)]
        await one.messenger.set_mode(await one.peer(), self._drawn.choice(list(Mode)))

    async def _all_came(self) -> None:
        for name in NAMES:
            one = self._users[name]
            peer = await one.peer()

            async def settled(one: User = one, peer: bytes = peer) -> bool:
                lines = await one.messenger.history(peer, limit=2 * AHEAD)
                reached = {LineState.DELIVERED, LineState.READ}
                for each in lines:
                    if each.ours and each.state is LineState.NOT_SENT:
                        await one.messenger.resend(peer, each.message_id)
                return all(each.state in reached for each in lines if each.ours)

            async with asyncio.timeout(SETTLED_WITHIN_S):  # else one of them was lost
                await until(settled)

    async def _check(self) -> None:
        for name, other in (("alice", "bob"), ("bob", "alice")):
            one = self._users[name]
            lines = await one.messenger.history(await one.peer(), limit=1 << 30)
            theirs = [each for each in lines if not each.ours]
            texts = [each.text for each in theirs]
            self.happened["under pad"] += sum(each.protection.is_one_time for each in theirs)
            if sorted(texts) != sorted(self._texts[other]):
                self._found.append(f"{name} has {len(texts)}, not what {other} said")
            again = self.happened["pads that were lost"] = self.link.lost
            swapped = self._wire.happened["swapped"]
            if not (again or swapped) and texts != self._texts[other]:
                self._found.append(f"{name} has what {other} said in another order")
            if any(each.kind is AlertKind.UNSHOWN for each in one.alerts()) and not again:
                self._found.append(f"{name} was told of something that is not authentic")
            if any(each.state is LineState.DELETED for each in lines):
                self._found.append(f"{name} lost words")


class _Dead:
    """A database's connection after its process has died."""

    def execute(self, *_: object) -> None:
        raise sqlite3.OperationalError(DEAD)

    def close(self) -> None:
        """There is nothing to close."""


def die(person: Person) -> None:
    """As `kill -9` leaves a person's store: transactions that are under way come to nothing."""
    database = person._database
    real, database._connection = database._connection, _Dead()  # type: ignore[assignment]
    with database._one_at_a_time:  # whoever is inside fails at the latest when it commits
        real.close()
