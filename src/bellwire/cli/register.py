"""`bellwire register`: a name for us at a server of admission."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.admission.client import Given, Registered
    from bellwire.admission.possession import PrivateKey


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to be called.")],
    at: Annotated[
        str, typer.Option("--at", metavar="URL", help="The server of admission.")
    ] = "http://127.0.0.1:8490",
    server: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What that server is called. Default: the host in URL."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Who signs its certificate, PEM. Default: as the system says."
        ),
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Has the enrolment token; - reads standard input."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Where keys and certificate are. Default: registered/NAME in the state folder.",
        ),
    ] = None,
    chat_as: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="PERSON",
            help="Register the keys with which this person signs in chat, in place of new ones.",
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            metavar="LOG",
            help="Keep a receipt that the registration is in this log: its address, or a folder.",
        ),
    ] = None,
    log_policy: Annotated[
        Path | None,
        typer.Option(
            "--log-policy",
            metavar="FILE",
            help="Who must have signed and cosigned it, as a tlog-policy file says.",
        ),
    ] = None,
    log_within: Annotated[
        float,
        typer.Option("--log-within", metavar="S", min=0, max=600, help="Wait so long for it."),
    ] = 15.0,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Register a name: make keys here, prove them, and get a certificate.

    Again with the same folder it says how it stands, and renews the certificate. It exits with 3 if
    the server says no.
    """
    import asyncio

    from bellwire.admission.keys import own_keys
    from bellwire.base.handles import canonical
    from bellwire.base.private import own_folder
    from bellwire.node.settings import load

    if (log is None) != (log_policy is None):
        raise UsageError("expected --log together with --log-policy")
    handle = canonical(name)
    secret = None if token is None else _token(token)
    if out is None:
        out = own_folder(load(config, {"state": {"dir": state}}).state.dir) / "registered"
        out = own_folder(out) / handle
    keys = own_keys(out) if chat_as is None else _with_identity(out, state, config, chat_as)
    found = asyncio.run(_register(handle, at, server, ca, keys, secret))
    files = None if found.certificate is None else _write(out, found.certificate)
    receipt = None
    if log is not None and log_policy is not None and found.status == "admitted":
        receipt = _receipt(handle, keys, log, log_policy, ca, log_within, out)
    if json:
        output.emit(
            {
                "username": found.username,
                "status": found.status,
                "verdict": found.verdict,
                "reasons": found.reasons,
                "folder": out,
                "sae_id": None if found.certificate is None else found.certificate.sae_id,
                "not_after": None if found.certificate is None else found.certificate.not_after,
                "files": files,
                "receipt": receipt,
            }
        )
    else:
        _show(found, out)
        if receipt is not None:
            output.stdout().print(f"receipt      {receipt}", soft_wrap=True, markup=False)
        elif log is not None and found.status == "admitted":
            output.stdout().print("receipt      not in the log yet: run this again for it")


def _with_identity(
    folder: Path, state: Path | None, config: Path | None, who: str
) -> "dict[str, PrivateKey]":
    """Keys of a folder, but for those that sign in a person's chat."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

    from bellwire.admission.keys import KINDS, own_keys
    from bellwire.chat.messenger.home import person_of
    from bellwire.crypto.ed25519 import SEED_BYTES
    from bellwire.node.settings import credentials_folder, load

    settings = load(config, {"state": {"dir": state}})
    others = tuple(each for each in KINDS if each not in {"ed25519", "ml-dsa-65"})
    with person_of(settings.state.dir, who, credentials_folder()) as person:
        seed = person.identity.seed.reveal()
    return {
        **own_keys(folder, others),
        "ed25519": Ed25519PrivateKey.from_private_bytes(seed[:SEED_BYTES]),
        "ml-dsa-65": MLDSA65PrivateKey.from_seed_bytes(seed[SEED_BYTES:]),
    }


async def _register(
    handle: str,
    url: str,
    server: str | None,
    ca: Path | None,
    keys: "dict[str, PrivateKey]",
    token: str | None,
) -> "Registered":
    from bellwire.admission.client import AdmissionClient

    client = AdmissionClient.to(url, server, ca)
    async with client:
        return await client.register(handle, keys, token)


def _receipt(
    handle: str,
    keys: "dict[str, PrivateKey]",
    log: str,
    policy: Path,
    ca: Path | None,
    within_s: float,
    folder: Path,
) -> Path | None:
    """Wait until the log has the registration, and keep its receipt; None if it has not in time."""
    import time

    from bellwire.admission.possession import public_bytes
    from bellwire.base.private import write_whole
    from bellwire.cli.log.place import fetching
    from bellwire.cli.log.trust import trusted
    from bellwire.ledger.reading import LogReader
    from bellwire.ledger.receipt import SUFFIX
    from bellwire.ledger.registered import find_receipt

    trust = trusted(None, None, None, policy)
    public = {kind: public_bytes(key) for kind, key in keys.items()}
    deadline = time.monotonic() + within_s
    path = folder / f"registration{SUFFIX}"
    with fetching(log, ca) as fetch, output.progress("waiting for the log"):
        while (found := find_receipt(LogReader(fetch), trust, handle, public)) is None:
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.5)
    write_whole(path, found.encode(), 0o644, replace=True)
    return path


def _token(path: Path) -> str:
    import sys

    from bellwire.admission.errors import TokenUnusable
    from bellwire.base.private import read_own_file

    data = sys.stdin.buffer.read(256) if str(path) == "-" else read_own_file(path, 256)
    text = (data or b"").decode("ascii", "replace").strip()
    if not text or len(text) > 128 or not text.isalnum():
        where = "standard input" if str(path) == "-" else path
        raise TokenUnusable(f"expected an enrolment token in {where}, got none")
    return text


def _write(folder: Path, given: "Given") -> dict[str, Path]:
    from bellwire.base.private import write_whole

    files = {"certificate": folder / "client.crt", "ca": folder / "ca.crt"}
    write_whole(files["ca"], given.authorities.encode(), 0o644, replace=True)
    write_whole(files["certificate"], given.certificate.encode(), 0o644, replace=True)
    return {**files, "key": folder / "p-256.key"}


def _show(found: "Registered", folder: Path) -> None:
    import time

    from rich.text import Text

    screen = output.stdout()
    colours = {"admitted": "bold green", "waiting": "bold yellow"}
    screen.print(
        Text.assemble(
            f"{found.username} is ", (found.status, colours.get(found.status, "bold red"))
        )
    )
    if found.status == "waiting":
        screen.print(
            "An operator decides: `bellwire admission admit "
            f"{found.username}` at the server. Then run this again."
        )
    screen.print(f"keys         {folder}, and nowhere else", soft_wrap=True)
    if found.certificate is not None:
        until = time.strftime("%Y-%m-%d %H:%M", time.gmtime(found.certificate.not_after))
        screen.print(f"certificate  of the SAE {found.certificate.sae_id}, until {until} UTC")
