"""`bellwire lab reproduce`: published results made again, with residuals."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.lab.reproductions import Reproduction


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="finite-decoy, gys, thresholds, eve-share, two-links. Default: all.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of tables and figures.")] = Path(
        "reproductions"
    ),
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer points and pulses, for a first look.")
    ] = False,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, max=2**32, help="Of what is simulated.")
    ] = 1,
    json: JsonFlag = False,
) -> None:
    """Make published results again: figures, tables with residuals, and what the sources state."""
    from bellwire.lab.reproductions import MAKERS

    wanted = names or list(MAKERS)
    unknown = [name for name in wanted if name not in MAKERS]
    if unknown:
        raise UsageError(f"expected among {', '.join(MAKERS)}, got {unknown[0]}")
    made: list[Reproduction] = []
    with output.progress("reproductions", total=len(wanted), unit="pages") as meter:
        for name in wanted:
            meter.describe(name)
            made.append(MAKERS[name](seed, quick=quick))
            made[-1].save(out)
            meter.advance()
    if json:
        output.emit({"reproductions": [each.to_dict() for each in made], "folder": out})
    else:
        for each in made:
            _tell(each)
        output.stdout().print(f"Tables and figures: {out}")


def _tell(made: "Reproduction") -> None:
    from rich import box
    from rich.table import Table

    table = Table(title=made.title, box=box.SIMPLE_HEAD, title_justify="left", show_edge=False)
    for title in ("", "stated", "here", "difference"):
        table.add_column(title, justify="right" if title else "left", overflow="fold")
    for fact in made.facts:
        table.add_row(
            fact.quantity, f"{fact.stated:.5g}", f"{fact.ours:.5g}", f"{fact.difference:+.2%}"
        )
    known = [abs(row.residual) for row in made.rows if row.stderr and row.residual is not None]
    if known:
        near = sum(each <= 2.0 for each in known) / len(known)
        table.add_row(f"{len(known)} simulated points", "", "", f"{near:.0%} within 2 std. errors")
    output.stdout().print(table)
