"""`bellwire bench`: measurements beside named alternatives, as a table or as JSON."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.bench.catalogue import BENCHES, NEEDS_ROOT
from bellwire.bench.machine import cpu, versions
from bellwire.bench.stored import lagging
from bellwire.cli import output
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bellwire.bench.model import Figure


class UnknownBench(UsageError):
    """A benchmark is asked for that does not exist."""


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help=f"Of {', '.join(BENCHES)}; all when none."),
    ] = None,
    json: JsonFlag = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Smaller runs, for a first impression.")
    ] = False,
) -> None:
    """Measure this machine, each figure beside a named alternative where there is one."""
    chosen = names or [name for name in BENCHES if name not in NEEDS_ROOT or os.geteuid() == 0]
    for name in chosen:
        if name not in BENCHES:
            raise UnknownBench(f"expected a benchmark out of {', '.join(BENCHES)}, got '{name}'")
    documents = []
    with output.progress("measuring") as meter:
        for name in chosen:
            meter.describe(f"measuring {name}")
            figures = import_module(BENCHES[name]).run(quick=quick)
            for sentence in lagging(name, figures):
                output.stderr().print(f"behind what is stored: {sentence}")
            if json:
                documents.append(_document(name, figures))
            else:
                _show(name, figures)
    if json:
        output.emit(documents[0] if len(documents) == 1 else {"benches": documents})


def _document(name: str, figures: "Sequence[Figure]") -> dict[str, object]:
    return {"bench": name, "results": figures, "cpu": cpu(), "versions": versions()}


def _show(name: str, figures: "Sequence[Figure]") -> None:
    from rich import box
    from rich.table import Table

    table = Table(
        title=f"{name} on {cpu()}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", overflow="fold")
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("against", overflow="fold")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{_ratio(figure.ratio)}×"
        table.add_row(figure.name, _number(figure.value), figure.unit, ratio, figure.against or "–")
    output.stdout().print(table)


def _number(value: float) -> str:
    if abs(value) >= 1e8:
        return _power(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _ratio(value: float) -> str:
    if abs(value) >= 1e6:
        return _power(value)
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _power(value: float) -> str:
    """Three digits and a power of ten: 2.87e9."""
    digits, _, power = f"{value:.2e}".partition("e")
    return f"{digits}e{int(power)}"
