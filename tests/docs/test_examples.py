"""What counts as an example, and how it is run."""

from pathlib import Path

import pytest
from tests.docs.examples import COMMAND, Example, examples, run_commands, run_program


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


def test_a_block_that_goes_on_is_run_after_the_one_before_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    first = "```console\n$ bellwire make\n```\n"
    later = "<!-- goes on -->\n```console\n$ bellwire use\n```\n"
    page.write_text(first + "between\n\n" + later + first)
    found = [COMMAND.findall(each.body) for each in examples(page)]
    assert found == [["bellwire make", "bellwire use"], ["bellwire make"]]
    page.write_text("```python\nimport os\n```\n" + later)
    with pytest.raises(AssertionError, match="goes on with nothing"):
        examples(page)


def test_what_a_command_with_a_seed_is_shown_to_print_is_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = "bellwire lab run bb84 --pulses 2e4 --seed 1 --until estimate"
    shown = "BB84, 20,000 pulses over 0 km\n\n  Run   9.99 s, seed 1, engine fast\n"
    with pytest.raises(AssertionError, match="slots detected"):
        run_commands(Example(tmp_path, 1, "console", f"$ ./{command}\n{shown}"))
    run_commands(Example(tmp_path, 1, "console", f"$ {command}\n$ bellwire --version\n"))
