"""`bellwire console`: one site's console."""

from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.addresses import parse_address
from bellwire.cli.options import ConfigOption, StateOption, WithParentFlag

if TYPE_CHECKING:
    from bellwire.node.settings import Settings


def command(
    site: Annotated[
        str | None, typer.Option(metavar="a|b", help="Whose console: of site a or of site b.")
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where to listen; port 0 takes a free one. Default: as the settings say.",
        ),
    ] = None,
    kme: Annotated[
        str | None,
        typer.Option(metavar="URL", help="This site's key server. Default: as the settings say."),
    ] = None,
    peer: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The other site's console. Default: as the settings say, else the one of the "
            "same state folder.",
        ),
    ] = None,
    lab: Annotated[
        bool, typer.Option("--lab", help="Let operators attack the link, which is of the lab.")
    ] = False,
    with_parent: WithParentFlag = False,
    openapi: Annotated[
        bool, typer.Option("--openapi", help="Print the API in OpenAPI, and run nothing.")
    ] = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Run one site's console: pages for people, and an API for programs.

    The first line on standard output is a JSON document that says where it listens. While no
    operator has a password, a line on standard error has a link by which one is chosen, once. It
    runs until it is told to stop.
    """
    import asyncio
    import json

    from bellwire.console.accounts import SITES
    from bellwire.node import logs
    from bellwire.node.console import ConsoleOptions, run_console
    from bellwire.node.settings import load

    if openapi:
        from bellwire.web.console_openapi import describe

        output.stdout().print_json(json.dumps(describe()))
        return
    if site not in SITES:
        raise UsageError("expected --site a or --site b")
    settings = load(config, {"state": {"dir": state}, "console": {"peer": peer}})
    logs.setup(settings.log.level, settings.log.format)
    addresses = settings.addresses
    port = addresses.console_a_port if site == "a" else addresses.console_b_port
    kme_port = addresses.kme_a_port if site == "a" else addresses.kme_b_port
    host = f"[{addresses.kme_host}]" if ":" in addresses.kme_host else addresses.kme_host
    options = ConsoleOptions(
        site=site,
        listen=parse_address(listen) if listen else (addresses.console_host, port),
        kme=kme or f"https://{host}:{kme_port}",
        control=settings.state.dir / "link" / "control.sock" if lab else None,
        with_parent=with_parent,
    )

    def ready(document: dict[str, object]) -> None:
        output.emit(document)
        if not with_parent:
            tell_first_link(settings, site, str(document["url"]))

    asyncio.run(run_console(settings, options, ready))


def tell_first_link(settings: "Settings", site: str, url: str) -> None:
    """Print the link of a site's first operator, if there is none with a password."""
    from bellwire.node.console import first_link

    link = first_link(settings, site, url)
    if link is not None:
        output.stderr().print(
            f"First operator of site {site}: open this within 15 minutes, once: {link}",
            soft_wrap=True,
        )
