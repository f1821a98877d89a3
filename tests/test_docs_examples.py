"""The documentation's examples run, and its reference names every command and setting.

A block of `console` runs each of its lines that start with `$ bellwire` or `$ ./bellwire`, through
the installed program, in an empty folder with its own state. A block of `python` is executed, or
tried as a doctest when it has prompts. `<!-- not run: REASON -->` on the line before exempts one.
"""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bellwire.cli import main
from bellwire.node import settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?P<exempt><!-- not run: \S[^\n]*-->\n\n?)?```(?P<kind>console|python)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"^\$ (?:\./)?(bellwire\b.*)$", re.MULTILINE)


class Example(NamedTuple):
    page: Path
    line: int
    kind: str
    body: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def examples(page: Path) -> list[Example]:
    """The blocks of a page that are to be run."""
    text = page.read_text()
    return [
        Example(page, text[: found.start("body")].count("\n"), found["kind"], found["body"])
        for found in BLOCK.finditer(text)
        if not found["exempt"] and (found["kind"] == "python" or COMMAND.search(found["body"]))
    ]


ALL = [example for page in PAGES for example in examples(page)]


@pytest.mark.parametrize("example", ALL, ids=str)
def test_an_example_in_the_documentation_works(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if example.kind == "console":
        run_commands(example)
    else:
        run_program(example)


def run_commands(example: Example) -> None:
    """Run the commands of a block, one after the other, in the current folder."""
    here = Path.cwd()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    private = {"HOME": str(here), "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": ""}
    private |= {"PATH": path, "BELLWIRE_STATE__DIR": str(here / "state")}
    for command in COMMAND.findall(example.body):
        done = subprocess.run(
            ["sh", "-c", command],
            env={**os.environ, **private},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def run_program(example: Example) -> None:
    """Execute a Python block, or try it as a doctest when it has prompts."""
    if ">>>" in example.body:
        parsed = doctest.DocTestParser().get_doctest(
            example.body, {}, str(example), str(example.page), example.line
        )
        said: list[str] = []
        doctest.DocTestRunner(verbose=False).run(parsed, out=said.append)
        assert not said, "".join(said)
    else:
        exec(compile(example.body, str(example), "exec"), {"__name__": "__main__"})


def test_python_examples_are_executed_and_doctests_compared(tmp_path: Path) -> None:
    run_program(Example(tmp_path, 1, "python", "assert 1 + 1 == 2\n"))
    run_program(Example(tmp_path, 1, "python", ">>> 1 + 1\n2\n"))
    with pytest.raises(AssertionError, match="Expected"):
        run_program(Example(tmp_path, 1, "python", ">>> 1 + 1\n3\n"))
    with pytest.raises(ZeroDivisionError):
        run_program(Example(tmp_path, 1, "python", "1 / 0\n"))


def test_exempt_blocks_and_other_commands_are_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: needs an hour -->\n```console\n$ bellwire lab\n```\n"
        "```console\n$ ls\n```\n```console\n$ ./bellwire demo\nresult\n$ bellwire x\n```\n"
    )
    (found,) = examples(page)
    assert COMMAND.findall(found.body) == ["bellwire demo", "bellwire x"]
    assert str(found) == "page.md:8"


def test_an_exemption_holds_for_its_own_block_only(tmp_path: Path) -> None:
    exempt = "<!-- not run: a reason -->\n```console\n$ bellwire demo\n```\n"
    page = tmp_path / "page.md"
    page.write_text(exempt + "```console\n$ bellwire between\n```\n" + exempt)
    assert [COMMAND.findall(found.body) for found in examples(page)] == [["bellwire between"]]


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
