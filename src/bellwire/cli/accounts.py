"""`bellwire accounts`: who may ask a site's console, and as what."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.console.accounts import AccountBook

app = typer.Typer(no_args_is_help=True, help="Who may ask a console, and as what.")

SiteOption = Annotated[str, typer.Option(metavar="a|b", help="Whose console.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]
OutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", dir_okay=False, help="Write the token to a new FILE of mode 0600."
    ),
]


@app.callback()
def _group() -> None:
    """Who may ask a console, and as what."""


@app.command("add")
def add(
    name: NameArgument,
    site: SiteOption,
    operator: Annotated[
        bool, typer.Option("--operator", help="An operator: may attack and reset the lab's link.")
    ] = False,
    guard: Annotated[
        bool, typer.Option("--guard", help="A guard: may tell its state, and nothing else.")
    ] = False,
    auditor: Annotated[
        bool,
        typer.Option("--auditor", help="An auditor: sees what operators see, and does nothing."),
    ] = False,
    out: OutOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Make an account, and print its token: this once, it is kept nowhere."""
    from bellwire.console.accounts import Role

    _check_out(out)
    asked = {Role.OPERATOR: operator, Role.GUARD: guard, Role.AUDITOR: auditor}
    roles = [role for role, wanted in asked.items() if wanted]
    if len(roles) > 1:
        raise UsageError("expected one of --operator, --guard and --auditor, got several")
    role = roles[0] if roles else Role.MEMBER
    token = _book(site, state, config).add(name, role)
    _tell(site, name, token, out, as_json=json)


@app.command("token")
def renew(
    name: NameArgument,
    site: SiteOption,
    out: OutOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Make another token for an account; the one before is worth nothing from then on."""
    _check_out(out)
    token = _book(site, state, config).renew(name)
    _tell(site, name, token, out, as_json=json)


@app.command("link")
def link(
    name: NameArgument,
    site: SiteOption,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a link by which an account's password is chosen in a browser: once, within 15 minutes.

    An earlier link of the account that was not used is worth nothing from then on.
    """
    from bellwire.console.accounts import console_folder
    from bellwire.node.console import link_of, listens_at
    from bellwire.node.settings import load

    book = _book(site, state, config)
    settings = load(config, {"state": {"dir": state}})
    url = listens_at(console_folder(settings.state.dir, site))
    found = link_of(settings, url, book.invite(name))
    if json:
        output.emit({"site": site, "name": name, "link": found})
    else:
        output.stdout().print(found, soft_wrap=True)


@app.command("remove")
def remove(
    name: NameArgument,
    site: SiteOption,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Put an end to an account; a running console heeds it with the next request."""
    _book(site, state, config).remove(name)
    if json:
        output.emit({"site": site, "removed": name})
    else:
        output.stdout().print(f"removed {name}@{site}")


@app.command("list")
def show(
    site: SiteOption,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Show every account of a site."""
    from datetime import UTC, datetime

    found = [
        {
            "name": each.name,
            "role": each.role.value,
            "token_since": datetime.fromtimestamp(each.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for each in _book(site, state, config).all()
    ]
    if json:
        output.emit({"site": site, "accounts": found})
        return
    for each in found:
        output.stdout().print(f"{each['role']:<8}  token of {each['token_since']}  {each['name']}")


def _book(site: str, state: Path | None, config: Path | None) -> "AccountBook":
    from bellwire.console.accounts import SITES, AccountBook, console_folder
    from bellwire.node.settings import load

    if site not in SITES:
        raise UsageError(f"expected --site a or --site b, got {site[:40]!r}")
    folder = load(config, {"state": {"dir": state}}).state.dir
    return AccountBook(console_folder(folder, site))


def _check_out(out: Path | None) -> None:
    if out is not None and (out.exists() or out.is_symlink()):
        raise UsageError(f"--out: expected the name of a new file, got {out}, which is there")


def _tell(site: str, name: str, token: str, out: Path | None, *, as_json: bool) -> None:
    from bellwire.base.private import write_whole

    if out is not None and not write_whole(out, f"{token}\n".encode(), replace=False):
        raise UsageError(f"--out: expected the name of a new file, got {out}, which is there")
    if as_json:
        shown = {"token": token} if out is None else {"file": out}
        output.emit({"site": site, "name": name, **shown})
    elif out is None:
        output.stdout().print(f"{name}@{site}  {token}", soft_wrap=True)
    else:
        output.stderr().print(f"The token of {name}@{site} is in {out}.")
