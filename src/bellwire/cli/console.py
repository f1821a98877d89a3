"""`bellwire console`: one site's console."""

from typing import Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.addresses import parse_address
from bellwire.cli.options import ConfigOption, StateOption


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
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="Stop when standard input ends.")
    ] = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Run one site's console: an API for its members, without pages.

    The first line on standard output is a JSON document that says where it listens. It runs until
    it is told to stop.
    """
    import asyncio

    from bellwire.console.accounts import SITES
    from bellwire.node import logs
    from bellwire.node.console import ConsoleOptions, run_console
    from bellwire.node.settings import load

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
    asyncio.run(run_console(settings, options, output.emit))
