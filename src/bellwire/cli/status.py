"""`bellwire status`: what runs on this machine, and how the link and its keys are."""

from typing import Annotated

import typer

from bellwire.base.errors import UnreachableError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption


def command(
    history: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=5000, help="Show the last N records of each link's status."
        ),
    ] = 0,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> int:
    """Show the services of this state folder, and each node's link, keys and blocks."""
    import asyncio

    from bellwire.cli.tables import (
        history_table,
        log_words,
        node_table,
        record_words,
        service_table,
    )
    from bellwire.node.settings import load
    from bellwire.services.overview import history as records
    from bellwire.services.overview import overview

    folder = load(config, {"state": {"dir": state}}).state.dir
    found = asyncio.run(overview(folder))
    for node in found["nodes"]:
        if history and node["running"]:
            node["history"] = asyncio.run(records(folder, node["site"], history))
    services, nodes = found["services"], found["nodes"]
    if not services and not any(node["running"] for node in nodes):
        raise UnreachableError(
            f"no node answers in {folder}, and no service runs",
            hint="Start them with `bellwire up`, or name their folder with --state.",
        )
    well = found["supervisor"] is None or all(each["state"] == "running" for each in services)
    if json:
        output.emit(found)
        return 0 if well else 1
    out = output.stdout()
    if services:
        out.print(service_table(services))
    out.print(node_table(nodes))
    for node in nodes:
        if node["running"]:
            made = node["first_contact"] or "not made yet"
            out.print(f"  First contact of node {node['site']}: {made}.")
            if node["ledger_waiting"] is not None:
                out.print(f"  Log of node {node['site']}: {log_words(node)}.")
    relay = found["relay"]
    if relay is not None:
        where = ", ".join(relay["places"]) or "nowhere: all is shut"
        out.print(f"  Relay of messages, level {relay['level']}: {where}.")
    if found["log"] is not None:
        out.print(f"  {record_words(found['log'])}", highlight=False)
    for node in nodes:
        if node.get("history"):
            out.print(history_table(node["site"], node["history"]))
    return 0 if well else 1
