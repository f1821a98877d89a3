"""`bellwire lab sweep`: many experiments over one or two parameters."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bellwire.cli import output
from bellwire.cli.lab.options import (
    TITLES,
    DarkOption,
    EfficiencyOption,
    EpsilonOption,
    EveAxisOption,
    EveOption,
    InsertionLossOption,
    KmOption,
    LossOption,
    MisalignmentOption,
    PulsesOption,
    SampleShareOption,
    count,
    measured,
)
from bellwire.cli.options import JsonFlag, SeedOption

if TYPE_CHECKING:
    from bellwire.lab.parameters import Words
    from bellwire.lab.results import SweepResult


def command(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help="e91, bbm92 or bb84.")],
    over: Annotated[
        list[str],
        typer.Option(
            metavar="PARAM=FROM:TO:N[:log]",
            help="What is varied: eve (her share), km, misalignment, dark, efficiency, pulses, "
            "sample-share or epsilon; once or twice.",
        ),
    ],
    repeat: Annotated[int, typer.Option(metavar="R", help="Experiments at every place.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(metavar="W", help="Processes; the results are the same. Default: all cores."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of what is written. Default: sweep-PROTOCOL-PARAM, here."
        ),
    ] = None,
    pulses: PulsesOption = "1e6",
    km: KmOption = 0.0,
    loss: LossOption = 0.2,
    insertion_loss: InsertionLossOption = 0.0,
    efficiency: EfficiencyOption = 1.0,
    dark: DarkOption = 0.0,
    misalignment: MisalignmentOption = 0.02,
    eve: EveOption = "none",
    eve_axis: EveAxisOption = None,
    seed: SeedOption = None,
    sample_share: SampleShareOption = 0.2,
    epsilon: EpsilonOption = 1e-10,
    json: JsonFlag = False,
) -> None:
    """Run many experiments over one or two parameters: table and figure, beside theory.

    What a folder already has of the same sweep is not done again.
    """
    from bellwire.lab.parameters import DEFAULTS
    from bellwire.lab.sweep import Plan
    from bellwire.lab.sweep import sweep as run_sweep

    given: Words = {
        "pulses": count(pulses),
        "km": km,
        "loss": loss,
        "insertion_loss": insertion_loss,
        "efficiency": efficiency,
        "dark": dark,
        "misalignment": misalignment,
        "eve": eve,
        "eve_axis": eve_axis,
        "seed": seed,
        "sample_share": sample_share,
        "epsilon": epsilon,
    }
    # What stands at its default was not asked for, so it may be swept.
    words = cast("Words", {k: v for k, v in given.items() if v != DEFAULTS[k]})
    plan = Plan.make(protocol, over, repeat, words)
    if out is None:
        out = Path("-".join(["sweep", plan.protocol, *plan.over]).replace("_", "-"))
    names = " and ".join(name.replace("_", "-") for name in plan.over)
    total = sum(words["pulses"] for words in map(plan.words, plan.places())) * repeat
    try:
        with output.progress(f"{plan.protocol} over {names}", total=total, unit="pulses") as meter:
            result = run_sweep(
                protocol,
                over,
                repeat=repeat,
                workers=workers,
                out=out,
                progress=lambda _done, _all, amount: meter.advance(amount),
                **words,
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


def _tell_sweep(result: "SweepResult", out: Path) -> None:
    """The places of a sweep as a table, unless it is a long one, and where the rest is."""
    from rich import box
    from rich.table import Table

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
        for quantity in result.quantities:
            whole = quantity != "key"  # its title may break, a value and its error may not
            table.add_column(TITLES[quantity], justify="right", no_wrap=whole)
            table.add_column("theory", justify="right", style="dim")
        table.add_column("gave a key", justify="right")
        for point in points:
            cells = [f"{value:.6g}" for value in point.at]
            expected = result.theory(point.at)
            for quantity in result.quantities:
                value, error = point.values.get(quantity), point.stderrs.get(quantity)
                cells.append(measured(quantity, value, error))
                cells.append(measured(quantity, getattr(expected, quantity), None))
            kept = round(point.accepted * point.runs)
            style = "green" if kept == point.runs else "red" if kept == 0 else "yellow"
            table.add_row(*cells, f"[{style}]{kept} of {point.runs}[/{style}]")
        output.stdout().print(table)
    accepted = sum(row.verdict == "accept" for row in result.rows)
    output.stdout().print(
        f"{accepted:,} of {len(result.rows):,} experiments gave a key; seed {result.seed}. "
        f"Table and figure: {out}/sweep.csv, .parquet, .svg, .png"
    )
