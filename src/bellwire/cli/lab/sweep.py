"""`bellwire lab sweep`: many experiments over one or two parameters."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.lab.options import TITLES, measured, takes_words
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.lab.parameters import Words
    from bellwire.lab.results import SweepResult


@takes_words
def command(
    protocol: Annotated[
        str, typer.Argument(metavar="PROTOCOL", help="e91, bbm92, bb84, wcp-bb84 or decoy-bb84.")
    ],
    over: Annotated[
        list[str],
        typer.Option(
            metavar="PARAM=FROM:TO:N[:log]",
            help="What is varied: eve (her share), km, misalignment, visibility, dark, efficiency, "
            "pulses, sample-share or epsilon; of weak pulses also signal, decoy, rectilinear, "
            "dead-gates or afterpulse; once or twice.",
        ),
    ],
    words: dict[str, Any],
    repeat: Annotated[int, typer.Option(metavar="R", help="Experiments at every place.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(metavar="W", help="Processes; the results are the same. Default: all cores."),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT", help="Send the experiments to this Dask cluster instead."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of what is written. Default: sweep-PROTOCOL-PARAM, here."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Run many experiments over one or two parameters: table and figure, beside theory.

    What a folder already has of the same sweep is not done again.
    """
    from bellwire.lab.sweep import Plan
    from bellwire.lab.sweep import sweep as run_sweep

    if dask is not None and workers is not None:
        raise UsageError(f"expected --workers or --dask, got both: {workers} and {dask}")
    plan = Plan.make(protocol, over, repeat, words)
    if out is None:
        out = Path("-".join(["sweep", plan.protocol, *plan.over]).replace("_", "-"))
    names = " and ".join(name.replace("_", "-") for name in plan.over)
    total = repeat * sum(each["pulses"] for each in map(plan.words, plan.places()))
    try:
        with output.progress(f"{plan.protocol} over {names}", total=total, unit="pulses") as meter:
            result = run_sweep(
                protocol,
                over,
                repeat=repeat,
                workers=workers,
                dask=dask,
                out=out,
                progress=lambda _done, _all, amount: meter.advance(amount),
                **cast("Words", words),
            )
    except KeyboardInterrupt:
        output.stderr().print(
            f"What is done is kept in {out}; the same command goes on from there."
        )
        raise
    if json:
        output.emit(_sweep_document(result, out))
    else:
        _tell_sweep(result, out)


def _sweep_document(result: "SweepResult", out: Path) -> dict[str, Any]:
    from bellwire.lab.results import FILES

    points = [
        {
            **dict(zip(result.over, point.at, strict=True)),
            "runs": point.runs,
            "accepted": point.accepted,
            **{
                str(quantity): {
                    "value": point.values.get(quantity),
                    "stderr": point.stderrs.get(quantity),
                    "theory": getattr(result.theory(point.at), quantity),
                }
                for quantity in result.quantities
            },
        }
        for point in result.points()
    ]
    return {
        "protocol": result.protocol,
        "over": result.over,
        "parameters": dict(result.fixed),
        "seed": result.seed,
        "experiments": len(result.rows),
        "points": points,
        "files": [out / name for name in FILES],
    }


MOST_LINES = 60

_OF_WEAK_PULSES = ("gain_signal", "qber", "key")
"""What fits a terminal; the files have the rest."""


def _with_theory(quantity: str, *, weak: bool) -> bool:
    return quantity == "key" or not weak


def _tell_sweep(result: "SweepResult", out: Path) -> None:
    """The places of a sweep as a table, unless it is a long one, and where the rest is."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bellwire.lab.quantities import Quantity

    points = result.points()
    if len(points) <= MOST_LINES:
        table = Table(
            title=f"{result.protocol.upper()}, {len(result.rows):,} experiments (± standard error)",
            box=box.SIMPLE_HEAD,
            title_justify="left",
            show_edge=False,
            pad_edge=False,
            collapse_padding=True,
        )
        for name in result.over:
            table.add_column(name.replace("_", "-"), justify="right")
        weak = Quantity.GAIN_SIGNAL in result.quantities
        shown = _OF_WEAK_PULSES if weak else result.quantities
        for quantity in shown:
            whole = quantity != "key"  # its title may break, a value and its error may not
            table.add_column(TITLES[quantity], justify="right", no_wrap=whole)
            if _with_theory(quantity, weak=weak):
                table.add_column("theory", justify="right", style="dim")
        table.add_column("accepted" if weak else "gave a key", justify="right")
        for point in points:
            cells = [f"{value:.6g}" for value in point.at]
            expected = result.theory(point.at)
            for quantity in shown:
                of = Quantity(quantity)
                value, error = point.values.get(of), point.stderrs.get(of)
                cells.append(measured(quantity, value, error))
                if _with_theory(quantity, weak=weak):
                    cells.append(measured(quantity, getattr(expected, quantity), None))
            kept = round(point.accepted * point.runs)
            style = "green" if kept == point.runs else "red" if kept == 0 else "yellow"
            table.add_row(*cells, Text(f"{kept} of {point.runs}", style))
        output.stdout().print(table)
    ending = "were accepted" if Quantity.GAIN_SIGNAL in result.quantities else "gave a key"
    accepted = sum(row.verdict == "accept" for row in result.rows)
    output.stdout().print(
        f"{accepted:,} of {len(result.rows):,} experiments {ending}; seed {result.seed}. "
        f"Table and figure: {out}/sweep.csv, .parquet, .svg, .png"
    )
