"""Estimates of weak coherent pulses, told to people."""

from typing import TYPE_CHECKING

from bellwire.cli import output

if TYPE_CHECKING:
    from bellwire.lab.weak import Estimate


def tell(result: "Estimate", km: float) -> None:
    """The estimate as two tables: each intensity, then what follows."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=f"{result.protocol}, {result.pulses:,} pulses over {km:g} km",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    for title in ("", "photons", "clicks", "gain", "sifted", "QBER"):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    for each in result.intensities:
        qber = "–" if each.qber is None else f"{each.qber:.3%} ± {each.qber_stderr:.3%}"
        table.add_row(
            each.name,
            f"{each.mean:g}",
            f"{each.clicks:,}",
            f"{each.gain:.4g}",
            f"{each.sifted:,}",
            qber,
        )
    output.stdout(markup=True).print(table)
    for line in _story(result):
        output.stdout(markup=True).print(line)


def _story(result: "Estimate") -> list[str]:
    single = result.single_photons
    how = "decoys prove" if len(result.intensities) > 1 else "one intensity proves, at worst"
    lines = [
        f"Single photons: {how} a yield of {single.yield_lower:.4g} or more, "
        f"errors up to {single.error_upper:.2%}",
        f"Key: {result.asymptotic_key_per_pulse:.4g} secret bits per pulse of an endless run",
    ]
    if result.eve is not None:
        lines.insert(
            0,
            f"[red]{result.eve['kind']}[/red] on {result.eve['share']:.0%} of the pulses, knows "
            f"{result.eve_known_bits:,} of {result.sifted_bits:,} sifted bits",
        )
    lines += [
        f"Monitor {each.monitor}: {'[red]alarm[/red]' if each.alarm else 'quiet'}, {each.words}"
        for each in result.monitors
    ]
    if result.verdict == "accept":
        looked = "" if len(result.intensities) > 1 else ", by the error rate alone"
        looked += " and the monitors" if looked and result.monitors else ""
        lines.append(f"Verdict: [green]accept[/green]{looked}")
        if result.eve is not None and result.eve["kind"] == "blinding" and result.eve_known_bits:
            lines.append("[red]Not secret[/red]: the key's bound does not hold of blind detectors")
    else:
        lines.append(f"Verdict: [red]abort[/red], {result.reason}")
    seed = "drawn by the system" if result.seed is None else str(result.seed)
    lines.append(f"Run: {result.wall_s:.2f} s, seed {seed}")
    return lines
