"""`bellwire prove`: the claims of the threat model, run, and a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.options import JsonFlag, SeedOption
from bellwire.demo.workplace import check_report_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bellwire.claims.model import Claim, Result
    from bellwire.claims.run import Evidence

_MARKS = {"holds": ("✓", "green"), "fails": ("✗", "red"), "not run": ("–", "dim")}


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLAIM", help="Claims, or parts like `light`; all when none."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", file_okay=False, help="Folder of the report. Default: none."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Take time: larger runs, and the benchmarks.")
    ] = False,
    tests: Annotated[
        bool,
        typer.Option("--tests", help="In a checkout: the tests that the threat model names, too."),
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="Say what the claims are.")] = False,
    json: JsonFlag = False,
    seed: SeedOption = None,
) -> int:
    """Run each claim of the threat model, and say with its figure whether it holds."""
    from bellwire.claims.catalogue import chosen
    from bellwire.claims.report import document, write
    from bellwire.claims.run import run
    from bellwire.claims.suite import checkout, run_tests

    if listed:
        return _list(chosen(names or [], full=True), json)
    claims = chosen(names or [], full=full)
    if report is not None:
        check_report_folder(report)
    root = checkout() if tests else None
    told = output.stderr()
    with output.progress("proving", total=len(claims), unit="claims") as meter:

        def say(result: "Result") -> None:
            meter.advance()
            meter.describe(f"proved {result.name}")
            if not told.is_terminal:
                told.print(f"{_MARKS[result.outcome.value][0]} {result.name}")

        evidence, seen = run(
            claims,
            seed=seed,
            full=full,
            say=say,
            further=lambda: [] if root is None else run_tests(root),
        )
    data = document(evidence, seen)
    page = None if report is None else write(evidence, seen, report)
    if json:
        output.emit({**data, "report": page})
    else:
        _tell(evidence, page)
    return 0 if evidence.succeeded else 1


def _list(claims: "Sequence[Claim]", json: bool) -> int:
    from rich import box
    from rich.table import Table

    if json:
        rows = [{"name": c.name, "attacker": c.attacker, "says": c.says} for c in claims]
        output.emit({"claims": rows})
        return 0
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("claim", no_wrap=True)
    table.add_column("says")
    for claim in claims:
        table.add_row(claim.name, claim.says)
    output.stdout().print(table)
    return 0


def _tell(evidence: "Evidence", page: Path | None) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from bellwire.claims.report import headline

    out = output.stdout()
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for attacker, results in evidence.by_attacker().items():
        table.add_row("", "", Text(attacker, "bold"))
        for result in results:
            sign, style = _MARKS[result.outcome.value]
            told = Text.assemble(result.says, "\n", (result.figure, "dim"))
            table.add_row(Text(sign, style), result.name, told)
    out.print(table)
    out.print(f"{headline(evidence)}; {evidence.wall_s:.0f} s")
    if page is not None:
        out.print(f"report: {page}")
