"""`bellwire chat history`: what was said, to another device of ours, in a sealed file."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.chat.transfer.giving import Given

app = typer.Typer(
    help="What was said, to another device of ours, in a sealed file.", no_args_is_help=True
)

AsOption = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="Who we are. Default: the only one there is."),
]
FD: Final = "fd:"


@app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; it is sealed.")],
    who: AsOption = None,
    code_to: Annotated[
        str,
        typer.Option(
            "--code-to", metavar="fd:N", help="A descriptor for the code. Default: the terminal."
        ),
    ] = "",
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Write all that was said, and whom we know, for another device; its code is shown once."""
    from bellwire.chat.messenger.home import find, person_of
    from bellwire.chat.transfer.giving import give
    from bellwire.node.settings import credentials_folder

    settings = _settings(state, config)
    name = find(settings.state.dir, who)
    with CodePlace(code_to) as place:
        with (
            person_of(settings.state.dir, name, credentials_folder()) as person,
            output.progress("Exporting", unit="messages") as meter,
        ):
            given = give(person, file, time.time(), meter.advance)
        place.show(given, file)
    document = {
        "name": name,
        "file": str(file),
        "people": given.people,
        "messages": given.messages,
        "attachments": given.attachments,
        "not_sent": given.not_sent,
    }
    if json:
        output.emit(document)
        return
    for line in given_words(given):
        typer.echo(line)


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Of `chat history export`.")],
    who: AsOption = None,
    code_from: Annotated[
        str,
        typer.Option(
            "--code-from",
            metavar="FILE|fd:N",
            help="A file of 0600 with the code, or a descriptor. Default: the terminal.",
        ),
    ] = "",
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Bring what another device of ours exported into this one's history."""
    from dataclasses import asdict

    from bellwire.chat.messenger.home import find, person_of
    from bellwire.chat.transfer.code import read_code
    from bellwire.chat.transfer.taking import take
    from bellwire.cli.chat_account import given
    from bellwire.node.settings import credentials_folder

    settings = _settings(state, config)
    name = find(settings.state.dir, who)
    typed = given(code_from, new=False, what="history code").reveal()
    code = read_code(typed.decode("ascii", errors="replace"))
    size = file.stat().st_size if file.is_file() else 0
    with (
        person_of(settings.state.dir, name, credentials_folder()) as person,
        output.progress("Importing", total=size, unit="bytes") as meter,
    ):
        taken = take(person, file, code, time.time(), meter.advance)
    if json:
        output.emit({"name": name, **asdict(taken)})
        return
    typer.echo(f"{taken.messages:,} messages and {taken.people:,} people are new here")
    told = {
        f"{taken.attachments:,} of them are attachments: their files stayed on the other device": (
            taken.attachments
        ),
        f"{taken.known:,} were here already": taken.known,
        f"{taken.expired:,} had disappeared since": taken.expired,
        f"{taken.left_out:,} were left out: said with this device, or with who waits here": (
            taken.left_out
        ),
        "nobody new is verified or reachable: add them anew by a link or handle": taken.people,
    }
    for words, count in told.items():
        if count:
            typer.echo(words)


class CodePlace:
    """Where a code is shown, once: a descriptor, or the terminal whatever the output goes to.

    Raises:
        UsageError: it is no descriptor, or there is no terminal.
    """

    def __init__(self, where: str = "") -> None:
        number = where.removeprefix(FD)
        if where and not (where.startswith(FD) and number.isascii() and number.isdigit()):
            raise UsageError(f"--code-to: expected fd:N with a number N, got {where[:40]!r}")
        self._is_terminal = not where
        try:
            self._descriptor = (
                os.dup(int(number[:9])) if where else os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY)
            )
        except OSError as error:
            expected = f"an open descriptor {where}" if where else "a terminal to show the code at"
            raise UsageError(
                f"expected {expected}, got none: {error.strerror}",
                hint="Without a terminal: --code-to fd:N",
            ) from error

    def __enter__(self) -> "CodePlace":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def show(self, given: "Given", file: Path) -> None:
        """Show the code; if that fails, the file that it opens is removed."""
        from bellwire.chat.transfer.code import spelt

        text = spelt(given.code)
        if self._is_terminal:
            text = f"The code of this file, shown once; without it nobody reads it:\n\n  {text}\n"
        try:
            left = (text + "\n").encode()
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            file.unlink(missing_ok=True)
            raise UsageError(
                f"expected to show the code, got: {error.strerror}; the file was removed"
            ) from error


def given_words(given: "Given") -> list[str]:
    """What a file has, in words."""
    lines = [
        f"{given.messages:,} messages and {given.people:,} people exported; "
        "marks of verified people stay here"
    ]
    if given.attachments:
        lines.append(
            f"{given.attachments:,} of them are attachments: their names go along, the files do not"
        )
    if given.not_sent:
        lines.append(f"{given.not_sent:,} messages were not sent yet and stay on this device")
    return lines


def _settings(state: Path | None, config: Path | None) -> Any:
    from bellwire.node.settings import load

    return load(config, {"state": {"dir": state}})
