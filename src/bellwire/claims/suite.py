"""The tests that the threat model names, run in a checkout: one result for each of its sections."""

import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import bellwire
from bellwire.claims.errors import NoCheckout
from bellwire.claims.model import Attacker, Outcome, Result
from bellwire.claims.redaction import redacted

PAGE: Final = Path("docs", "explanation", "threat-model.md")
NAMED: Final = re.compile(r"([\w./]+\.py) `(test_\w+)`")
SAID: Final = re.compile(
    r"^tests/\S+?\.py::(?:\w+::)*(test_\w+).* (PASSED|FAILED|SKIPPED|ERROR|XFAIL|XPASS)\b"
)
SECTION: Final = re.compile(r"^## (.+)$", re.MULTILINE)

Test = tuple[str, str]
"""File below `tests/`, function."""


@dataclass(slots=True)
class _Counted:
    """How the tests of a section ended, by function."""

    bad: set[str] = field(default_factory=set)
    good: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)


def checkout() -> Path:
    """The folder with the tests.

    Raises:
        NoCheckout: the program is not run from one, or pytest is not there.
    """
    root = Path(bellwire.__file__).resolve().parents[2]
    if not (root / PAGE).is_file() or not (root / "tests").is_dir() or not find_spec("pytest"):
        raise NoCheckout(
            "expected a checkout with its tests and pytest, got an installed program alone",
            hint="Without --tests, claims are run by the program itself.",
        )
    return root


def named(page: str) -> dict[str, list[Test]]:
    """Section of the page → the tests that it names."""
    pieces = SECTION.split(page)[1:]
    found = dict(zip(pieces[::2], pieces[1::2], strict=True))
    return {title: tests for title, text in found.items() if (tests := NAMED.findall(text))}


def run_tests(root: Path) -> list[Result]:
    """Run them all at once, and say how each section did; the time of each is that of all."""
    sections = named((root / PAGE).read_text("utf-8"))
    began = time.monotonic()
    every = dict.fromkeys(test for tests in sections.values() for test in tests)
    # pytest runs nothing at all where it is asked for one that is not there.
    ids = [f"tests/{file}::{name}" for file, name in every if _defines(root / "tests" / file, name)]
    arguments = [sys.executable, "-m", "pytest", "-v", "--no-header", "--tb=no", *ids]
    done = subprocess.run(arguments, cwd=root, capture_output=True, text=True, check=False)
    ended = count(done.stdout)
    wall_s = time.monotonic() - began
    return [
        _result(f"tests.{number}", title, {name for _, name in tests}, ended, root, wall_s)
        for number, (title, tests) in enumerate(sections.items(), 1)
    ]


def _defines(file: Path, name: str) -> bool:
    return file.is_file() and f"def {name}(" in file.read_text("utf-8")


def _result(  # noqa: PLR0917 - a section, and how all ended
    name: str, title: str, tests: set[str], ended: _Counted, root: Path, wall_s: float
) -> Result:
    mine = _Counted(tests - ended.good - ended.skipped, tests & ended.good, tests & ended.skipped)
    return Result(
        name=name,
        attacker=Attacker.TESTS.value,
        says=f"{title}: the tests that the page names pass",
        outcome=Outcome.FAILS if mine.bad else Outcome.HOLDS,
        figure=redacted(_told(mine), folder=root),
        command="bellwire prove --tests",
        wall_s=wall_s,
    )


def count(said: str) -> _Counted:
    """What pytest said of each test; one of whose cases any failed is bad."""
    counted = _Counted()
    kinds = {"PASSED": counted.good, "SKIPPED": counted.skipped}
    for line in said.splitlines():
        if found := SAID.match(line):
            kinds.get(found[2], counted.bad).add(found[1])
    counted.good -= counted.bad
    counted.skipped -= counted.good | counted.bad
    return counted


def _told(counted: _Counted) -> str:
    words = [f"{len(counted.good)} pass"]
    if counted.skipped:
        words.append(f"skipped: {', '.join(sorted(counted.skipped))}")
    if counted.bad:
        words.append(f"failed: {', '.join(sorted(counted.bad))}")
    return "; ".join(words)
