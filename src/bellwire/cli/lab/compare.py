"""`bellwire lab compare`: two configurations side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.lab.options import (
    TITLES,
    measured,
)
from bellwire.cli.options import JsonFlag, SeedOption

if TYPE_CHECKING:
    from bellwire.lab.compare import Comparison


def command(
    a: Annotated[Path, typer.Argument(metavar="A.toml", help="The first configuration.")],
    b: Annotated[Path, typer.Argument(metavar="B.toml", help="The second.")],
    seed: SeedOption = None,
    json: JsonFlag = False,
) -> None:
    """Run two configurations and set their results side by side, in standard errors."""
    from bellwire.lab.compare import compare as run_both
    from bellwire.lab.compare import read

    both = read(a), read(b)
    with output.progress(f"{a.name} and {b.name}"):
        comparison = run_both(*both, seed=seed)
    if json:
        output.emit(comparison.to_dict())
    else:
        _tell_comparison(comparison)


def _tell_comparison(comparison: "Comparison") -> None:
    """What differs between the configurations, then between their results."""
    from rich import box
    from rich.table import Table

    a, b = comparison.a, comparison.b
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("", a.name, b.name, "difference (in standard errors)"):
        table.add_column(title, style=None if title else "bold", overflow="fold")
    if a.protocol != b.protocol:
        table.add_row("protocol", a.protocol, b.protocol, "")
    for name in {**a.parameters, **b.parameters}:
        values = [each.parameters.get(name) for each in (a, b)]
        if values[0] != values[1]:
            shown = ("none" if each is None else str(each) for each in values)
            table.add_row(name.replace("_", "-"), *shown, "")
    table.add_section()
    for each in comparison.differences:
        if each.a is None and each.b is None:
            continue
        change = measured(each.quantity, each.difference, None)
        if each.in_stderrs is not None:
            change += f" ({each.in_stderrs:+.1f})"
        table.add_row(
            TITLES[each.quantity],
            measured(each.quantity, each.a, each.a_stderr),
            measured(each.quantity, each.b, each.b_stderr),
            change,
        )
    results = comparison.a_result, comparison.b_result
    bits = ["–" if each.secret_bits is None else f"{each.secret_bits:,}" for each in results]
    table.add_row("secret bits", *bits, "")
    table.add_row("verdict", *(result.verdict for result in results), "")
    output.stdout().print(table)
    for which, result in zip((a, b), results, strict=True):
        if result.reason is not None:
            output.stdout().print(f"{which.name}: {result.reason}")
