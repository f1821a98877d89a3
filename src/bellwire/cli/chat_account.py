"""`bellwire chat account`: a handle at the relay, by which people find us."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.base.secret import Secret
    from bellwire.chat.messenger.account import Account

app = typer.Typer(help="A handle at the relay, by which people find us.", no_args_is_help=True)

AsOption = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="Who we are. Default: the only one there is."),
]
PasswordOption = Annotated[
    str,
    typer.Option(
        "--password-from",
        metavar="FILE|fd:N",
        help="A file of 0600 with the password, or a descriptor. Default: the terminal.",
    ),
]
DeviceOption = Annotated[
    str, typer.Option(metavar="NAME", help="What this machine is called among the devices.")
]
InvitationOption = Annotated[
    str | None,
    typer.Option(
        "--invitation-from",
        metavar="FILE|fd:N",
        help="A file of 0600 with the operator's invitation, or a descriptor.",
    ),
]
HandleArgument = Annotated[str, typer.Argument(metavar="HANDLE", help="3 to 32 of a-z, 0-9, - _.")]


@app.command("sign-up")
def sign_up(
    handle: HandleArgument,
    who: AsOption = None,
    password: PasswordOption = "",
    device: DeviceOption = "this machine",
    invitation: InvitationOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Have a handle, so that people write first who know nothing else of us."""

    async def act(account: "Account") -> dict[str, Any]:
        return await sign_up_with(account, handle, password, device, invitation)

    made = _run(act, who, state, config)
    _tell(json, made, f"@{made['handle']} is yours; people write to you by it")


@app.command("log-in")
def log_in(
    handle: HandleArgument,
    who: AsOption = None,
    password: PasswordOption = "",
    device: DeviceOption = "this machine",
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Begin a session of this machine."""

    async def act(account: "Account") -> dict[str, Any]:
        found = await account.log_in(handle, given(password, new=False), device)
        return {"handle": handle.removeprefix("@").lower(), "found_here": found}

    done = _run(act, who, state, config)
    words = f"logged in as @{done['handle']}"
    if not done["found_here"]:
        words += "; the account is of another identity: look after it here, but be found there"
    _tell(json, done, words)


@app.command("log-out")
def log_out(
    device: Annotated[
        str | None, typer.Argument(metavar="DEVICE", help="Its id in `devices`. Default: this one.")
    ] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="End the sessions of all devices.")
    ] = False,
    who: AsOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """End the session of a device; what it published is not handed out any more."""
    if device is not None and everywhere:
        raise UsageError("expected a DEVICE or --everywhere, got both")
    which = None if device is None else _device_id(device)

    async def act(account: "Account") -> dict[str, Any]:
        await (account.log_out_everywhere() if everywhere else account.log_out(which))
        return {"logged_out": "everywhere" if everywhere else device or "this"}

    _tell(json, _run(act, who, state, config), "logged out")


@app.command("devices")
def devices(
    who: AsOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """List where the account is logged in."""

    async def act(account: "Account") -> dict[str, Any]:
        found = [
            {
                "device": each.device.hex(),
                "name": each.name,
                "since": each.since,
                "used": each.used,
                "expires": each.expires,
                "is_this": each.is_this,
                "publishes": each.publishes,
            }
            for each in await account.devices()
        ]
        return {"devices": found}

    found = _run(act, who, state, config)
    lines = []
    for each in found["devices"]:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(each["used"]))
        this = ", this one" if each["is_this"] else ""
        publishes = ", found by the handle" if each["publishes"] else ""
        lines.append(f"{each['device']}  {each['name']}: last used {used}{this}{publishes}")
    _tell(json, found, "\n".join(lines))


@app.command("name-device")
def name_device(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Its id in `devices`.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 64 characters that print.")],
    who: AsOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Call a device something else."""
    which = _device_id(device)

    async def act(account: "Account") -> dict[str, Any]:
        await account.name_device(which, name)
        return {"device": device, "name": name}

    _tell(json, _run(act, who, state, config), "named")


@app.command("visibility")
def visibility(
    choice: Annotated[
        str,
        typer.Argument(
            metavar="hidden|exact|listed",
            help="Nobody finds us; who knows the handle; also who searches.",
        ),
    ],
    who: AsOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Choose who finds us by the handle."""
    from bellwire.chat.accounts.fields import Visibility

    chosen = {each.name.lower(): each for each in Visibility}.get(choice)
    if chosen is None:
        raise UsageError(f"expected hidden, exact or listed, got {choice[:40]!r}")

    async def act(account: "Account") -> dict[str, Any]:
        await account.set_visibility(chosen)
        return {"visibility": choice}

    _tell(json, _run(act, who, state, config), f"visibility: {choice}")


@app.command("password")
def password_command(
    password: PasswordOption = "",
    new_password: Annotated[
        str,
        typer.Option(
            "--new-password-from", metavar="FILE|fd:N", help="The new one. Default: the terminal."
        ),
    ] = "",
    forgotten: Annotated[
        bool, typer.Option("--forgotten", help="Prove ourselves by this person's identity instead.")
    ] = False,
    device: DeviceOption = "this machine",
    who: AsOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Have a new password; all other sessions end."""

    async def act(account: "Account") -> dict[str, Any]:
        proof = account.identity() if forgotten else given(password, new=False)
        await account.set_password(
            given(new_password, new=True, what="new password"), proof, device
        )
        return {"changed": True}

    _tell(json, _run(act, who, state, config), "the new password counts; other sessions have ended")


@app.command("export")
def export(
    who: AsOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Print all that the relay keeps of the account, as a JSON document."""
    import json as formats

    async def act(account: "Account") -> dict[str, Any]:
        document = formats.loads(await account.export())
        return document if isinstance(document, dict) else {}

    output.emit(_run(act, who, state, config))


@app.command("delete")
def delete(
    password: PasswordOption = "",
    who: AsOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Have the relay forget the account; nobody can have its handle again."""

    async def act(account: "Account") -> dict[str, Any]:
        await account.delete(given(password, new=False))
        return {"deleted": True}

    _tell(json, _run(act, who, state, config), "the relay has forgotten the account")


@app.command("new-box")
def new_box(
    who: AsOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Take nothing more from strangers who have our card so far, and show another one."""

    async def act(account: "Account") -> dict[str, Any]:
        await account.new_box()
        return {"drawn": True}

    _tell(json, _run(act, who, state, config), "strangers write to another box from now on")


async def sign_up_with(
    account: "Account",
    handle: str,
    password: str,
    device: str,
    invitation: str | None,
) -> dict[str, Any]:
    """Sign up with what the command line says; what `--json` prints."""
    from bellwire.chat.accounts.admission import read_invitation

    code = None
    if invitation is not None:
        text = given(invitation, new=False, what="invitation").reveal()
        code = read_invitation(text.decode("ascii", errors="replace"))
    await account.sign_up(handle, given(password, new=True), device, code)
    return {"handle": handle.removeprefix("@").lower()}


def given(where: str, *, new: bool, what: str = "password") -> "Secret":
    """A secret from a file, a descriptor or the terminal; KekUnusable, PathExposed."""
    from bellwire.crypto.kek.given import FD, Given
    from bellwire.node.settings import credentials_folder

    number = where.removeprefix(FD)
    if where.startswith(FD) and not (number.isascii() and number.isdigit()):
        raise UsageError(f"expected fd:N with a number N, got {where[:40]!r}")
    credential = "bellwire-chat-" + what.replace(" ", "-")
    return Given(what, where, credential, credentials_folder()).read(new=new)


def _run(
    act: "Callable[[Account], Awaitable[dict[str, Any]]]",
    who: str | None,
    state: Path | None,
    config: Path | None,
) -> dict[str, Any]:
    from bellwire.chat.messenger.home import find
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    return asyncio.run(with_account(settings, find(settings.state.dir, who), act))


async def with_account(
    settings: Any, who: str, act: "Callable[[Account], Awaitable[dict[str, Any]]]"
) -> dict[str, Any]:
    """Do something with a person's account, which no chat has open meanwhile."""
    from bellwire.chat.messenger.home import opened_account
    from bellwire.cli.chat_place import relay_of
    from bellwire.node.settings import credentials_folder

    relay = await relay_of(settings)
    async with opened_account(settings.state.dir, who, relay, credentials_folder()) as account:
        return await act(account)


def _device_id(text: str) -> bytes:
    if len(text) != 16 or not set(text.lower()) <= set("0123456789abcdef"):
        raise UsageError(f"expected the id of a device, 16 hexadecimal digits, got {text[:40]!r}")
    return bytes.fromhex(text)


def _tell(json: bool, document: dict[str, Any], words: str) -> None:
    if json:
        output.emit(document)
        return
    from bellwire.cli.chat_words import note_words

    for line in words.split("\n"):
        typer.echo(note_words(line))
