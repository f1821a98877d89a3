"""From send to display: two people at two sites, whose nodes, link and relay are real processes.

The services are those of `bellwire up`, on this machine; both people's messengers are in one other
process, each with its store on disk and its own site's node. A message has 1,024 bytes and begins
when the one before it was shown; it is over with when the other messenger tells its screen of it.
One under pad from stock begins, besides, once that pad is there and the nodes have filled their
stock again, as between people who type: said without a pause, it would be timed while they distil.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.bench.model import Figure
from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.keys import Site
from bellwire.chat.messenger.looking import Setup
from bellwire.chat.messenger.sending import FILL_BELOW
from bellwire.chat.messenger.views import Event, LineChanged, Mode
from bellwire.chat.store.person import Person
from bellwire.crypto.kek.key_file import KeyFiles
from bellwire.etsi014.exchange import NO_EXTRAS, Extras, Key
from bellwire.etsi014.fresh import FreshClient, FreshPad
from bellwire.etsi014.profile import read_profile

TEXT: Final = "x" * 1024
WARM: Final = 3
"""Messages before those that are timed: the first compile and connect."""

STOCK_BITS: Final = 100_000
"""To which the nodes fill their stock."""

_LOOK_S: Final = 0.02
_PATIENCE_S: Final = 120.0
_PORTS: Final = ("CLASSICAL", "KME_A", "KME_B", "CLOUD", "CONSOLE_A", "CONSOLE_B")


@dataclass(slots=True)
class _Timed:
    """Messages of one mode.

    Attributes:
        times: Of each in milliseconds, ascending.
        without: How many came without pad.
        pad: Bytes of pad that one of them took, with all that is taken beside its text.
    """

    times: list[float]
    without: int
    pad: float


class _Counting(FreshClient):
    """Counts the bytes of pad that it was given as master."""

    given = 0

    async def fresh(self, slave: str, bits: int, mark: str = "") -> FreshPad:
        made = await super().fresh(slave, bits, mark)
        self.given += len(made.pad)
        return made

    async def get_keys(
        self, slave: str, number: int = 1, bits: int | None = None, extras: Extras = NO_EXTRAS
    ) -> list[Key]:
        keys = await super().get_keys(slave, number, bits, extras)
        self.given += sum(len(each.key) for each in keys)
        return keys


def run(folder: Path, relay_port: int, fresh: int, pool: int) -> list[Figure]:
    """Time so many messages of each mode.

    Args:
        folder: Empty; everything is kept in it.
        relay_port: Of a relay on this machine.
        fresh: Messages, each under the pad of a session of its own.
        pool: Messages under pad from stock.

    Raises:
        ArithmeticError: a session gave no pad, or a message found none though there was enough.
        TimeoutError: one did not come, or no pad for one.
    """
    state = folder.joinpath("sites")
    with _services(state):
        try:
            timed = asyncio.run(_talk(folder, state, f"ws://127.0.0.1:{relay_port}", fresh, pool))
        except TimeoutError as error:
            raise TimeoutError(
                f"expected {fresh + pool} messages, and pad for each, within {_PATIENCE_S:g} s"
            ) from error
    return _figures(timed)


def _figures(timed: Mapping[Mode, _Timed]) -> list[Figure]:
    found: list[Figure] = []
    for mode, each in timed.items():
        name, count = mode.value, len(each.times)
        if each.without:
            raise ArithmeticError(
                f"expected each of {count} messages in {name} mode under pad, got {each.without} "
                "without"
            )
        unit = f"ms, 1 kB from send to display, both sites on this machine; {count} messages"
        found += [
            Figure(f"{name}_p50_ms", _quantile(each.times, 0.5), unit),
            Figure(f"{name}_p99_ms", _quantile(each.times, 0.99), unit),
        ]
    for mode, each in timed.items():
        unit = f"bytes of pad a message of {len(TEXT):,} bytes, {mode.value} mode"
        share = each.pad / len(TEXT)
        found.append(Figure(f"{mode.value}_pad_bytes", each.pad, unit, "its text", share))
    return found


@contextlib.contextmanager
def _services(state: Path) -> Iterator[None]:
    """`bellwire up`, on free ports."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")},
        **{f"BELLWIRE_ADDRESSES__{name}_PORT": "0" for name in _PORTS},
        "BELLWIRE_DISTILL__TARGET_STOCK_BITS": str(STOCK_BITS),
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


async def _talk(folder: Path, state: Path, relay: str, fresh: int, pool: int) -> dict[Mode, _Timed]:
    async with (
        asyncio.timeout(_PATIENCE_S),
        _user(folder.joinpath("one"), state, "app-a", relay) as (alice, server),
        _user(folder.joinpath("two"), state, "app-b", relay) as (bob, _),
    ):
        await bob.add(await alice.invite())
        contact = await _known(alice)
        await _known(bob)
        events = bob.subscribe()
        timed = {}
        for mode, count in ((Mode.FRESH, fresh), (Mode.POOL, pool)):
            left, given = (await alice.conversation(contact)).pad_bytes, server.given
            await alice.set_mode(contact, mode)
            every = []
            for _ in range(WARM + count):
                if mode is Mode.POOL:
                    await _at_rest(alice, contact, server)
                every.append(await _once(alice, contact, events))
            taken = server.given - given + left - (await alice.conversation(contact)).pad_bytes
            times = sorted(took for took, _ in every[WARM:])
            without = sum(not padded for _, padded in every)
            timed[mode] = _Timed(times, without, taken / len(every))
        return timed


@contextlib.asynccontextmanager
async def _user(
    folder: Path, state: Path, sae: str, relay: str
) -> AsyncIterator[tuple[Messenger, _Counting]]:
    profile = read_profile(state, sae)
    person = await asyncio.to_thread(Person, folder, KeyFiles(folder.joinpath("keks")))
    try:
        async with (
            _Counting(profile.kme, profile.credentials) as server,
            Messenger(person, Setup(sae, relay, Site(server, profile.sae))) as messenger,
        ):
            yield messenger, server
    finally:
        await asyncio.to_thread(person.close)


async def _at_rest(messenger: Messenger, contact: bytes, server: FreshClient) -> None:
    """Wait until there is pad for a message, and the nodes make no more."""
    while True:
        left = (await messenger.conversation(contact)).pad_bytes
        status = await server.status("app-b")
        if left >= FILL_BELOW and status.stored_key_count * status.key_size >= STOCK_BITS:
            return
        await asyncio.sleep(_LOOK_S)


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


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
