"""Benchmarks of the log, and of admission, which writes to it.

| module | is |
|---|---|
| `figures` | what is measured of a log's store, and what it is called |
| `reader` | a process that has a log open, and nothing else |
| `registrations` | admission with its own rules |

`run` gives all figures.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bellwire.bench.model import Figure


def run(quick: bool = False) -> "list[Figure]":
    """See `figures.run`."""
    # Here, because the reader's process is to start without all that is measured.
    from bellwire.bench.ledger import figures  # noqa: PLC0415

    return figures.run(quick)
