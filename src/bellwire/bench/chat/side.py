"""A relay of the measurement, as a process of its own: the product's, with room for one source.

Its limits of a source are wide, because all clients come from one address; they are still counted.
It prints its port, and ends with its input.
"""

import json
import sys
from pathlib import Path

import uvloop

from bellwire.base.descriptors import raise_limit
from bellwire.base.lifetime import until_stopped
from bellwire.chat.relay.server import Relay, RelayLimits
from bellwire.chat.relay.store import RelayStore

_MANY = 1 << 30


async def run(folder: Path) -> None:
    """Be a relay that keeps what it has in `folder`."""
    limits = RelayLimits(
        drops_per_s=_MANY,
        logins_per_s=_MANY,
        connections=raise_limit() - 64,
        source_connections=_MANY,
    )
    store = RelayStore(folder)
    relay = Relay(store, limits)
    try:
        _, port = await relay.start("127.0.0.1", 0)
        sys.stdout.write(json.dumps({"port": port}) + "\n")
        sys.stdout.flush()
        await until_stopped(with_parent=True)
    finally:
        await relay.stop()
        store.close()


def main() -> None:
    """In the folder that the argument names."""
    (folder,) = sys.argv[1:]
    uvloop.run(run(Path(folder)))


if __name__ == "__main__":
    main()
