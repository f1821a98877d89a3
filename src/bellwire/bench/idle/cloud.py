"""The cloud of a measurement of idle sessions. Arguments: a folder, and how many devices come."""

import asyncio
import contextlib
import gc
import json
import sys
from pathlib import Path

import psutil

from bellwire.base.descriptors import raise_limit
from bellwire.bench.idle import WAIT_S
from bellwire.channel.handshake import GateLimits, Policy
from bellwire.iot import fleet
from bellwire.iot.cloud import Cloud
from bellwire.iot.counters import SeenCounters
from bellwire.iot.identity import AllowList, load_or_create
from bellwire.iot.limits import Limits
from bellwire.iot.store import CloudStore

NAME = "cloud"
OPEN = GateLimits(1e9, 1e9, 1e9, 1e9)


async def serve(folder: Path, devices: int) -> None:
    """Say the port and the public key; then, for each line, how many sessions there are."""
    key = load_or_create(folder / "cloud")
    fleet.admit(fleet.identities(fleet.own_secret(folder / "fleet"), devices), folder / "allowed")
    with (
        CloudStore(folder / "state") as store,
        contextlib.closing(SeenCounters(folder / "state" / "handshakes")) as counters,
    ):
        cloud = Cloud(
            identity=key,
            name=NAME,
            admitted=AllowList(folder / "allowed"),
            store=store,
            keys=None,
            policy=Policy.OFF,
            limits=Limits(idle_s=2 * WAIT_S, gate=OPEN),
            counters=counters,
            descriptors=raise_limit(),
        )
        async with cloud:
            _, port = await cloud.start("127.0.0.1", 0)
            _say({"port": port, "public": key.public_bytes.hex()})
            while await asyncio.to_thread(sys.stdin.readline):
                gc.collect()
                rss = psutil.Process().memory_info().rss
                _say({"running": cloud.reception.running, "rss": rss})


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
