"""`bellwire lab`: experiments in one process, with a seed and an Eve of one's choice.

The same link and the same two sessions as the nodes', only here both sides are in one process.
What is distilled here is for study and enters no pool.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import lab_weak, output
from bellwire.cli.options import JsonFlag, SeedOption

if TYPE_CHECKING:
    from bellwire.lab.compare import Comparison
    from bellwire.lab.experiment import Result
    from bellwire.lab.parameters import Words
    from bellwire.lab.results import SweepResult

app = typer.Typer(
    no_args_is_help=True, help="Experiments with light, Eve and two sides in one process."
)


@app.callback()
def _group() -> None:
    """Experiments with light, Eve and two sides in one process."""


_PulsesOption = Annotated[
    str, typer.Option(metavar="N", help="Pulses, or pairs, such as 200000 or 4e6.")
]
_KmOption = Annotated[float, typer.Option(help="Length of the fibre between the two, km.")]
_LossOption = Annotated[float, typer.Option(help="Attenuation of the fibre, dB/km.")]
_InsertionLossOption = Annotated[float, typer.Option(help="All other losses, dB.")]
_EfficiencyOption = Annotated[float, typer.Option(help="Of every detector, above 0, at most 1.")]
_DarkOption = Annotated[float, typer.Option(help="Dark counts per detector and gate.")]
_MisalignmentOption = Annotated[float, typer.Option(help="QBER of the optics alone, 0 to 0.5.")]
_EveOption = Annotated[
    str,
    typer.Option(
        metavar="KIND[:SHARE]",
        help="none, intercept-resend:0.3, breidbart, ghz, cloner or substitution (share 1) …",
    ),
]
_EveAxisOption = Annotated[
    str | None,
    typer.Option(metavar="AXES", help="Where she measures: degrees (45,90) or 'uniform'."),
]
_SampleShareOption = Annotated[
    float, typer.Option(help="Share of the sifted bits that is compared; not in E91.")
]
_EpsilonOption = Annotated[float, typer.Option(help="Total failure probability, 1e-20 to 1e-3.")]


@app.command("run")
def run(
    protocol: Annotated[
        str, typer.Argument(metavar="PROTOCOL", help="e91, bbm92, bb84, wcp-bb84 or decoy-bb84.")
    ],
    pulses: _PulsesOption = "1e6",
    km: _KmOption = 0.0,
    loss: _LossOption = 0.2,
    insertion_loss: _InsertionLossOption = 0.0,
    efficiency: _EfficiencyOption = 1.0,
    dark: _DarkOption = 0.0,
    misalignment: _MisalignmentOption = 0.02,
    eve: _EveOption = "none",
    eve_axis: _EveAxisOption = None,
    seed: SeedOption = None,
    sample_share: _SampleShareOption = 0.2,
    epsilon: _EpsilonOption = 1e-10,
    until: lab_weak.UntilOption = None,
    intensities: lab_weak.IntensitiesOption = None,
    intensity_shares: lab_weak.IntensitySharesOption = None,
    rectilinear: lab_weak.RectilinearOption = None,
    dead_gates: lab_weak.DeadGatesOption = None,
    dead_time: lab_weak.DeadTimeOption = None,
    afterpulse: lab_weak.AfterpulseOption = None,
    afterpulse_gates: lab_weak.AfterpulseGatesOption = None,
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
    if protocol in lab_weak.PROTOCOLS:
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
        lab_weak.run(protocol, _count(pulses), seed, eve, link, of_weak_pulses, json=json)
        return
    lab_weak.refuse_elsewhere(protocol, of_weak_pulses)

    from bellwire.lab.experiment import run as run_experiment
    from bellwire.lab.parameters import experiment

    planned = experiment(
        protocol,
        {
            "pulses": _count(pulses),
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


@app.command("sweep")
def sweep(
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
    pulses: _PulsesOption = "1e6",
    km: _KmOption = 0.0,
    loss: _LossOption = 0.2,
    insertion_loss: _InsertionLossOption = 0.0,
    efficiency: _EfficiencyOption = 1.0,
    dark: _DarkOption = 0.0,
    misalignment: _MisalignmentOption = 0.02,
    eve: _EveOption = "none",
    eve_axis: _EveAxisOption = None,
    seed: SeedOption = None,
    sample_share: _SampleShareOption = 0.2,
    epsilon: _EpsilonOption = 1e-10,
    json: JsonFlag = False,
) -> None:
    """Run many experiments over one or two parameters: table and figure, beside theory.

    What a folder already has of the same sweep is not done again.
    """
    from bellwire.lab.parameters import DEFAULTS
    from bellwire.lab.sweep import Plan
    from bellwire.lab.sweep import sweep as run_sweep

    given: Words = {
        "pulses": _count(pulses),
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


@app.command("compare")
def compare(
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
    return f"[red]{result.eve['kind']}[/red] on {result.eve['share']:.0%} of the {_light(result)}"


def _light(result: "Result") -> str:
    from bellwire.base.detections import Protocol

    return "pairs" if Protocol(result.protocol).entangled else "pulses"


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
            table.add_column(_TITLES[quantity], justify="right", no_wrap=whole)
            table.add_column("theory", justify="right", style="dim")
        table.add_column("gave a key", justify="right")
        for point in points:
            cells = [f"{value:.6g}" for value in point.at]
            expected = result.theory(point.at)
            for quantity in result.quantities:
                value, error = point.values.get(quantity), point.stderrs.get(quantity)
                cells.append(_measured(quantity, value, error))
                cells.append(_measured(quantity, getattr(expected, quantity), None))
            kept = round(point.accepted * point.runs)
            style = "green" if kept == point.runs else "red" if kept == 0 else "yellow"
            table.add_row(*cells, f"[{style}]{kept} of {point.runs}[/{style}]")
        output.stdout().print(table)
    accepted = sum(row.verdict == "accept" for row in result.rows)
    output.stdout().print(
        f"{accepted:,} of {len(result.rows):,} experiments gave a key; seed {result.seed}. "
        f"Table and figure: {out}/sweep.csv, .parquet, .svg, .png"
    )


_TITLES = {
    "qber": "QBER",
    "chsh": "S",
    "key": "key per pulse",
    "detected": "slots detected",
    "key_per_pulse": "key per pulse",
}


def _measured(quantity: str, value: float | None, error: float | None) -> str:
    if value is None:
        return "–"
    if quantity in {"qber", "detected"}:
        return f"{value:.2%}" + ("" if error is None else f" ± {error:.2%}")
    digits = 3 if quantity == "chsh" else 4
    return f"{value:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")


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
    for name, value in a.parameters.items():
        if value != b.parameters[name]:
            shown = ("none" if each is None else str(each) for each in (value, b.parameters[name]))
            table.add_row(name.replace("_", "-"), *shown, "")
    table.add_section()
    for each in comparison.differences:
        if each.a is None and each.b is None:
            continue
        change = _measured(each.quantity, each.difference, None)
        if each.in_stderrs is not None:
            change += f" ({each.in_stderrs:+.1f})"
        table.add_row(
            _TITLES[each.quantity],
            _measured(each.quantity, each.a, each.a_stderr),
            _measured(each.quantity, each.b, each.b_stderr),
            change,
        )
    results = comparison.a_result, comparison.b_result
    table.add_row("secret bits", *(f"{result.secret_bits:,}" for result in results), "")
    table.add_row("verdict", *(result.verdict for result in results), "")
    output.stdout().print(table)
    for which, result in zip((a, b), results, strict=True):
        if result.reason is not None:
            output.stdout().print(f"{which.name}: {result.reason}")
