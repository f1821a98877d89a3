"""What an operator decides at a guard, and the list of what was done there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bellwire.cli import output
from bellwire.cli.options import ConfigOption, JsonFlag, StateOption

if TYPE_CHECKING:
    from bellwire.guard.journal import Journal
    from bellwire.guard.recording import Recording
    from bellwire.node.settings import Settings

_SHOWN = 50


def override(
    packets: Annotated[
        Literal["pass", "stop", "none"],
        typer.Argument(help="What happens to packets whatever the link does; none: the link says."),
    ],
    seconds: Annotated[
        float, typer.Option("--for", metavar="SECONDS", help="How long, up to a week.")
    ] = 600.0,
    reason: Annotated[str, typer.Option(help="Why; it is shown and logged.")] = "",
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Decide for a while, instead of the link, whether guarded packets pass."""
    import msgspec

    from bellwire.base.clock import system_clock
    from bellwire.guard.override import clear_override, new_override, set_override
    from bellwire.node.settings import load

    settings = load(config, {"state": {"dir": state}})
    folder, journal = guard_folder(settings.state.dir), journal_of(settings)
    now = system_clock()
    if packets == "none":
        journal.add(_who(), "override none", reason, at=now)
        there = clear_override(folder)
        said = "The link decides again." if there else "There was no override."
        told: dict[str, object] = {"packets": None}
    else:
        made = new_override(packets, seconds=seconds, reason=reason, now=now)
        # What cannot be recorded is not done.
        what: Any = f"override {packets}"
        journal.add(_who(), what, reason, at=now, until=made.until)
        set_override(folder, made)
        said = f"Guarded packets {packets} for {seconds:g} s, whatever the link does."
        told = msgspec.to_builtins(made)
    if json:
        output.emit(told)
    else:
        output.stdout().print(said)


def show_log(
    after: Annotated[
        int | None,
        typer.Option(min=0, metavar="NUMBER", help="The first entries after this one."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many; without --after, the newest.")
    ] = _SHOWN,
    json: JsonFlag = False,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Show what was done at the guard of this state folder, by whom and why."""
    from datetime import UTC, datetime

    import msgspec

    from bellwire.cli.tables import log_words, state_of_log
    from bellwire.node.settings import load

    journal = journal_of(load(config, {"state": {"dir": state}}))
    entries = journal.last(limit) if after is None else journal.after(after, limit)
    told = journal.told_to_log()
    if json:
        shown = [msgspec.to_builtins(each) for each in entries]
        output.emit({"entries": shown, **state_of_log(told)})
        return
    for each in entries:
        when = datetime.fromtimestamp(each.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        output.stdout().print(
            f"{each.number:>6}  {when}  {each.who:<12} {each.what:<14} {each.why}",
            highlight=False,
            soft_wrap=True,
        )
    if told is not None:
        output.stdout().print(f"Log: {log_words(state_of_log(told))}.")


def journal_of(settings: "Settings") -> "Journal":
    """The journal of a state folder's guard, which tells the log that the settings name."""
    from bellwire.guard.journal import Journal

    return Journal(guard_folder(settings.state.dir), recording_of(settings))


def recording_of(settings: "Settings") -> "Recording | None":
    """What makes entries of a guard; None where nothing is recorded."""
    from bellwire.guard.recording import Recording

    return Recording(settings.ledger.guard) if settings.ledger.url else None


def guard_folder(state: Path) -> Path:
    """Where a guard keeps what is its own."""
    return state / "guard"


def _who() -> str:
    """The account of this machine that asks; who became root by sudo, is named."""
    import pwd

    user = os.getuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    by = os.environ.get("SUDO_USER", "") if user == 0 else ""
    return f"{by} as {name}" if by and by.isprintable() else name
