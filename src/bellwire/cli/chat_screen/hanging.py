"""A message whose rows behind the first stand further in.

So nothing that somebody wrote, with line ends or with spaces that fill a row, can look like the
beginning of another message.
"""

from typing import Final

from rich.segment import Segment
from textual.content import Content
from textual.css.styles import RulesMap
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual

INDENT: Final = 2


class Hanging(Visual):
    """Use as the prompt of an option; two are equal if they show the same.

    Args:
        content: What is shown.
    """

    def __init__(self, content: Content) -> None:
        self.content = content

    def __str__(self) -> str:
        return str(self.content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hanging) and self.content.is_same(other.content)

    def __hash__(self) -> int:
        return hash(self.content)

    def render_strips(
        self, width: int, height: int | None, style: Style, options: RenderOptions
    ) -> list[Strip]:
        """Rows of that width."""
        rows = self.content.render_strips(_room(width), None, style, options)
        blank = Segment(" " * min(INDENT, width - 1), style.rich_style)
        behind = [Strip([blank, *row]) for row in rows[1:]]
        return [*rows[:1], *behind][:height]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """In cells, without a break."""
        return self.content.get_optimal_width(rules, container_width) + INDENT

    def get_height(self, rules: RulesMap, width: int) -> int:
        """In rows, at that width."""
        return self.content.get_height(rules, _room(width))


def _room(width: int) -> int:
    return max(1, width - INDENT)
