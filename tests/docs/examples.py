"""How the documentation's examples are found and run.

A block of `console` runs each of its lines that start with `$ bellwire` or `$ ./bellwire`, through
the installed program, in an empty folder with its own state, and what a command with `--seed` is
shown to print must be what it prints, but for the time it took. A block of `python` is executed, or
tried as a doctest when it has prompts. `<!-- not run: REASON -->` on the line before exempts one;
`<!-- goes on -->` has one of `console` run after the one before it, in the same folder.
"""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LAB = {"run-circuits.md", "sweep.md", "use-the-lab.md", "use-time-tags.md"}
BLOCK = re.compile(
    r"^(?:(?P<exempt><!-- not run: \S[^\n]*-->\n\n?)|(?P<later><!-- goes on -->\n\n?))?"
    r"```(?P<kind>console|python)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"^\$ (?:\./)?(bellwire\b.*)$", re.MULTILINE)
SHOWN = re.compile(r"^\$ (?:\./)?(bellwire\b.* --seed \d.*)\n((?:(?!\$ ).*\n)+)", re.MULTILINE)
TOOK = re.compile(r"^ *Run +\d.*$", re.MULTILINE)


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
    blocks: list[Example] = []
    for found in BLOCK.finditer(text):
        line, kind, body = text[: found.start("body")].count("\n"), found["kind"], found["body"]
        if found["later"]:
            assert blocks[-1].kind == kind == "console", f"{page.name}:{line} goes on with nothing"
            blocks[-1] = blocks[-1]._replace(body=blocks[-1].body + body)
        elif not found["exempt"] and (kind == "python" or COMMAND.search(body)):
            blocks.append(Example(page, line, kind, body))
    return blocks


def kind_of(page: Path) -> str:
    """Which of this folder's files runs a page: several, for several workers."""
    if page.name in LAB:
        return "lab"
    return "reference" if page.parent.name == "reference" else "other"


def of_kind(kind: str) -> list[Example]:
    """The examples of all pages of a kind."""
    return [each for page in PAGES if kind_of(page) == kind for each in examples(page)]


def run(example: Example, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run an example in an empty folder."""
    monkeypatch.chdir(folder)
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
    # Measuring what they execute would take as long again, and shows nothing that tests do not.
    ours = {n: v for n, v in os.environ.items() if not n.startswith("COVERAGE_PROCESS")}
    shown = dict(SHOWN.findall(example.body))
    for command in COMMAND.findall(example.body):
        done = subprocess.run(
            ["sh", "-c", command],
            env={**ours, **private},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        if command in shown:
            assert _words(done.stdout) == _words(shown[command]), f"{command}\n{done.stdout}"


def _words(said: str) -> list[str]:
    """What is said, however its lines are broken, but for how long it took."""
    return TOOK.sub("", said).split()


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
