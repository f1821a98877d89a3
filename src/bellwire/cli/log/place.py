"""Where a log is read: over HTTP, or from a folder of its files."""

from pathlib import Path
from typing import Annotated

import typer

LogArgument = Annotated[
    str,
    typer.Argument(metavar="LOG", help="Where it is: http://… or https://…, or a folder of it."),
]
CaOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Authorities that may vouch for the log's TLS, PEM."),
]
