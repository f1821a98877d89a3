"""Statistics of E91, BBM92 and BB84 up to the estimate, told to people."""

from typing import TYPE_CHECKING

from bellwire.cli import output

if TYPE_CHECKING:
    from bellwire.lab.counting import Statistics


def tell(result: "Statistics", km: float) -> None:
    """The estimate as a table that reads from top to bottom."""
    from rich import box
    from rich.table import Table

    from bellwire.base.detections import Protocol

    unit = "pairs" if Protocol(result.protocol).entangled else "pulses"
    table = Table(
        title=f"{result.protocol.upper()}, {result.pulses:,} {unit} over {km:g} km, estimated",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        show_header=False,
    )
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, story in _story(result, unit):
        table.add_row(name, story)
    output.stdout(markup=True).print(table)


def _story(result: "Statistics", unit: str) -> list[tuple[str, str]]:
    rows = [("Eve", _eve(result, unit))]
    rows.append(("Light", f"{result.detections:,} slots detected"))
    rows.append(("Sifting", f"{result.sifted_bits:,} bits from settings that fit, all compared"))
    if result.chsh is not None:
        rows.append(
            (
                "S",
                f"{result.chsh:.5f} ± {result.chsh_stderr:.5f}, theory {result.expected_chsh:.5f}",
            )
        )
    if result.qber is not None:
        rows.append(
            (
                "QBER",
                f"{result.qber:.4%} ± {result.qber_stderr:.4%}, theory {result.expected_qber:.4%}",
            )
        )
    if result.verdict == "accept":
        rows.append(("Verdict", "[green]accept[/green]: a block like this may become key"))
    else:
        rows.append(("Verdict", f"[red]abort[/red]: {result.reason}"))
    seed = "drawn by the system" if result.seed is None else str(result.seed)
    speed = result.pulses / result.wall_s
    rows.append(("Run", f"{result.wall_s:.2f} s, {speed:,.0f} {unit}/s, seed {seed}"))
    return rows


def _eve(result: "Statistics", unit: str) -> str:
    if result.eve is None:
        return "nobody listens"
    knows = ""
    if result.eve_known_bits is not None:
        knows = f", knows {result.eve_known_bits:,} of the sifted bits"
    return f"[red]{result.eve['kind']}[/red] on {result.eve['share']:.0%} of the {unit}{knows}"
