"""From send to display: two people at two sites, whose nodes, link and relay are real processes.

The services are those of `bellwire up`, on this machine; both people's messengers are in one other
process, each with its store on disk and its own site's node. A message has 1,024 bytes and begins
when the one before it was shown; it is over with when the other messenger tells its screen of it.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from bellwire.bench.model import Figure
from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.keys import Site
from bellwire.chat.messenger.looking import Setup
from bellwire.chat.messenger.views import Event, LineChanged, Mode
from bellwire.chat.store.person import Person
from bellwire.crypto.kek.key_file import KeyFiles
from bellwire.etsi014.fresh import FreshClient
from bellwire.etsi014.profile import read_profile

TEXT: Final = "x" * 1024
WARM: Final = 3
"""Messages before those that are timed: the first compile and connect."""

_PATIENCE_S: Final = 120.0
_PORTS: Final = ("CLASSICAL", "KME_A", "KME_B", "CLOUD", "CONSOLE_A", "CONSOLE_B")


def run(folder: Path, relay_port: int, fresh: int, pool: int) -> list[Figure]:
    """Time so many messages of each mode.

    Args:
        folder: Empty; everything is kept in it.
        relay_port: Of a relay on this machine.
        fresh: Messages, each under the pad of a session of its own.
        pool: Messages under pad from stock.

    Without a pause, people say more than a link makes pad for: what of stock was said without pad
    is counted, and not timed.

    Raises:
        ArithmeticError: a session gave no pad, or no message from stock had one.
        TimeoutError: one did not come.
    """
    state = folder.joinpath("sites")
    with _services(state):
        times = asyncio.run(_talk(folder, state, f"ws://127.0.0.1:{relay_port}", fresh, pool))
    sessions, stock = (sorted(each) for each in times)
    if len(sessions) < fresh or not stock:
        raise ArithmeticError(
            f"expected pad for {fresh} and for {pool} messages, got it for {len(sessions)} and "
            f"{len(stock)}"
        )
    unit = "ms, 1 kB from send to display, both sites on this machine"
    return [
        Figure("fresh_p50_ms", _quantile(sessions, 0.5), f"{unit}; {fresh} messages"),
        Figure("fresh_p99_ms", _quantile(sessions, 0.99), f"{unit}; {fresh} messages"),
        Figure("pool_p50_ms", _quantile(stock, 0.5), f"{unit}; {len(stock)} messages"),
        Figure("pool_p99_ms", _quantile(stock, 0.99), f"{unit}; {len(stock)} messages"),
        Figure("pool_without_pad", pool - len(stock), f"of {pool} messages without a pause"),
    ]


@contextlib.contextmanager
def _services(state: Path) -> Iterator[None]:
    """`bellwire up`, on free ports."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")},
        **{f"BELLWIRE_ADDRESSES__{name}_PORT": "0" for name in _PORTS},
    }
    with subprocess.Popen(
        [sys.executable, "-m", "bellwire", "up", "--json", "--state", str(state)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as child:
        assert child.stdout is not None
        try:
            json.loads(child.stdout.readline())
            yield
        finally:
            child.send_signal(signal.SIGINT)
            child.wait(_PATIENCE_S)


async def _talk(
    folder: Path, state: Path, relay: str, fresh: int, pool: int
) -> tuple[list[float], list[float]]:
    async with (
        asyncio.timeout(_PATIENCE_S),
        _user(folder.joinpath("one"), state, "app-a", relay) as alice,
        _user(folder.joinpath("two"), state, "app-b", relay) as bob,
    ):
        await bob.add(await alice.invite())
        contact = await _known(alice)
        await _known(bob)
        events = bob.subscribe()
        times = []
        for mode, count in ((Mode.FRESH, fresh), (Mode.POOL, pool)):
            await alice.set_mode(contact, mode)
            every = [await _once(alice, contact, events) for _ in range(WARM + count)]
            times.append([took for took, padded in every[WARM:] if padded])
        return times[0], times[1]


@contextlib.asynccontextmanager
async def _user(folder: Path, state: Path, sae: str, relay: str) -> AsyncIterator[Messenger]:
    profile = read_profile(state, sae)
    person = await asyncio.to_thread(Person, folder, KeyFiles(folder.joinpath("keks")))
    try:
        async with (
            FreshClient(profile.kme, profile.credentials) as server,
            Messenger(person, Setup(sae, relay, Site(server, profile.sae))) as messenger,
        ):
            yield messenger
    finally:
        await asyncio.to_thread(person.close)


async def _known(messenger: Messenger) -> bytes:
    """The contact, once a message can go there."""
    events = messenger.subscribe()
    while True:
        for each in await messenger.contacts():
            if not each.is_notes and each.reachable:
                messenger.unsubscribe(events)
                return each.contact
        await events.get()


async def _once(
    sender: Messenger, contact: bytes, events: "asyncio.Queue[Event]"
) -> tuple[float, bool]:
    """Milliseconds of one message, and whether it was under pad."""
    began = time.perf_counter()
    line = await sender.send(contact, TEXT)
    while True:
        event = await events.get()
        if isinstance(event, LineChanged) and event.line.message_id == line.message_id:
            took = time.perf_counter() - began
            return took * 1e3, event.line.protection.is_one_time


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
