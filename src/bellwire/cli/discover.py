"""`bellwire discover`: which nodes announce themselves on the local network."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.node.discovery import Announced


def command(
    wait_s: Annotated[
        float, typer.Option("--wait", metavar="S", min=0.1, max=60, help="How long to listen.")
    ] = 3.0,
    state: StateOption = None,
    config: ConfigOption = None,
    json: JsonFlag = False,
) -> None:
    """List the nodes that say they are on the local network; anybody can say so."""
    from bellwire.node.settings import load

    pinned = load(config, {"state": {"dir": state}}).first_contact.peer_identity.lower()
    found = asyncio.run(_listen(wait_s))
    if json:
        output.emit(
            {
                "nodes": [
                    {
                        "identity": each.identity,
                        "addresses": [f"{host}:{port}" for host, port in each.addresses],
                        "pinned": each.identity == pinned,
                    }
                    for each in found
                ]
            }
        )
        return
    console = output.stdout()
    for each in found:
        places = ", ".join(f"{host} port {port}" for host, port in each.addresses)
        mark = "  the peer that is pinned here" if each.identity == pinned else ""
        console.print(f"{each.identity}  {places}{mark}", soft_wrap=True)
    if not found:
        console.print("No node announces itself here.")


async def _listen(wait_s: float) -> "list[Announced]":
    from bellwire.node.discovery import looked_for

    async with looked_for() as found:
        await asyncio.sleep(wait_s)
        return found.all()
