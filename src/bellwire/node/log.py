"""Put a log together, and run it until it is told to stop."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.errors import UsageError
from bellwire.base.lifetime import until_stopped
from bellwire.base.manager import READY, STOPPING, tell_manager
from bellwire.base.secret import Secret
from bellwire.crypto.kek.envelope import Wrapped
from bellwire.crypto.kek.source import KekSource
from bellwire.database.place import ServerPlace
from bellwire.iot.keeping import SETTING, unlock
from bellwire.ledger.proving import Prover
from bellwire.ledger.service.service import LogService
from bellwire.ledger.service.signer import KEY_FILE, Identity, LogSigner, open_identity
from bellwire.ledger.service.writers import Writers, read_token
from bellwire.ledger.signing import SECRET_BYTES
from bellwire.ledger.store.database import Place
from bellwire.ledger.store.layout import LAYOUT
from bellwire.ledger.store.store import LogStore
from bellwire.node.log_witnesses import WitnessesOptions, open_witnesses
from bellwire.node.serving import require_loopback, server_tls
from bellwire.web.api import ApiServer
from bellwire.web.log import LOG_LIMITS, LogApi

GRACE_S = 5.0
SCHEMA = "bellwire_log"
"""Of a log on a PostgreSQL server."""
LOG_KEY = Wrapped(
    what="log's key",
    form="bellwire wrapped log key 1",
    file="log.wrapped",
    bare=KEY_FILE,
    setting=SETTING,
    sizes=(SECRET_BYTES, SECRET_BYTES),
    make=lambda: os.urandom(SECRET_BYTES),
)
"""The seeds of a log's Ed25519 and ML-DSA-44 keys."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What the command line says of a log.

    Attributes:
        listen: Host and port.
        origin: Its name; None if it has one.
        signer: Folder of its keys, and of what it signed last.
        store: Where its entries are.
        protection: What wraps its keys; None: nothing.
        writers: Files of tokens, by the writer's name.
        every_s: At least so long between two checkpoints.
        certificate: The chain for TLS, PEM; None for plain HTTP.
        key: The certificate's key, PEM.
        witnesses: Who is to cosign its checkpoints; None: nobody.
        with_parent: End when standard input does.
    """

    listen: tuple[str, int]
    origin: str | None
    signer: Path
    store: Place
    protection: KekSource | None
    writers: Mapping[str, Path]
    every_s: float
    certificate: Path | None
    key: Path | None
    witnesses: WitnessesOptions | None
    with_parent: bool


def log_identity(folder: Path, origin: str | None, protection: KekSource | None) -> Identity:
    """Who a log is; made at the first call.

    Args:
        folder: Of its keys.
        origin: Its name; None if it has one.
        protection: What wraps its keys; None: nothing.

    Raises:
        LogUnnamed, VerifierKeyUnusable, PathUnusable, PathExposed: as `open_identity`.
        KekRefused, KekUnusable, KekUnavailable: the key does not open.
    """

    def key_of(folder: Path, fresh: bool) -> Secret | None:
        return unlock(folder, LOG_KEY, protection, fresh=fresh)

    return open_identity(folder, origin, key_of)


def store_place(state: Path, url: str) -> Place:
    """Where a log's store is.

    Args:
        state: The state folder.
        url: `ledger.store` of the settings.

    Raises:
        UsageError: the URL is none, or there is a store in the folder as well.
    """
    folder = state / "ledger"
    if not url:
        return folder
    if (folder / LAYOUT.file).exists():
        raise UsageError(
            f"expected no store in {folder} with ledger.store, got {LAYOUT.file}",
            hint="A store stays where it was made: name no server, or choose a new state folder.",
        )
    return ServerPlace(url, SCHEMA)


async def run_log(options: LogOptions, ready: Callable[[dict[str, object]], None]) -> None:
    """Run a log until it is told to stop.

    Args:
        options: From the command line.
        ready: Called once with where it listens, and with its keys.

    Raises:
        BellwireError: it cannot start, or can sign nothing more.
    """
    tls = server_tls(options.certificate, options.key, "--key")
    if options.writers and tls is None:
        require_loopback(options.listen[0], "Give --certificate and --key, or no --writer.")
    writers = Writers({name: read_token(path) for name, path in options.writers.items()})
    identity = await asyncio.to_thread(
        log_identity, options.signer, options.origin, options.protection
    )
    async with contextlib.AsyncExitStack() as stack:
        store = await asyncio.to_thread(LogStore, options.store)
        stack.callback(store.close)
        signer = LogSigner(options.signer, identity, store.head, Prover(store.tile).root)
        witnesses = None
        if options.witnesses is not None:
            witnesses = await open_witnesses(
                stack, options.witnesses, identity, Prover(store.tile), signer.shown
            )
        service = LogService(store, signer, time.time, every_s=options.every_s, witnesses=witnesses)
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
