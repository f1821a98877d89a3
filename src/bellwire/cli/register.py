"""`bellwire register`: a name for us at a server of admission."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption
from bellwire.cli.protection import ProtectionOption, protection_of

if TYPE_CHECKING:
    from bellwire.admission.client import AdmissionClient, Given, Registered
    from bellwire.admission.possession import PrivateKey
    from bellwire.ledger.policy import Policy
    from bellwire.node.settings import Settings

_ASK_AGAIN_S = 0.5


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
    from bellwire.base.private import own_folder
    from bellwire.cli.log.trust import trusted
    from bellwire.node.settings import load

    if sum((chat_as is not None, device, cloud)) > 1:
        raise UsageError("expected one of --as, --device and --cloud")
    if key_protection is not None and not (device or cloud):
        raise UsageError("expected --key-protection beside --device or --cloud")
    handle = canonical(name)
    trust = None if log_policy is None else trusted(None, None, None, log_policy)
    secret = None if token is None else _token(token)
    settings = load(config, {"state": {"dir": state}})
    if out is None:
        out = own_folder(own_folder(settings.state.dir) / "registered") / handle
    _tell_of_name(handle, out)
    if chat_as is not None:
        keys = _with_identity(out, settings, chat_as)
    elif device or cloud:
        keys = _with_channel_key(out, settings, "device" if device else "cloud", key_protection)
    else:
        keys = own_keys(out)
    newcomer = _Newcomer(handle, keys, out)
    client = AdmissionClient.to(at, server, ca)
    found = asyncio.run(newcomer.register(client, secret))
    files = None if found.certificate is None else _write(out, found.certificate)
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
        output.stdout().print(f"receipt      {receipt}", soft_wrap=True, markup=False)
    elif why is not None:
        output.stdout().print(
            f"receipt      not yet: {why}. Run this again for it", soft_wrap=True, markup=False
        )
    elif found.receipt is not None:
        output.stdout().print("receipt      there is one: name a --log-policy to check and keep it")


def _tell_of_name(handle: str, folder: Path) -> None:
    """What becomes of a name is said before it is asked for the first time."""
    if not folder.exists():
        output.stderr().print(
            f"{handle} will be a public name: a log that the server tells keeps it, and its public"
            " keys, for ever.",
            soft_wrap=True,
            markup=False,
        )


class _Newcomer:
    """Who registers: a handle, keys, and the folder where they are."""

    def __init__(self, handle: str, keys: "dict[str, PrivateKey]", folder: Path) -> None:
        self._handle = handle
        self._keys = keys
        self._folder = folder

    async def register(self, client: "AdmissionClient", token: str | None) -> "Registered":
        async with client:
            return await client.register(self._handle, self._keys, token)

    async def receipt(
        self, client: "AdmissionClient", registered: "Registered", trust: "Policy", within_s: float
    ) -> tuple[Path | None, str | None]:
        """Where the receipt was written, once it is there and holds; or why there is none yet."""
        import asyncio
        import time

        from bellwire.admission.errors import AdmissionAbsent
        from bellwire.admission.possession import public_bytes
        from bellwire.base.private import write_whole
        from bellwire.ledger.receipt import SUFFIX
        from bellwire.ledger.registered import verify_registration

        public = {kind: public_bytes(key) for kind, key in self._keys.items()}
        deadline = time.monotonic() + within_s
        async with client:
            while True:
                why = "the log does not show it"
                try:
                    data = await client.receipt(registered)
                except AdmissionAbsent as error:
                    data, why = None, str(error)
                if data is not None:
                    break
                if time.monotonic() >= deadline:
                    return None, why
                await asyncio.sleep(_ASK_AGAIN_S)
        found = verify_registration(data, trust, self._handle, public)
        path = self._folder / f"registration{SUFFIX}"
        write_whole(path, found.encode(), 0o644, replace=True)
        return path, None


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


def _with_channel_key(
    folder: Path, settings: "Settings", role: str, given: str | None
) -> "dict[str, PrivateKey]":
    """Keys of a folder, but for that of a device's or a cloud's channel, in its two halves."""
    from bellwire.admission.keys import KINDS, own_keys
    from bellwire.iot.identity import load_or_create

    home = settings.state.dir / role
    protection = protection_of(settings, given, home)
    lattice, curve = load_or_create(home, protection, public_file=f"{role}.pub").halves
    others = tuple(each for each in KINDS if each != "ml-kem-768")
    return {**own_keys(folder, others), "ml-kem-768": lattice, "x25519": curve}


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
