"""How a line of the input is told from words: one that begins with `/` is a command.

With `//` it is words that begin with one `/`.
"""

from typing import Final

from bellwire.base.errors import UsageError
from bellwire.cli.chat_table import Command, in_window

_BY_NAME: Final = {each.name: each for each in in_window()}


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
        near = [each for key, each in _BY_NAME.items() if name and key.startswith(name)]
        if len(near) != 1:
            raise UsageError(
                "expected a command of /help, or words",
                hint="Words that begin with / are written with // before them.",
            )
        command = near[0]
    rest = rest.strip()
    takes = command.window or ""
    if not rest and takes and not takes.startswith("["):
        raise UsageError(f"expected /{command.name} {takes}, got nothing behind it")
    if rest and not takes:
        raise UsageError(f"expected /{command.name} alone, got words behind it")
    return command, rest
