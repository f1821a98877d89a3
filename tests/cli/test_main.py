"""The program: how it finds commands, and what becomes of what they raise."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from tests.patience import PATIENCE_S

from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError
from bellwire.cli import main, options, output

PROGRAM = str(Path(sys.executable).parent / "bellwire")


def install(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> None:
    """Put a command `probe` into the table that raises `error`, or prints a document."""

    def command(json: options.JsonFlag = False) -> None:
        """Probe."""
        if error is not None:
            raise error
        output.emit({"json": json})

    module = SimpleNamespace(command=command)
    monkeypatch.setitem(main.COMMANDS, "probe", main.Entry("probe_module", "Probe."))
    monkeypatch.setitem(sys.modules, "probe_module", module)


def test_version_names_the_program_and_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("bellwire 0.")


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 0
    assert "Usage: bellwire" in capsys.readouterr().out


def test_help_lists_every_command_without_importing_any(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(main.COMMANDS, "absent", main.Entry("no.such.module", "Is listed."))
    assert main.run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown and entry.help[:20] in shown for name, entry in main.COMMANDS.items())


def lines_of(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """A command and all below it."""
    yield words
    for name, below in getattr(command, "commands", {}).items():
        yield from lines_of(below, (*words, name))


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_every_command_of_the_table_and_below_it_has_help(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in lines_of(main.load(name), (name,)):
        assert main.run([*words, "--help"]) == 0
        assert f"bellwire {' '.join(words)}" in capsys.readouterr().out


def test_an_unknown_command_is_wrong_usage_and_near_names_are_offered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, None)
    assert main.run(["prob"]) == 2
    said = capsys.readouterr().err
    assert "error: No such command 'prob'" in said
    assert "'probe'" in said
    assert "hint: try 'bellwire --help'" in said


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BellwireError("broken", hint="mend it"), 1),
        (UsageError("broken", hint="mend it"), 2),
        (RefusedError("broken", hint="mend it"), 3),
        (UnreachableError("broken", hint="mend it"), 4),
    ],
)
def test_an_error_of_ours_gives_its_exit_code_message_and_hint(
    error: BellwireError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(monkeypatch, error)
    assert main.run(["probe", "--json"]) == code
    said = capsys.readouterr()
    assert said.err == "error: broken\nhint: mend it\n"
    assert json.loads(said.out) == {"error": {"message": "broken", "hint": "mend it", "code": code}}


def test_without_json_an_error_leaves_standard_output_empty(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, UsageError("broken"))
    assert main.run(["probe"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "error: broken\n")


def test_an_unexpected_exception_is_one_sentence_unless_debugging(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, ZeroDivisionError("nought"))
    assert main.run(["probe"]) == 1
    said = capsys.readouterr().err
    assert "error: unexpected ZeroDivisionError: nought\n" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("line", [["--debug", "probe"], ["probe", "--debug"]])
@pytest.mark.parametrize("error", [ZeroDivisionError("nought"), UsageError("broken")])
def test_debug_shows_the_traceback_wherever_it_stands(
    line: list[str],
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(monkeypatch, error)
    assert main.run(line) > 0
    assert "Traceback" in capsys.readouterr().err


def test_debug_can_be_asked_for_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BELLWIRE_DEBUG", "1")
    install(monkeypatch, ZeroDivisionError("nought"))
    main.run(["probe"])
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_an_interrupted_command_ends_with_130(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, error)
    assert main.run(["probe"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_command_may_choose_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, typer.Exit(3))
    assert main.run(["probe"]) == 3


def test_an_unknown_option_is_wrong_usage_and_json_says_so_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, None)
    assert main.run(["probe", "--wings", "--json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["code"] == 2
    assert "hint: try 'bellwire probe --help'" in said.err


def test_an_error_after_the_document_adds_no_second_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(json: options.JsonFlag = False) -> None:
        output.emit([1])
        raise RefusedError("too late")

    install(monkeypatch, None)
    monkeypatch.setattr(sys.modules["probe_module"], "command", command)
    assert main.run(["probe", "--json"]) == 3
    assert json.loads(capsys.readouterr().out) == [1]


def test_words_after_two_dashes_belong_to_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []

    def command(words: list[str]) -> None:
        seen.extend(words)

    install(monkeypatch, None)
    monkeypatch.setattr(sys.modules["probe_module"], "command", command)
    assert main.run(["probe", "--", "--debug", "--json"]) == 0
    assert seen == ["--debug", "--json"]


def test_a_group_without_its_verb_shows_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer(no_args_is_help=True)
    app.command("verb")(lambda: None)
    install(monkeypatch, None)
    monkeypatch.setitem(sys.modules, "probe_module", SimpleNamespace(app=app))
    assert main.run(["probe"]) == 2
    said = capsys.readouterr()
    assert "verb" in said.out + said.err
    assert "error:" not in said.err


def test_a_broken_socket_is_an_error_and_not_a_reader_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, BrokenPipeError(32, "Broken pipe"))
    assert main.run(["probe"]) == 1
    assert "unexpected BrokenPipeError" in capsys.readouterr().err


def test_a_reader_that_stops_reading_is_met_with_silence() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [PROGRAM, "--version"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_the_commands(shell: str) -> None:
    env = {**os.environ, "_BELLWIRE_COMPLETE": f"complete_{shell}"}
    env |= {"COMP_WORDS": "bellwire ", "COMP_CWORD": "1"}
    env |= {"_TYPER_COMPLETE_ARGS": "bellwire ", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run([PROGRAM], env=env, capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in main.COMMANDS)


PROBE = """
import asyncio, os, signal, sys, types
from bellwire.cli import main
{command}
sys.modules['probe_module'] = types.SimpleNamespace(command=command)
main.COMMANDS['probe'] = main.Entry('probe_module', 'Probe.')
sys.argv = ['bellwire', 'probe']
main.main()
"""
WAITS = """
def command():
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
"""
LOSES = """
class Lost:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000): pass
        raise SystemError('not interrupted')

def command():
    Lost()
    signal.pause()
"""
CANCELLED = """
async def told():
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print('cancelled')
        raise

async def busy():
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
    asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)
    await told()

def command():
    asyncio.run(busy())
"""


def probe(command: str, *, deaf: bool = False) -> tuple[int, str, str]:
    """Exit code and words of a program with this command, maybe begun with SIGINT ignored."""
    deafly = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"] if deaf else []
    done = subprocess.run(
        [*deafly, sys.executable, "-c", PROBE.format(command=command)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("deaf", [False, True])
def test_sigterm_ends_a_command_as_an_interrupt_does(deaf: bool) -> None:
    assert probe(WAITS, deaf=deaf) == (130, "", "interrupted\n")


def test_an_interrupt_that_was_lost_comes_again() -> None:
    assert probe(LOSES) == (130, "", "interrupted\n")


def test_where_sigint_is_ignored_it_stays_so_and_sigterm_cancels_what_asyncio_runs() -> None:
    assert probe(CANCELLED, deaf=True) == (130, "cancelled\n", "interrupted\n")
