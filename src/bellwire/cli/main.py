"""The program `bellwire`: finds the command, runs it, and turns what it raises into an exit code.

To add a command, write `bellwire/cli/NAME.py` and one line in `COMMANDS`:

- a single command (`bellwire NAME …`) is a function called `command`, its parameters annotated
  for typer, its docstring the help;
- a group (`bellwire NAME VERB …`) is a `typer.Typer` called `app`, one function per verb.

The module is imported only when the command is asked for, so it may not slow down the others;
the line in the table is what `bellwire --help` shows. A command returns nothing or an exit code;
it raises a `BellwireError` to fail, and never prints an error itself.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused for security, 4 unreachable,
130 interrupted. With `--json`, an error is also one JSON document on standard output.
"""

import _thread
import os
import select
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command, get_group

from bellwire.base.errors import BellwireError
from bellwire.cli import output

INTERRUPTED = 130
AGAIN_S = 0.05
"""Until an interrupt that was lost comes again."""
STDOUT = 1  # its file descriptor, whatever stands in sys.stdout


class Entry(NamedTuple):
    """A line of the command table: which module, and what `--help` says of it."""

    module: str
    help: str


COMMANDS: dict[str, Entry] = {
    "demo": Entry("bellwire.cli.demo", "The whole story on real input, with a report."),
    "lab": Entry("bellwire.cli.lab", "Experiments with light, Eve and two sides in one process."),
    "link": Entry("bellwire.cli.link", "Run the quantum link, simulated."),
    "node": Entry("bellwire.cli.node", "Run one site's node."),
    "network": Entry("bellwire.cli.network", "Keys between sites of a network, over relays."),
    "kme": Entry("bellwire.cli.kme", "One more process of a site's KME, on PostgreSQL."),
    "keys": Entry("bellwire.cli.keys", "Keys by ETSI 014, certificates, and what protects keys."),
    "up": Entry("bellwire.cli.up", "All services of this machine, minded."),
    "status": Entry("bellwire.cli.status", "What runs on this machine, and how it is."),
    "down": Entry("bellwire.cli.down", "Stop what `up` started."),
    "discover": Entry("bellwire.cli.discover", "List the nodes that announce themselves here."),
    "cloud": Entry("bellwire.cli.cloud", "Take readings from enrolled devices."),
    "console": Entry(
        "bellwire.cli.console", "Run one site's console: pages for people, keys for members."
    ),
    "accounts": Entry("bellwire.cli.accounts", "Who may ask a console, and as what."),
    "chat": Entry("bellwire.cli.chat", "Talk with people, every message under its own pad."),
    "relay": Entry("bellwire.cli.relay", "Carry messages between people who may be away."),
    "register": Entry("bellwire.cli.register", "Register a name, with keys made here."),
    "people": Entry("bellwire.cli.people", "Whose keys a name has, proved by a log."),
    "admission": Entry("bellwire.cli.admission", "Who may join: the server, its operator."),
    "device": Entry("bellwire.cli.device", "Enrol a device with a cloud, and send readings."),
    "guard": Entry("bellwire.cli.guard", "Packets pass while the link is well, in the kernel."),
    "ledger": Entry("bellwire.cli.ledger", "Keep a log that nobody can rewrite unnoticed."),
    "log": Entry("bellwire.cli.log", "Check what a transparency log says, offline."),
    "witness": Entry("bellwire.cli.witness", "Cosign logs of others, if nothing was rewritten."),
    "doctor": Entry("bellwire.cli.doctor", "What is not right here, and how to mend it."),
    "config": Entry("bellwire.cli.config", "Settings in force, and where each came from."),
    "bench": Entry("bellwire.cli.bench", "Measure this machine beside named alternatives."),
    "prove": Entry("bellwire.cli.prove", "Run what the threat model claims, and report."),
}


def load(name: str) -> Any:
    """Import a command's module and make a typer command or group of what it exports."""
    module = import_module(COMMANDS[name].module)
    if hasattr(module, "app"):
        return _plain_flags(get_group(module.app))
    single = typer.Typer(add_completion=False)
    single.command(name)(module.command)
    return _plain_flags(get_command(single))


def _plain_flags(command: Any) -> Any:
    """The command, whose help does not say `<bool>` behind flags: they take no value."""
    for each in getattr(command, "commands", {}).values():
        _plain_flags(each)
    for parameter in command.get_params(typer.Context(command)):  # `--help` among them
        if getattr(parameter, "is_bool_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return command


class _Program(TyperGroup):
    """The program: knows its commands by name and help, and loads the one that is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.help))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, found, rest = super().resolve_command(ctx, args)
        return name, found if name is None else load(name), rest


def _print_version(asked: bool) -> None:
    if asked:
        from bellwire import __version__

        sys.stdout.write(f"bellwire {__version__}\n")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; accepted anywhere.")
    ] = False,
) -> None:
    """Quantum-safe communication: photons to keys to messages, between two honest parties."""


def program() -> TyperGroup:
    """The whole command line, commands unloaded."""
    app = typer.Typer(cls=_Program, name="bellwire", callback=_root)
    group = _plain_flags(get_command(app))
    assert isinstance(group, TyperGroup)
    return group


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error has been printed.

    Args:
        arguments: What follows the program's name.
    """
    output.forget()
    words, rest = _split_at_dashes(arguments)
    debug = "--debug" in words or os.environ.get("BELLWIRE_DEBUG") == "1"
    as_json = "--json" in words
    line = [word for word in words if word != "--debug"] + rest
    try:
        code = _invoke(line)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _fail("interrupted", None, INTERRUPTED, as_json=as_json)
    except BellwireError as error:
        if debug:
            traceback.print_exc()
        code = _fail(str(error), error.hint, error.exit_code, as_json=as_json)
    except TyperException as error:
        code = _wrong_usage(error, as_json=as_json)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return 1
        if debug:
            traceback.print_exc()
        message = f"unexpected {type(error).__name__}: {error}".removesuffix(": ")
        code = _fail(message, "run again with --debug to see where", 1, as_json=as_json)
    return code


def _split_at_dashes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:end]), list(arguments[end:])


def _invoke(line: list[str]) -> int:
    group = program()
    try:
        with group.make_context("bellwire", line or ["--help"]) as context:
            result = group.invoke(context)
    except typer.Exit as leaving:
        return leaving.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    return result if isinstance(result, int) else 0


def _fail(message: str, hint: str | None, code: int, *, as_json: bool) -> int:
    sys.stderr.write(f"error: {message}\n" if code != INTERRUPTED else f"{message}\n")
    if hint:
        sys.stderr.write(f"hint: {hint}\n")
    if as_json:
        output.emit_error(message, hint, code)
    return code


def _wrong_usage(error: TyperException, *, as_json: bool) -> int:
    if not error.format_message():  # a group without its verb: typer has printed the help
        return error.exit_code
    context = getattr(error, "ctx", None)
    hint = None if context is None else f"try '{context.command_path} --help'"
    return _fail(error.format_message(), hint, error.exit_code, as_json=as_json)


def _reader_is_gone() -> bool:
    """Whether standard output is the broken pipe, and not some socket of a command."""
    poll = select.poll()
    poll.register(STDOUT, 0)
    gone = any(events & select.POLLERR for _, events in poll.poll(0))
    if gone:
        # Python flushes once more when it ends; give that flush somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
    return gone


def _terminate(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends a command in the way SIGINT does, also where asyncio minds SIGINT."""
    _thread.interrupt_main(signal.SIGINT)


def _mind_signals() -> None:
    """Have SIGTERM and Ctrl-C end a command wherever they meet it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell begins what shall not hear its Ctrl-C with SIGINT ignored. asyncio cancels what it
        # runs only where SIGINT has Python's handler, and else SIGTERM would break into the midst
        # of any task. Blocked instead, it is as deaf to the keyboard.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGALRM, _terminate)
    sys.unraisablehook = _not_raised


def _not_raised(error: "sys.UnraisableHookArgs") -> None:
    """An interrupt that was lost, as in a destructor or a callback of C, comes again."""
    if isinstance(error.exc_value, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
    else:
        sys.__unraisablehook__(error)


def main() -> NoReturn:
    """The entry point of the program."""
    if sys.stdout is None:  # closed by the caller: what is said goes nowhere, the work is done
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    _mind_signals()
    if "_BELLWIRE_COMPLETE" in os.environ:
        program().main(prog_name="bellwire")
    code = run(sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        # All is said and done: from here on there is nothing to interrupt.
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)
