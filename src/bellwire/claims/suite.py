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
    """Run them, and say how each section did."""
    sections = named((root / PAGE).read_text("utf-8"))
    results = []
    for title, tests in sections.items():
        began = time.monotonic()
        ids = [f"tests/{file}::{name}" for file, name in dict.fromkeys(tests)]
        arguments = [sys.executable, "-m", "pytest", "-v", "--no-header", "--tb=no", *ids]
        done = subprocess.run(arguments, cwd=root, capture_output=True, text=True, check=False)
        counted = count(done.stdout)
        missing = {name for _, name in tests} - counted.good - counted.bad - counted.skipped
        counted.bad |= missing
        outcome = Outcome.FAILS if counted.bad or done.returncode else Outcome.HOLDS
        results.append(
            Result(
                name=f"tests.{len(results) + 1}",
                attacker=Attacker.TESTS.value,
                says=f"{title}: the tests that the page names pass",
                outcome=outcome,
                figure=redacted(_told(counted), folder=root),
                command="bellwire prove --tests",
                wall_s=time.monotonic() - began,
            )
        )
    return results


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
