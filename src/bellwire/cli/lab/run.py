"""`bellwire lab run`: one experiment, and its story as a table."""

from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.lab import weak
from bellwire.cli.lab.options import (
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
)
from bellwire.cli.options import JsonFlag, SeedOption

if TYPE_CHECKING:
    from bellwire.lab.experiment import Result
    from bellwire.lab.middle import SideOutcome


def command(
    protocol: Annotated[
        str, typer.Argument(metavar="PROTOCOL", help="e91, bbm92, bb84, wcp-bb84 or decoy-bb84.")
    ],
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
    until: weak.UntilOption = None,
    intensities: weak.IntensitiesOption = None,
    intensity_shares: weak.IntensitySharesOption = None,
    rectilinear: weak.RectilinearOption = None,
    dead_gates: weak.DeadGatesOption = None,
    dead_time: weak.DeadTimeOption = None,
    afterpulse: weak.AfterpulseOption = None,
    afterpulse_gates: weak.AfterpulseGatesOption = None,
    json: JsonFlag = False,
) -> None:
    """Run one experiment; one that ends in abort is a result too."""
    of_weak_pulses = {
        "until": until,
        "intensities": intensities,
        "intensity_shares": intensity_shares,
        "rectilinear": rectilinear,
        "dead_gates": dead_gates,
        "dead_time": dead_time,
        "afterpulse": afterpulse,
        "afterpulse_gates": afterpulse_gates,
    }
    if protocol in weak.PROTOCOLS:
        if eve_axis is not None:
            raise UsageError(f"expected no --eve-axis with {protocol}, got {eve_axis}")
        link = {
            "fibre_km": km,
            "loss_db_per_km": loss,
            "insertion_loss_db": insertion_loss,
            "detector_efficiency": efficiency,
            "dark_count_probability": dark,
            "misalignment": misalignment,
        }
        weak.run(protocol, count(pulses), seed, eve, link, of_weak_pulses, json=json)
        return
    weak.refuse_elsewhere(protocol, of_weak_pulses)

    from bellwire.lab.experiment import run as run_experiment
    from bellwire.lab.parameters import experiment

    planned = experiment(
        protocol,
        {
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
        },
    )
    with output.progress(f"{planned.protocol} with {planned.pulses:,} pulses"):
        result = run_experiment(planned)
    if json:
        output.emit(result.to_dict())
    else:
        _tell(result, km)


def _tell(result: "Result", km: float) -> None:
    """The experiment as a table that reads from top to bottom."""
    from rich import box
    from rich.table import Table

    pairs = _light(result)
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
    rows = [("Eve", _eve(result))]
    # A side that refuses its peer has named no slot.
    if result.sides is None or result.detections:
        rows.append(("Light", f"{result.detections:,} slots detected"))
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
    if result.sides is not None:
        rows += [(f"Key of {each.side}", _seen(each)) for each in result.sides]
    elif result.verdict == "accept":
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
    if "knows" in result.eve:
        return f"[red]{result.eve['kind']}[/red] on both channels, knows {result.eve['knows']}"
    return f"[red]{result.eve['kind']}[/red] on {result.eve['share']:.0%} of the {_light(result)}"


def _seen(side: "SideOutcome") -> str:
    """How a block with an Eve in the middle ended for one of the honest sides."""
    if side.verdict != "accept":
        return f"[red]abort[/red]: {side.reason}"
    held = "[red]all of them Eve's too[/red]" if side.eve_holds_key else "none of them Eve's"
    return f"accepted, {side.secret_bits:,} bits, {held}"


def _light(result: "Result") -> str:
    from bellwire.base.detections import Protocol

    return "pairs" if Protocol(result.protocol).entangled else "pulses"
