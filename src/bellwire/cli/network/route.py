"""`bellwire network route`: the way that keys to a site would take now."""

from typing import Annotated

import typer

from bellwire.cli import output
from bellwire.cli.network.options import SiteOption, network_settings, socket_of
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption


def command(
    target: Annotated[str, typer.Argument(metavar="SITE", help="The other site.")],
    site: SiteOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the routes of the next block to another site, and who could know its keys."""
    import asyncio

    from bellwire.node.network.socket import GetRoute, ask_site, check_site

    check_site(target)
    socket = socket_of(network_settings(state, config, site))
    found = asyncio.run(ask_site(socket, GetRoute(target)))
    if json:
        output.emit(found)
        return
    out = output.stdout()
    for route in found["routes"]:
        links = [f"{hop['status']}, {hop['stock_bits']:,} bits" for hop in route["links"]]
        out.print(f"{' → '.join(route['sites'])}   ({'; '.join(links)})", soft_wrap=True)
    relays = found["relays_that_could_know"]
    out.print(
        f"{', '.join(relays)} could know the keys: each of them carries the whole."
        if relays
        else "No relay alone could know the keys.",
    )
