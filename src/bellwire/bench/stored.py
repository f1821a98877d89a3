"""Ratios of an earlier run, so that one that has become much worse is noticed.

Only ratios are kept: they compare what ran in the same minutes, and mean something on another
machine. Processors differ all the same, so a lag is told and fails nothing. `stored.json` has
what the performance pages say, with the machine that it was measured on.
"""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Final, Literal

import msgspec

from bellwire.bench.model import Figure

LAG: Final = 1.5
"""So many times worse than stored is worth a word: busy machines make less than that."""


class Ratio(msgspec.Struct, frozen=True):
    """One stored ratio, and which way is better."""

    ratio: float
    better: Literal["higher", "lower"]


class Stored(msgspec.Struct, frozen=True):
    """The ratios of one benchmark.

    Attributes:
        measured: On what machine.
        ratios: By the name of the figure.
    """

    measured: str
    ratios: dict[str, Ratio]


def stored() -> dict[str, Stored]:
    """What is stored, by benchmark."""
    text = (files("bellwire.bench") / "stored.json").read_text("utf-8")
    return msgspec.convert(json.loads(text), dict[str, Stored])


def lagging(bench: str, figures: Sequence[Figure]) -> list[str]:
    """Sentences about figures whose ratio is far worse than the stored one."""
    kept = stored().get(bench)
    if kept is None:
        return []
    return [
        f"{figure.name}: {figure.ratio:.3g} times {figure.against}; {one.ratio:g} stored, of "
        f"{kept.measured}"
        for figure in figures
        if figure.ratio is not None and (one := kept.ratios.get(figure.name)) is not None
        if _lags(figure.ratio, one)
    ]


def _lags(ratio: float, one: Ratio) -> bool:
    if one.better == "higher":
        return ratio * LAG < one.ratio
    return ratio > one.ratio * LAG
