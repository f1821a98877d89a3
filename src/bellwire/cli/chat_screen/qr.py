"""A QR code for a terminal: two modules in a cell, black on white whatever the theme."""

from typing import Final

import segno
from textual.content import Content

QUIET: Final = 4
"""Light modules around it (ISO/IEC 18004: the quiet zone of a QR code is four modules wide)."""

VERSION: Final = 4
"""33 modules a side: the smallest that takes a safety code."""

CELLS: Final = 33 + 2 * QUIET
ROWS: Final = -(-CELLS // 2)
"""A cell of a terminal has two modules, one above the other."""

_CELLS: Final = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def code(data: bytes) -> Content:
    """Rows of a code that says `data`, in bytes (ISO/IEC 18004, byte mode, level L)."""
    made = segno.make(data, error="l", mode="byte", version=VERSION, boost_error=False)
    rows = [[int(cell) for cell in row] for row in made.matrix_iter(border=QUIET)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    text = "\n".join(
        "".join(_CELLS[pair] for pair in zip(top, bottom, strict=True)) for top, bottom in pairs
    )
    return Content.styled(text, "#000000 on #ffffff")
