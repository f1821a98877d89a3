"""Words between relays over NATS: which accounts another relay should look for.

Plain publishing, without a stream: what must not get lost is in the store, and who was not there
looks for itself. A word is sealed under a key that the relays of one store alone have, so that the
server learns which of them tells which, when and of how many, and nobody else sets them to work.
A server that is away holds up nothing and is tried for ever.

A word: version 1 = 01 ‖ its sender 16 ‖ its number 12 ‖ AES-256-GCM(key, number, accounts 32 each,
subject); key = HKDF(seed of the relay's identity, salt: sender, label). A sender is drawn at each
start of a relay, and its numbers count.

Needs nats-py, the extra `nats`.
"""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from bellwire.base.nats_once import CONNECT_WITHIN_S, connect_once, heed_cancellation, leave
from bellwire.base.secret import Secret
from bellwire.chat.errors import NewsUnreachable
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES, AesGcm
from bellwire.crypto.errors import AuthenticationFailed
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import CHAT_RELAY_NEWS

if TYPE_CHECKING:
    from nats.aio.msg import Msg

ACCOUNT_BYTES: Final = 32
MAX_ACCOUNTS: Final = 256
"""Of one word."""

MAX_WAITING: Final = 65_536
"""Accounts of which others are yet to be told; more are left to their own looks."""

AGAIN_S: Final = 1.0
PING_EVERY_S: Final = 5
"""A server that does not answer two of these is away."""

_VERSION: Final = b"\x01"
_SENDER_BYTES: Final = 16
_HEAD: Final = 1 + _SENDER_BYTES + NONCE_BYTES
_MAX_WORD: Final = _HEAD + MAX_ACCOUNTS * ACCOUNT_BYTES + TAG_BYTES
_PENDING: Final = 1024

log = structlog.get_logger("relay")


class Sealed:
    """Words of the relays of one store, sealed and opened.

    Args:
        seed: Of the relays' identity. Secret.
        sender: This one, drawn at its start.
    """

    def __init__(self, seed: Secret, sender: bytes) -> None:
        self._sender, self._number = sender, 0
        # Who sends rubbish under many names costs a hash for each, and no memory.
        self._cipher = functools.lru_cache(maxsize=64)(
            lambda name: AesGcm(hkdf(seed.reveal(), salt=name, info=CHAT_RELAY_NEWS, length=32))
        )

    def seal(self, subject: str, accounts: Collection[bytes]) -> bytes:
        """A word on a subject; at most `MAX_ACCOUNTS`."""
        self._number += 1
        number = self._number.to_bytes(NONCE_BYTES, "big")
        sealed = self._cipher(self._sender).seal(number, b"".join(accounts), subject.encode())
        return _VERSION + self._sender + number + sealed

    def open(self, subject: str, word: bytes) -> list[bytes]:
        """The accounts of a word.

        Raises:
            AuthenticationFailed: it is no word of a relay of ours, or was for another.
        """
        size = len(word) - _HEAD - TAG_BYTES
        if word[:1] != _VERSION or size <= 0 or size % ACCOUNT_BYTES or len(word) > _MAX_WORD:
            raise AuthenticationFailed("expected a word between relays, got another")
        sender, number = word[1 : 1 + _SENDER_BYTES], word[1 + _SENDER_BYTES : _HEAD]
        body = self._cipher(sender).open(number, word[_HEAD:], subject.encode())
        return [body[at : at + ACCOUNT_BYTES] for at in range(0, size, ACCOUNT_BYTES)]


class NatsNews:
    """Words from and to the other relays of a store, over one server.

    Args:
        url: Of the server, `nats://HOST:PORT` or `tls://HOST:PORT`.
        options: Of the connection: whom we believe, and who we are.
        seed: Of the relays' identity.
        relay_id: By which clients know them: a server may serve several stores.
        instance: What this relay is called in the store.
    """

    def __init__(
        self, url: str, options: Mapping[str, Any], seed: Secret, relay_id: bytes, instance: bytes
    ) -> None:
        self._url, self._options = url, options
        self._sealed = Sealed(seed, instance)
        self._prefix = f"bellwire.relay.{relay_id.hex()[:16]}"
        self._subject = self._of(instance)
        self._waiting: dict[bytes, set[bytes]] = {}
        self._count = 0
        self._filled = asyncio.Event()
        self.is_heard = False

    def _of(self, relay: bytes) -> str:
        return f"{self._prefix}.{relay.hex()}"

    def tell(self, relay: bytes, accounts: Collection[bytes]) -> None:
        """As `News.tell`."""
        if self.is_heard and self._count < MAX_WAITING:
            self._waiting.setdefault(relay, set()).update(accounts)
            self._count += len(accounts)
            self._filled.set()

    async def run(self, heard: Callable[[bytes], None], changed: Callable[[], None]) -> None:
        """As `News.run`."""

        async def came(message: "Msg") -> None:
            with contextlib.suppress(AuthenticationFailed):
                for account in self._sealed.open(self._subject, message.data):
                    heard(account)

        away = False
        while True:
            ended = asyncio.Event()

            async def closed(ended: asyncio.Event = ended) -> None:
                ended.set()

            client: Client | None = None
            try:
                client = await _connect(self._url, self._options, closed)
                await client.subscribe(
                    self._subject,
                    cb=came,
                    pending_msgs_limit=_PENDING,
                    pending_bytes_limit=_PENDING * _MAX_WORD,
                )
                await client.flush(round(CONNECT_WITHIN_S))
                heed_cancellation()
                away, self.is_heard = False, True
                changed()  # what was said while nobody heard it is looked for
                log.info("other relays are heard over NATS")
                await self._speak(client, ended)
                log.warning("other relays are not heard over NATS", error="the connection ended")
                away = True
            except (NewsUnreachable, NatsError, OSError, TimeoutError) as error:
                if not away:
                    log.warning(
                        "other relays are not heard over NATS", error=str(error) or "no answer"
                    )
                away = True
            finally:
                self.is_heard = False
                self._waiting, self._count = {}, 0
                if client is not None:
                    await leave(client)
            heed_cancellation()
            changed()
            await asyncio.sleep(AGAIN_S)

    async def _speak(self, client: Client, ended: asyncio.Event) -> None:
        """Until the connection is over."""
        over = asyncio.ensure_future(ended.wait())
        try:
            while not ended.is_set():
                filled = asyncio.ensure_future(self._filled.wait())
                try:
                    await asyncio.wait({over, filled}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    filled.cancel()
                self._filled.clear()
                waiting, self._waiting, self._count = self._waiting, {}, 0
                for relay, accounts in waiting.items():
                    every, subject = list(accounts), self._of(relay)
                    for at in range(0, len(every), MAX_ACCOUNTS):
                        some = every[at : at + MAX_ACCOUNTS]
                        await client.publish(subject, self._sealed.seal(subject, some))
        finally:
            over.cancel()


async def try_out(url: str, options: Mapping[str, Any]) -> None:
    """Connect to a server, and leave it.

    Raises:
        NewsUnreachable: it does not answer, or does not take us.
    """
    await leave(await _connect(url, options))


async def _connect(
    url: str, options: Mapping[str, Any], closed: Callable[[], Awaitable[None]] | None = None
) -> Client:
    """A connection that, once it has ended, is not made anew; NewsUnreachable."""
    try:
        return await connect_once(url, {"ping_interval": PING_EVERY_S, **options}, closed=closed)
    except ConnectionError as error:
        raise NewsUnreachable(str(error)) from error
