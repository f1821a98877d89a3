"""`bellwire lab run`: one experiment, and its story as a table."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bellwire.cli import output
from bellwire.cli.lab import counting, weak
from bellwire.cli.lab.options import takes_words
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.lab.experiment import Result
    from bellwire.lab.middle import SideOutcome


@takes_words
def command(
    protocol: Annotated[
        str, typer.Argument(metavar="PROTOCOL", help="e91, bbm92, bb84, wcp-bb84 or decoy-bb84.")
    ],
    words: dict[str, Any],
    json: JsonFlag = False,
) -> None:
    """Run one experiment; one that ends in abort is a result too."""
    from bellwire.lab import dispatch
    from bellwire.lab.counting import Counting, Statistics
    from bellwire.lab.weak import Estimate, WeakExperiment

    planned = dispatch.experiment(protocol, words)
    streamed = isinstance(planned, WeakExperiment | Counting)
    with output.progress(
        f"{protocol} with {planned.pulses:,} pulses",
        total=planned.pulses if streamed else None,
        unit="pulses",
    ) as meter:
        result = dispatch.run(planned, meter.advance)
    if json:
        output.emit(result.to_dict())
    elif isinstance(result, Estimate):
        weak.tell(result, words.get("km", 0.0))
    elif isinstance(result, Statistics):
        counting.tell(result, words.get("km", 0.0))
    else:
        _tell(result, words.get("km", 0.0))


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
    output.stdout(markup=True).print(table)


def _error_rate(result: "Result") -> str:
    assert result.qber_limits is not None
    low, high = result.qber_limits
    return f"{result.qber:.2%} ± {result.qber_stderr:.2%}, surely {low:.2%} to {high:.2%}"


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
    if None not in (result.qber, result.qber_stderr, result.qber_limits):
        rows.append(("QBER", _error_rate(result)))
    rows += _decoys(result)
    if result.reconciliation is not None:
        leaked, efficiency = (
            result.reconciliation["leaked_bits"],
            result.reconciliation["efficiency"],
        )
        limit = "" if efficiency is None else f", {efficiency:.3f} times the Shannon limit"
        method = result.reconciliation["method"]
        rows.append(("Reconciliation", f"{method}, {leaked:,} bits leaked{limit}"))
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
        rows.append(
            (
                "ε",
                f"secrecy {result.epsilon_secrecy:.2g}, correctness "
                f"{result.epsilon_correctness:.2g}, authentication "
                f"{result.epsilon_authentication:.2g}",
            )
        )
    else:
        rows.append(("Verdict", f"[red]abort[/red]: {result.reason}"))
    seed = "drawn by the system" if result.seed is None else str(result.seed)
    rows.append(("Run", f"{result.wall_s:.2f} s, seed {seed}, {_engine(result)}"))
    return rows


def _decoys(result: "Result") -> list[tuple[str, str]]:
    """What decoys proved, if there were any."""
    from bellwire.lab.decoys import DecoyResult

    if not isinstance(result, DecoyResult) or not result.intensities:
        return []
    names = ("signal", "decoy", "vacuum")
    gains = ", ".join(
        f"{name} {each['gain']:.4g}" for name, each in zip(names, result.intensities, strict=True)
    )
    rows = [("Gains", f"{gains} detections per pulse")]
    if result.single_photon_bits is not None and result.phase_error is not None:
        rows.append(
            (
                "Single photons",
                f"at least {result.single_photon_bits:,.0f} key bits, phase errors up to "
                f"{result.phase_error:.2%}",
            )
        )
    return rows


def _engine(result: "Result") -> str:
    if result.backend is not None:
        return f"engine {result.engine} on {result.backend}"
    return f"engine {result.engine}"


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
