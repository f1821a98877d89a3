"""NATS JetStream: a message a reading, acknowledged when the server has stored it.

The subject is `SUBJECT.DEVICE`, with the device's fingerprint; the id is the header `Nats-Msg-Id`,
by which the server itself drops repeats within its window. A stream that takes these subjects is
used if there is one; else one without limits is made.

Needs nats-py, the extra `nats`.
"""

import ssl
from collections.abc import Sequence
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import NotFoundError

from bellwire.base.nats_once import connect_once, heed_cancellation, leave
from bellwire.iot.errors import OutputFailed
from bellwire.iot.outputs.item import Item, all_done

WITHIN_S: Final = 10.0
"""For a connection, and for each reading to be stored."""

IN_FLIGHT: Final = 64


class NatsOutput:
    """A connection to one server; made when there is something to send, and again when it broke.

    Args:
        server: `nats://HOST:PORT`.
        subject: First words of all subjects.
        credentials: File of a user's credentials, or None.
        tls: Whom we trust, or None for no TLS.
        within_s: For a connection, and for each reading to be stored.
    """

    def __init__(
        self,
        server: str,
        subject: str,
        *,
        credentials: str | None = None,
        tls: ssl.SSLContext | None = None,
        within_s: float = WITHIN_S,
    ) -> None:
        self._server = server
        self._subject = subject
        self._credentials = credentials
        self._tls = tls
        self._within_s = within_s
        self._client: Client | None = None

    async def put(self, items: Sequence[Item]) -> None:
        """As `Output.put`."""
        try:
            client = self._client or await self._connect()
            jetstream = client.jetstream(timeout=self._within_s)
            for at in range(0, len(items), IN_FLIGHT):
                await all_done(
                    _store(jetstream, self._subject, item) for item in items[at : at + IN_FLIGHT]
                )
            heed_cancellation()
        except (NatsError, OSError, TimeoutError) as error:
            await self.close()
            raise _failed(self._server, error) from error

    async def _connect(self) -> Client:
        options = {"user_credentials": self._credentials, "tls": self._tls}
        client = await connect_once(self._server, options, within_s=self._within_s)
        self._client = client
        jetstream = client.jetstream()
        subjects = f"{self._subject}.>"
        try:
            await jetstream.find_stream_name_by_subject(subjects)
        except NotFoundError:
            name = self._subject.replace(".", "-")
            await jetstream.add_stream(
                StreamConfig(name=name, subjects=[subjects], storage=StorageType.FILE)
            )
        return client

    async def close(self) -> None:
        """As `Output.close`."""
        client, self._client = self._client, None
        if client is not None:
            await leave(client)


async def _store(jetstream: JetStreamContext, subject: str, item: Item) -> None:
    headers = {"Nats-Msg-Id": item.ident}
    await jetstream.publish(f"{subject}.{item.key.device.hex()}", item.encode(), headers=headers)


def _failed(server: str, error: Exception) -> OutputFailed:
    return OutputFailed(
        f"expected JetStream at {server} to store readings, "
        f"got {str(error) or type(error).__name__}"
    )
