"""Put a witness together from its folder and its logs' keys, and run it till it is told to stop."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bellwire.base.lifetime import until_stopped
from bellwire.base.manager import READY, STOPPING, tell_manager
from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.crypto.kek.envelope import Wrapped
from bellwire.crypto.kek.source import KekSource
from bellwire.iot.keeping import SETTING, unlock
from bellwire.ledger.note import MAX_NAME_BYTES
from bellwire.ledger.signing import SECRET_BYTES, Signer, witness_signers
from bellwire.ledger.verifier_keys import VerifierKey
from bellwire.ledger.witness.errors import WitnessUnusable
from bellwire.ledger.witness.memory import Memory
from bellwire.ledger.witness.witness import Witness, by_origin
from bellwire.node.serving import alone_in, server_tls
from bellwire.web.api import ApiServer
from bellwire.web.witness import WITNESS_LIMITS, WitnessDoor

GRACE_S: Final = 5.0
NAME_FILE: Final = "name"
LOGS_FOLDER: Final = "logs"
WITNESS_KEY: Final = Wrapped(
    what="witness's key",
    form="bellwire wrapped log key 1",
    file="witness.wrapped",
    bare="witness.key",
    setting=SETTING,
    sizes=(SECRET_BYTES, SECRET_BYTES),
    make=lambda: os.urandom(SECRET_BYTES),
)
"""The seeds of a witness's Ed25519 and ML-DSA-44 keys."""


@dataclass(frozen=True, slots=True)
class WitnessOptions:
    """What the command line says of a witness.

    Attributes:
        folder: Of its key and state.
        name: Its name; needed the first time.
        logs: Keys of the logs that it follows.
        listen: Host and port.
        second: Folder for a copy of its state, on another disk; None for none.
        protection: What wraps its key; None: nothing.
        certificate: The chain for TLS, PEM; None for plain HTTP.
        tls_key: The certificate's key, PEM.
        with_parent: End when standard input does.
    """

    folder: Path
    name: str | None
    logs: tuple[VerifierKey, ...]
    listen: tuple[str, int]
    second: Path | None
    protection: KekSource | None
    certificate: Path | None
    tls_key: Path | None
    with_parent: bool


def witness_folder(state: Path, site: str | None = None) -> Path:
    """Where a witness keeps its key and state; that of a site where two have one state folder."""
    return state / ("witness" if site is None else f"witness-{site}")


def witness_keys(
    folder: Path, name: str | None, protection: KekSource | None
) -> tuple[Signer, Signer]:
    """The keys of a witness, made at the first call together with its name.

    Raises:
        WitnessUnusable: it has no name yet and none is given, or it has another.
        VerifierKeyUnusable: the name cannot be one.
        KekRefused, KekUnusable, KekUnavailable: the key does not open.
        PathUnusable, PathExposed: a file cannot be used, or others may read it.
    """
    path = own_folder(folder) / NAME_FILE
    kept = _name(path)
    if kept is None and name is None:
        raise WitnessUnusable("expected --name NAME for a new witness, as witness.example/w1")
    if kept is not None and name not in {None, kept}:
        raise WitnessUnusable(
            f"--name: expected {kept}, as this witness is called, got {name}",
            hint="A key has one name for ever; another witness needs another --state.",
        )
    chosen = kept or name or ""
    secret = unlock(folder, WITNESS_KEY, protection, fresh=kept is None)
    if secret is None or len(secret) != SECRET_BYTES:
        raise WitnessUnusable(
            f"expected the key of {chosen} in {folder}, got none",
            hint="Put it back; without it this witness is no more.",
        )
    signers = witness_signers(chosen, secret)
    if kept is None:
        write_whole(path, chosen.encode() + b"\n", replace=False)
    return signers


async def run_witness(options: WitnessOptions, ready: Callable[[dict[str, object]], None]) -> None:
    """Run one witness until it is told to stop.

    Args:
        options: From the command line.
        ready: Called once with where it listens and its keys.

    Raises:
        BellwireError: it cannot start.
    """
    tls = server_tls(options.certificate, options.tls_key, "--key")
    async with contextlib.AsyncExitStack() as stack:
        folder = own_folder(options.folder)
        stack.enter_context(alone_in(folder, "witness"))
        signers = await asyncio.to_thread(witness_keys, folder, options.name, options.protection)
        logs = by_origin(options.logs)
        memory = Memory(folder / LOGS_FOLDER, options.second, tuple(logs))
        witness = Witness(signers, logs, memory)
        server = ApiServer(WitnessDoor(witness).answer, WITNESS_LIMITS)
        stack.push_async_callback(server.stop, GRACE_S)
        host, port = await server.start(*options.listen, tls)
        stop = asyncio.create_task(until_stopped(with_parent=options.with_parent))
        await asyncio.sleep(0)  # Signals are minded before anybody is told that we run.
        scheme = "http" if tls is None else "https"
        ready(
            {
                "ready": True,
                "service": "witness",
                "url": f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}",
                "keys": [str(each.verifier) for each in signers],
                "logs": sorted(logs),
            }
        )
        tell_manager(READY)
        try:
            await stop
        finally:
            tell_manager(STOPPING)


def _name(path: Path) -> str | None:
    kept = read_own_file(path, MAX_NAME_BYTES + 2)
    return None if kept is None else kept.decode("utf-8", "replace").strip()
