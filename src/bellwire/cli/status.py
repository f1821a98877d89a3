"""`bellwire status`: the nodes on this machine, and how their link is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bellwire.base.errors import BellwireError, UnreachableError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from rich.table import Table


def command(json: JsonFlag = False, state: StateOption = None, config: ConfigOption = None) -> None:
    """Show each node of this state folder: status of its link, key in stock, blocks."""
    import asyncio

    from bellwire.node.settings import load

    folder = load(config, {"state": {"dir": state}}).state.dir
    nodes = asyncio.run(_ask_all(folder))
    if not any(node["running"] for node in nodes):
        raise UnreachableError(
            f"no node answers in {folder}",
            hint="Start one with `bellwire node`, or name its folder with --state.",
        )
    if json:
        output.emit({"nodes": nodes})
        return
    output.stdout().print(_table(nodes))
    for node in nodes:
        if node["running"]:
            made = node["first_contact"] or "not made yet"
            output.stdout().print(f"  First contact of node {node['site']}: {made}.")


async def _ask_all(folder: Path) -> list[dict[str, Any]]:
    return [await _ask(folder, site) for site in ("a", "b")]


async def _ask(folder: Path, site: str) -> dict[str, Any]:
    from dataclasses import asdict

    from bellwire.keys.delivery import DeliveryClient
    from bellwire.node.operator import OperatorClient

    place = folder / f"node-{site}"
    try:
        view = await DeliveryClient(place / "keys.sock").status()
        accounts = await OperatorClient(place / "operator.sock").accounts()
    except BellwireError as error:
        return {"site": site, "running": False, "reason": str(error)}
    return {
        "site": site,
        "running": True,
        "status": view.status.value,
        "reason": view.reason,
        "keys_may_flow": view.keys_may_flow,
        "qber": view.qber,
        "last_qber": view.last_qber,
        "last_chsh": view.last_chsh,
        **asdict(accounts),
    }


def _table(nodes: list[dict[str, Any]]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for name in ("node", "status", "QBER", "S", "key in stock", "tags left for", "why"):
        table.add_column(name)
    for node in nodes:
        if not node["running"]:
            table.add_row(node["site"], "not running", "", "", "", "", "")
            continue
        qber, chsh = node["last_qber"], node["last_chsh"]
        table.add_row(
            node["site"],
            node["status"] if node["keys_may_flow"] else f"{node['status']}, no keys",
            "–" if qber is None else f"{qber:.1%}",
            "–" if chsh is None else f"{chsh:.2f}",
            f"{node['stock_bits']:,} bits",
            f"{node['reserve_sets']:,} blocks",
            node["reason"],
        )
    return table
