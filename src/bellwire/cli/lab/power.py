"""`bellwire lab power`: how likely Eve is caught, against her share and the size of a block."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bellwire.cli import output
from bellwire.cli.lab.options import count, takes_words_of_photons
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.lab.power import LinkWords, PowerResult

MOST_LINES = 66


@takes_words_of_photons
def command(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help="e91, bbm92 or bb84.")],
    words: dict[str, Any],
    shares: Annotated[str, typer.Option(metavar="FROM:TO:N", help="Eve's shares.")] = "0:1:21",
    pulses: Annotated[
        str, typer.Option(metavar="N[,N…]", help="Sizes of block, pulses or pairs; up to six.")
    ] = "512,2e4,1e5",
    runs: Annotated[
        int, typer.Option(metavar="R", help="Blocks to send at every place; 0 for theory alone.")
    ] = 20,
    eve: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="intercept-resend, breidbart, ghz, cloner or substitution; shares vary.",
        ),
    ] = "intercept-resend",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of what is written. Default: power-PROTOCOL, here."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """How likely Eve is caught: theory, blocks that were really sent, and a plain rule beside."""
    from bellwire.lab.power import FILES, plan_of
    from bellwire.lab.power import power as run_power

    sizes = [count(word) for word in pulses.split(",")]
    seed = words.pop("seed", None)
    link = cast("LinkWords", {**words, "eve": eve})
    plan = plan_of(protocol, shares, sizes, runs, link)
    folder = Path(f"power-{plan.protocol}") if out is None else out
    total = runs * sum(point.pulses for point in plan.points)
    with output.progress(f"{plan.protocol}, {plan.eve}", total=total, unit="pulses") as meter:
        result = run_power(
            protocol,
            shares=shares,
            pulses=sizes,
            runs=runs,
            seed=seed,
            progress=meter.advance,
            **link,
        )
        meter.describe("the figure")
        result.save(folder)
    if json:
        output.emit({**result.to_dict(), "files": [folder / name for name in FILES]})
    else:
        _tell(result, folder)


def _tell(result: "PowerResult", folder: Path) -> None:
    """The places as a table, unless there are many, and where the rest is."""
    from rich import box
    from rich.table import Table

    if len(result.points) <= MOST_LINES:
        table = Table(
            title=f"{result.protocol.upper()}, {result.eve}: theory, and blocks that were sent",
            box=box.SIMPLE_HEAD,
            title_justify="left",
            show_edge=False,
            pad_edge=False,
            collapse_padding=True,
        )
        for name in ("pulses", "share", "caught", "blocks", "no key", "blocks", "plain rule"):
            table.add_column(name, justify="right", no_wrap=True)
        last = None
        for point in result.points:
            if last not in {None, point.pulses}:
                table.add_section()
            last = point.pulses
            without = point.runs_caught + point.runs_withheld
            table.add_row(
                f"{point.pulses:,}",
                f"{point.share:g}",
                f"{point.caught:.2%}",
                f"{point.runs_caught} of {point.runs}",
                f"{1.0 - point.key:.2%}",
                f"{without} of {point.runs}",
                f"{point.plain_caught:.2%}",
            )
        output.stdout().print(table)
    output.stdout().print(
        "Caught: QBER or S over its limit. No key: caught, too few bits, or none left after what "
        f"Eve may know.\nSeed {result.seed}. Table and figure: {folder}/power.csv, .json, .svg and "
        ".png"
    )
