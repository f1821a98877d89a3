"""`bellwire keys fence`: nothing of a stopped node's stock leaves any more."""

from typing import Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption, YesFlag


def command(
    site: Annotated[
        str | None,
        typer.Option("--site", metavar="a|b", help="Whose node: a is Alice's, b is Bob's."),
    ] = None,
    yes: YesFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
    json: JsonFlag = False,
) -> None:
    """Erase the stock, the pads and the link's key of a stopped node, which takes new ones then."""
    from bellwire.node.assemble import SITES, node_folder
    from bellwire.node.audit import record
    from bellwire.node.fence import fence_store
    from bellwire.node.settings import load

    if site not in SITES:
        raise UsageError("expected --site a or --site b")
    settings = load(config, {"state": {"dir": state}})
    if not yes and not _confirmed(site):
        raise UsageError(
            f"the stock and the authentication key of site {site} would be destroyed, and were not",
            hint="Say --yes to have that done.",
        )
    epoch = fence_store(settings, node_folder(settings.state.dir, site), SITES[site])
    record(settings, site, "store fenced", epoch=epoch)
    if json:
        output.emit({"site": site, "epoch": epoch})
        return
    output.stdout().print(
        f"Nothing of site {site}'s stock is left; epoch {epoch} begins. Do the same at the other "
        "site, unless it has just been restored, and give both a new authentication key."
    )


def _confirmed(site: str) -> bool:
    """Whether somebody at a terminal says so; nobody is asked elsewhere."""
    import sys

    if not sys.stdin.isatty():
        return False
    return typer.confirm(f"Destroy all keys of site {site} that have not left?", err=True)
