"""Who registers a name, on the newcomer's side: keys in files, a server, and what it gives."""

from pathlib import Path
from typing import TYPE_CHECKING

from bellwire.cli import output
from bellwire.cli.protection import protection_of

if TYPE_CHECKING:
    from bellwire.admission.client import AdmissionClient, Given, Registered
    from bellwire.admission.possession import PrivateKey
    from bellwire.ledger.policy import Policy
    from bellwire.node.settings import Settings

_ASK_AGAIN_S = 0.5


def tell_of_name(handle: str, folder: Path) -> None:
    """What becomes of a name is said before it is asked for the first time."""
    if not folder.exists():
        output.stderr().print(
            f"{handle} will be a public name: a log that the server tells keeps it, and its public"
            " keys, for ever.",
            soft_wrap=True,
        )


class Newcomer:
    """Who registers: a handle, keys, and the folder where they are."""

    def __init__(self, handle: str, keys: "dict[str, PrivateKey]", folder: Path) -> None:
        self._handle = handle
        self._keys = keys
        self._folder = folder

    async def register(self, client: "AdmissionClient", token: str | None) -> "Registered":
        """Register, or find out how it stands; as `AdmissionClient.register`."""
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


def with_channel_key(
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


def read_token(path: Path) -> str:
    """The enrolment token in a file, or for `-` on standard input; TokenUnusable if it is none."""
    import sys

    from bellwire.admission.errors import TokenUnusable
    from bellwire.base.private import read_own_file

    data = sys.stdin.buffer.read(256) if str(path) == "-" else read_own_file(path, 256)
    text = (data or b"").decode("ascii", "replace").strip()
    if not text or len(text) > 128 or not text.isalnum():
        where = "standard input" if str(path) == "-" else path
        raise TokenUnusable(f"expected an enrolment token in {where}, got none")
    return text


def write_given(folder: Path, given: "Given") -> dict[str, Path]:
    """Write the certificate of TLS, and whom it believes; where they and the key are."""
    from bellwire.base.private import write_whole

    files = {"certificate": folder / "client.crt", "ca": folder / "ca.crt"}
    write_whole(files["ca"], given.authorities.encode(), 0o644, replace=True)
    write_whole(files["certificate"], given.certificate.encode(), 0o644, replace=True)
    return {**files, "key": folder / "p-256.key"}


def own_registered(settings: "Settings", handle: str) -> Path:
    """The folder of a name in the state folder; what it is in is made."""
    from bellwire.base.private import own_folder

    return own_folder(own_folder(settings.state.dir) / "registered") / handle
