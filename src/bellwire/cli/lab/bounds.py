"""`bellwire lab bounds`: what theorems prove, by the size of a block; `--check`: their numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.lab.options import takes_words_of_light
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.lab.bounds import BoundsResult, LightWords

MOST_LINES = 16
"""Sizes that a table shows; the file has all."""


@takes_words_of_light
def command(
    words: dict[str, Any],
    protocol: Annotated[
        str | None, typer.Argument(metavar="[PROTOCOL]", help="bb84, bbm92, e91 or decoy-bb84.")
    ] = None,
    pulses: Annotated[
        str,
        typer.Option(metavar="FROM:TO:N[:log]|N[,N…]", help="Sizes of block, pulses or pairs."),
    ] = "1e3:1e12:28:log",
    qber: Annotated[
        float | None,
        typer.Option(help="Error rate in like bases, in the place of what the link would give."),
    ] = None,
    epsilon: Annotated[
        float, typer.Option(help="Total failure probability of a block, 1e-20 to 1e-3.")
    ] = 1e-10,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write table and figure into this folder."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Show what the theorems' numbers are held against, and ours."),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """How much key each security theorem proves of a link, by the size of a block."""
    if check:
        if protocol is not None or words or qber is not None or out is not None:
            raise UsageError("expected --check alone, or with --json, got other words beside it")
        _check(json=json)
        return
    if protocol is None:
        raise UsageError("expected a protocol, or --check, got neither")
    from bellwire.lab.bounds import FILES, bounds, sizes_of

    total = 3 * len(sizes_of(pulses))
    with output.progress(f"theorems for {protocol}", total=total, unit="sizes") as meter:
        result = bounds(
            protocol,
            pulses=pulses,
            qber=qber,
            epsilon=epsilon,
            progress=meter.advance,
            **cast("LightWords", words),
        )
        if out is not None:
            meter.describe("table and figure")
            result.save(out)
    if json:
        files = [] if out is None else [out / name for name in FILES]
        output.emit({**result.to_dict(), "files": files})
    else:
        _tell(result, out)


def _tell(result: "BoundsResult", out: Path | None) -> None:
    """Sizes down, theorems across."""
    from rich import box
    from rich.table import Table

    finite = [curve for curve in result.curves if curve.length is not None]
    light = "pairs" if result.protocol in {"e91", "bbm92"} else "pulses"
    title = f"{result.protocol.upper()}, QBER {result.qber:.2%}, ε = {result.epsilon:g}"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", show_edge=False)
    table.add_column(light, justify="right", no_wrap=True)
    for curve in finite:
        table.add_column(curve.theorem, justify="right", overflow="fold")
        table.add_column("of limit", justify="right", no_wrap=True)
    columns = [result.of(curve.theorem) for curve in finite]
    rows = list(zip(*columns, strict=True))
    step = -(-len(rows) // MOST_LINES)
    for row in rows[::-1][::step][::-1]:
        cells = [f"{row[0].pulses:.4g}"]
        for point in row:
            share = "–" if point.share is None else f"{point.share:.1%}"
            cells += [f"{point.secret_bits:,}", share]
        table.add_row(*cells)
    output.stdout().print(table)
    for curve in result.curves:
        output.stdout().print(
            f"{curve.theorem}: {curve.title}, against {curve.against}; endless blocks "
            f"{curve.limit:.4g} bits per {light[:-1]}"
        )
    if out is not None:
        output.stdout().print(f"Table and figure: {out}/bounds.csv, .parquet, .svg, .png, .json")


def _check(*, json: bool) -> None:
    from rich import box
    from rich.table import Table

    from bellwire.lab.bound_references import references

    found = references()
    if json:
        output.emit({"references": [each.to_dict() for each in found]})
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("theorem", "quantity", "reference", "ours", "difference", "origin"):
        right = name in {"reference", "ours", "difference"}
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for each in found:
        table.add_row(
            each.theorem,
            each.quantity,
            f"{each.stated:.10g}",
            f"{each.ours:.10g}",
            f"{each.difference:+.2g}",
            each.origin,
        )
    output.stdout().print(table)
    output.stdout().print(
        "Differences are relative. docs/explanation/theorems.md says what was read, and where."
    )
