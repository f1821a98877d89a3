"""Where the program `bellwire-device` starts: `bellwire device` alone, as a program of its own."""

import sys

from bellwire.cli import device as device  # noqa: PLC0414 - the command table names it, by text
from bellwire.cli import entry


def main() -> None:
    """Run `bellwire device`, or say the version."""
    if sys.argv[1:2] != ["--version"]:
        sys.argv.insert(1, "device")
    entry.main()
