"""`bellwire lab run` for weak coherent pulses: their options, and their result for people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output

if TYPE_CHECKING:
    from bellwire.lab.weak import Estimate, WeakExperiment

PROTOCOLS = ("wcp-bb84", "decoy-bb84")

UntilOption = Annotated[
    str | None,
    typer.Option(metavar="estimate", help="Weak pulses: where to end; they are not distilled."),
]
IntensitiesOption = Annotated[
    str | None,
    typer.Option(metavar="μ[,ν,ω]", help="Weak pulses: mean photons. Default 0.5,0.1,0 or 0.5."),
]
IntensitySharesOption = Annotated[
    str | None,
    typer.Option(metavar="P[,P,P]", help="Weak pulses: how often each. Default 0.7,0.2,0.1 or 1."),
]
RectilinearOption = Annotated[
    float | None,
    typer.Option(help="Weak pulses: share of the rectilinear basis on both sides. Default 0.5."),
]
DeadGatesOption = Annotated[
    int | None, typer.Option(help="Weak pulses: gates a detector is blind after a click.")
]
DeadTimeOption = Annotated[
    str | None,
    typer.Option(
        metavar="common|per-detector",
        help="Weak pulses: whether a click blinds both detectors. Default common.",
    ),
]
AfterpulseOption = Annotated[
    float | None, typer.Option(help="Weak pulses: probability that a click is followed by another.")
]
AfterpulseGatesOption = Annotated[
    float | None, typer.Option(help="Weak pulses: decay of afterpulses, gates. Default 100.")
]


def refuse_elsewhere(protocol: str, given: Mapping[str, object]) -> None:
    """Raise UsageError if an option of weak pulses was given with another protocol."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(
                f"expected --{name.replace('_', '-')} only with {' or '.join(PROTOCOLS)}, "
                f"got it with {protocol}"
            )


def run(
    protocol: str,
    pulses: int,
    seed: int | None,
    eve: str,
    link: Mapping[str, float],
    given: Mapping[str, Any],
    *,
    json: bool,
) -> None:
    """Run one experiment up to its estimate.

    Args:
        protocol: One of PROTOCOLS.
        pulses: How many.
        seed: Of the run.
        eve: KIND[:SHARE].
        link: Values of the LinkConfig.
        given: The options of weak pulses, None where not given.
        json: Whether to print the document.

    Raises:
        UsageError: a value that cannot be, by name; or more than an estimate was asked for.
    """
    until = given["until"]
    if until != "estimate":
        raise UsageError(
            f"expected --until estimate with {protocol}, which this lab does not distil, "
            f"got {'none' if until is None else until}",
            hint="Add --until estimate: gains, error rates and what they prove.",
        )
    from bellwire.lab.weak import estimate

    experiment = _experiment(protocol, pulses, seed, eve, link, given)
    with output.progress(f"{protocol}", total=pulses, unit="pulses") as meter:
        result = estimate(experiment, meter.advance)
    if json:
        output.emit(result.to_dict())
    else:
        _tell(result, link["fibre_km"])


def _experiment(
    protocol: str,
    pulses: int,
    seed: int | None,
    eve: str,
    link: Mapping[str, float],
    given: Mapping[str, Any],
) -> "WeakExperiment":
    from bellwire.lab.weak import WeakExperiment
    from bellwire.link.config import LinkConfig
    from bellwire.link.weak import DeadTime, WeakConfig, parse_weak_eve

    single = protocol == "wcp-bb84"
    means = _numbers("intensities", given["intensities"] or ("0.5" if single else "0.5,0.1,0"))
    shares = _numbers("intensity-shares", given["intensity_shares"] or _shares(single))
    if (len(means) == 1) != single or len(means) != len(shares):
        count = "one intensity and one share" if single else "three intensities and three shares"
        raise UsageError(f"expected {count} with {protocol}, got {len(means)} and {len(shares)}")
    words = {
        name: given[name]
        for name in ("rectilinear", "dead_gates", "afterpulse", "afterpulse_gates")
        if given[name] is not None
    }
    if given["dead_time"] is not None:
        try:
            words["dead_time"] = DeadTime(given["dead_time"])
        except ValueError:
            raise UsageError(
                f"expected --dead-time {' or '.join(DeadTime)}, got {given['dead_time']}"
            ) from None
    config = WeakConfig(intensities=means, shares=shares, link=LinkConfig(**link), **words)
    return WeakExperiment(pulses=pulses, config=config, eve=parse_weak_eve(eve), seed=seed)


def _shares(single: bool) -> str:
    return "1" if single else "0.7,0.2,0.1"


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"expected --{option} as numbers with commas, got {text}") from None


def _tell(result: "Estimate", km: float) -> None:
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
    output.stdout().print(table)
    for line in _story(result):
        output.stdout().print(line)


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
    if result.verdict == "accept":
        looked = "" if len(result.intensities) > 1 else ", by the error rate alone"
        lines.append(f"Verdict: [green]accept[/green]{looked}")
    else:
        lines.append(f"Verdict: [red]abort[/red], {result.reason}")
    seed = "drawn by the system" if result.seed is None else str(result.seed)
    lines.append(f"Run: {result.wall_s:.2f} s, seed {seed}")
    return lines
