"""A UDP relay between a device and a cloud: it loses, doubles, reorders and keeps what passes."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from bellwire.iot.udp import UdpAddress


@dataclass
class Relay:
    """What happens to datagrams; `passed` has those that came, and whether from the device."""

    cloud: tuple[str, int]
    loss: float = 0.0
    double: float = 0.0
    jitter_s: float = 0.0
    delay_s: float = 0.0
    seed: int = 0
    cut: Callable[[bytes], bool] = lambda datagram: False
    passed: list[tuple[bool, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)
        self._front: asyncio.DatagramTransport | None = None
        self._back: asyncio.DatagramTransport | None = None
        self._device: tuple[str, int] | None = None

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[UdpAddress]:
        """Where devices find the relay."""
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_device), local_addr=("127.0.0.1", 0)
        )
        await self.move()
        try:
            name = self._front.get_extra_info("sockname")
            yield UdpAddress(name[0], name[1])
        finally:
            self._front.close()
            assert self._back is not None
            self._back.close()

    async def move(self) -> None:
        """Go on from another port, as a NAT does that has forgotten."""
        loop = asyncio.get_running_loop()
        if self._back is not None:
            self._back.close()
        self._back, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_cloud), remote_addr=self.cloud
        )

    def replay(self, datagram: bytes) -> None:
        """Send the cloud something that passed before."""
        assert self._back is not None
        self._back.sendto(datagram)

    def _from_device(self, datagram: bytes, address: tuple[str, int]) -> None:
        self._device = address
        self._carry(datagram, True)

    def _from_cloud(self, datagram: bytes, address: tuple[str, int]) -> None:
        self._carry(datagram, False)

    def _carry(self, datagram: bytes, up: bool) -> None:
        self.passed.append((up, datagram))
        if self.cut(datagram) or self._draw.random() < self.loss:
            return
        loop = asyncio.get_running_loop()
        for _ in range(1 + (self._draw.random() < self.double)):
            loop.call_later(
                self.delay_s + self._draw.random() * self.jitter_s, self._out, datagram, up
            )

    def _out(self, datagram: bytes, up: bool) -> None:
        side, to = (self._back, None) if up else (self._front, self._device)
        if side is not None and not side.is_closing():
            side.sendto(datagram, to)


class _Side(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data, addr)
