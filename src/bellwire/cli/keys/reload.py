"""`bellwire keys reload`: a running node reads its settings and certificates again."""

import asyncio
from typing import Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption


def command(
    site: Annotated[
        str | None,
        typer.Option("--site", metavar="a|b", help="Whose node: a is Alice's, b is Bob's."),
    ] = None,
    state: StateOption = None,
    config: ConfigOption = None,
    json: JsonFlag = False,
) -> None:
    """Have a running node take over settings that changed; it says which need a restart."""
    from bellwire.node.assemble import SITES, node_folder
    from bellwire.node.operator import OperatorClient
    from bellwire.node.settings import load

    if site not in SITES:
        raise UsageError("expected --site a or --site b")
    folder = node_folder(load(config, {"state": {"dir": state}}).state.dir, site)
    done = asyncio.run(OperatorClient(folder / "operator.sock").reload())
    if json:
        output.emit({"site": site, "taken": done.taken, "waiting": done.waiting})
        return
    console = output.stdout()
    console.print("taken over:", ", ".join(done.taken) or "no setting has changed")
    if done.waiting:
        console.print("from the next start:", ", ".join(done.waiting))
