"""What counts as an example, and how it is run."""

from pathlib import Path

import pytest
from tests.docs.examples import COMMAND, Example, examples, run_program


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
