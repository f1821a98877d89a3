"""What the verbs of `bellwire lab` share: their options, and how a statistic is written."""

import math
from typing import Annotated

import typer

from bellwire.base.errors import UsageError

PulsesOption = Annotated[
    str, typer.Option(metavar="N", help="Pulses, or pairs, such as 200000 or 4e6.")
]
KmOption = Annotated[float, typer.Option(help="Length of the fibre between the two, km.")]
LossOption = Annotated[float, typer.Option(help="Attenuation of the fibre, dB/km.")]
InsertionLossOption = Annotated[float, typer.Option(help="All other losses, dB.")]
EfficiencyOption = Annotated[float, typer.Option(help="Of every detector, above 0, at most 1.")]
DarkOption = Annotated[float, typer.Option(help="Dark counts per detector and gate.")]
MisalignmentOption = Annotated[float, typer.Option(help="QBER of the optics alone, 0 to 0.5.")]
EveOption = Annotated[
    str,
    typer.Option(
        metavar="KIND[:SHARE]",
        help="none, intercept-resend:0.3, breidbart, ghz, cloner, substitution (share 1), "
        "man-in-the-middle …",
    ),
]
EveAxisOption = Annotated[
    str | None,
    typer.Option(metavar="AXES", help="Where she measures: degrees (45,90) or 'uniform'."),
]
SampleShareOption = Annotated[
    float, typer.Option(help="Share of the sifted bits that is compared; not in E91.")
]
EpsilonOption = Annotated[float, typer.Option(help="Total failure probability, 1e-20 to 1e-3.")]


def count(text: str) -> int:
    """A whole number of pulses, such as 200000 or 4e6; UsageError for anything else."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise UsageError(f"expected a whole number of pulses, such as 200000 or 4e6, got {text}")
    return int(number)


TITLES = {
    "qber": "QBER",
    "chsh": "S",
    "key": "key per pulse",
    "detected": "slots detected",
    "key_per_pulse": "key per pulse",
}


def measured(quantity: str, value: float | None, error: float | None) -> str:
    """A quantity of `TITLES` with its standard error, as a table shows it."""
    if value is None:
        return "–"
    if quantity in {"qber", "detected"}:
        return f"{value:.2%}" + ("" if error is None else f" ± {error:.2%}")
    digits = 3 if quantity == "chsh" else 4
    return f"{value:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
