"""Commands of the input line: their names, what they take, and how a line is told from words.

A line that begins with `/` is a command; with `//` it is words that begin with one `/`.
"""

from dataclasses import dataclass
from typing import Final

from bellwire.base.errors import UsageError


@dataclass(frozen=True, slots=True)
class Command:
    """One of them.

    Attributes:
        name: Behind the `/`.
        takes: What follows it; in brackets if it may be missing.
        help: What it does.
    """

    name: str
    takes: str
    help: str

    @property
    def usage(self) -> str:
        """How it is written."""
        return f"/{self.name} {self.takes}".rstrip()


COMMANDS: Final = (
    Command("help", "", "keys and commands"),
    Command("status", "", "this conversation, relay and quantum link"),
    Command("session", "", "the quantum session of the latest message"),
    Command("verify", "", "safety number and its QR code"),
    Command("eve", "[off|passive|active [KIND[:SHARE]]]", "Eve: what was seen; in a lab, orders"),
    Command("search", "WORDS", "find in all conversations"),
    Command("to", "NAME", "open a conversation"),
    Command("reply", "WORDS", "answer their latest message"),
    Command("edit", "WORDS", "other words for your latest"),
    Command("delete", "", "take back your latest, for both"),
    Command("resend", "", "try now what was not sent"),
    Command("mode", "pool|fresh", "pads from stock, or a session for each message"),
    Command("policy", "require|prefer|off", "what to do without pad"),
    Command("timer", "SECONDS", "messages disappear after reading; 0: they stay"),
    Command("link", "FILE", "write a contact link for one more person to a file"),
    Command("add", "LINK|FILE|@HANDLE [NAME]", "know who made a contact link, or has a handle"),
    Command("find", "PREFIX", "handles at the relay that begin so"),
    Command("requests", "", "strangers who wrote first and wait"),
    Command("accept", "N|NAME", "have one of them as a contact"),
    Command("decline", "N|NAME", "forget one of them, untold"),
    Command("block", "[N|NAME]", "hear somebody no more; or who is not heard"),
    Command("unblock", "FINGERPRINT", "hear somebody again"),
    Command("rename", "NAME", "call them otherwise"),
    Command("theme", "dark|light", "colours"),
    Command("quit", "", "leave; what is said goes on when you are back"),
)
_BY_NAME: Final = {each.name: each for each in COMMANDS}


def parse(line: str) -> tuple[Command, str] | str:
    """A command with what follows it, or words to say.

    Raises:
        UsageError: it begins with `/` and is neither.
    """
    if line.startswith("//"):
        return line[1:]
    if not line.startswith("/"):
        return line
    name, _, rest = line[1:].strip().partition(" ")
    command = _BY_NAME.get(name)
    if command is None:
        # A whole name may be cut short, as long as only one begins so.
        near = [each for each in COMMANDS if name and each.name.startswith(name)]
        if len(near) != 1:
            raise UsageError(
                "expected a command of /help, or words",
                hint="Words that begin with / are written with // before them.",
            )
        command = near[0]
    rest = rest.strip()
    if not rest and command.takes and not command.takes.startswith("["):
        raise UsageError(f"expected {command.usage}, got nothing behind it")
    if rest and not command.takes:
        raise UsageError(f"expected /{command.name} alone, got words behind it")
    return command, rest
