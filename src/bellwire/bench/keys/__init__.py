"""Benchmarks of key delivery: two KMEs in two processes, and a client in a third.

| module | is |
|---|---|
| `stock` | stores of two sites with equal keys, made without photons |
| `side` | one KME: a node without light |
| `load` | the client: closed and open loop, connections that last and that do not |
| `pairs` | their processes, and the plain alternative's of `benchmarks/plain_kme.py` |
| `figures` | what is measured, and what it is called |

`run` gives all figures.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bellwire.bench.model import Figure


def run(quick: bool = False) -> "list[Figure]":
    """See `figures.run`."""
    # Here, because the client's process is to start without all that a node is made of.
    from bellwire.bench.keys import figures  # noqa: PLC0415

    return figures.run(quick)
