"""The status of a site's link, told to a NATS server: the whole of it, each change, a heartbeat.

What is said is what `/status/ws` says (`web.push`), as JSON on one subject, by plain publishing.
A heartbeat, too, has the whole of it here, for who was not there before. Words are signed and in
sequence (`guard.signed`), so that the server need not be trusted. A server that is away holds up
nothing and is tried for ever; when it is back, it is told how things are now.

Needs nats-py, the extra `nats`.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import structlog

from bellwire.base.clock import Clock
from bellwire.base.errors import UsageError, get_extra
from bellwire.crypto.signatures import SigningKey
from bellwire.guard.signed import sign
from bellwire.node.settings_push import PushSettings
from bellwire.node.settings_relay import RelaySettings
from bellwire.web.push import Changes, Document, Views, document, events

if TYPE_CHECKING:
    from nats.aio.client import Client

AGAIN_S = 1.0
FLUSH_WITHIN_S = 5

log = structlog.get_logger()


class StatusPush:
    """Tells one server; `run` goes on until it is cancelled.

    Args:
        settings: Which server, and as whom.
        site: Last word of the subject.
        kme: Id of this site's KME, in each message.
        key: The node's identity, which signs.
        views: The status of links now.
        changes: Where a change is made known.
        clock: Seconds since the epoch.

    Raises:
        UsageError: nats-py is not installed, or a file cannot be used.
    """

    def __init__(
        self,
        settings: PushSettings,
        site: str,
        kme: str,
        key: SigningKey,
        *,
        views: Views,
        changes: Changes,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._subject = f"{settings.subject}.{site}"
        self._kme = kme
        self._key = key
        self._sequence = 0
        self._views = views
        self._changes = changes
        self._clock = clock
        self._options = nats_options(settings)

    async def run(self) -> None:
        """Connect, tell, connect again, for ever."""
        from nats.errors import Error as NatsError  # noqa: PLC0415 - an extra

        from bellwire.base.nats_once import (  # noqa: PLC0415
            connect_once,
            heed_cancellation,
            leave,
        )

        away = False
        while True:
            try:
                client = await connect_once(self._settings.nats, self._options)
            except ConnectionError as error:
                if not away:
                    log.warning("the status is not told to NATS", error=str(error))
                away = True
            else:
                away = False
                log.info("the status is told to NATS", subject=self._subject)
                try:
                    await self._tell(client, NatsError, heed_cancellation)
                finally:
                    await leave(client)
                heed_cancellation()
            await asyncio.sleep(AGAIN_S)

    async def _tell(
        self, client: "Client", failed: type[Exception], heed_cancellation: Callable[[], None]
    ) -> None:
        """Until the connection is over."""
        async for kind, content in events(self._views, self._changes, self._clock):
            if not client.is_connected:
                log.warning("the status is not told to NATS", error="the connection ended")
                return
            try:
                word = self._word(kind, content)
                signed = await asyncio.to_thread(sign, self._key, self._subject, word)
                await client.publish(self._subject, word, headers=signed)
                await client.flush(FLUSH_WITHIN_S)
                heed_cancellation()
            except (failed, OSError, TimeoutError) as error:
                log.warning("the status is not told to NATS", error=str(error) or "no answer")
                return

    def _word(self, kind: str, content: Document) -> bytes:
        # Above whatever was said before a restart, as long as the clock was not set back.
        self._sequence = max(self._sequence + 1, int(1e6 * self._clock()))
        links = {"links": document(self._views(), history=False)}
        return msgspec.json.encode(
            {
                "event": kind,
                "kme": self._kme,
                "sequence": self._sequence,
                **links,
                **content,
            }
        )


def open_push(
    settings: PushSettings,
    site: str,
    kme: str,
    key: Callable[[], SigningKey],
    *,
    views: Views,
    changes: Changes,
    clock: Clock,
) -> Callable[[], "asyncio.Task[None]"] | None:
    """What begins to tell, if the settings name a server; only then `key` is asked for.

    Raises:
        UsageError: as `StatusPush`.
    """
    if not settings.nats:
        return None
    push = StatusPush(settings, site, kme, key(), views=views, changes=changes, clock=clock)
    return lambda: asyncio.create_task(push.run())


def nats_options(
    settings: PushSettings | RelaySettings, section: str = "push"
) -> dict[str, object]:
    """How to connect to the server of a section of the settings, for nats-py.

    Raises:
        UsageError: as `StatusPush`.
    """
    try:
        import nats  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            f"expected nats-py, for {section}.nats; it is not installed",
            hint=get_extra("nats"),
        ) from error
    options: dict[str, object] = {}
    if settings.nats.startswith("tls://"):
        try:
            options["tls"] = ssl.create_default_context(cafile=settings.ca)
        except OSError as error:
            raise UsageError(f"{section}.ca: expected authorities in PEM, got {error}") from error
    if settings.credentials is not None:
        if not settings.credentials.is_file():
            raise UsageError(
                f"{section}.credentials: expected a file at {settings.credentials}, got none"
            )
        options["user_credentials"] = str(settings.credentials)
    return options
