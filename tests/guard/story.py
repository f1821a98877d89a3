"""The whole story in network namespaces: a chat flows, Eve comes, the port is cut, she goes.

Then the relay moves, to another port and to another address, where the guard lets it be heard while
the link is well; it shuts all its doors, and comes home.

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
from typing import Any

from tests.chat.relay.running import account, mailbox, right
from tests.chat.store.people import Two
from tests.guard.spaces import ADDRESS, CLIENT, PORT, RELAY, V4, passed_until, until

from bellwire.bench.guard.site import Child, Site, site
from bellwire.bench.guard.spaces import Spaces, enter, ip, networks
from bellwire.channel.places import Level
from bellwire.chat.content import ContentKind
from bellwire.chat.courier import Book, Courier, Route
from bellwire.chat.courier import Told as Came
from bellwire.chat.relay.operator import RelayOperator
from bellwire.chat.store.receiving import Received
from bellwire.keys.delivery import DeliveryClient
from bellwire.keys.status import StatusView

NAMES = ("alice", "bob")
HOST, AWAY_HOST, AWAY_PORT = ADDRESS[V4][RELAY], "10.77.2.3", 9001
URL = f"ws://{HOST}:{PORT}"
GRACE_S = 0.5
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

    def now(self) -> dict[str, int]:
        """How much each has said: what they say next has a higher number."""
        return {name: len(self.said[name]) for name in NAMES}

    def passed_since(self, then: dict[str, int]) -> int:
        """Messages that were said later than then, and shown.

        What was said before may be on its way through somebody's disk, however slow that is.
        """
        return sum(
            int(text.split()[1]) >= then[name]
            for name, other in (NAMES, NAMES[::-1])
            for text in self.shown[other]
        )

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
            now=time.time,
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
        passed_while_red: Messages that were said and shown while nothing may pass.
        held_back: Messages that were said meanwhile.
        resumed_s: From when packets may pass again to the first message.
        said: Messages in all.
        lost: Of them.
        doubled: Of them.
        in_order: Whether they came as they were said.
        moved_s: From each move of the relay to the first message that came at its new place.
        passed_away_while_red: Messages that were said and shown while RED, at another port.
        old_places_heard: Old places at which the relay could still be reached after the grace.
        passed_while_locked: Messages that were said and shown while the relay was in lockdown.
        node_killed_s: From `kill -9` of the node to the last that passed on its lease.
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
    moved_s: tuple[float, ...]
    passed_away_while_red: int
    old_places_heard: int
    passed_while_locked: int
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
        _relay(made, folder) as relay_id,
        contextlib.ExitStack() as stack,
    ):
        relay = _Relay(made, RelayOperator(folder / "relayed" / "relay"))
        followed = ("--places", str(folder / "notice"), "--relay-id", relay_id)
        words = ("--port", str(PORT), "--print", "--with-parent", "--grace", str(GRACE_S))
        good = () if patient else ("--good", "1")
        guard = nodes.start("guard", "bellwire", "guard", *nodes.kme, *words, *followed, *good)
        stack.callback(guard.end)
        chat = Chat(folder / "people", Path("/run/netns") / made.name(CLIENT))
        guard.until(packets="pass")
        chat.start()
        try:
            return _happens(nodes, guard, chat, relay, red_s, patient)
        finally:
            chat.end()


class _Relay:
    """The relay, as its operator and an attacker see it."""

    def __init__(self, made: Spaces, operator: RelayOperator) -> None:
        self._made, self._operator = made, operator

    def move(self, level: Level, *where: str) -> float:
        """Move it; when that was."""
        asyncio.run(self._operator.move(level, where))
        return time.time()

    def is_heard(self, host: str, port: int) -> bool:
        """Whether somebody at the client's side reaches it there."""
        with self._made.open(CLIENT) as attempt:
            attempt.settimeout(0.3)
            return attempt.connect_ex((host, port)) == 0


def _moves(nodes: Site, guard: Child, chat: Chat, relay: _Relay) -> dict[str, Any]:
    """The relay goes to another port, to another address, nowhere, and home."""
    places = [(HOST, PORT), (HOST, AWAY_PORT), (AWAY_HOST, PORT)]
    moved_s, heard = [], 0

    def settled(at: float, old: list[tuple[str, int]]) -> None:
        nonlocal heard
        until(lambda: not any(relay.is_heard(*each) for each in old), "an old place is never shut")
        before = chat.arrived
        until(lambda: chat.arrived > before, "the chat does not go on at the new place")
        moved_s.append(chat.last_shown_at - at)
        heard += sum(relay.is_heard(*each) for each in old)

    settled(relay.move(Level.PORT, str(AWAY_PORT)), places[:1])
    nodes.attack(distil=True)
    _stops(guard, "is RED")
    then = chat.now()
    _come_to_rest(chat)
    while_red = chat.passed_since(then) + relay.is_heard(*places[1])
    nodes.reset()
    guard.until(packets="pass")
    _both_are_back(chat)
    settled(relay.move(Level.ADDRESS, f"{AWAY_HOST}:{PORT}"), places[:2])
    relay.move(Level.LOCKDOWN)
    _stops(guard, "the relay is in lockdown")
    then = chat.now()
    _come_to_rest(chat)
    while_locked = chat.passed_since(then) + sum(relay.is_heard(*each) for each in places)
    settled(relay.move(Level.HOME), places[1:])
    guard.until(packets="pass")  # whatever it says from now on is of what comes next
    return {
        "moved_s": tuple(moved_s),
        "passed_away_while_red": while_red,
        "old_places_heard": heard,
        "passed_while_locked": while_locked,
    }


def _happens(
    nodes: Site, guard: Child, chat: Chat, relay: _Relay, red_s: float, patient: bool
) -> Told:
    until(lambda: chat.wrong or chat.arrived > 50, "the chat does not flow")
    green = _view(nodes)
    assert green.status == "GREEN", green
    eve_at = time.time()
    nodes.attack()
    stopped, then = _stops(guard, "is RED"), chat.now()
    red = _view(nodes)
    assert red.status == "RED", red
    _come_to_rest(chat)
    last_at = chat.last_shown_at
    time.sleep(red_s)
    passed_while_red = chat.passed_since(then)
    held_back = sum(chat.now().values()) - sum(then.values())
    nodes.leave()
    if not patient:
        nodes.recover()
    guard.until(packets="pass")
    opened_at, before = time.time(), chat.arrived
    until(lambda: chat.arrived > before, "the chat does not resume")
    resumed_s = time.time() - opened_at
    until(lambda: chat.arrived - before > held_back, "not all that was held back comes")
    moves = _moves(nodes, guard, chat, relay)
    chat.end()
    nodes.alice.process.kill()
    killed_at = time.monotonic()
    last = passed_until(lambda: relay.is_heard(HOST, PORT), "what is killed lets pass for ever")
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
        **moves,
        node_killed_s=last - killed_at,
    )


def _stops(guard: Child, why: str) -> dict[str, Any]:
    """What the guard says when it stops packets for this reason."""
    while why not in (said := guard.until(packets="stop"))["reason"]:
        pass
    return said


def _both_are_back(chat: Chat) -> None:
    """Each shows something new: who is away while a relay moves does not hear where it goes."""
    before = {name: len(shown) for name, shown in chat.shown.items()}
    until(
        lambda: all(len(chat.shown[name]) > count for name, count in before.items()),
        "the chat does not go on once the link is well",
    )


def _come_to_rest(chat: Chat) -> None:
    """What had reached the couriers is shown, after some syncs of a disk that may be slow.

    When the last one was is told apart.
    """

    def rests() -> bool:
        before = chat.arrived
        time.sleep(1.5)
        return chat.arrived == before

    until(rests, "messages go on to pass")


def _view(nodes: Site) -> StatusView:
    return asyncio.run(DeliveryClient(Path(nodes.alice.ready["keys"])).status())


@contextlib.contextmanager
def _relay(made: Spaces, folder: Path) -> Iterator[str]:
    """The relay, until the end of the block; its id."""
    ip("-n", made.name(RELAY), "addr", "add", f"{AWAY_HOST}/24", "dev", "up0")
    with made.inside(RELAY):
        relay = subprocess.Popen(
            [
                *(sys.executable, "-m", "bellwire", "relay", "--with-parent"),
                *("--listen", f"{HOST}:{PORT}", "--state", str(folder / "relayed")),
                *("--notice", str(folder / "notice"), "--grace", str(GRACE_S)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "BELLWIRE_LOG__LEVEL": "error"},
        )
    assert relay.stdin is not None
    assert relay.stdout is not None
    try:
        yield json.loads(relay.stdout.readline())["accounts"]
    finally:
        relay.stdin.close()
        relay.wait()
        relay.stdout.close()
