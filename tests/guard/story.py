"""The whole story in network namespaces: a chat flows, Eve comes, the port is cut, she goes.

Everything is real and a process of its own but for the two people, whose couriers run in a thread
in the client's namespace: link, nodes, guard on the router, relay behind it.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chat.relay.running import account, mailbox, right
from tests.chat.store.people import NOW, Two
from tests.guard.spaces import ADDRESS, CLIENT, PORT, RELAY, V4, until

from bellwire.bench.guard.site import Child, Site, site
from bellwire.bench.guard.spaces import Spaces, enter, networks
from bellwire.chat.content import ContentKind
from bellwire.chat.courier import Book, Courier, Route
from bellwire.chat.courier import Told as Came
from bellwire.chat.store.person import Received
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.status import StatusView

NAMES = ("alice", "bob")
URL = f"ws://{ADDRESS[V4][RELAY]}:{PORT}"
EVERY_S = 0.02


class Chat:
    """Two people who say something every moment, over the router; runs in a thread of its own."""

    def __init__(self, folder: Path, space: Path) -> None:
        self._folder = folder
        self._space = space
        self._stop = threading.Event()
        self._quiet = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.said: dict[str, list[str]] = {name: [] for name in NAMES}
        self.shown: dict[str, list[str]] = {name: [] for name in NAMES}
        self.last_shown_at = 0.0
        self.wrong: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Say no more, wait until all has come, and stop; again is harmless."""
        if self._quiet.is_set() or self._thread.ident is None:
            return
        self._quiet.set()
        try:
            until(lambda: self.wrong or self.is_complete, "what was said did not all come")
        finally:
            self._stop.set()
            self._thread.join()
        if self.wrong is not None:
            raise self.wrong

    @property
    def arrived(self) -> int:
        return sum(map(len, self.shown.values()))

    @property
    def is_complete(self) -> bool:
        return self.arrived == sum(map(len, self.said.values()))

    @property
    def lost(self) -> int:
        return sum(len(set(self.said[a]) - set(self.shown[b])) for a, b in (NAMES, NAMES[::-1]))

    @property
    def doubled(self) -> int:
        return sum(len(each) - len(set(each)) for each in self.shown.values())

    @property
    def in_order(self) -> bool:
        return all(self.shown[b] == self.said[a] for a, b in (NAMES, NAMES[::-1]))

    def _run(self) -> None:
        try:
            enter(self._space)
            two = Two(self._folder, pad=1_000_000)  # of this thread, as its stores are
            with contextlib.closing(two):
                two.say("alice", "begin")
                two.settle()
                asyncio.run(self._talk(two))
        except BaseException as error:  # it is raised where the story is told
            self.wrong = error

    async def _talk(self, two: Two) -> None:
        couriers = {name: self._courier(two, name) for name in NAMES}
        tasks = [asyncio.create_task(each.run()) for each in couriers.values()]
        try:
            while not self._stop.is_set() and not any(task.done() for task in tasks):
                for name in () if self._quiet.is_set() else NAMES:
                    text = f"{name} {len(self.said[name])}"
                    self.said[name].append(text)
                    two.say(name, text)
                    couriers[name].wake()
                await asyncio.sleep(EVERY_S)
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    def _courier(self, two: Two, name: str) -> Courier:
        ours, theirs = (1, 2) if name == "alice" else (2, 1)
        other = two.ids[two.other(name)]
        routes = {other: Route(mailbox(ours), right(ours), right(theirs))}

        def tell(told: Came) -> None:
            if not isinstance(told, Received) or told.content is None:
                return
            if told.content.kind is ContentKind.TEXT and told.is_new:
                self.last_shown_at = time.time()
                self.shown[name].append(told.content.text.decode())

        return Courier(
            two.people[name],
            account(20 + ours),
            URL,
            lambda: Book(routes),
            tell,
            now=lambda: NOW,
        )


@dataclass(frozen=True)
class Told:
    """What happened, in numbers.

    Attributes:
        green_qber: Before Eve.
        red_qber: Of the block that she was caught by.
        attack_to_event_s: From her start to the node's word.
        event_to_rules_ms: From that word to the rules in the kernel.
        event_to_last_ms: From that word to the last message that was shown; 0 if that was before.
        passed_while_red: Messages that were shown later than that, until the link was well again.
        held_back: Messages that were said meanwhile.
        resumed_s: From when packets may pass again to the first message.
        said: Messages in all.
        lost: Of them.
        doubled: Of them.
        in_order: Whether they came as they were said.
        node_killed_s: From `kill -9` of the node to the end of the lease.
    """

    green_qber: float
    red_qber: float
    attack_to_event_s: float
    event_to_rules_ms: float
    event_to_last_ms: float
    passed_while_red: int
    held_back: int
    resumed_s: float
    said: int
    lost: int
    doubled: int
    in_order: bool
    node_killed_s: float


def tell(folder: Path, *, red_s: float, patient: bool) -> Told:
    """Let it happen.

    Args:
        folder: For everybody's state.
        red_s: How long the link stays RED under Eve.
        patient: Whether recovery waits for probes, one a second, or blocks are asked for.
    """
    with (
        networks() as made,
        site(folder) as nodes,
        _relay(made, folder),
        contextlib.ExitStack() as stack,
    ):
        words = ("--port", str(PORT), "--print", "--with-parent")
        good = () if patient else ("--good", "1")
        guard = nodes.start("guard", "bellwire", "guard", *nodes.kme, *words, *good)
        stack.callback(guard.end)
        chat = Chat(folder / "people", Path("/run/netns") / made.name(CLIENT))
        guard.until(packets="pass")
        chat.start()
        try:
            return _happens(nodes, guard, chat, red_s, patient)
        finally:
            chat.end()


def _happens(nodes: Site, guard: Child, chat: Chat, red_s: float, patient: bool) -> Told:
    until(lambda: chat.wrong or chat.arrived > 50, "the chat does not flow")
    green = _view(nodes)
    assert green.status == "GREEN", green
    eve_at = time.time()
    nodes.attack()
    stopped = guard.until(packets="stop")
    red = _view(nodes)
    assert red.status == "RED", red
    time.sleep(0.2)  # what had reached the couriers is shown
    last_at, passed, waiting = chat.last_shown_at, chat.arrived, sum(map(len, chat.said.values()))
    time.sleep(red_s)
    passed_while_red = chat.arrived - passed
    held_back = sum(map(len, chat.said.values())) - waiting
    nodes.leave()
    if not patient:
        nodes.recover()
    guard.until(packets="pass")
    opened_at, before = time.time(), chat.arrived
    until(lambda: chat.arrived > before, "the chat does not resume")
    resumed_s = time.time() - opened_at
    until(lambda: chat.arrived - before > held_back, "not all that was held back comes")
    chat.end()
    nodes.alice.process.kill()
    killed_at = time.time()
    guard.until(packets="stop")
    assert green.last_qber is not None
    assert red.last_qber is not None
    return Told(
        green_qber=green.last_qber,
        red_qber=red.last_qber,
        attack_to_event_s=stopped["told_at"] - eve_at,
        event_to_rules_ms=1e3 * (stopped["since"] - stopped["told_at"]),
        event_to_last_ms=1e3 * max(0.0, last_at - stopped["told_at"]),
        passed_while_red=passed_while_red,
        held_back=held_back,
        resumed_s=resumed_s,
        said=sum(map(len, chat.said.values())),
        lost=chat.lost,
        doubled=chat.doubled,
        in_order=chat.in_order,
        node_killed_s=time.time() - killed_at,
    )


def _view(nodes: Site) -> StatusView:
    return asyncio.run(DeliveryClient(Path(nodes.alice.ready["keys"])).status())


@contextlib.contextmanager
def _relay(made: Spaces, folder: Path) -> Iterator[None]:
    with made.inside(RELAY):
        relay = subprocess.Popen(
            [
                *(sys.executable, "-m", "bellwire", "relay", "--with-parent"),
                *("--listen", f"{ADDRESS[V4][RELAY]}:{PORT}", "--state", str(folder / "relayed")),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "BELLWIRE_LOG__LEVEL": "error"},
        )
    assert relay.stdin is not None
    assert relay.stdout is not None
    try:
        assert json.loads(relay.stdout.readline())["ready"]
        yield
    finally:
        relay.stdin.close()
        relay.wait()
        relay.stdout.close()
