"""Where the program starts: so little that Ctrl-C is answered properly while the rest loads."""

import sys


def main() -> None:
    """Load the command line and run it."""
    try:
        from bellwire.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)
    run()
