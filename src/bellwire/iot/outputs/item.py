"""One reading on its way out of a cloud, and what an output is.

Each reading comes at least once: after a crash or a lost acknowledgement it comes again, under the
same id. A consumer that drops ids which it has seen has each exactly once.
"""

import asyncio
import base64
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from bellwire.iot.stored import StreamKey


@dataclass(frozen=True, slots=True, repr=False)
class Item:
    """A reading that is durable at the cloud.

    Attributes:
        key: Whose stream, and which.
        name: What the device is called; empty if that is not known any more.
        number: In its stream, from 0.
        reading: As the device sent it.
    """

    key: StreamKey
    name: str
    number: int
    reading: bytes

    @property
    def ident(self) -> str:
        """The id by which repeats are told: device, stream and number."""
        return f"{self.key.device.hex()}.{self.key.stream.hex()}.{self.number}"

    def encode(self) -> bytes:
        """The JSON document that brokers get."""
        return msgspec.json.encode(
            {
                "id": self.ident,
                "device": self.key.device.hex(),
                "name": self.name,
                "stream": self.key.stream.hex(),
                "number": self.number,
                **_text(self.reading),
            }
        )


def _text(reading: bytes) -> dict[str, str]:
    try:
        return {"reading": reading.decode()}
    except UnicodeDecodeError:
        return {"reading_base64": base64.b64encode(reading).decode()}


class Output(Protocol):
    """A place outside; used by one task."""

    async def put(self, items: Sequence[Item]) -> None:
        """Return when all items are durable there, in order; some may have been there before.

        Raises:
            OutputFailed: the place does not take them now; none, some or all may be there.
        """

    async def close(self) -> None:
        """Give up the connection; again is harmless."""


async def all_done(work: Iterable[Awaitable[object]]) -> None:
    """Do things at once and in order of their beginning; raise the first failure after all end."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
