"""The devices of a measurement of idle sessions.

Arguments: a folder, the cloud's port and public key, how many come first, and how many in all. It
says when they are there, by a line, and waits for one before it goes on, and before it ends.
"""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from bellwire.base.descriptors import raise_limit
from bellwire.bench.idle import WAIT_S
from bellwire.bench.idle.cloud import NAME
from bellwire.channel.handshake import Policy, Suite
from bellwire.crypto.kem import XWingPrivateKey
from bellwire.iot import fleet
from bellwire.iot.calling import Call, initiate
from bellwire.iot.counters import CallCounter
from bellwire.iot.destination import Address
from bellwire.iot.identity import PublicIdentity

AT_ONCE = 32
"""Handshakes at once."""


async def come(keys: Sequence[XWingPrivateKey], first: int, to: Address, public: bytes) -> None:
    """Have sessions with the first devices, then with all, each until the end."""
    pin, counter = PublicIdentity("cloud", NAME, public), CallCounter()
    working = asyncio.Semaphore(AT_ONCE)
    async with contextlib.AsyncExitStack() as stack:

        async def session(key: XWingPrivateKey) -> None:
            async with working:
                wire = await stack.enter_async_context(to.reach(public, Suite.AES_256_GCM))
                call = Call(
                    identity=key,
                    pin=pin,
                    policy=Policy.OFF,
                    qkd=None,
                    counter=counter.take,
                    within_s=WAIT_S,
                )
                kept.append(await initiate(wire, call))

        kept: list[object] = []
        for some in (keys[:first], keys[first:]):
            async with asyncio.timeout(WAIT_S):
                await asyncio.gather(*map(session, some))
            sys.stdout.write("{}\n")
            sys.stdout.flush()
            if not await asyncio.to_thread(sys.stdin.readline):
                return


def main(folder: str, port: str, public: str, first: str, count: str) -> None:
    """As the module says."""
    raise_limit()
    keys = fleet.identities(fleet.own_secret(Path(folder) / "fleet"), int(count))
    asyncio.run(come(keys, int(first), Address("127.0.0.1", int(port)), bytes.fromhex(public)))


if __name__ == "__main__":
    main(*sys.argv[1:])
