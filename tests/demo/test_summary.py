import dataclasses
import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from tests.demo.example import story

from bellwire.demo.story import Story
from bellwire.demo.summary import print_summary


def printed(told: Story, width: int, *, terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None)
    print_summary(told, console)
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
@pytest.mark.parametrize("terminal", [True, False])
def test_the_summary_fits_and_tells_the_story_at_any_width(width: int, terminal: bool) -> None:
    text = printed(story(), width, terminal=terminal)
    assert all(cell_len(line.rstrip()) <= width for line in text.splitlines())
    flat = " ".join(text.replace("│", " ").split())
    for expected in (
        "Key made, Eve caught", "97,060 secret bits", "25.1 ± 0.5 %", "2.719 ± 0.010", "✗ abort",
        "RED", "48 of 48", "post-quantum half", "report/index.html",
    ):  # fmt: skip
        assert expected in flat


def test_plain_text_has_neither_boxes_nor_colour_codes() -> None:
    text = printed(story(), 80)
    assert "╭" not in text
    assert "\x1b" not in text
    assert "╭" in printed(story(), 80, terminal=True)


def test_data_can_neither_style_nor_drive_the_terminal() -> None:
    told = story()
    evil = "[bold red]x[/] \x1b[2J"
    told = dataclasses.replace(
        told,
        stages=(dataclasses.replace(told.stages[2], title=evil, reason=evil),),
        device=dataclasses.replace(
            told.device, origin=evil, refusal=evil, readings_preview=(evil,)
        ),
        report=evil,
    )
    for width in (70, 140):
        text = printed(told, width)
        assert "\x1b" not in text
        assert text.count("[bold red]x[/] �[2J") == 6


def test_a_run_that_failed_is_marked_in_words() -> None:
    told = dataclasses.replace(
        story(), device=dataclasses.replace(story().device, sha256_in=None, refusal=None)
    )
    text = printed(told, 100, terminal=True)
    assert "did not show everything" in text
    assert "✗ Data" in text
    assert "refused:" not in text
