"""`bellwire cloud invite`, `invitations` and `protect`: who may enrol, and how the key rests."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption
from bellwire.cli.protection import ProtectionOption, ToOption

if TYPE_CHECKING:
    from bellwire.iot.invitations import Invitations


def kept_invitations(folder: Path, *, settle: bool = False) -> "Invitations":
    """The invitations of the cloud in `folder`; finished, at its start, where a crash left one."""
    from bellwire.iot.identity import ALLOWED_FOLDER
    from bellwire.iot.invitations import FOLDER, Invitations

    kept = Invitations(folder / FOLDER, folder / ALLOWED_FOLDER)
    if settle:
        kept.settle()
    return kept


def invite(
    name: Annotated[str, typer.Option(help="What this cloud is to call the device.")],
    minutes: Annotated[
        float, typer.Option(metavar="MIN", help="How long the code is good, 1 to 10,080.")
    ] = 60.0,
    qr: Annotated[bool, typer.Option("--qr", help="Show the code to be scanned, too.")] = False,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Print a code by which one device enrols, once, whether the cloud runs or not."""
    from bellwire.node.settings import load

    folder = load(config, {"state": {"dir": state}}).state.dir / "cloud"
    made, code = kept_invitations(folder).invite(name, minutes * 60)
    if json:
        output.emit(
            {
                "id": made.id.hex(),
                "name": made.name,
                "expires": made.expires,
                "code": code.spell(),
            }
        )
        return
    console = output.stdout()
    console.print(f"{code.spell()}")
    if qr:
        import segno

        segno.make(code.spell(), error="m").terminal(compact=True)
    console.print(
        f"On the device, within {minutes:g} minutes: bellwire device enroll --code - --to HOST:PORT"
    )


def invitations(
    cancel: Annotated[
        str | None, typer.Option(metavar="ID", help="Take this invitation back.")
    ] = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """List the invitations of this cloud, or take one back; a device that used it stays."""
    from bellwire.iot.code import ID_BYTES
    from bellwire.node.settings import load

    folder = load(config, {"state": {"dir": state}}).state.dir / "cloud"
    kept = kept_invitations(folder)
    if cancel is not None:
        if not re.fullmatch(rf"[0-9a-f]{{{2 * ID_BYTES}}}", cancel):
            raise UsageError(f"expected an id of {2 * ID_BYTES} hexadecimal digits")
        kept.cancel(bytes.fromhex(cancel))
    found = [
        {
            "id": each.id.hex(),
            "name": each.name,
            "state": each.state(time.time()),
            "expires": each.expires,
        }
        for each in kept.all()
    ]
    if json:
        output.emit({"invitations": found})
        return
    for row in found:
        output.stdout().print(f"{row['id']}  {row['state']:8} {row['name']}")


def protect(
    to: ToOption = None,
    key_protection: ProtectionOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Say how the cloud's key rests, or wrap it under a passphrase, a keyring or a token."""
    from bellwire.cli import protection
    from bellwire.iot.identity import IDENTITY
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    folder = settings.state.dir / "cloud"
    protection.protect(settings, folder, IDENTITY, key_protection, to, json=json)
