"""The benchmarks by name; each module has `run(quick: bool = False) -> list[Figure]`."""

from typing import Final

BENCHES: Final = {
    "link": "bellwire.bench.link",
    "distill": "bellwire.bench.distill",
    "keys": "bellwire.bench.keys",
    "channel": "bellwire.bench.channel",
    "chat": "bellwire.bench.chat.figures",
    "guard": "bellwire.bench.guard",
    "ledger": "bellwire.bench.ledger",
}
"""Name on the command line → module."""

NEEDS_ROOT: Final = ("guard",)
"""Left out where nobody asks for it by name and it could not run."""
