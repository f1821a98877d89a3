"""Sessions while they go on: what the master's node knows so far, for who asked with a mark.

Nothing of it is secret: whoever holds the wire between the nodes hears it as well.
"""

import asyncio
import itertools
import uuid

from bellwire.distill.conversation import Phase
from bellwire.etsi014.record import SessionNow, StepTime
from bellwire.node.under_way import UnderWay

WAIT_S = 1.0
"""How long somebody waits for news at once."""

KEPT = 64
"""Sessions of which the latest is kept: more than are ever under way at once."""


class Unfolding:
    """The latest sessions that have a mark; for the event loop's thread."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._now: dict[str, tuple[int, SessionNow]] = {}
        self._news = asyncio.Event()

    def saw(self, mark: str, block: UnderWay) -> None:
        """A session is a piece further."""
        self._now.pop(mark, None)  # the one that went on last comes last
        self._now[mark] = next(self._numbers), _now(block)
        while len(self._now) > KEPT:
            del self._now[next(iter(self._now))]
        self._news.set()  # whoever waits goes on, whatever is waited for next
        self._news.clear()

    async def after(self, mark: str, number: int) -> tuple[int, SessionNow | None]:
        """What is known of a session, with a running number, once that is above `number`.

        Nothing new within `WAIT_S` is that number, and None.
        """
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    found = self._now.get(mark)
                    if found is not None and found[0] > number:
                        return found
                    await self._news.wait()
        except TimeoutError:
            return number, None


def _now(block: UnderWay) -> SessionNow:
    assert block.pad is not None
    report, times = block.session.report, block.times
    return SessionNow(
        session=str(uuid.UUID(bytes=block.pad.key_id)),
        probe=report.probe,
        step=block.session.phase.value,
        steps=[StepTime(phase.value, 1e3 * times[phase]) for phase in Phase if phase in times],
        pairs=report.pulses,
        coincidences=report.detected,
        sifted_bits=report.sifted_bits,
        test_pairs=report.detected - report.sifted_bits,
        s=report.chsh,
        qber=report.qber,
        leaked_bits=report.leaked_bits,
        public_bytes=report.transcript_bytes,
    )
