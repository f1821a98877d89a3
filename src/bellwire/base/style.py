"""How every picture of ours looks, and how pictures become files.

Colours are Okabe and Ito's, safe for colour-blind readers (jfly.uni-koeln.de/color). Figures are
drawn on Matplotlib's objects without pyplot: nothing global is left behind, and no window system is
asked for. The same data gives the same file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

INK = "#1c2128"
MUTED = "#5b6470"
FAINT = "#d5dae0"
PAPER = "#ffffff"
BLUE = "#0072b2"
ORANGE = "#e69f00"
VERMILION = "#d55e00"
GREEN = "#009e73"
SKY = "#56b4e9"

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


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure; inches."""
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("constrained", w_pad=0.09, h_pad=0.07)
    return figure


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
