"""A relay of messages as many are written: `websockets`, JSON with base64 in it, memory alone.

Who registers a name gets what is sent to it; who is away finds it in a list in memory. Nothing is
durable, confirmed or authenticated. It prints its port and ends with its input.
"""

import asyncio
import contextlib
import json
import sys

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bellwire.base.lifetime import until_stopped


class Relay:
    """Names, and what waits for them."""

    def __init__(self) -> None:
        self._here: dict[str, ServerConnection] = {}
        self._waiting: dict[str, list[str]] = {}

    async def handle(self, line: ServerConnection) -> None:
        """One client, until it leaves."""
        name = ""
        with contextlib.suppress(ConnectionClosed):
            async for text in line:
                message = json.loads(text)
                if message["type"] == "register":
                    name = message["user"]
                    self._here[name] = line
                    await line.send(json.dumps({"type": "registered", "user": name}))
                    for each in self._waiting.pop(name, []):
                        await line.send(each)
                else:
                    await self._forward(name, message)
        self._here.pop(name, None)

    async def _forward(self, name: str, message: dict[str, str]) -> None:
        to = message["to"]
        text = json.dumps({"type": "message", "from": name, "ciphertext": message["ciphertext"]})
        peer = self._here.get(to)
        if peer is None:
            self._waiting.setdefault(to, []).append(text)
        else:
            await peer.send(text)


async def run() -> None:
    """Be such a relay."""
    async with serve(Relay().handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        sys.stdout.write(json.dumps({"port": port}) + "\n")
        sys.stdout.flush()
        await until_stopped(with_parent=True)


def main() -> None:
    """Until its input ends."""
    asyncio.run(run())


if __name__ == "__main__":
    main()
