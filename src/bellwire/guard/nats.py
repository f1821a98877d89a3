"""What the node says of its links, as a NATS server brings it (`push.nats` of the node's settings).

The server is not trusted: words are signed (`signed`), and three seconds of silence end the
connection. Needs nats-py, the extra `nats`.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from nats.errors import Error as NatsError

from bellwire.base.nats_once import connect_once, heed_cancellation, leave
from bellwire.guard.errors import StatusAbsent
from bellwire.guard.listener import SILENCE_S
from bellwire.guard.messages import MAX_MESSAGE, Told
from bellwire.guard.signed import Verifier

_WAITING = 16
_HEADERS = 16 << 10


class NatsListener:
    """Listens to one node over a server.

    Args:
        url: Of the server, `nats://HOST:PORT` or `tls://HOST:PORT`.
        subject: On which the node speaks.
        verifier: Knows the node.
        options: Of the connection: whom we believe, and who we are.
    """

    def __init__(
        self, url: str, subject: str, verifier: Verifier, options: Mapping[str, Any]
    ) -> None:
        self._url = url
        self._subject = subject
        self._verifier = verifier
        self._options = options

    async def words(self) -> AsyncGenerator[Told, None]:
        """Its words, until the connection is over; what ended it is raised.

        Raises:
            StatusAbsent: the server cannot be reached, or the node fell silent.
            StatusRefused: somebody said what the node did not say now.
        """
        try:
            client = await connect_once(self._url, self._options, within_s=SILENCE_S)
        except ConnectionError as error:
            raise StatusAbsent(str(error)) from error
        try:
            subscription = await client.subscribe(
                self._subject,
                pending_msgs_limit=_WAITING,
                pending_bytes_limit=_WAITING * (MAX_MESSAGE + _HEADERS),
            )
            while True:
                message = await subscription.next_msg(timeout=SILENCE_S)
                heed_cancellation()
                yield self._verifier.read(message.data, message.headers)
        except (NatsError, OSError, TimeoutError) as error:
            heed_cancellation()
            raise StatusAbsent(f"the node says nothing over NATS: {_why(error)}") from error
        finally:
            await leave(client)


def _why(error: Exception) -> str:
    return "no word in time" if isinstance(error, TimeoutError) else str(error) or "no answer"
