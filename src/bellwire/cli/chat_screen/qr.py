"""A QR code for a terminal: two modules in a cell, black on white whatever the theme."""

from typing import Final

import segno
from textual.content import Content

QUIET: Final = 2
"""Light modules around it. The standard's four do not fit beside the number in 80 columns, and
the white of the field goes on to all sides of the code."""

_CELLS: Final = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def code(data: bytes) -> Content:
    """Rows of a code that says `data`, in bytes (ISO/IEC 18004, byte mode, level L)."""
    made = segno.make(data, error="l", mode="byte", micro=False, boost_error=False)
    rows = [[int(cell) for cell in row] for row in made.matrix_iter(border=QUIET)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    text = "\n".join(
        "".join(_CELLS[pair] for pair in zip(top, bottom, strict=True)) for top, bottom in pairs
    )
    return Content.styled(text, "#000000 on #ffffff")
