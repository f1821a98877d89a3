"""A bus for nodes of one event loop, to try what they say without a network."""

import asyncio
from collections.abc import Collection

from bellwire.network.bus import Handler, MessageIds, Queue, check_message
from bellwire.network.identity import check_name


class InProcessBus:
    """Joins nodes that run in one event loop."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str | None], Queue] = {}
        self._ids = MessageIds()

    async def join(self, node: str, topics: Collection[str]) -> None:
        """As `Bus.join`."""
        for name in (node, *topics):
            check_name(name)
        for topic in (None, *topics):
            self._queues.setdefault((node, topic), Queue())

    async def send(self, node: str, body: bytes, *, message_id: str) -> None:
        """As `Bus.send`; a message for who never joined is dropped."""
        check_message(node, body)
        queue = self._queues.get((node, None))
        if queue is not None and self._ids.is_new(f"to {node}", message_id):
            queue.put(body)

    async def publish(self, topic: str, body: bytes, *, message_id: str) -> None:
        """As `Bus.publish`."""
        check_message(topic, body)
        if self._ids.is_new(f"on {topic}", message_id):
            for (_, joined), queue in self._queues.items():
                if joined == topic:
                    queue.put(body)

    async def listen(self, node: str, handler: Handler) -> None:
        """As `Bus.listen`."""
        async with asyncio.TaskGroup() as tasks:
            for (name, topic), queue in self._queues.items():
                if name == node:
                    tasks.create_task(queue.serve(topic, handler))
