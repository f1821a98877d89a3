"""All outputs of a cloud, from its start to its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from bellwire.iot.errors import StoreFailed
from bellwire.iot.events import Arrived, Event
from bellwire.iot.outputs.cursors import Cursors
from bellwire.iot.outputs.item import Output
from bellwire.iot.outputs.pump import Pump
from bellwire.iot.stored import StreamKey


class Outputs:
    """Pumps, told together of what arrives.

    Args:
        outputs: By the names under which their cursors are kept.
        cursors: How far they have come.
        folder: Of all devices' files.
        tell: Told all events of the cloud, and when an output is down or up again.
    """

    def __init__(
        self,
        outputs: Mapping[str, Output],
        *,
        cursors: Cursors,
        folder: Path,
        tell: Callable[[Event], None],
    ) -> None:
        self._cursors = cursors
        self._tell = tell
        self._names: dict[bytes, str] = {}
        self.pumps = [
            Pump(name, output, cursors=cursors, folder=folder, tell=tell)
            for name, output in outputs.items()
        ]

    def notify(self, event: Event) -> None:
        """Take what arrived, and pass every event on."""
        if isinstance(event, Arrived):
            self._take(event)
        self._tell(event)

    def _take(self, event: Arrived) -> None:
        device = event.device
        if self._names.get(device.fingerprint) != device.name:
            with contextlib.suppress(StoreFailed):  # a name is an extra: the reading still goes
                self._cursors.call(device.fingerprint, device.name)
            self._names[device.fingerprint] = device.name
        key = StreamKey(device.fingerprint, event.stream)
        for pump in self.pumps:
            pump.wake(key, event.first + len(event.readings))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Within, readings go out; at the end, what was not sent waits for the next start."""
        tasks = [asyncio.create_task(pump.run()) for pump in self.pumps]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
