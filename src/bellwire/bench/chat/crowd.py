"""Clients that are there: logged in and listening at a relay, and silent.

    python -m bellwire.bench.chat.crowd PORT COUNT

It prints JSON once all are there, and leaves when its input ends.
"""

import json
import sys

from bellwire.base.descriptors import raise_limit
from bellwire.bench.chat.wire import Owner

_FIRST = 1_000_000
"""Numbers of accounts that no pair has."""


def main() -> None:
    """As the arguments say."""
    port, count = map(int, sys.argv[1:])
    raise_limit()
    there = [Owner(port, _FIRST + number, listen=True) for number in range(count)]
    sys.stdout.write(json.dumps({"there": len(there)}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
