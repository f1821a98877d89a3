"""`bellwire lab`: experiments in one process, with a seed and an Eve of one's choice.

The same link and the same two sessions as the nodes', only here both sides are in one process.
What is distilled here is for study and enters no pool.
"""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import JsonFlag, SeedOption

if TYPE_CHECKING:
    from bellwire.base.detections import Protocol
    from bellwire.lab.experiment import Result

app = typer.Typer(
    no_args_is_help=True, help="Experiments with light, Eve and two sides in one process."
)


@app.callback()
def _group() -> None:
    """Experiments with light, Eve and two sides in one process."""


@app.command("run")
def run(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help="e91 or bb84.")],
    pulses: Annotated[
        str, typer.Option(metavar="N", help="Pulses, or pairs, such as 200000 or 4e6.")
    ] = "1e6",
    km: Annotated[float, typer.Option(help="Length of the fibre between the two, km.")] = 0.0,
    loss: Annotated[float, typer.Option(help="Attenuation of the fibre, dB/km.")] = 0.2,
    insertion_loss: Annotated[float, typer.Option(help="All other losses, dB.")] = 0.0,
    efficiency: Annotated[float, typer.Option(help="Of every detector, above 0, at most 1.")] = 1.0,
    dark: Annotated[float, typer.Option(help="Dark counts per detector and gate.")] = 0.0,
    misalignment: Annotated[float, typer.Option(help="QBER of the optics alone, 0 to 0.5.")] = 0.02,
    eve: Annotated[
        str,
        typer.Option(
            metavar="KIND[:SHARE]", help="none, intercept-resend or ghz; share 0 to 1, else 1."
        ),
    ] = "none",
    eve_axis: Annotated[
        str | None,
        typer.Option(metavar="AXES", help="Where she measures: degrees (45,90) or 'uniform'."),
    ] = None,
    seed: SeedOption = None,
    sample_share: Annotated[
        float, typer.Option(help="BB84: share of the sifted bits that is compared.")
    ] = 0.2,
    epsilon: Annotated[
        float, typer.Option(help="Total failure probability, 1e-20 to 1e-3.")
    ] = 1e-10,
    json: JsonFlag = False,
) -> None:
    """Run one experiment; one that ends in abort is a result too."""
    kind, count = _protocol(protocol), _count(pulses)

    from bellwire.lab.experiment import Experiment
    from bellwire.lab.experiment import run as run_experiment
    from bellwire.link.config import LinkConfig
    from bellwire.link.eve import parse_axes, parse_eve

    axes = None if eve_axis is None else parse_axes(eve_axis)
    experiment = Experiment(
        protocol=kind,
        pulses=count,
        config=LinkConfig(
            fibre_km=km,
            loss_db_per_km=loss,
            insertion_loss_db=insertion_loss,
            detector_efficiency=efficiency,
            dark_count_probability=dark,
            misalignment=misalignment,
        ),
        eve=parse_eve(eve, axes),
        seed=seed,
        sample_share=sample_share,
        epsilon=epsilon,
    )
    with output.progress(f"{kind} with {count:,} pulses"):
        result = run_experiment(experiment)
    if json:
        output.emit(result.to_dict())
    else:
        _tell(result, km)


def _protocol(name: str) -> "Protocol":
    from bellwire.base.detections import Protocol

    try:
        return Protocol(name)
    except ValueError:
        known = " or ".join(sorted(Protocol, reverse=True))
        raise UsageError(f"expected the protocol {known}, got {name}") from None


def _count(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise UsageError(f"expected a whole number of pulses, such as 200000 or 4e6, got {text}")
    return int(number)


def _tell(result: "Result", km: float) -> None:
    """The experiment as a table that reads from top to bottom."""
    from rich import box
    from rich.table import Table

    pairs = "pairs" if result.protocol == "e91" else "pulses"
    table = Table(
        title=f"{result.protocol.upper()}, {result.pulses:,} {pairs} over {km:g} km",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        show_header=False,
    )
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, story in _story(result):
        table.add_row(name, story)
    output.stdout().print(table)


def _story(result: "Result") -> list[tuple[str, str]]:
    rows = [("Eve", _eve(result)), ("Light", f"{result.detections:,} slots detected")]
    rows.append(("Sifting", f"{result.sifted_bits:,} bits from settings that fit"))
    if result.chsh is not None and result.chsh_stderr is not None:
        rows.append(
            ("S", f"{result.chsh:.3f} ± {result.chsh_stderr:.3f} (without entanglement at most 2)")
        )
    if result.qber is not None and result.qber_stderr is not None:
        rows.append(("QBER", f"{result.qber:.2%} ± {result.qber_stderr:.2%}"))
    if result.reconciliation is not None:
        leaked, efficiency = (
            result.reconciliation["leaked_bits"],
            result.reconciliation["efficiency"],
        )
        limit = "" if efficiency is None else f", {efficiency:.3f} times the Shannon limit"
        rows.append(("Reconciliation", f"{leaked:,} bits leaked{limit}"))
    if result.verdict == "accept":
        equal = "equal at both sides" if result.keys_match else "NOT EQUAL"
        rows.append(
            (
                "Key",
                f"[green]{result.secret_bits:,} secret bits[/green], {equal}, "
                f"ε ≤ {result.epsilon:.2g}, {result.secret_rate_bps:,.0f} bit/s of simulated time",
            )
        )
    else:
        rows.append(("Verdict", f"[red]abort[/red]: {result.reason}"))
    seed = "drawn by the system" if result.seed is None else str(result.seed)
    rows.append(("Run", f"{result.wall_s:.2f} s, seed {seed}"))
    return rows


def _eve(result: "Result") -> str:
    if result.eve is None:
        return "nobody listens"
    what = "pairs" if result.protocol == "e91" else "pulses"
    return f"[red]{result.eve['kind']}[/red] on {result.eve['share']:.0%} of the {what}"
