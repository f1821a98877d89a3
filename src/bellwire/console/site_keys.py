"""The keys of a site, as its console gets them: from its own node's key server, over ETSI 014.

The two consoles are SAEs like any others, `console-a` and `console-b`, each with a certificate of
its own site.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog

from bellwire.base.secret import Secret
from bellwire.console.accounts import other_site
from bellwire.console.errors import KeysAbsent, NoKeyNow, PeerRefused
from bellwire.console.sealed import KEY_BITS
from bellwire.etsi014.client import AsyncClient
from bellwire.etsi014.errors import (
    Etsi014Error,
    KmeRejected,
    KmeUnauthorised,
    KmeUnavailable,
)
from bellwire.etsi014.exchange import Key

READY_WITHIN_S = 3.0
"""How long a key that the other console has may be on its way to our key server."""

_ASK_AGAIN_S = 0.1

log = structlog.get_logger()


def console_sae(site: str) -> str:
    """The SAE that the console of a site is."""
    return f"console-{site}"


def pages_sae(site: str) -> str:
    """The SAE that the pages of a site are, for pads of who talks in a browser."""
    return f"pages-{site}"


class _Extension(msgspec.Struct, frozen=True):
    """What a node of bellwire says of its link beyond table 9 of the standard."""

    link_status: str
    link_reason: str
    link_stale: bool
    qber: float | None
    source: str


@dataclass(frozen=True, slots=True)
class LinkNow:
    """The link between the two sites.

    Attributes:
        status: GREEN, YELLOW or RED; RED as well where nothing recent is known.
        reason: Why, for people.
        qber: Mean of the last blocks, 0 to 1.
        source: Where its keys come from.
    """

    status: str
    reason: str
    qber: float | None
    source: str

    def require_flow(self) -> None:
        """Let keys pass.

        Raises:
            NoKeyNow: the link is RED.
        """
        if self.status == "RED":
            raise NoKeyNow(f"no key leaves: {self.reason}")


class SiteKeys:
    """Asks a site's key server as its console.

    Args:
        client: Of the key server; closed by whoever made it.
        site: Ours.
        monotonic: Seconds of a clock that only advances.
    """

    def __init__(
        self,
        client: AsyncClient,
        site: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._peer = console_sae(other_site(site))
        self._monotonic = monotonic

    async def link(self) -> LinkNow:
        """The link now.

        Raises:
            KeysAbsent: the key server does not answer, or does not know the other console.
        """
        try:
            found = (await self._client.status(self._peer)).status_extension
            said = msgspec.convert(found, _Extension)
        except msgspec.ValidationError as error:
            raise KeysAbsent("the key server does not say how its link is") from error
        except Etsi014Error as error:
            raise _absent(error) from error
        status, reason = said.link_status, said.link_reason
        if said.link_stale:
            status, reason = "RED", f"nothing recent is known of the link ({reason})"
        return LinkNow(status, reason, said.qber, said.source)

    async def draw(self) -> Key:
        """A new key, which the other console can fetch.

        Raises:
            KeysAbsent: there is none now.
        """
        try:
            return (await self._client.get_keys(self._peer, 1, KEY_BITS))[0]
        except Etsi014Error as error:
            raise _absent(error) from error

    async def fetch(self, key_id: str) -> Secret:
        """The key that the other console drew.

        Raises:
            PeerRefused: it drew none of that id for us, or we have had it.
            NoKeyNow: the link is RED.
            KeysAbsent: it cannot be had now.
        """
        until = self._monotonic() + READY_WITHIN_S
        while True:
            try:
                found = await self._client.get_keys_with_ids(self._peer, [key_id])
            except (KmeRejected, KmeUnauthorised) as error:
                raise PeerRefused("expected a key of the other console, got another id") from error
            except KmeUnavailable as error:
                # 503 has consumed nothing: the key may be a moment behind its id.
                (await self.link()).require_flow()
                if self._monotonic() >= until:
                    raise _absent(error) from error
            except Etsi014Error as error:
                raise _absent(error) from error
            else:
                if 8 * len(found[0].key) != KEY_BITS:
                    raise PeerRefused(f"expected a key of {KEY_BITS} bits, got another")
                return found[0].key
            await asyncio.sleep(_ASK_AGAIN_S)


def _absent(error: Etsi014Error) -> KeysAbsent:
    if isinstance(error, KmeUnavailable):
        return KeysAbsent(str(error))
    # Its words may name addresses and files, which are no business of members.
    log.warning("no answer of the key server", error=str(error))
    return KeysAbsent("the key server does not answer, or does not serve this console")
