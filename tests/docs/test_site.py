"""The site's navigation is what the index lists; building it is a step of the checks."""

import re

import pytest
from tools.docs_site import ROOT, navigation

INDEX = """# Documentation

## Tutorial

- [First](tutorial/first-light.md): no quantum physics: none.

## Reference

- [Commands](reference/commands.md) and [codes](reference/exit-codes.md)
- Wire formats: [one](../spec/channel.md),
  [two](../spec/chat.md#4-pads), [one again](../spec/channel.md)

Light, and more (of it):

- [Eve](explanation/eve.md#a-heading)
- [A map](../ARCHITECTURE.md) and [elsewhere](https://example.org/page.md)
"""


def test_sections_are_tabs_and_a_line_before_a_colon_is_a_group() -> None:
    tabs = navigation(INDEX, "| [Two](two-processes.md) | why |")
    by_name = {name: entries for tab in tabs for name, entries in tab.items()}
    assert by_name["Tutorial"] == ["docs/tutorial/first-light.md"]
    assert by_name["Reference"] == [
        "docs/reference/commands.md",
        "docs/reference/exit-codes.md",
        {"Wire formats": ["spec/channel.md"]},
    ]
    assert by_name["Decisions"] == ["docs/decisions/README.md", "docs/decisions/two-processes.md"]
    assert "ARCHITECTURE.md" in by_name["Project"]


@pytest.mark.parametrize("folder", [".", "docs", "spec", "examples", "vectors"])
def test_no_row_stands_outside_a_table(folder: str) -> None:
    pages = (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
    code = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    row = re.compile(r"(?:\A|\n)(?!\|)[^\n]*\n(\|[^\n]*)\n(?!\|[-:| ]+\|\n)")
    lost = {
        (page.name, found)
        for page in pages
        for found in row.findall(code.sub("", page.read_text()))
    }
    assert not lost
