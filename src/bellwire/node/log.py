"""Put a log together, and run it until it is told to stop."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.lifetime import until_stopped
from bellwire.base.manager import READY, STOPPING, tell_manager
from bellwire.base.private import own_folder
from bellwire.ledger.proving import Prover
from bellwire.ledger.service.service import LogService
from bellwire.ledger.service.signer import LogSigner, open_identity
from bellwire.ledger.service.writers import Writers, read_token
from bellwire.ledger.store.store import LogStore
from bellwire.node.serving import require_loopback, server_tls
from bellwire.web.api import ApiServer
from bellwire.web.log import LOG_LIMITS, LogApi

GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What the command line says of a log.

    Attributes:
        listen: Host and port.
        origin: Its name; None if it has one.
        signer: Folder of its keys, and of what it signed last.
        writers: Files of tokens, by the writer's name.
        every_s: At least so long between two checkpoints.
        certificate: The chain for TLS, PEM; None for plain HTTP.
        key: The certificate's key, PEM.
        with_parent: End when standard input does.
    """

    listen: tuple[str, int]
    origin: str | None
    signer: Path
    writers: Mapping[str, Path]
    every_s: float
    certificate: Path | None
    key: Path | None
    with_parent: bool


async def run_log(
    state: Path, options: LogOptions, ready: Callable[[dict[str, object]], None]
) -> None:
    """Run a log until it is told to stop.

    Args:
        state: Where its store is, in a folder of its own.
        options: From the command line.
        ready: Called once with where it listens, and with its keys.

    Raises:
        BellwireError: it cannot start, or can sign nothing more.
    """
    tls = server_tls(options.certificate, options.key, "--key")
    if options.writers and tls is None:
        require_loopback(options.listen[0], "Give --certificate and --key, or no --writer.")
    writers = Writers({name: read_token(path) for name, path in options.writers.items()})
    identity = open_identity(own_folder(options.signer), options.origin)
    async with contextlib.AsyncExitStack() as stack:
        store = LogStore(state / "ledger")
        stack.callback(store.close)
        signer = LogSigner(options.signer, identity, store.head, Prover(store.tile).root)
        service = LogService(store, signer, time.time, every_s=options.every_s)
        stack.push_async_callback(service.close)
        server = ApiServer(LogApi(service, writers).answer, LOG_LIMITS)
        stack.push_async_callback(server.stop, GRACE_S)
        host, port = await server.start(*options.listen, tls)
        stop = asyncio.create_task(until_stopped(with_parent=options.with_parent))
        signing = asyncio.create_task(service.run())
        await asyncio.sleep(0)  # Signals are minded before anybody is told that we run.
        scheme = "http" if tls is None else "https"
        ready(
            {
                "ready": True,
                "service": "ledger",
                "url": f"{scheme}://[{host}]:{port}"
                if ":" in host
                else f"{scheme}://{host}:{port}",
                "origin": identity.origin,
                "keys": [str(each) for each in identity.keys],
                "entries": store.head.size,
            }
        )
        tell_manager(READY)
        ended, left = await asyncio.wait({stop, signing}, return_when=asyncio.FIRST_COMPLETED)
        tell_manager(STOPPING)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for task in ended:
            task.result()
