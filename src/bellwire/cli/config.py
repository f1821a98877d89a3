"""`bellwire config`: the settings in force, where each came from, and whether a file is right."""

from pathlib import Path
from typing import Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

app = typer.Typer(no_args_is_help=True, help="Settings in force, and where each came from.")


@app.command()
def show(config: ConfigOption = None, state: StateOption = None, json: JsonFlag = False) -> None:
    """Show every setting with its value, its origin and what it is for."""
    from bellwire.node import settings

    rows = settings.describe(settings.load(config, {"state": {"dir": state}}))
    if json:
        output.emit({"settings": [row._asdict() for row in rows]})
        return
    from rich.table import Column, Table

    value = Column("value", overflow="fold")
    table = Table("setting", value, "from", "what it is for", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row.name, str(row.value), row.origin, row.explanation)
    output.stdout().print(table)


@app.command()
def check(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Settings file, in the place of --config."),
    ] = None,
    config: ConfigOption = None,
    json: JsonFlag = False,
) -> None:
    """Say whether a settings file can be used, together with the environment."""
    from bellwire.node import settings

    if file is not None and config is not None:
        raise UsageError("expected one settings file, got one by its name and one by --config")
    rows = settings.describe(settings.load(file or config))
    changed = [row.name for row in rows if row.origin is not settings.Origin.DEFAULT]
    if json:
        output.emit({"valid": True, "settings": len(rows), "changed": changed})
        return
    output.stdout().print(f"{len(rows)} settings are usable, {len(changed)} differ from default")
