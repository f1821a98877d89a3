"""What the report's pictures have beyond the common look (`bellwire.base.style`).

`COLOURS` names every colour that occurs, so that the page can give each another value in the dark.
"""

import re

from matplotlib.axes import Axes

from bellwire.base.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    SKY,
    VERMILION,
)
from bellwire.keys.status import Status

COLOURS = {
    "ink": (INK, "#e8ebef"),
    "muted": (MUTED, "#9aa4b0"),
    "faint": (FAINT, "#3a424d"),
    "paper": (PAPER, "#1a1f26"),
    "blue": (BLUE, "#5cb3ea"),
    "orange": (ORANGE, "#f0b432"),
    "vermilion": (VERMILION, "#ff8b45"),
    "green": (GREEN, "#2fc79a"),
    "sky": (SKY, "#3f86b3"),
}
"""Name → (value on light paper, value on dark)."""

STATUS_COLOURS = {Status.GREEN: GREEN, Status.YELLOW: ORANGE, Status.RED: VERMILION}


def bare(axes: Axes) -> None:
    """Leave the x-axis only: rows are labelled by words."""
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def inline_svg(svg: str, name: str) -> str:
    """A saved picture as an `<svg>` element for a page.

    Its ids begin with `name`, so that several fit on one page; the colours of `COLOURS` become CSS
    variables `--c-<colour>`.
    """
    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for colour, (light, _) in COLOURS.items():
        text = text.replace(light, f"var(--c-{colour})")
    return text
