"""Two sites in memory: keys that are given once, by grant, and consoles that reach each other."""

import asyncio
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bellwire.base.secret import Secret
from bellwire.console.accounts import AccountBook, Accounts, Role, other_site
from bellwire.console.book import Book
from bellwire.console.errors import KeysAbsent, PeerConsoleAbsent, PeerRefused
from bellwire.console.sessions import Session, Sessions, Told
from bellwire.console.site_keys import LinkNow
from bellwire.etsi014.exchange import Key

GREEN = LinkNow("GREEN", "all is well", 0.02, "simulated")
RED = LinkNow("RED", "Eve is there", None, "simulated")


@dataclass
class Drawn:
    """A key of the link: who may fetch it, and whether he has."""

    by: str
    bits: bytes
    fetched: bool = False


@dataclass
class World:
    """What both key servers know.

    Attributes:
        link: Its status.
        stock: Keys that there are still.
        now: Seconds of everybody's clock.
        drawn: By id.
        pause: Turns of the loop before each answer of a key server, for schedules.
        held: Whether key servers do not answer yet.
    """

    link: LinkNow = GREEN
    stock: int = 1000
    now: float = 100.0
    drawn: dict[str, Drawn] = field(default_factory=dict)
    pause: Callable[[], float] = lambda: 0.0
    held: bool = False

    async def wait(self) -> None:
        for _ in range(int(self.pause())):
            await asyncio.sleep(0)
        while self.held:
            await asyncio.sleep(0.001)


class ModelKeys:
    """The key server of a site, to its console."""

    def __init__(self, world: World, site: str) -> None:
        self.world = world
        self.site = site

    async def link(self) -> LinkNow:
        await self.world.wait()
        return self.world.link

    async def draw(self) -> Key:
        await self.world.wait()
        if self.world.link.status == "RED" or not self.world.stock:
            raise KeysAbsent("the key server gives no key now")
        self.world.stock -= 1
        key_id, bits = str(uuid.uuid4()), os.urandom(32)
        self.world.drawn[key_id] = Drawn(self.site, bits)
        return Key(key_id, Secret(bits))

    async def fetch(self, key_id: str) -> Secret:
        await self.world.wait()
        found = self.world.drawn.get(key_id)
        if found is None or found.by == self.site or found.fetched:
            raise PeerRefused("no such key")
        if self.world.link.status == "RED":
            raise KeysAbsent("the key server gives no key now")
        found.fetched = True
        return Secret(found.bits)


class NoRandom:
    """Counts what it gives."""

    name = "os"
    assumption = None
    failure = None

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def draw(self, count: int) -> bytes:
        self.given.append(os.urandom(count))
        return self.given[-1]

    def close(self) -> None:
        pass


class Sites:
    """Two consoles with their members.

    Attributes:
        lost: Which messages do not arrive: "request", "answer" or neither.
        sent: All that travelled between the consoles.
    """

    def __init__(self, folder: Path, members: dict[str, list[str]], *, most: int = 100) -> None:
        self.world = World()
        self.lost = ""
        self.sent: list[bytes] = []
        self.random = {site: NoRandom() for site in "ab"}
        self.accounts = {}
        self.tokens: dict[str, str] = {}
        for site, names in members.items():
            book = AccountBook(folder / f"console-{site}")
            for name in names:
                self.tokens[f"{name}@{site}"] = book.add(name, Role.MEMBER)
            self.accounts[site] = Accounts(folder / f"console-{site}", site)
        self.consoles = {site: self.console(site, most) for site in "ab"}

    def console(
        self, site: str, most: int = 100, tell: Callable[[Told], None] = lambda _: None
    ) -> Sessions:
        """A new one, as after a restart."""

        async def carry(message: bytes) -> bytes:
            self.sent.append(message)
            await self.world.wait()
            if self.lost == "request":
                raise PeerConsoleAbsent("it does not answer")
            try:
                answer = await self.consoles[other_site(site)].answer(message)
            except (PeerRefused, KeysAbsent) as error:
                raise PeerConsoleAbsent(str(error)) from error
            self.sent.append(answer)
            if self.lost == "answer":
                raise PeerConsoleAbsent("it does not answer")
            return answer

        return Sessions(
            site,
            self.accounts[site],
            ModelKeys(self.world, site),
            self.random[site],
            carry,
            book=Book(most=most),
            monotonic=lambda: self.world.now,
            tell=tell,
        )

    async def call(self, who: str, peer: str) -> tuple[str, bytes, str]:
        """(session, key, source) that `who`, NAME@SITE, gets."""
        name, _, site = who.partition("@")
        got: Session = await self.consoles[site].session(name, peer)
        return got.session, got.key.reveal(), got.source
