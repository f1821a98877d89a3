"""Put a server of admission together, and run it until it is told to stop."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from bellwire.admission import recording
from bellwire.admission.channel import ChannelAuthority, ChannelDesk, CloudPlace
from bellwire.admission.operator import REQUEST_LIMIT, REQUESTS, OperatorDesk
from bellwire.admission.receipts import Receipts
from bellwire.admission.register import Gate, Register
from bellwire.admission.service import Admission, Assessor
from bellwire.admission.service import revoke as take_back
from bellwire.base.lifetime import until_stopped
from bellwire.base.local import SocketUnusable
from bellwire.base.manager import READY, STOPPING, tell_manager
from bellwire.base.operating import operated
from bellwire.base.private import own_folder
from bellwire.ledger.fetching import fetching
from bellwire.node.ledger import delivering
from bellwire.node.serving import alone_in, require_loopback, server_tls
from bellwire.node.settings_ledger import LedgerSettings
from bellwire.pki.authority import Authority, authorities_in, authority_folder
from bellwire.web.admission import ADMISSION_LIMITS, AdmissionApi
from bellwire.web.api import ApiServer

GRACE_S = 5.0

log = structlog.get_logger("admission")


@dataclass(frozen=True, slots=True)
class AdmissionOptions:
    """What the command line says of one server of admission.

    Attributes:
        listen: Host and port.
        name: By which newcomers know the server.
        gate: What opens the door.
        site: Whose authority signs certificates; None gives none.
        certificate: Chain of the server itself, PEM; None listens without TLS.
        key: Its private key.
        proxies: Reverse proxies of ours before it.
        assessor: A second opinion.
        with_parent: End when standard input does.
        cloud: Which cloud devices are told of; None: they get no certificates of the channel.
        channel: Opens the authority that signs them.
    """

    listen: tuple[str, int]
    name: str
    gate: Gate
    site: str | None
    certificate: Path | None
    key: Path | None
    proxies: int
    assessor: Assessor | None
    with_parent: bool
    cloud: CloudPlace | None
    channel: Callable[[], ChannelAuthority]


def admission_folder(state: Path) -> Path:
    """Where registrations lie."""
    return state / "admission"


async def run_admission(
    state: Path,
    options: AdmissionOptions,
    ready: Callable[[dict[str, object]], None],
    ledger: LedgerSettings,
) -> None:
    """Run one server until it is told to stop.

    Args:
        state: The state folder.
        options: From the command line.
        ready: Called once with where it listens.
        ledger: The log that is told who is admitted, and whose admission was taken back.

    Raises:
        BellwireError: it cannot start.
    """
    tls = server_tls(options.certificate, options.key, "--key")
    if tls is None:
        require_loopback(
            options.listen[0],
            "Name a --certificate and its --key, or put a proxy with TLS before it.",
        )
    folder = own_folder(admission_folder(state))
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(alone_in(folder, "admission"))
        register = Register(folder, recorded=bool(ledger.url))
        stack.callback(register.close)
        await stack.enter_async_context(delivering(ledger, register.transaction, recording.noted))
        receipts = None
        if ledger.url:
            fetch = stack.enter_context(fetching(ledger.url, ledger.authority))
            receipts = Receipts(register, fetch)
        authority = None
        if options.site is not None:
            authority = Authority(authority_folder(state, options.site), options.site)
            authority.create()
        channel = None
        if options.cloud is not None:
            channel = ChannelDesk(register, options.channel(), options.cloud)
        admission = Admission(
            options.name,
            register,
            authority,
            channel=channel,
            gate=options.gate,
            assessor=options.assessor,
        )
        api = AdmissionApi(admission, receipts, proxies=options.proxies)
        desk = OperatorDesk(
            options.name,
            options.gate,
            register,
            admission.turn,
            evidence=admission.evidence,
            revoke=lambda handle, now: take_back(
                register, authorities_in(state), handle, now, options.channel
            ),
            carry=api.carry,
        )
        await stack.enter_async_context(
            operated(folder, REQUESTS, desk.answer, _no_socket, request_limit=REQUEST_LIMIT)
        )
        server = ApiServer(api.answer, ADMISSION_LIMITS)
        stack.push_async_callback(server.stop, GRACE_S)
        host, port = await server.start(*options.listen, tls)
        stop = asyncio.create_task(until_stopped(with_parent=options.with_parent))
        await asyncio.sleep(0)  # Signals are minded before anybody is told that we run.
        scheme = "http" if tls is None else "https"
        ready(
            {
                "ready": True,
                "service": "admission",
                "name": options.name,
                "url": f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}",
                "gate": options.gate,
                "site": options.site,
                "cloud": None if options.cloud is None else options.cloud.handle,
            }
        )
        tell_manager(READY)
        try:
            await stop
        finally:
            tell_manager(STOPPING)


def _no_socket(error: SocketUnusable) -> None:
    log.warning("operators cannot ask", reason=str(error))
