"""Two people, a relay that is killed, couriers that are cut off: what each then has."""

import asyncio
import contextlib
import random
from collections import Counter
from pathlib import Path

from tests.chat.relay.running import Process, account, mailbox, right
from tests.chat.store.people import NOW, Two

from bellwire.base.clock import Clock
from bellwire.chat.content import ContentKind
from bellwire.chat.courier import Book, Courier, LineState, Route, Told, Unshown
from bellwire.chat.errors import Replayed
from bellwire.chat.store.receiving import Received

NAMES = ("alice", "bob")


class Proof:
    """One run; `faults` says what went wrong in it."""

    def __init__(
        self, folder: Path, drawn: random.Random, pad: int, *more: str, now: Clock = lambda: NOW
    ) -> None:
        self._folder = folder
        self._more = more
        self._now = now
        self.troubles: set[str] = set()
        self._drawn = drawn
        self._two = Two(folder / "people", pad=pad)
        self.happened: Counter[str] = Counter()
        self._texts: dict[str, list[str]] = {name: [] for name in NAMES}
        self._shown: dict[str, list[str]] = {name: [] for name in NAMES}
        self._two.say("alice", "begin")
        self._two.settle()
        self._texts["alice"].append("begin")
        self._shown["bob"].append("begin")
        self._relay = Process(folder / "relay", 0, *more)
        self._couriers: dict[str, tuple[Courier, asyncio.Task[None]]] = {}

    @property
    def _url(self) -> str:
        return self._relay.url

    @property
    def said(self) -> int:
        return sum(map(len, self._texts.values()))

    async def run(self, messages: int, faults: int) -> None:
        """Say so many, with a relay killed and a courier cut off so often among them."""
        places = range(1, messages)
        kills, cuts = (set(self._drawn.sample(places, faults)) for _ in range(2))
        try:
            for name in reversed(NAMES):
                self._hire(name)
            while self.said < messages:
                self._say(self._drawn.choice(NAMES))
                await asyncio.sleep(0)
                if self.said in kills:
                    await self._kill()
                if self.said in cuts:
                    await self._cut(self._drawn.choice(NAMES))
                while self.said - sum(map(len, self._shown.values())) > 50:
                    await asyncio.sleep(0.001)
            while sum(map(len, self._shown.values())) < messages:
                await asyncio.sleep(0.005)
        finally:
            for name in NAMES:
                await self._dismiss(name)
            self._relay.stop()

    def faults(self) -> list[str]:
        """What is not as it must be; the stores are read as they are on the disk."""
        found = []
        for name, other in (("alice", "bob"), ("bob", "alice")):
            self._two.restart(name)
            for what, kept in (("shown", self._shown[name]), ("kept", self._two.texts(name))):
                if kept != self._texts[other]:
                    found.append(f"{what} by {name}: {len(kept)}, not what {other} said")
        self._two.close()
        return found

    def _say(self, name: str) -> None:
        text = f"{name} {len(self._texts[name])}"
        self._two.say(name, text)
        self._texts[name].append(text)
        self._couriers[name][0].wake()

    def _hire(self, name: str) -> None:
        ours, theirs = (1, 2) if name == "alice" else (2, 1)
        other = self._two.ids[self._two.other(name)]
        routes = {other: Route(mailbox(ours), right(ours), right(theirs))}

        def tell(told: Told) -> None:
            if isinstance(told, Unshown):
                assert isinstance(told.reason, Replayed), told.reason
                self.happened["payloads that came again, and were not shown"] += 1
            elif isinstance(told, LineState) and told.trouble:
                self.troubles.add(told.trouble)
            elif (
                isinstance(told, Received)
                and told.content is not None
                and told.content.kind is ContentKind.TEXT
            ):
                self.happened["under pad"] += told.protection.is_one_time
                if told.is_new:
                    self._shown[name].append(told.content.text.decode())

        courier = Courier(
            self._two.people[name],
            account(20 + ours),
            self._url,
            lambda: Book(routes),
            tell,
            now=self._now,
        )
        self._couriers[name] = courier, asyncio.create_task(courier.run())

    async def _dismiss(self, name: str) -> None:
        _, task = self._couriers[name]
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _cut(self, name: str) -> None:
        self.happened["couriers cut off"] += 1
        await self._dismiss(name)
        self._two.restart(name)
        self._hire(name)

    async def _kill(self) -> None:
        self.happened["relays killed"] += 1
        self._relay.kill()
        port = self._relay.port
        self._relay = await asyncio.to_thread(Process, self._folder / "relay", port, *self._more)
