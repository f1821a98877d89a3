"""`bellwire keys restore`: a state folder from a backup."""

from pathlib import Path
from typing import Annotated

import typer

from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption


def command(
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="From `bellwire keys backup`.")],
    state: StateOption = None,
    config: ConfigOption = None,
    json: JsonFlag = False,
) -> None:
    """Make a state folder from a backup; its nodes begin without key bits, pads and link's key."""
    from bellwire.node.audit import record
    from bellwire.node.restore import restore
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    done = restore(archive, settings.state.dir)
    for site in done.sites:
        record(settings, site, "restored", file=str(archive), as_of=done.made_at)
    if json:
        output.emit(done)
        return
    console = output.stdout()
    console.print(f"{done.state} is as of {done.made_at}, without any key")
    console.print(
        "Next: bellwire up, or a new authentication key at both nodes; and revoke again what was "
        "revoked since."
        if len(done.sites) == 2
        else "Next: bellwire keys fence at the other site alone; a new authentication key at both, "
        "or a signed first contact; and revoke again what was revoked since."
    )
