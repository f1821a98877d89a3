"""`bellwire register`: a name for us at a server of admission."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.newcomer import (
    Newcomer,
    own_registered,
    read_token,
    tell_of_name,
    with_channel_key,
    write_given,
)
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption
from bellwire.cli.protection import ProtectionOption

if TYPE_CHECKING:
    from bellwire.admission.client import Registered
    from bellwire.admission.possession import PrivateKey
    from bellwire.node.settings import Settings


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
    device: Annotated[
        bool,
        typer.Option("--device", help="Register the key of this state folder's device, too."),
    ] = False,
    cloud: Annotated[
        bool,
        typer.Option("--cloud", help="Register the key of this state folder's cloud, too."),
    ] = False,
    key_protection: ProtectionOption = None,
    log_policy: Annotated[
        Path | None,
        typer.Option(
            "--log-policy",
            metavar="FILE",
            help="Keep the receipt that a log has the registration: who must have signed and "
            "cosigned it, as a tlog-policy file says.",
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

    The name and its public keys are public: a log that the server tells keeps them for ever. Again
    with the same folder it says how it stands, and renews the certificate. It exits with 3 if the
    server says no.
    """
    import asyncio

    from bellwire.admission.client import AdmissionClient
    from bellwire.admission.keys import own_keys
    from bellwire.base.handles import canonical
    from bellwire.cli.log.trust import trusted
    from bellwire.node.settings import load

    if sum((chat_as is not None, device, cloud)) > 1:
        raise UsageError("expected one of --as, --device and --cloud")
    if key_protection is not None and not (device or cloud):
        raise UsageError("expected --key-protection beside --device or --cloud")
    handle = canonical(name)
    trust = None if log_policy is None else trusted(None, None, None, log_policy)
    secret = None if token is None else read_token(token)
    settings = load(config, {"state": {"dir": state}})
    if out is None:
        out = own_registered(settings, handle)
    tell_of_name(handle, out)
    if chat_as is not None:
        keys = _with_identity(out, settings, chat_as)
    elif device or cloud:
        keys = with_channel_key(out, settings, "device" if device else "cloud", key_protection)
    else:
        keys = own_keys(out)
    newcomer = Newcomer(handle, keys, out)
    client = AdmissionClient.to(at, server, ca)
    found = asyncio.run(newcomer.register(client, secret))
    files = None if found.certificate is None else write_given(out, found.certificate)
    if not json:
        _show(found, out)
    receipt, why = None, None
    if trust is not None and found.status == "admitted":
        with output.progress("waiting for the log"):
            again = AdmissionClient.to(at, server, ca)
            receipt, why = asyncio.run(newcomer.receipt(again, found, trust, log_within))
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
    elif receipt is not None:
        output.stdout().print(f"receipt      {receipt}", soft_wrap=True)
    elif why is not None:
        output.stdout().print(f"receipt      not yet: {why}. Run this again for it", soft_wrap=True)
    elif found.receipt is not None:
        output.stdout().print("receipt      there is one: name a --log-policy to check and keep it")


def _with_identity(folder: Path, settings: "Settings", who: str) -> "dict[str, PrivateKey]":
    """Keys of a folder, but for those that sign in a person's chat."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

    from bellwire.admission.keys import KINDS, own_keys
    from bellwire.chat.messenger.home import person_of
    from bellwire.crypto.ed25519 import SEED_BYTES
    from bellwire.node.settings import credentials_folder

    others = tuple(each for each in KINDS if each not in {"ed25519", "ml-dsa-65"})
    with person_of(settings.state.dir, who, credentials_folder()) as person:
        seed = person.identity.seed.reveal()
    return {
        **own_keys(folder, others),
        "ed25519": Ed25519PrivateKey.from_private_bytes(seed[:SEED_BYTES]),
        "ml-dsa-65": MLDSA65PrivateKey.from_seed_bytes(seed[SEED_BYTES:]),
    }


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
