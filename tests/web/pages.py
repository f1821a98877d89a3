"""A console with its pages in one process: real door, accounts, sessions; a node of the tests."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.console.model import Sites
from tests.console.test_record import Shown
from tests.patience import PATIENCE_S
from tests.web.doors import Loop
from tests.web.test_console import LIMITS, ModelLab

from bellwire.chat.following import KnownRelays
from bellwire.console.accounts import AccountBook, Role
from bellwire.console.browsers import Browsers
from bellwire.console.errors import KeysAbsent
from bellwire.console.experiments import Experiments, Laboratory
from bellwire.console.feed import Feed
from bellwire.console.guards import Guards
from bellwire.console.status import Status
from bellwire.console.views import Done, StatusRecordView, Thresholds
from bellwire.console.watching import Balance, Watch
from bellwire.distill.report import BlockReport
from bellwire.node.laboratory import LabProcesses
from bellwire.web.api import ApiServer
from bellwire.web.browser import Origin
from bellwire.web.console import ConsoleApi
from bellwire.web.console_browser import FLEETING, BrowserApi, Overhear, Parts
from bellwire.web.console_devices import SiteDevices
from bellwire.web.console_pads import PagePads
from bellwire.web.console_pages import packaged, read_pages
from bellwire.web.console_relay import SiteRelay
from bellwire.web.console_ways import Ways
from bellwire.web.relay_lines import RelayBook, RelayLines
from bellwire.web.sign_in import SignIn

PASSWORD = "four words are enough"
RULES = Thresholds(0.05, 0.11, 2.2, 2.0, 8**0.5)


@dataclass
class ModelNode:
    """Says what it is told to."""

    there: bool = True
    stock_bits: int = 1000
    said: list[tuple[int, float, dict[str, Any]]] = field(default_factory=list)

    def decide(self, at: float, **more: Any) -> None:
        number = self.said[-1][0] + 1 if self.said else 1
        report = BlockReport(number, False, None, 1000, accepted=True, qber=0.02, **more)
        self.said.append((number, at, report.to_dict()))

    async def reports(self, after: int) -> list[tuple[int, float, dict[str, Any]]]:
        self._require()
        return [each for each in self.said if each[0] > after]

    async def balance(self) -> Balance:
        self._require()
        return Balance(self.stock_bits, 9)

    def _require(self) -> None:
        if not self.there:
            raise KeysAbsent("the node does not answer")


@dataclass
class Console:
    """One site's console."""

    sites: Sites
    book: AccountBook
    node: ModelNode
    lab: ModelLab
    watch: Watch
    browsers: Browsers
    loop: Loop
    url: str
    clock: list[float]
    log: Shown
    folder: Path
    ways: Ways

    def client(self, **headers: str) -> httpx.Client:
        """A browser at the console's own page; `origin` and others may be another's."""
        given = {"origin": self.url, "sec-fetch-site": "same-origin", **headers}
        return httpx.Client(base_url=self.url, headers=given, trust_env=False, timeout=PATIENCE_S)

    @contextlib.contextmanager
    def signed_in(self, token: str) -> Iterator[httpx.Client]:
        with self.client() as client:
            answer = client.post("/api/sign-in/token", json={"token": token})
            assert answer.status_code == 200, answer.text
            yield client

    def publish(self, name: str, *, times: int = 1, **more: Any) -> None:
        """Events without content, in the loop's own thread."""

        async def work() -> None:
            for _ in range(times):
                self.watch.feed.publish(name, Done(), **more)

        self.loop.wait(work())

    def look(self) -> None:
        """What the console sees within half a second."""
        self.loop.wait(self.watch.look())


@contextlib.contextmanager
def console(
    folder: Path,
    *,
    lab: bool = True,
    laboratory: Laboratory | None = None,
    relays: Sequence[str] = (),
    pads: PagePads | None = None,
    overhear: Overhear | None = None,
) -> Iterator[Console]:
    sites = Sites(folder, {"a": ["alice", "carol"], "b": ["bob"]})
    book = AccountBook(folder / "console-a")
    for name, role in (("boss", Role.OPERATOR), ("eyes", Role.AUDITOR), ("dog", Role.GUARD)):
        sites.tokens[name] = book.add(name, role)
    clock = [0.0]
    log = Shown(folder, 3)
    laboratory = laboratory or LabProcesses(1)
    hand, node, guards, feed = ModelLab(), ModelNode(), Guards(lambda: clock[0]), Feed()
    accounts = sites.accounts["a"]

    async def status() -> Status:
        link = sites.world.link
        return Status(link.status, link.qber, (), link.reason, mean_qber=link.qber)

    async def histories(since: float, most: int) -> list[StatusRecordView]:
        return [StatusRecordView(since, "GREEN", False, 0.02, "well")][:most]

    watch = Watch(
        "a",
        status=status,
        node=node,
        hand=hand if lab else None,
        guards=guards,
        known=accounts.has_guard,
        thresholds=RULES,
        feed=feed,
    )
    sessions = sites.console("a", tell=watch.tell_session)
    browsers = Browsers(accounts, clock=lambda: clock[0])
    origin = Origin("a", "", tls=False)
    signing = SignIn("a", accounts, book, browsers, origin, clock=lambda: clock[0])
    known = KnownRelays(RelayBook(folder / "relays").shelf, time.time)
    ways = Ways(relays, RelayLines(known), clock=lambda: clock[0])
    parts = Parts(
        signing=signing,
        accounts=accounts,
        sessions=sessions,
        watch=watch,
        histories=histories,
        hand=hand if lab else None,
        record=log.record if lab else None,
        ways=ways,
        pads=pads,
        overhear=overhear,
        experiments=Experiments(laboratory),
        devices=SiteDevices(folder),
        relay=SiteRelay(folder),
        clock=lambda: clock[0],
    )
    api = ConsoleApi(
        accounts,
        sessions,
        status,
        hand if lab else None,
        limits=LIMITS,
        guards=guards,
        browser=BrowserApi(parts),
        pages=read_pages(packaged()),
    )
    with Loop(asyncio.new_event_loop) as loop:
        server = ApiServer(api.answer, LIMITS, fleeting=FLEETING)
        host, port = loop.wait(server.start("127.0.0.1", 0, None))
        url = f"http://{host}:{port}"
        try:
            yield Console(
                sites, book, node, hand, watch, browsers, loop, url, clock, log, folder, ways
            )
        finally:
            loop.wait(server.stop(1.0))
            loop.wait(laboratory.close())
