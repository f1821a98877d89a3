"""Put a site's console together from its settings, and run it until it is told to stop."""

import asyncio
import contextlib
import math
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bellwire.base.errors import UsageError
from bellwire.base.lifetime import until_stopped
from bellwire.base.manager import READY, STOPPING, tell_manager
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.chat.following import KnownRelays
from bellwire.console.accounts import AccountBook, Accounts, console_folder, other_site
from bellwire.console.browsers import Browsers
from bellwire.console.carrier import Carrier, check_url
from bellwire.console.experiments import Experiments
from bellwire.console.feed import Feed
from bellwire.console.guards import Guards
from bellwire.console.record import Record
from bellwire.console.sessions import Sessions
from bellwire.console.site_keys import SiteKeys, console_sae, pages_sae
from bellwire.console.status import StatusPage
from bellwire.console.views import Thresholds
from bellwire.console.views_chat import OverheardMessage
from bellwire.console.watching import Balance, Watch
from bellwire.etsi014.client import AsyncClient
from bellwire.etsi014.client import check_url as check_kme
from bellwire.etsi014.credentials import Credentials
from bellwire.etsi014.fresh import FreshClient
from bellwire.etsi014.record import SessionNow
from bellwire.ledger.fetching import fetching
from bellwire.node.laboratory import LabProcesses
from bellwire.node.operator import OperatorClient
from bellwire.node.randomness import open_random, tell_failed, tell_opened
from bellwire.node.serving import alone_in, require_loopback, server_tls
from bellwire.node.settings import Settings
from bellwire.node.settings_console import ConsoleSettings
from bellwire.pki.files import sae_files
from bellwire.web.api import ApiServer
from bellwire.web.browser import Origin
from bellwire.web.console import CONSOLE_LIMITS, ConsoleApi
from bellwire.web.console_browser import FLEETING, BrowserApi, Parts
from bellwire.web.console_devices import SiteDevices
from bellwire.web.console_pads import Follow, PagePads, Tell
from bellwire.web.console_pages import packaged, read_pages
from bellwire.web.console_relay import SiteRelay
from bellwire.web.console_ways import Ways
from bellwire.web.relay_lines import RelayBook, RelayLines
from bellwire.web.sign_in import SignIn

if TYPE_CHECKING:
    from bellwire.node.link_lab import LinkLab

GRACE_S = 5.0
LOG_WITHIN_S = 5.0
EXPIRE_EVERY_S = 1.0
URL_FILE = "url"
RELAYS_FILE = "relays"
_MAX_URL = 2048


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """What the command line says of one console.

    Attributes:
        site: `a` or `b`.
        listen: Host and port.
        kme: Address of the site's key server.
        control: The link's control socket; None where the lab is not enabled.
        with_parent: End when standard input does.
    """

    site: str
    listen: tuple[str, int]
    kme: str
    control: Path | None
    with_parent: bool


def console_credentials(state: Path, site: str) -> Credentials:
    """Who a site's console is to the key server: files that `up`, or `keys ca issue`, has made."""
    name = console_sae(site)
    files = sae_files(state / "saes" / name, name)
    return Credentials(files.certificate, files.key, files.authorities)


async def run_console(
    settings: Settings, options: ConsoleOptions, ready: Callable[[dict[str, object]], None]
) -> None:
    """Run one console until it is told to stop.

    Args:
        settings: From `settings.load`.
        options: From the command line.
        ready: Called once with where it listens.

    Raises:
        BellwireError: it cannot start.
    """
    site, state = options.site, settings.state.dir
    folder = own_folder(console_folder(state, site))
    tls = server_tls(settings.console.certificate, settings.console.key, "console.key")
    if tls is None:
        require_loopback(
            options.listen[0],
            "Set console.certificate and console.key, or put a proxy with TLS before it.",
        )
    credentials = console_credentials(state, site)
    url = check_kme(options.kme)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(alone_in(folder, "console"))
        random = await asyncio.to_thread(open_random, settings.random, tell_failed)
        stack.callback(random.close)
        client = await stack.enter_async_context(AsyncClient(url, credentials))
        page = StatusPage(url, credentials.context())
        stack.push_async_callback(page.close)
        carrier = Carrier(_finder(settings, site), _peer_tls(settings.console))
        stack.push_async_callback(carrier.close)
        accounts = Accounts(folder, site)
        lab = None if options.control is None else _lab(options.control)
        guards = Guards(time.monotonic)
        node = _SiteNode(state / f"node-{site}" / "operator.sock")
        ways = await _ways(settings, folder)
        watch = Watch(
            "a" if site == "a" else "b",
            status=page.now,
            node=node,
            hand=lab,
            guards=guards,
            known=accounts.has_guard,
            thresholds=_thresholds(settings),
            feed=Feed(),
        )
        sessions = Sessions(
            site, accounts, SiteKeys(client, site), random, carrier, tell=watch.tell_session
        )
        origin = Origin(site, settings.console.origin, tls=tls is not None)
        laboratory = LabProcesses()
        stack.push_async_callback(laboratory.close)
        signing = SignIn(watch.site, accounts, AccountBook(folder), Browsers(accounts), origin)
        api = ConsoleApi(
            accounts,
            sessions,
            page.now,
            lab,
            guards=guards,
            browser=BrowserApi(
                Parts(
                    signing=signing,
                    accounts=accounts,
                    sessions=sessions,
                    watch=watch,
                    histories=page.history,
                    hand=lab,
                    overhear=None if lab is None else node.overheard,
                    record=_record(settings, stack),
                    ways=ways,
                    pads=await _pads(url, state, site, (node.unfolding, ways.tell), stack),
                    experiments=Experiments(laboratory),
                    devices=SiteDevices(state),
                    relay=SiteRelay(state),
                )
            ),
            pages=await asyncio.to_thread(read_pages, packaged()),
        )
        server = ApiServer(api.answer, CONSOLE_LIMITS, fleeting=FLEETING)
        stack.push_async_callback(server.stop, GRACE_S)
        host, port = await server.start(*options.listen, tls)
        scheme = "http" if tls is None else "https"
        address = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        await asyncio.to_thread(
            write_whole, folder / URL_FILE, f"{address}\n".encode(), replace=True
        )
        stop = asyncio.create_task(until_stopped(with_parent=options.with_parent))
        await asyncio.sleep(0)  # Signals are minded before anybody is told that we run.
        tell_opened(random, settings.random)
        ready(
            {
                "ready": True,
                "service": "console",
                "site": site,
                "url": address,
                "lab": lab is not None,
            }
        )
        tell_manager(READY)
        tasks = {stop, *map(asyncio.create_task, (_expire(sessions), watch.run()))}
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for each in ended:
                each.result()
        finally:
            tell_manager(STOPPING)
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _ways(settings: Settings, folder: Path) -> Ways:
    """From pages to the relays of the settings, wherever these are."""
    book = await asyncio.to_thread(RelayBook, folder / RELAYS_FILE)
    return Ways(settings.console.relays, RelayLines(KnownRelays(book.shelf, time.time)))


def first_link(settings: Settings, site: str, url: str) -> str | None:
    """A one-time link for the first operator of a site; None where one has a password.

    Args:
        settings: Of the site.
        site: `a` or `b`.
        url: Where its console listens.

    Raises:
        BellwireError: the accounts cannot be read or changed.
    """
    code = AccountBook(console_folder(settings.state.dir, site)).invite_first()
    return None if code is None else link_of(settings, url, code)


def link_of(settings: Settings, url: str, code: str) -> str:
    """The link of a code: behind `#`, for no browser sends that to anybody, nor logs it."""
    return f"{settings.console.origin or url}/#/welcome/{code}"


def listens_at(folder: Path) -> str:
    """Where the console of a folder listens, or did last.

    Raises:
        UsageError: no console ever did.
    """
    found = read_own_file(folder / URL_FILE, _MAX_URL)
    if found is None:
        raise UsageError(
            f"expected the address of a console in {folder}, got none",
            hint="Start it first: bellwire up, or bellwire console.",
        )
    return check_url(found.decode("ascii", "replace").strip())


class _SiteNode:
    """The site's own node, by the socket of its operator (`console.watching.Node`)."""

    def __init__(self, socket: Path) -> None:
        self._client = OperatorClient(socket)

    async def reports(self, after: int) -> list[tuple[int, float, dict[str, Any]]]:
        """(running number, time, report) of blocks and probes above a number."""
        return await self._client.reports(after)

    async def unfolding(self, mark: str, after: int) -> tuple[int, SessionNow | None]:
        """What is known of a session under way."""
        return await self._client.unfolding(mark, after)

    async def overheard(self, session: str, after: int) -> list[OverheardMessage]:
        """What crossed the public channel of a session (`console_browser.Overhear`)."""
        return [
            OverheardMessage(each.number, each.sender.value, each.phase, each.size, each.beginning)
            for each in await self._client.overheard(after, session)
        ]

    async def balance(self) -> Balance:
        """Key that it has."""
        found = await self._client.accounts()
        return Balance(found.stock_bits, found.reserve_sets)


def _thresholds(settings: Settings) -> Thresholds:
    rules = settings.status
    return Thresholds(
        rules.yellow_qber,
        rules.red_qber,
        rules.chsh_floor,
        chsh_classical=2.0,
        chsh_quantum=2.0 * math.sqrt(2.0),
    )


def _lab(control: Path) -> "LinkLab":
    from bellwire.node.link_lab import LinkLab  # noqa: PLC0415 - brings the kernels of the light

    return LinkLab(control)


def _record(settings: Settings, stack: contextlib.AsyncExitStack) -> Record | None:
    """The log that is shown, until the stack ends; None where nobody says whom to trust."""
    place, policy = settings.console.log or settings.ledger.url, settings.console.log_policy
    if not place or policy is None:
        return None
    fetch = fetching(place, settings.ledger.authority, within_s=LOG_WITHIN_S)
    return Record(stack.enter_context(fetch), policy)


async def _pads(
    url: str, state: Path, site: str, follows: tuple[Follow, Tell], stack: contextlib.AsyncExitStack
) -> PagePads | None:
    """Pads for who talks in a browser, until the stack ends; None where the pages are no SAE."""
    name = pages_sae(site)
    files = sae_files(state / "saes" / name, name)
    if not files.certificate.exists():
        return None
    credentials = Credentials(files.certificate, files.key, files.authorities)
    client = await stack.enter_async_context(FreshClient(url, credentials))
    return PagePads(client, name, follow=follows[0], tell=follows[1])


async def _expire(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(EXPIRE_EVERY_S)
        sessions.expire()


def _finder(settings: Settings, site: str) -> Callable[[], str | None]:
    """The address of the other console: as the settings say, or as it wrote down itself."""
    if settings.console.peer:
        return lambda: settings.console.peer
    folder = console_folder(settings.state.dir, other_site(site))
    return lambda: listens_at(folder) if (folder / URL_FILE).exists() else None


def _peer_tls(settings: ConsoleSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.peer_authority)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"console.peer_authority: expected certificates in PEM in {settings.peer_authority}"
        ) from error
