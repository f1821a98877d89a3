"""How the report's pictures look, and how they become files.

Colours are Okabe and Ito's, safe for colour-blind readers (jfly.uni-koeln.de/color). `COLOURS`
names every colour that occurs, so that the page can give each another value in the dark. Figures
are drawn on Matplotlib's objects without pyplot: nothing global is left behind, and no window
system is asked for.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bellwire.keys.status import Status

INK = "#1c2128"
MUTED = "#5b6470"
FAINT = "#d5dae0"
PAPER = "#ffffff"
BLUE = "#0072b2"
ORANGE = "#e69f00"
VERMILION = "#d55e00"
GREEN = "#009e73"
SKY = "#56b4e9"

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

WIDTH = 5.4
"""Inches: text stays legible on a phone, and two pictures fit beside each other on a desk."""

LOOK: dict[Any, object] = {
    "font.family": ["DejaVu Sans"],  # ships with Matplotlib: the same picture everywhere
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a title is a dollar
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "path",
    "svg.hashsalt": "bellwire",  # the same data gives the same file
}


def new_figure(height: float) -> Figure:
    """An empty figure of the report's width; height in inches."""
    figure = Figure(figsize=(WIDTH, height))
    figure.set_layout_engine("constrained", w_pad=0.09, h_pad=0.07)
    return figure


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


def save(figures: Mapping[str, Figure], directory: Path) -> list[Path]:
    """Write each figure as SVG and as PNG (180 dpi), named after its key, on white paper.

    Returns:
        The files, in the order of the figures.

    Raises:
        OSError: The directory cannot be written.
    """
    written = []
    with rc_context(LOOK):
        for name, figure in figures.items():
            vector, raster = directory / f"{name}.svg", directory / f"{name}.png"
            figure.savefig(vector, format="svg", metadata={"Date": None})
            figure.savefig(raster, format="png", dpi=180)
            written += [vector, raster]
    return written
