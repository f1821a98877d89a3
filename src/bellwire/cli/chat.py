"""`bellwire chat`: talk with people; every message under a pad, end to end."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.chat_account import (
    InvitationOption,
    PasswordOption,
    sign_up_with,
    with_account,
)
from bellwire.cli.chat_account import app as account_app
from bellwire.cli.chat_history import app as history_app
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

app = typer.Typer(help="Talk with people; messages are end-to-end encrypted, under pads.")
app.add_typer(account_app, name="account")
app.add_typer(history_app, name="history")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bellwire.chat.following import Following
    from bellwire.chat.messenger.account import Account
    from bellwire.cli.record import LogPlace

AsOption = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="Who we are. Default: the only one there is."),
]
ModeOption = Annotated[
    str | None,
    typer.Option(metavar="pool|fresh", help="Where pads of the conversation come from."),
]
RelayIdOption = Annotated[
    str | None,
    typer.Option(
        "--relay-id", metavar="FINGERPRINT", help="Who the relay is, by its operator's word."
    ),
]


@app.callback(invoke_without_command=True)
def command(
    context: typer.Context,
    who: AsOption = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Line by line instead of a window; so are pipes.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="NAME", help="With whom. Default: the only contact."),
    ] = None,
    add: Annotated[
        str | None,
        typer.Option(
            "--add", metavar="LINK|@HANDLE", help="Add who made this link (or file), or has it."
        ),
    ] = None,
    mode: ModeOption = None,
    policy: Annotated[
        str | None,
        typer.Option(metavar="require|prefer|off", help="What is done without pad."),
    ] = None,
    stay: Annotated[
        bool, typer.Option("--stay", help="Go on after standard input has ended.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            metavar="S", min=0, max=86_400, help="How long sending may take after the last line."
        ),
    ] = 30.0,
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            metavar="LOG",
            help="Look up the keys of people you know by handle in this log, and say when they "
            "change: http://… or https://…, or a folder of it.",
        ),
    ] = None,
    log_policy: Annotated[
        Path | None,
        typer.Option(
            "--log-policy",
            metavar="FILE",
            help="Who must have signed and cosigned that log, as a tlog-policy file says.",
        ),
    ] = None,
    log_ca: Annotated[
        Path | None,
        typer.Option(
            "--log-ca", metavar="FILE", help="Authorities that may vouch for its TLS, PEM."
        ),
    ] = None,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="In a window: run this, with from whom as its last word, when something comes "
            "that you do not see.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Line by line; each line printed is a JSON document.")
    ] = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Talk with people, in a window or line by line; /help lists what there is beside words."""
    if context.invoked_subcommand is not None:
        return
    import asyncio

    from bellwire.cli.chat_plain import Choices, check, run_plain

    settings = _settings(state, config)
    record = _record(log, log_policy, log_ca)
    choices = Choices(to, link_of(add), mode, policy, stay, wait, json, record, notify)
    check(choices)
    if not (plain or json) and sys.stdin.isatty() and sys.stdout.isatty():
        from bellwire.cli.chat_screen.opening import run_window

        asyncio.run(run_window(settings, who, choices))
        return
    if notify is not None:
        raise UsageError("--notify: expected a window, got lines, which a program reads itself")
    code = asyncio.run(run_plain(settings, who, choices))
    if code:
        raise typer.Exit(code)


@app.command("new")
def new(
    who: Annotated[
        str, typer.Argument(metavar="NAME", help="What they are called, and their folder.")
    ],
    site: Annotated[
        str | None,
        typer.Option(
            metavar="a|b", help="Whose key server gives pads: the profile app-a or app-b."
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The profile of the key server; none: no pads at all."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What others see. Default: NAME.")
    ] = None,
    relay: Annotated[
        str,
        typer.Option(metavar="URL", help="ws://HOST:PORT or wss://…. Default: that of `up`."),
    ] = "",
    protection: Annotated[
        str,
        typer.Option(
            "--key-protection",
            metavar="SOURCE",
            help="What opens the store: file[:FOLDER], passphrase[:FILE], keyring or pkcs11:URI.",
        ),
    ] = "file",
    add: Annotated[
        str | None,
        typer.Option(
            "--add", metavar="LINK|@HANDLE", help="Add who made this link (or file), or has it."
        ),
    ] = None,
    handle: Annotated[
        str | None, typer.Option(metavar="HANDLE", help="Sign up at the relay with this handle.")
    ] = None,
    password: PasswordOption = "",
    invitation: InvitationOption = None,
    relay_id: RelayIdOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a person of this machine, with a store of their own, and print their contact link."""
    import asyncio

    from bellwire.base.handles import canonical
    from bellwire.chat.messenger.home import Home, make

    if (site is None) == (profile is None) or site not in {None, "a", "b"}:
        raise UsageError("expected --site a, --site b or --profile NAME, one of them")
    found = f"app-{site}" if site else profile
    settings = _settings(state, config)
    link = link_of(add)
    home = Home(name or who, "" if found == "none" else str(found), relay, protection)
    given = None if relay_id is None else _fingerprint(relay_id)
    if handle is None and (password or invitation):
        raise UsageError("expected --handle with what is for signing up")
    if handle is not None:
        canonical(handle)  # before anybody is made
    make(settings.state.dir, who, home)

    if given is not None:
        with _relay_known(settings, who) as (following, url):
            following.trust(url, given)

    async def sign_up(account: "Account") -> dict[str, Any]:
        assert handle is not None
        return await sign_up_with(account, handle, password, "this machine", invitation)

    signed_up = {} if handle is None else asyncio.run(with_account(settings, who, sign_up))
    made = {**asyncio.run(_invite(settings, who, link)), **signed_up}
    if json:
        output.emit({"name": who, **made})
        return
    _tell_link(who, made)


@app.command("link")
def link(
    who: AsOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Print a contact link for one more person; it holds for 30 days."""
    import asyncio

    from bellwire.chat.messenger.home import find

    settings = _settings(state, config)
    name = find(settings.state.dir, who)
    made = asyncio.run(_invite(settings, name, None))
    if json:
        output.emit({"name": name, **made})
        return
    _tell_link(name, made)


@app.command("relay")
def relay(
    who: AsOption = None,
    notice: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Follow a notice of where the relay is."),
    ] = None,
    relay_id: RelayIdOption = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Take whoever answers at its address the next time.")
    ] = False,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Say who our relay is and where it is looked for, or change that."""
    from bellwire.chat.messenger.home import find

    if forget and relay_id is not None:
        raise UsageError("expected --forget or --relay-id, got both")
    given = None if relay_id is None else _fingerprint(relay_id)
    data = None if notice is None else _notice(notice)
    settings = _settings(state, config)
    name = find(settings.state.dir, who)
    with _relay_known(settings, name) as (following, url):
        if forget:
            following.forget(url)
        if given is not None:
            following.trust(url, given)
        known = following.known(url) if data is None else following.learn(url, data)
    level = None if known.notice is None else known.notice.level.name.lower()
    fingerprint = None if known.relay_id is None else known.relay_id.hex()
    if json:
        output.emit(
            {"name": name, "relay": url, "relay_id": fingerprint, "level": level}
            | {"sequence": known.sequence, "places": known.places}
        )
        return
    out = output.stdout()
    out.print(f"The relay of {name}: {url}", highlight=False)
    out.print(f"  who it is: {fingerprint or 'not known yet'}", highlight=False)
    said = "nothing that counts now" if level is None else f"level {level}"
    out.print(f"  it said: {said}", highlight=False)
    looked = ", then ".join(known.places)
    out.print(f"  looked for at: {looked}", highlight=False)


@contextlib.contextmanager
def _relay_known(settings: Any, who: str) -> "Iterator[tuple[Following, str]]":
    """What a person knows of relays, and the address of theirs; no chat has it open meanwhile."""
    import asyncio
    import time

    from bellwire.chat.following import Following
    from bellwire.chat.messenger.home import store_of
    from bellwire.cli.chat_place import relay_of
    from bellwire.node.settings import credentials_folder

    address = asyncio.run(relay_of(settings))
    with store_of(settings.state.dir, who, address, credentials_folder()) as (person, url):
        yield Following(person, time.time), url


def _fingerprint(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise UsageError(f"--relay-id: expected 64 hexadecimal digits, got {text[:80]!r}")
    return found


def _notice(path: Path) -> bytes:
    from bellwire.channel.places import MAX_NOTICE_BYTES

    try:
        with path.open("rb") as file:
            return file.read(MAX_NOTICE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--notice: expected a file, got: {error.strerror}") from error


def _tell_link(who: str, made: dict[str, Any]) -> None:
    if "handle" in made:
        output.stderr().print(f"@{made['handle']} is a handle of {who} now")
    if made["added"] is not None:
        output.stderr().print(f"{made['added']} is a contact of {who} now")
    output.stderr().print(
        f"A contact link of {who}, for one person, for 30 days; give it to nobody else:",
    )
    sys.stdout.write(made["link"] + "\n")


async def _invite(settings: Any, who: str, link: str | None) -> dict[str, Any]:
    from bellwire.chat.messenger.home import opened
    from bellwire.cli.chat_place import relay_of
    from bellwire.node.settings import credentials_folder

    state = settings.state.dir
    async with opened(state, who, await relay_of(settings), credentials_folder()) as messenger:
        added = None if link is None else (await messenger.add(link)).name
        return {"link": await messenger.invite(), "added": added}


def link_of(given: str | None) -> str | None:
    """A link, or @HANDLE, as it was given; or a link from the file that was named."""
    from bellwire.chat.card import MAX_LINK_CHARACTERS, SCHEME

    if given is None or given.lstrip().startswith((SCHEME, "@")):
        return None if given is None else given.strip()
    try:
        with Path(given).open(encoding="ascii") as file:
            return file.read(MAX_LINK_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"expected a contact link, or a file with one, got {given[:80]!r}") from (
            error
        )


def _record(log: str | None, policy: Path | None, ca: Path | None) -> "LogPlace | None":
    """The log in which keys are looked up."""
    from bellwire.cli.log.trust import trusted
    from bellwire.cli.record import LogPlace

    if log is None and policy is None and ca is None:
        return None
    if log is None or policy is None:
        raise UsageError("expected --log LOG and --log-policy FILE together, or neither")
    return LogPlace(log, trusted(None, None, None, policy), ca)


def _settings(state: Path | None, config: Path | None) -> Any:
    from bellwire.node.settings import load

    return load(config, {"state": {"dir": state}})
