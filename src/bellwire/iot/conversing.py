"""The cloud's part in a session, whatever carries it: a stream is opened, grows, is finished.

Nothing is acknowledged before it is on disk, and nothing is shown before that either.
"""

from collections.abc import Callable

from bellwire.base.private import PathExposed, PathUnusable
from bellwire.iot.errors import OutOfStep, ProtocolError, StoreFailed, StreamFull
from bellwire.iot.events import Arrived, Event
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.line import Line
from bellwire.iot.messages import (
    Batch,
    Finish,
    FromCloud,
    Open,
    Rejected,
    Stored,
    decode_from_device,
    encode,
)
from bellwire.iot.streams import OpenStream, OpenStreams


class Conversation:
    """One session with a device.

    Args:
        line: The session.
        device: Whose it is.
        streams: Where readings go.
        notify: Told of readings that are durable.
        idle_s: Seconds between messages.
    """

    def __init__(
        self,
        line: Line,
        device: PublicIdentity,
        *,
        streams: OpenStreams,
        notify: Callable[[Event], None],
        idle_s: float,
    ) -> None:
        self._line = line
        self._device = device
        self._streams = streams
        self._notify = notify
        self._idle_s = idle_s

    async def run(self) -> None:
        """Serve the session until the device closes it.

        Raises:
            ProtocolError: the device breaks the rules.
            StoreFailed, PathUnusable, PathExposed: readings cannot be stored; it was told so.
            SessionEnded, ConnectionEnded, TimeoutError: as the line says.
        """
        try:
            await self._take()
        except (StreamFull, OutOfStep) as error:
            await self._answer(Rejected(str(error)))
            raise
        except (StoreFailed, PathUnusable, PathExposed):
            # What failed, and where, is not the device's to know.
            await self._answer(Rejected("its storage failed"))
            raise

    async def _take(self) -> None:
        opening = await self._next()
        if not isinstance(opening, Open):
            raise ProtocolError("expected a stream to be opened first, got another message")
        async with self._streams.using(self._device.fingerprint, opening.stream) as stream:
            await self._answer(await stream.holding())
            while (message := await self._next()) is not None:
                if isinstance(message, Open):
                    raise ProtocolError("expected one stream a session, got another")
                answer: FromCloud = (
                    await self._keep(opening.stream, stream, message)
                    if isinstance(message, Batch)
                    else await stream.holding()
                )
                await self._answer(answer)

    async def _keep(self, name: bytes, stream: OpenStream, batch: Batch) -> FromCloud:
        arrived = Arrived(self._device, name, batch.first, batch.readings)
        return Stored(
            await stream.append(batch.first, batch.readings, lambda: self._notify(arrived))
        )

    async def _next(self) -> Open | Batch | Finish | None:
        data = await self._line.receive(self._idle_s)
        return None if data is None else decode_from_device(data)

    async def _answer(self, answer: FromCloud) -> None:
        await self._line.send(encode(answer), self._idle_s)
