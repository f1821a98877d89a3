"""The reference names every command, option, setting and exit code."""

import re
from pathlib import Path
from typing import Any

import pytest

from bellwire.cli import main
from bellwire.node import settings

ROOT = Path(__file__).resolve().parent.parent.parent


def headings(page: str) -> dict[str, str]:
    """Headings of a reference page that are a name in code, each with the text below it."""
    text = (ROOT / "docs" / "reference" / page).read_text()
    parts = re.split(r"^#{2,4} `([^`]+)`.*$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def command_names() -> list[str]:
    return [name for each in main.COMMANDS for name in verbs_of(each, main.load(each))]


def verbs_of(name: str, command: Any) -> list[str]:
    """The command's name, or of a group those of all below it, and its own if it works alone."""
    verbs = getattr(command, "commands", {})
    below = [each for verb in verbs for each in verbs_of(f"{name} {verb}", verbs[verb])]
    alone = not verbs or command.invoke_without_command
    return [name, *below] if alone else below


def test_every_command_has_its_heading_and_no_other() -> None:
    assert sorted(headings("commands.md")) == sorted(command_names())


def test_every_option_is_named_below_its_command_or_among_the_shared_ones() -> None:
    sections = headings("commands.md")
    shared = (ROOT / "docs" / "reference" / "commands.md").read_text().split("\n### ")[0]
    for name, below in sections.items():
        verb = main.load(name.split()[0])
        for word in name.split()[1:]:
            verb = verb.commands[word]
        names = [option for each in verb.params for option in each.opts if option[:2] == "--"]
        told = re.findall(r"--[a-z-]+", below + shared)
        assert not set(names) - set(told), name


def test_every_setting_has_its_heading_default_and_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    rows = settings.describe(settings.load())
    sections = headings("configuration.md")
    assert sorted(sections) == sorted(row.name for row in rows)
    for row in rows:
        below = sections[row.name]
        variable = settings.PREFIX + row.name.replace(".", "__").upper()
        assert row.explanation in below, row.name
        assert f"`{variable}`" in below, row.name
        assert row.name == "state.dir" or f"Default `{row.value}`" in below, row.name


def test_every_exit_code_has_its_line() -> None:
    text = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == ["0", "1", "2", "3", "4", "130"]
