"""The commands of `bellwire chat`, for the line mode and the window: `/help` of both is this table.

Line by line a message is named by its number from the newest; the window has the chosen
conversation and the chosen message instead, so that some commands take less there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

USAGE_CELLS: Final = 24
"""Of the left column of `/help`."""


@dataclass(frozen=True, slots=True)
class Command:
    """One of them.

    Attributes:
        name: Behind the `/`.
        help: What it does.
        lines: What follows it line by line, in brackets if it may be missing; None: it is not
            there.
        window: The same in the window.
    """

    name: str
    help: str
    lines: str | None = ""
    window: str | None = ""


def _both(name: str, takes: str, does: str) -> Command:
    return Command(name, does, takes, takes)


COMMANDS: Final = (
    _both("help", "", "this list"),
    _both("status", "", "conversation, relay, quantum link, and pad that is left"),
    _both("contacts", "", "whom we know"),
    _both("to", "NAME", "with whom we talk from now on; `me`: notes to ourselves"),
    Command(
        "add",
        "add who made a contact link, or has a handle at the relay",
        "LINK|FILE|@HANDLE",
        "LINK|FILE|@HANDLE [NAME]",
    ),
    Command("link", "make a contact link for one more person", "", "FILE"),
    _both("rename", "NAME", "call them otherwise"),
    _both("find", "PREFIX", "handles at the relay that begin so, of those who want to be found"),
    _both("requests", "", "strangers who wrote first and wait to be accepted"),
    _both("accept", "N|NAME", "have one of them as a contact"),
    _both("decline", "N|NAME", "forget one of them; they are not told"),
    _both("block", "[N|NAME]", "hear somebody no more; alone: who is not heard"),
    _both("unblock", "FINGERPRINT", "hear somebody again"),
    Command(
        "group",
        "make, change, leave or look at a group",
        "new NAME @A @B|add|remove|leave|rename|admin|renew|members …",
        "[new NAME @A @B|add|remove|leave|rename|admin|renew|members …]",
    ),
    Command("verify", "the safety number to compare, and whether it is the same", "[yes|no]"),
    Command(
        "session",
        "how the newest message's pad was made, or the N-th's; renew: begin a new one with them",
        "[N|renew]",
        "[renew]",
    ),
    _both("search", "WORDS", "messages with these words"),
    Command(
        "history",
        "the newest messages; export: all, sealed, for another device of yours",
        "[N | export FILE]",
        "export FILE",
    ),
    Command("reply", "say something about a message of theirs", "N TEXT", "TEXT"),
    Command("edit", "other words in place of ours", "N TEXT", "TEXT"),
    Command("delete", "take one of ours back, for all", "N"),
    Command("resend", "try now to send what was not sent", "[N]"),
    _both("attach", "PATH", "send a file of up to 100 MB"),
    _both("save", "[N] [PATH]", "write their newest file, or message N, to a folder or new file"),
    _both("mode", "pool|fresh", "pads from stock, or a session for each message"),
    _both("policy", "require|prefer|off", "what is done without pad"),
    _both("timer", "S", "messages disappear S seconds after they were read; 0: they stay"),
    _both("eve", "[off|passive|active [KIND[:SHARE]]]", "what is seen of Eve; orders to a lab"),
    Command("theme", "colours", None, "dark|light"),
    _both("quit", "", "leave; what was said still goes when the chat is open again"),
)
"""What there is, in the order of `/help`."""


def usages(*, window: bool) -> list[tuple[str, str]]:
    """How each command is written in the window, or line by line, and what it does."""
    takes = [(each, each.window if window else each.lines) for each in COMMANDS]
    there = [(each, what) for each, what in takes if what is not None]
    return [(f"/{each.name} {what}".rstrip(), each.help) for each, what in there]


def help_rows(*, window: bool, width: int | None = None) -> list[str]:
    """`/help`: usages on the left, what they do on the right, below a usage that is long.

    Args:
        window: Of the window, or line by line.
        width: Cells of a row; None: as many as it takes.
    """
    rows: list[str] = []
    for usage, does in usages(window=window):
        said = [does] if width is None else wrap(does, width - USAGE_CELLS)
        if len(usage) < USAGE_CELLS:
            rows.append(f"{usage:<{USAGE_CELLS}}{said.pop(0)}")
        else:
            rows.append(usage)
        rows += [" " * USAGE_CELLS + each for each in said]
    return rows


def in_window() -> Sequence[Command]:
    """Those that the window has."""
    return [each for each in COMMANDS if each.window is not None]
