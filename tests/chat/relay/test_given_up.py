"""A line that is given up before the relay has said a word."""

import asyncio
import gc
import socket
import warnings

from bellwire.chat.relay.client import RelayClient


def test_a_line_that_is_given_up_in_the_middle_of_its_handshake_leaves_nothing_open() -> None:
    async def story(silent: socket.socket) -> None:
        port = silent.getsockname()[1]
        begun = asyncio.create_task(RelayClient.connect(f"ws://127.0.0.1:{port}"))
        accepted.append((await asyncio.to_thread(silent.accept))[0])
        await asyncio.to_thread(accepted[0].recv, 1)
        begun.cancel()
        await asyncio.gather(begun, return_exceptions=True)
        assert begun.cancelled()

    accepted: list[socket.socket] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always")
        asyncio.run(story(silent))
        gc.collect()
    accepted[0].close()
    assert not said
