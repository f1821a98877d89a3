"""The cloud's part in a session, whatever carries it: a stream is opened, grows, is finished.

Nothing is acknowledged before it is on disk, and nothing is shown before that either. A device that
takes messages gets them in between (`bellwire.iot.gateway.pushing`).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from bellwire.base.errors import BellwireError
from bellwire.base.private import PathExposed, PathUnusable
from bellwire.channel.protections import Protections
from bellwire.iot.errors import OutOfStep, ProtocolError, StoreFailed, StreamFull
from bellwire.iot.events import Arrived, Event
from bellwire.iot.gateway.pushing import Gateway, Pushing
from bellwire.iot.identity import PublicIdentity
from bellwire.iot.line import Line
from bellwire.iot.messages import (
    Batch,
    FromCloud,
    FromDevice,
    Listen,
    Open,
    Push,
    Rejected,
    Stored,
    Taken,
    Waiting,
    decode_from_device,
    encode,
)
from bellwire.iot.rates import Rates
from bellwire.iot.streams import OpenStream, OpenStreams

CLOSING_S: Final = 2.0
"""For a device to take our close, and to close as well."""


class _Stopped(Exception):
    """The cloud ends the session."""


class Conversation:
    """One session with a device.

    Args:
        line: The session.
        device: Whose it is.
        streams: Where readings go.
        notify: Told of readings that are durable.
        rates: How many readings devices may bring.
        idle_s: Seconds between messages.
        gateway: Where messages to the device come from, if there are any.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        line: Line,
        device: PublicIdentity,
        *,
        streams: OpenStreams,
        notify: Callable[[Event], None],
        rates: Rates,
        idle_s: float,
        gateway: Gateway | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = line
        self._device = device
        self._streams = streams
        self._notify = notify
        self._rates = rates
        self._idle_s = idle_s
        self._clock = clock
        self._listening: asyncio.Timeout | None = None
        self._stopped = False
        self._counted = 0
        self._writing = asyncio.Lock()
        self._pushing = (
            None
            if gateway is None
            else Pushing(
                gateway,
                device,
                protections=lambda: line.session.protections,
                send=self._push,
                stop=self.stop,
            )
        )

    @property
    def protections(self) -> Protections:
        """What the session's keys rest on now."""
        return self._line.session.protections

    def stop(self) -> None:
        """Have the session end: a batch that has come is answered, then it is closed."""
        self._stopped = True
        if self._listening is not None:
            self._listening.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Serve the session until the device closes it, or `stop`.

        Raises:
            ProtocolError: the device breaks the rules.
            StoreFailed, PathUnusable, PathExposed: readings cannot be stored; it was told so.
            SessionEnded, ConnectionEnded, TimeoutError: as the line says.
        """
        try:
            await self._take()
        except _Stopped:
            await self._close()
            if self._pushing is not None and self._pushing.failure is not None:
                raise self._pushing.failure from None
        except (StreamFull, OutOfStep) as error:
            await self._answer(Rejected(str(error)))
            raise
        except (StoreFailed, PathUnusable, PathExposed):
            # What failed, and where, is not the device's to know.
            await self._answer(Rejected("its storage failed"))
            raise

    async def _take(self) -> None:
        name, stream = b"", None
        async with contextlib.AsyncExitStack() as stack:
            if self._pushing is not None:
                stack.push_async_callback(self._pushing.close)
            while (message := await self._next()) is not None:
                if isinstance(message, Listen | Taken):
                    await self._downward(message)
                    continue
                if isinstance(message, Open):
                    if stream is not None:
                        raise ProtocolError("expected one stream a session, got another")
                    name = message.stream
                    stream = await stack.enter_async_context(
                        self._streams.using(self._device.fingerprint, name)
                    )
                elif stream is None:
                    raise ProtocolError("expected a stream to be opened first, got another message")
                answer: FromCloud = (
                    await self._keep(name, stream, message)
                    if isinstance(message, Batch)
                    else await stream.holding()
                )
                await self._answer(answer)

    async def _downward(self, message: Listen | Taken) -> None:
        """What concerns messages to the device; it costs it as a reading does."""
        pause_s = self._rates.spend(self._device.fingerprint, 1, self._clock())
        await asyncio.sleep(pause_s)
        if isinstance(message, Listen):
            found = Waiting(0) if self._pushing is None else await self._pushing.listen(message)
            await self._answer(found)
        elif self._pushing is None:
            raise ProtocolError("expected the last push to be taken, got no push")
        else:
            await self._pushing.taken(message)

    async def _keep(self, name: bytes, stream: OpenStream, batch: Batch) -> FromCloud:
        began = self._clock()

        def arrived() -> None:
            taken, beside = self._clock() - began, self._beside(batch)
            self._notify(Arrived(self._device, name, batch.first, batch.readings, taken, beside))

        count = await stream.append(batch.first, batch.readings, arrived)
        spent = len(batch.readings)
        await asyncio.sleep(self._rates.spend(self._device.fingerprint, spent, self._clock()))
        return Stored(count)

    def _beside(self, batch: Batch) -> int:
        """Bytes of the records since the last call that are not this batch's readings."""
        traffic = self._line.traffic
        total = traffic.sent_bytes + traffic.received_bytes
        since, self._counted = total - self._counted, total
        return since - sum(map(len, batch.readings))

    async def _next(self) -> FromDevice | None:
        if self._stopped:
            raise _Stopped
        listening = asyncio.timeout(None)
        try:
            async with listening:
                self._listening = listening
                data = await self._line.receive(self._idle_s)
        except TimeoutError:
            if listening.expired():
                raise _Stopped from None
            raise
        finally:
            self._listening = None
        return None if data is None else decode_from_device(data)

    async def _close(self) -> None:
        """Close, and wait for the device to do so: what it has on its way must not undo it."""
        with contextlib.suppress(BellwireError, OSError):  # TimeoutError is an OSError.
            async with asyncio.timeout(CLOSING_S):
                await self._line.finish(CLOSING_S)
                while await self._line.receive(CLOSING_S) is not None:
                    pass

    async def _answer(self, answer: FromCloud) -> None:
        async with self._writing:
            await self._line.send(encode(answer), self._idle_s)

    async def _push(self, push: Push) -> None:
        # No part of what readings cost.
        self._counted += sum(len(item.data) for item in push.messages)
        await self._answer(push)
