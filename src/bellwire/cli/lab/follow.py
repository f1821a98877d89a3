"""`bellwire lab follow`: one block, step by step, with the numbers of the run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.lab.options import takes_words
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.lab.follow_story import Section, Table

_PLAIN = str.maketrans("", "", "*`")
"""Takes emphasis away."""


@takes_words
def command(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help="e91, bbm92 or bb84.")],
    words: dict[str, Any],
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write it as a page, with figures beside it."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Follow one block from light to key: what crosses the wire, and what comes of it."""
    from bellwire.base.detections import OF_PHOTONS
    from bellwire.lab import dispatch
    from bellwire.lab.experiment import Experiment
    from bellwire.lab.follow import follow
    from bellwire.lab.follow_page import write
    from bellwire.lab.follow_story import story

    planned = dispatch.experiment(protocol, words)
    if protocol not in OF_PHOTONS:
        raise UsageError(f"expected e91, bbm92 or bb84 here, got {protocol}")
    if not isinstance(planned, Experiment):
        raise UsageError(f"expected to follow it to the key, got --until {words['until']}")
    with output.progress(f"{protocol} with {planned.pulses:,} pulses"):
        followed = follow(planned)
    written = [] if markdown is None else write(followed, markdown)
    if json:
        output.emit({**followed.to_dict(), "files": written})
        return
    for section in story(followed):
        _tell(section)
    if written:
        output.stdout().print(f"Written: {', '.join(map(str, written))}", soft_wrap=True)


def _tell(section: "Section") -> None:
    from rich.text import Text

    console = output.stdout()
    console.print(Text(section.title, style="bold"))
    for each in section.text:
        if isinstance(each, str):
            console.print(each.translate(_PLAIN))
        else:
            console.print(_table(each))
    console.print()


def _table(shown: "Table") -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for at, title in enumerate(shown.heads):
        right = "left" if at < shown.words else "right"
        table.add_column(title, justify=right, overflow="fold")  # type: ignore[arg-type]
    for row in shown.rows:
        table.add_row(*(Text(cell.translate(_PLAIN)) for cell in row))
    return table
