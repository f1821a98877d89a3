"""`bellwire keys restore`: a state folder from a backup."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from rich.console import Console


def command(
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="From `bellwire keys backup`.")],
    state: StateOption = None,
    config: ConfigOption = None,
    json: JsonFlag = False,
) -> None:
    """Make a state folder from a backup; its nodes begin without key bits, pads and link's key."""
    from bellwire.node.restore import restore
    from bellwire.node.settings import load

    done = restore(archive, load(config, {"state": {"dir": state}}).state.dir)
    if json:
        output.emit(done)
    else:
        _tell(output.stdout(), done)


def _tell(console: "Console", done: dict[str, object]) -> None:
    console.print(f"{done['state']} is as of {done['made_at']}, without any key", markup=False)
    console.print(
        "Next: bellwire keys fence at the other site; a new authentication key at both, or a "
        "signed first contact; and revoke again what was revoked since."
    )
