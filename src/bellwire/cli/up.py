"""`bellwire up`: all services of this machine, minded."""

import asyncio
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Group

    from bellwire.node.settings import Settings
    from bellwire.services.messages import Services
    from bellwire.services.run import UpOptions

SHOW_EVERY_S = 1.0


def command(
    lab: Annotated[
        bool,
        typer.Option("--lab", help="Make the link one of the lab: operators may let Eve in."),
    ] = False,
    detach: Annotated[
        bool,
        typer.Option("--detach", "-d", help="Return when all are up; they go on running."),
    ] = False,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Start all services of this machine, mind them, and stop them on Ctrl-C.

    They are link, both nodes, cloud, consoles, relay, log, a witness of each site and admission.
    Makes what is missing: the first authentication key, certificates, SAEs, an operator, keys.
    """
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    next_words = _next_words(settings, state, config)
    config = config.absolute() if config is not None else None
    if detach:
        from bellwire.services.detached import start_detached

        with output.progress("starting the services"):
            document = asyncio.run(start_detached(settings.state.dir, config, lab=lab))
        _tell(document, settings, next_words, as_json=json)
        return
    from bellwire.services.run import UpOptions

    _run(UpOptions(settings, config, lab), next_words, as_json=json)


def _run(options: "UpOptions", next_words: str, *, as_json: bool) -> None:
    import sys

    from bellwire.services.overview import of_supervisor
    from bellwire.services.run import run_up

    def ready(services: "Services") -> None:
        document = {"ready": True, "pid": services.pid, "services": of_supervisor(services)}
        _tell(document, options.settings, next_words, as_json=as_json)

    if as_json or not sys.stdout.isatty():
        asyncio.run(run_up(options, _say, ready))
        return
    asyncio.run(_live(options, next_words))


def _say(sentence: str) -> None:
    output.stderr().print(sentence)


def _tell(
    document: dict[str, Any], settings: "Settings", next_words: str, *, as_json: bool
) -> None:
    if as_json:
        output.emit(document)
        return
    for each in document["services"]:
        places = ", ".join(f"{what} {where}" for what, where in each["addresses"].items())
        output.stdout().print(f"{each['name']:<10}process {each['pid']:<8} {places}".rstrip())
    output.stdout().print(next_words)
    _tell_first_links(document["services"], settings)


def _tell_first_links(services: "list[dict[str, Any]]", settings: "Settings") -> None:
    """How the first operator of each site signs in."""
    from bellwire.cli.console import tell_first_link

    for each in services:
        url = each["addresses"].get("console")
        if url:
            tell_first_link(settings, each["name"].removeprefix("console-"), url)


def _next_words(settings: "Settings", state: Path | None, config: Path | None) -> str:
    """What can be done now; options that said where things are belong to those commands, too."""
    where, kept = settings.addresses, settings.state.dir
    given = {"--state": state, "--config": config}
    same = " ".join(f"{name} {quote(str(path))}" for name, path in given.items() if path)
    log = f"http://{where.ledger_host}:{where.ledger_port}" if where.ledger_port else "URL"
    return (
        f"All are up. State: {kept}\n"
        + (f"All commands below but the log's need {same} as well.\n" if same else "")
        + "Members: bellwire accounts add NAME --site a|b; the operators' tokens are in "
        "console-a/operator.token and console-b/operator.token\n"
        "Keys:  bellwire keys get --sae app-b, then bellwire keys fetch --sae app-a KEY_ID\n"
        "Chat:  bellwire chat new alice --site a, then bellwire chat\n"
        f"Join:  bellwire admission token --out FILE, then bellwire register NAME --token FILE\n"
        f"Log:   bellwire log entries {log} --policy {kept / 'ledger.policy'}\n"
        "Look:  bellwire status, or a console in a browser     Stop:  bellwire down"
    )


async def _live(options: "UpOptions", next_words: str) -> None:
    """A table that follows the services, on a terminal."""
    from rich.live import Live

    from bellwire.services.overview import node, of_supervisor
    from bellwire.services.run import run_up

    folder = options.settings.state.dir
    with Live(console=output.stdout(), auto_refresh=False) as live:

        def say(sentence: str) -> None:
            live.console.print(sentence)

        def ready(services: "Services") -> None:
            live.console.print(next_words)
            _tell_first_links(of_supervisor(services), options.settings)

        async def watch(services: "Callable[[], Services]") -> None:
            while True:
                nodes = [await node(folder, site) for site in "ab"]
                live.update(_table(services(), nodes), refresh=True)
                await asyncio.sleep(SHOW_EVERY_S)

        await run_up(options, say, ready, watch)


def _table(services: "Services", nodes: list[dict[str, Any]]) -> "Group":
    from rich.console import Group

    from bellwire.cli.tables import node_table, service_table
    from bellwire.services.overview import of_supervisor

    tables = [service_table(of_supervisor(services))]
    if any(each["running"] for each in nodes):
        tables.append(node_table(nodes))
    return Group(*tables)
