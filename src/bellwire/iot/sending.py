"""A device's part in a session: a stream is opened, grows, is finished.

A reading counts as sent only when the cloud acknowledged it. The cloud's part:
`bellwire.iot.conversing`.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bellwire.channel.protections import Protections
from bellwire.iot.errors import ProtocolError, RangeError, StreamMismatch
from bellwire.iot.hearing import Hearing
from bellwire.iot.inbox import Inbox
from bellwire.iot.line import Line
from bellwire.iot.messages import (
    Batch,
    Finish,
    Holding,
    Open,
    Stored,
)
from bellwire.iot.readings import Readings

KEEP_S: Final = 20.0
"""So often, a session with nothing to send says something: a cloud lets idle ones go after 60 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """What a send came to.

    Attributes:
        stream: Name of the stream, 32 bytes.
        readings: How many the file has.
        sent: How many this send brought over.
        already: How many the cloud had before.
        stored: How many it has now.
        sha256_in: Of the first `stored` readings, as the device has them.
        sha256_out: Of the readings that the cloud has.
        protections: What the session's keys rested on.
        handshake_s: From our first message of the handshake to our last.
        answers_s: Of each batch, from sending it to its acknowledgement.
        records: That we sent.
        overhead_bytes: Of these records beside the readings, all of them together.
    """

    stream: bytes
    readings: int
    sent: int
    already: int
    stored: int
    sha256_in: bytes
    sha256_out: bytes
    protections: Protections
    handshake_s: float
    answers_s: tuple[float, ...]
    records: int
    overhead_bytes: int

    @property
    def complete(self) -> bool:
        """Whether the cloud has the whole file."""
        return self.stored == self.readings


class Sending:
    """One send over one line.

    Args:
        line: The session.
        readings: What there is of the stream now; it only grows.
        stream: Its name.
        timeout_s: For each answer.
        progress: Called with how many were acknowledged since the last call.
        inbox: Where messages of the cloud go meanwhile; None if none are taken.
    """

    def __init__(
        self,
        line: Line,
        readings: Callable[[], Readings],
        stream: bytes,
        timeout_s: float,
        progress: Callable[[int], None],
        *,
        inbox: Inbox | None = None,
    ) -> None:
        self._hearing = Hearing(line, inbox, timeout_s)
        self._line = line
        self._readings = readings
        self._stream = stream
        self._timeout_s = timeout_s
        self._progress = progress
        self._answers_s: list[float] = []
        self._text_bytes = 0

    async def run(self, first: int, stop: int) -> SendReport:
        """Send readings `first` to `stop` − 1 that the cloud does not have; as `Device.send`."""
        async with self._hearing.running():
            return await self._run(first, stop)

    async def follow(self, more: Callable[[int, float], Awaitable[bool]]) -> SendReport:
        """Send what comes, and say something now and then, until no more comes."""
        async with self._hearing.running():
            return await self._follow(more)

    async def _run(self, first: int, stop: int) -> SendReport:
        await self._hearing.listen()
        before = await self._hold(Open(self._stream))
        already = before.count
        if first > already:
            raise RangeError(
                f"expected the cloud to have the {first} readings before, got {already}",
                hint=f"Send from reading {already}.",
            )
        count = already
        for at, batch in self._readings().batches(max(first, already), stop):
            count = await self._store(Batch(at, batch))
        return await self._end(already, count)

    async def _follow(self, more: Callable[[int, float], Awaitable[bool]]) -> SendReport:
        await self._hearing.listen()
        already = count = (await self._hold(Open(self._stream))).count
        while await self._hearing.unless_lost(more(count, KEEP_S)):
            readings = self._readings()
            if len(readings) == count:
                await self._hold(Finish())
            for at, batch in readings.batches(count, len(readings)):
                count = await self._store(Batch(at, batch))
        return await self._end(already, count)

    async def _end(self, already: int, count: int) -> SendReport:
        after = await self._hold(Finish())
        readings = self._readings()
        if after.count != count:
            raise ProtocolError(f"expected the cloud to hold {count} readings, got {after.count}")
        await self._hearing.take_what_waits()
        await self._line.finish(self._timeout_s)
        return SendReport(
            stream=self._stream,
            readings=len(readings),
            sent=count - already,
            already=already,
            stored=count,
            sha256_in=readings.sha256(count),
            sha256_out=after.sha256,
            protections=self._line.session.protections,
            handshake_s=0.0,
            answers_s=tuple(self._answers_s),
            records=self._line.traffic.sent_records,
            overhead_bytes=self._line.traffic.sent_bytes - self._text_bytes,
        )

    async def _hold(self, message: Open | Finish) -> Holding:
        """What the cloud holds, checked against what we have."""
        answer = await self._hearing.ask(message)
        if not isinstance(answer, Holding):
            raise ProtocolError("expected the cloud to say what it holds, got another answer")
        readings = self._readings()
        known = answer.count <= len(readings)
        if not known or answer.sha256 != readings.sha256(answer.count):
            raise StreamMismatch(
                f"the cloud holds {answer.count} readings under this stream's name, "
                "and they are not the first ones of this file",
                hint="Give the file another stream name, or none.",
            )
        return answer

    async def _store(self, batch: Batch) -> int:
        began = time.perf_counter()
        answer = await self._hearing.ask(batch)
        self._answers_s.append(time.perf_counter() - began)
        self._text_bytes += sum(map(len, batch.readings))
        expected = batch.first + len(batch.readings)
        if not isinstance(answer, Stored) or answer.count != expected:
            raise ProtocolError(f"expected the cloud to store {expected} readings, got otherwise")
        self._progress(len(batch.readings))
        return expected


async def attend(
    line: Line,
    inbox: Inbox,
    wanted: Callable[[float], Awaitable[bool]],
    timeout_s: float,
) -> None:
    """Take messages of the cloud while there is nothing to send.

    Args:
        line: The session.
        inbox: Where they go.
        wanted: Waits at most so many seconds until the session is to end; whether it is.
        timeout_s: For each answer.

    Raises:
        As `Hearing.ask`.
    """
    hearing = Hearing(line, inbox, timeout_s)
    async with hearing.running():
        await hearing.listen()
        while inbox.listens and not await hearing.unless_lost(wanted(KEEP_S)):
            await hearing.listen()
        await line.finish(timeout_s)
