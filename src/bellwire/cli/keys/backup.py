"""`bellwire keys backup`: what may come back of a site's keys, in one file."""

from pathlib import Path
from typing import Annotated

import typer

from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption


def command(
    out: Annotated[
        Path, typer.Argument(metavar="FILE", dir_okay=False, help="Where to; there must be none.")
    ],
    state: StateOption = None,
    config: ConfigOption = None,
    json: JsonFlag = False,
) -> None:
    """Back up authorities, identities, grants and settings, while nodes run or not; no key bits."""
    from bellwire.node.audit import record
    from bellwire.node.backup import back_up
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    done = back_up(settings, out, config)
    for site in done.sites:
        record(settings, site, "backed up", file=str(out))
    if json:
        output.emit(done)
        return
    console = output.stdout()
    console.print(f"{out}: {done.bytes} bytes, no key bits among them")
    console.print("It has private keys of authorities and identities: keep it as you keep them.")
