"""`bellwire network forget`: meet a site that lost its state as a stranger again."""

from typing import Annotated

import typer

from bellwire.cli import output
from bellwire.cli.network.options import SiteOption, network_settings, socket_of
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption


def command(
    peer: Annotated[str, typer.Argument(metavar="SITE", help="The site that lost its state.")],
    site: SiteOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Believe a site by its identity alone once more, as at the first meeting."""
    import asyncio

    from bellwire.node.network.socket import Forget, ask_site, check_site

    check_site(peer)
    socket = socket_of(network_settings(state, config, site))
    found = asyncio.run(ask_site(socket, Forget(peer)))
    if json:
        output.emit(found)
    else:
        output.stdout().print(f"Site {peer} is met anew, by its identity alone.")
