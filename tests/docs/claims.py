"""Pages whose claims name tests: how a name is written, and that there is such a test."""

import re
from functools import cache

from tests.docs.examples import ROOT

NAMED = re.compile(r"([\w./]+\.py) `(test_\w+)`")
SIGNATURE = re.compile(r"^ *(?:async )?def (test_\w+)\(", re.MULTILINE)


def rows(text: str) -> list[list[str]]:
    """Cells of each row of a page's tables, without their heads."""
    lines = text.splitlines()
    heads = {number - 1 for number, line in enumerate(lines) if line.startswith("|---")}
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for number, line in enumerate(lines)
        if line.startswith("| ") and number not in heads
    ]


@cache
def tests_of(file: str) -> frozenset[str]:
    """Names of the tests in a file below `tests/`; none where there is no such file."""
    path = ROOT / "tests" / file
    return frozenset(SIGNATURE.findall(path.read_text())) if path.is_file() else frozenset()


def unfounded(text: str) -> list[str]:
    """The tests that a text names and that are not there."""
    return [f"{file} {test}" for file, test in NAMED.findall(text) if test not in tests_of(file)]
