"""Who comes while a service is busy is kept waiting by the system, at every listener."""

import asyncio
import contextlib
import select
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from tests.chat.relay.running import relay_at
from tests.simulators.mesh import identities

from bellwire.base.backlog import BACKLOG
from bellwire.iot.answering import Door
from bellwire.iot.reception import Reception
from bellwire.iot.tcp_listener import TcpListener
from bellwire.network.tcp_bus import TcpBus

MANY = 400
"""Clients at once: more than asyncio's own 100 keep waiting, fewer than we say."""

Opened = Callable[[Path], AbstractAsyncContextManager[tuple[str, int]]]


@asynccontextmanager
async def relay(folder: Path) -> AsyncIterator[tuple[str, int]]:
    async with relay_at(folder) as url:
        host, _, port = url.removeprefix("ws://").partition(":")
        yield host, int(port)


@asynccontextmanager
async def cloud(_: Path) -> AsyncIterator[tuple[str, int]]:
    listener = TcpListener(cast(Door, None), cast(Reception, None))  # nobody is let in
    try:
        yield await listener.start("127.0.0.1", 0)
    finally:
        listener.stop()


@asynccontextmanager
async def site(_: Path) -> AsyncIterator[tuple[str, int]]:
    keys, roster = identities("ab")
    bus = TcpBus("a", keys["a"], roster, {})
    try:
        yield await bus.start("127.0.0.1", 0)
    finally:
        await bus.close()


@pytest.mark.parametrize("listening", [relay, cloud, site])
def test_many_who_come_at_once_wait_for_a_busy_service(tmp_path: Path, listening: Opened) -> None:
    assert MANY < BACKLOG

    async def run() -> None:
        async with listening(tmp_path) as address:
            assert kept_waiting(address) == MANY

    asyncio.run(run())


def kept_waiting(address: tuple[str, int]) -> int:
    """How many of `MANY` are connected though the service, whose thread this is, takes nobody."""
    there = select.poll()
    with contextlib.ExitStack() as open_:
        clients = [open_.enter_context(socket.socket()) for _ in range(MANY)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(address)
            there.register(client, select.POLLOUT)
        # Over the loopback a connection is there when `connect_ex` returns, or is not kept.
        return len(there.poll(0))
