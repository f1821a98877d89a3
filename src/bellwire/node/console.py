"""Put a site's console together from its settings, and run it until it is told to stop."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.errors import UsageError
from bellwire.base.lifetime import until_stopped
from bellwire.base.manager import READY, STOPPING, tell_manager
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.console.accounts import Accounts, console_folder, other_site
from bellwire.console.carrier import Carrier, check_url
from bellwire.console.sessions import Sessions
from bellwire.console.site_keys import SiteKeys, console_sae
from bellwire.console.status import StatusPage
from bellwire.etsi014.client import AsyncClient
from bellwire.etsi014.client import check_url as check_kme
from bellwire.etsi014.credentials import Credentials
from bellwire.node.randomness import open_random, tell_failed, tell_opened
from bellwire.node.serving import alone_in, require_loopback, server_tls
from bellwire.node.settings import Settings
from bellwire.node.settings_console import ConsoleSettings
from bellwire.pki.files import sae_files
from bellwire.web.api import ApiServer
from bellwire.web.console import CONSOLE_LIMITS, ConsoleApi, Lab

GRACE_S = 5.0
EXPIRE_EVERY_S = 1.0
URL_FILE = "url"
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
        sessions = Sessions(site, accounts, SiteKeys(client, site), random, carrier)
        lab = None if options.control is None else _lab(options.control)
        api = ConsoleApi(accounts, sessions, page.now, lab)
        server = ApiServer(api.answer, CONSOLE_LIMITS)
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
        expiring = asyncio.create_task(_expire(sessions))
        try:
            await stop
        finally:
            tell_manager(STOPPING)
            expiring.cancel()
            await asyncio.gather(expiring, return_exceptions=True)


def _lab(control: Path) -> Lab:
    from bellwire.node.link_lab import LinkLab  # noqa: PLC0415 - brings the kernels of the light

    return LinkLab(control)


async def _expire(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(EXPIRE_EVERY_S)
        sessions.expire()


def _finder(settings: Settings, site: str) -> Callable[[], str | None]:
    """The address of the other console: as the settings say, or as it wrote down itself."""
    if settings.console.peer:
        return lambda: settings.console.peer
    path = console_folder(settings.state.dir, other_site(site)) / URL_FILE

    def find() -> str | None:
        found = read_own_file(path, _MAX_URL)
        return None if found is None else check_url(found.decode("ascii", "replace").strip())

    return find


def _peer_tls(settings: ConsoleSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.peer_authority)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"console.peer_authority: expected certificates in PEM in {settings.peer_authority}"
        ) from error
