"""What records and admits, of one machine: a log, a witness of each site, and admission.

The log shows what both witnesses have cosigned. Each service that tells it something has a token of
its own. Where the settings name a log (`ledger.url`), that one is written to, and none is started.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bellwire.base.private import own_folder, read_own_file, write_whole
from bellwire.crypto.kek.source import KekSource
from bellwire.iot.authority import FOLDER, PUBLIC_FILE, REVOKED_FILE
from bellwire.iot.destination import join
from bellwire.iot.keeping import parse_protection
from bellwire.ledger.service.signer import Identity
from bellwire.node.admission_channel import opened_or_made
from bellwire.node.log import log_identity
from bellwire.node.settings import AddressSettings, Settings, credentials_folder
from bellwire.node.witness import witness_folder, witness_keys
from bellwire.services.place import Place
from bellwire.services.ports import Port
from bellwire.services.program import Known, Program, reached, said

WRITERS: Final = ("node-a", "node-b", "admission")
SITES: Final = "ab"
CLOUD: Final = "cloud"
"""The name by which the cloud of this machine registers, so that devices are told of it."""

TOKEN_BYTES: Final = 32


def log_needed(settings: Settings) -> tuple[str, ...]:
    """What must run before who writes to the log: it waits for none whose address is known."""
    return () if settings.ledger.url or settings.addresses.ledger_port else ("ledger",)


def writing(settings: Settings, place: Place, writer: str, known: Known) -> Mapping[str, str]:
    """Variables by which a service writes to the log of this machine; none for another log."""
    if settings.ledger.url:
        return {}
    return {
        "BELLWIRE_LEDGER__URL": _address(settings, known),
        "BELLWIRE_LEDGER__WRITER": writer,
        "BELLWIRE_LEDGER__TOKEN": str(_token(place, writer)),
    }


def reading(settings: Settings, place: Place, known: Known) -> dict[str, str]:
    """Variables by which a console shows the log of this machine; none for another log."""
    if settings.ledger.url or settings.console.log:
        return {}
    return {
        "BELLWIRE_CONSOLE__LOG": _address(settings, known),
        "BELLWIRE_CONSOLE__LOG_POLICY": str(policy_file(place)),
    }


def prepare_record(settings: Settings, place: Place) -> None:
    """Make what is missing: who certifies devices, the log's and the witnesses' keys, tokens.

    Raises:
        BellwireError: something cannot be made.
    """
    devices = own_folder(place.state) / FOLDER
    opened_or_made(devices, _protection(settings, devices))
    if settings.ledger.url:
        return
    own_folder(_token(place, "x").parent)
    for writer in WRITERS:
        path = _token(place, writer)
        if read_own_file(path, 1) is None:
            write_whole(path, secrets.token_hex(TOKEN_BYTES).encode() + b"\n", replace=False)
    log = _identity(settings, place)
    for site in SITES:
        folder = own_folder(witness_folder(place.state, site))
        new = not (folder / "name").exists()
        name = f"{log.origin}/witness-{site}" if new else None
        witness_keys(folder, name, _protection(settings, folder))


def record_programs(settings: Settings, place: Place, common: list[str]) -> tuple[Program, ...]:
    """The services of the record.

    Args:
        settings: Of all services.
        place: Where they keep what they keep.
        common: Options of each.
    """
    addresses = settings.addresses
    admission = _admission(settings, place, common)
    if settings.ledger.url:
        return (admission,)
    witnesses = [_witness(addresses, place, site, common) for site in SITES]
    return _ledger(settings, place, common), *witnesses, admission


def certified_devices(place: Place) -> list[str]:
    """Options by which the cloud takes devices that admission certifies."""
    folder = place.state / FOLDER
    return ["--authority", str(folder / PUBLIC_FILE), "--revoked", str(folder / REVOKED_FILE)]


def policy_file(place: Place) -> Path:
    """By whom the log of this machine is signed and witnessed, for whoever reads it."""
    return place.state / "ledger.policy"


def _address(settings: Settings, known: Known) -> str:
    """Where this machine's log is, or will be."""
    addresses = settings.addresses
    planned = f"http://{addresses.ledger_host}:{addresses.ledger_port}"
    return reached(said(known, "ledger", "url") or planned)


def _ledger(settings: Settings, place: Place, common: list[str]) -> Program:
    addresses = settings.addresses

    def arguments(known: Known) -> list[str]:
        writers = [f"--writer={name}={_token(place, name)}" for name in WRITERS]
        policy = ["--policy", str(policy_file(place))]
        listen = _listen(known, "ledger", addresses.ledger_host, addresses.ledger_port)
        return ["ledger", *common, *listen, *writers, *policy]

    def before(known: Known) -> None:
        log = _identity(settings, place).keys[1]
        lines = [f"log {log}"]
        for site in SITES:
            told = known[f"witness-{site}"]
            lines.append(f"witness {site} {told['keys'][1]} {reached(told['url'])}")
        lines += ["group both all a b", "quorum both", ""]
        write_whole(policy_file(place), "\n".join(lines).encode(), 0o644, replace=True)

    port = Port("log", "addresses.ledger_port", addresses.ledger_host, addresses.ledger_port)
    needs = tuple(f"witness-{site}" for site in SITES)
    return Program("ledger", arguments, (port,), needs, before=before)


def _witness(addresses: AddressSettings, place: Place, site: str, common: list[str]) -> Program:
    name = f"witness-{site}"
    number = addresses.witness_a_port if site == "a" else addresses.witness_b_port
    host = addresses.witness_host

    def arguments(known: Known) -> list[str]:
        listen = _listen(known, name, host, number)
        return ["witness", *common, "--site", site, "--log", str(_log_key(place)), *listen]

    port = Port(f"witness of site {site}", f"addresses.witness_{site}_port", host, number)
    return Program(name, arguments, (port,))


def _admission(settings: Settings, place: Place, common: list[str]) -> Program:
    host, number = settings.addresses.admission_host, settings.addresses.admission_port

    def arguments(known: Known) -> list[str]:
        listen = _listen(known, "admission", host, number)
        devices = ["--cloud", CLOUD]
        cloud, cloud_port = settings.addresses.cloud_host, settings.addresses.cloud_port
        if cloud_port and cloud not in {"0.0.0.0", "::"}:  # noqa: S104 - nobody reaches these
            devices += ["--cloud-at", join(cloud, cloud_port)]
        return ["admission", "run", *common, "--site", "a", *devices, *listen]

    port = Port("server of admission", "addresses.admission_port", host, number)
    return Program(
        "admission",
        arguments,
        (port,),
        log_needed(settings),
        environment=lambda known: writing(settings, place, "admission", known),
    )


def _listen(known: Known, name: str, host: str, port: int) -> list[str]:
    return ["--listen", urlsplit(said(known, name, "url")).netloc or f"{host}:{port}"]


def _identity(settings: Settings, place: Place) -> Identity:
    folder = place.state / "ledger-signer"
    new = not (folder / "origin").exists()
    # Nobody else's is called so, whatever the machines are called.
    origin = f"localhost/bellwire-{os.urandom(8).hex()}" if new else None
    identity = log_identity(folder, origin, _protection(settings, folder))
    key = f"{identity.keys[1]}\n".encode()  # ML-DSA-44 alone: each key of a log would suffice
    write_whole(_log_key(place), key, 0o644, replace=True)
    return identity


def _protection(settings: Settings, folder: Path) -> KekSource | None:
    return parse_protection(settings.identity.protection, folder, credentials_folder())


def _log_key(place: Place) -> Path:
    return place.state / "ledger.vkey"


def _token(place: Place, writer: str) -> Path:
    return place.state / "ledger-writers" / f"{writer}.token"
