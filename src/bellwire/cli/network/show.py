"""`bellwire network show`: the network as this site knows it."""

from typing import TYPE_CHECKING, Any

from bellwire.cli import output
from bellwire.cli.network.options import SiteOption, network_settings, socket_of
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from rich.table import Table


def command(
    site: SiteOption = None,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Show sites, links with their status and stock, and whom this site suspects."""
    import asyncio

    from bellwire.node.network.socket import Show, ask_site

    found = asyncio.run(ask_site(socket_of(network_settings(state, config, site)), Show()))
    if json:
        output.emit(found)
        return
    out, keys = output.stdout(), found["keys"]
    out.print(_sites(found))
    out.print(_links(found))
    for each in found["own_links"]:
        if each["trouble"] is not None:
            out.print(f"Link to {each['to']}: {each['trouble']}", soft_wrap=True)
    out.print(
        f"Keys: {keys['waiting']:,} wait for SAEs of this site, {keys['taken_in']:,} came from "
        f"other sites, {keys['deposited']:,} went to them."
    )


def _sites(found: dict[str, Any]) -> "Table":
    from bellwire.cli.tables import new_table

    made = new_table("site", "KME", "SAEs", "known now", "suspicion", "key to use with it")
    for each in found["sites"]:
        ours = each["site"] == found["site"]
        made.add_row(
            each["site"],
            each["kme"],
            f"{each['saes']:,}",
            "this site" if ours else "yes" if each["heard"] else "no",
            "" if ours else _suspicion(each["suspicion"]),
            "" if ours else f"{8 * each['covered_bytes']:,} bits",
        )
    return made


def _suspicion(charge: float) -> str:
    if charge == 0.0:
        return "none"
    return f"{charge:.2f}, left out" if charge > 0.5 else f"{charge:.2f}"


def _links(found: dict[str, Any]) -> "Table":
    from rich.text import Text

    from bellwire.cli.tables import new_table

    made = new_table("link", "status", "key in stock", "cost", "source")
    for each in found["links"]:
        status = each["status"]
        colour = {"GREEN": "green", "YELLOW": "yellow"}.get(status, "red")
        stale = ", stale" if each["stale"] else ""
        made.add_row(
            f"{each['from']} → {each['to']}",
            Text(status + stale, colour),
            f"{each['stock_bits']:,} bits",
            str(each["cost"]),
            each["source"] or "not known",
        )
    return made
