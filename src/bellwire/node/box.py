"""Keys of a vendor's box as the material of blocks: drawn at Alice's site, fetched at Bob's.

Each node asks the key server of its own site, by ETSI GS QKD 014; which keys they are goes from
Alice to Bob over the classical channel (spec/classical-channel.md). What holds:

- A box that does not answer, refuses us or has no key gives no block; the status gets stale.
- A probe asks both boxes for their status and spends no key. It renews a verdict and never makes
  one: where keys may not flow, the next thing to do is to draw keys and compare them.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bellwire.base.detections import Protocol
from bellwire.base.errors import BellwireError, UsageError
from bellwire.base.secret import Secret
from bellwire.distill.choice import Conditions
from bellwire.distill.messages import MAX_SUPPLY_KEYS, VERSION, Supply
from bellwire.distill.verdict import Reason
from bellwire.etsi014.client import AsyncClient, check_url
from bellwire.etsi014.credentials import Credentials
from bellwire.etsi014.errors import (
    KmeMisbehaved,
    KmeRejected,
    KmeUnauthorised,
    RequestUnusable,
)
from bellwire.etsi014.exchange import Key, check_sae
from bellwire.etsi014.messages import Status
from bellwire.keys.model import KeySourceKind
from bellwire.node.errors import ConfigError
from bellwire.node.material import NoPart, NotOpened, Opening, read_opening
from bellwire.node.settings import Etsi014Settings

FETCH_WITHIN_S = 8.0
"""For all requests of a block: less than the peer waits for a step."""

READY_WITHIN_S = 2.0
"""How long a key that Alice's box gave may need to be known at Bob's."""

ASK_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Box:
    """A vendor's key server at this site, and who may have keys there.

    Attributes:
        client: Asks it.
        own_sae: This node's name there.
        peer_sae: The peer's node's name.
        block_bits: Key of a block, at least: tags of blocks are paid from it.
    """

    client: AsyncClient
    own_sae: str
    peer_sae: str
    block_bits: int = 16_384

    async def status(self) -> Status:
        """What the box says of its keys; it must know us by our name.

        Raises:
            KmeUnauthorised: it takes us for somebody else.
            Etsi014Error: as `AsyncClient.status`.
        """
        status = await self.client.status(self.peer_sae)
        if status.master_sae_id != self.own_sae:
            raise KmeUnauthorised(
                "the key server takes us for another SAE than etsi014.own_sae",
                hint="Its name for us comes from our certificate.",
            )
        return status

    async def draw(self) -> tuple[int, list[Key]]:
        """New keys for a block: their size in bits, and the keys.

        Raises:
            KmeMisbehaved: it says that its keys have less than 8 bits.
            Etsi014Error: as `AsyncClient.get_keys`; keys drawn before it are lost.
        """
        status = await self.status()
        bits = status.key_size // 8 * 8
        if not bits:
            raise KmeMisbehaved(f"expected keys of 8 bits or more, got {status.key_size}")
        wanted = min(-(-self.block_bits // bits), MAX_SUPPLY_KEYS)
        keys: list[Key] = []
        while len(keys) < wanted:
            number = min(wanted - len(keys), _at_once(status))
            keys += await self.client.get_keys(self.peer_sae, number, bits)
        return bits, keys

    async def fetch(self, key_ids: list[str]) -> list[Key]:
        """The keys that the peer drew.

        Raises:
            Etsi014Error: as `AsyncClient.get_keys_with_ids`; keys fetched before it are lost.
        """
        at_once = _at_once(await self.status())
        keys: list[Key] = []
        while len(keys) < len(key_ids):
            keys += await self._fetch_ready(key_ids[len(keys) :][:at_once])
        return keys

    async def _fetch_ready(self, key_ids: list[str]) -> list[Key]:
        # The boxes may still be telling each other. A 400 means that no key has left, so it is the
        # one answer after which asking again is safe.
        loop = asyncio.get_running_loop()
        give_up = loop.time() + READY_WITHIN_S
        while True:
            try:
                return await self.client.get_keys_with_ids(self.peer_sae, key_ids)
            except KmeRejected:
                if loop.time() >= give_up:
                    raise
            await asyncio.sleep(ASK_AGAIN_S)


@contextlib.asynccontextmanager
async def open_box(settings: Etsi014Settings) -> AsyncIterator[Box]:
    """The box that the settings name.

    Raises:
        ConfigError: settings are missing, or no address, or no SAE's id.
        CredentialsUnusable, PathExposed, PathUnusable: as `Credentials.context`.
    """
    certificate, key, authority = settings.certificate, settings.key, settings.authority
    needed = ("url", "own_sae", "peer_sae", "certificate", "key", "authority")
    missing = [name for name in needed if not getattr(settings, name)]
    if certificate is None or key is None or authority is None or missing:
        raise ConfigError(
            tuple(f"etsi014.{name}: distill.source etsi014 needs it, got none" for name in missing)
        )
    try:
        check_url(settings.url)
        check_sae(settings.own_sae)
        check_sae(settings.peer_sae)
    except RequestUnusable as error:
        raise ConfigError((f"etsi014: {error}",)) from error
    credentials = Credentials(certificate, key, authority)
    async with AsyncClient(settings.url, credentials, timeout_s=settings.timeout_s) as client:
        yield Box(client, settings.own_sae, settings.peer_sae, settings.block_bits)


class VendorKeys:
    """A `Material` of a vendor's keys.

    Args:
        box: Of this node's site.
    """

    kind = KeySourceKind.VENDOR
    watched = False
    overlapping = False
    spent = None

    def __init__(self, box: Box) -> None:
        self._box = box
        self._drawn: tuple[Supply, Secret] | None = None

    def check_order(self, protocol: Protocol, pulses: int) -> None:
        """Nobody orders photons of a vendor's box: always UsageError."""
        raise UsageError("this node draws keys from a vendor's box: it has no photons to measure")

    async def open(
        self, number: int, protocol: Protocol, pulses: int, conditions: Conditions, *, probe: bool
    ) -> Supply:
        """Draw keys, and name them; NotOpened if the box gives none that can be used."""
        if probe:
            return Supply(VERSION, number, True, 0, [])
        blank = Supply(VERSION, number, False, 0, [])
        try:
            async with asyncio.timeout(FETCH_WITHIN_S):
                bits, keys = await self._box.draw()
        except (BellwireError, TimeoutError) as error:
            raise NotOpened(blank, Reason.BOX, f"{Reason.BOX}: {_words(error)}") from error
        opening = Supply(VERSION, number, False, bits, [each.key_id for each in keys])
        if not opening.sound:
            why = f"{Reason.BOX}: one id came twice, or its keys are too long"
            raise NotOpened(blank, Reason.BOX, why)
        self._drawn = opening, _joined(keys)
        return opening

    def read(self, body: bytes) -> Opening:
        """A `Supply`, or the `Open` of a peer that is set otherwise."""
        return read_opening(body)

    def accepts(self, opening: Opening) -> bool:
        """The peer must draw from a box, too."""
        return isinstance(opening, Supply) and opening.version == VERSION and opening.sound

    async def fetch(self, opening: Opening, *, flowing: bool) -> Secret:
        """The keys, those that we drew, or those that the peer did; a probe: none.

        Raises:
            NoPart: the box does not give them; or it is a probe while keys do not flow: that a
                box answers does not show that keys agree.
        """
        assert isinstance(opening, Supply)
        drawn, self._drawn = self._drawn, None
        if drawn is not None and drawn[0] is opening:
            return drawn[1]
        try:
            async with asyncio.timeout(FETCH_WITHIN_S):
                if not opening.probe:
                    return _joined(await self._box.fetch(opening.key_ids))
                await self._box.status()
        except (BellwireError, TimeoutError) as error:
            raise NoPart(Reason.BOX, f"{Reason.BOX}: {_words(error)}") from error
        if not flowing:
            raise NoPart(Reason.UNPROVEN, "a box that answers does not show that keys agree")
        return Secret(b"")


def _at_once(status: Status) -> int:
    """Keys of one request; some servers say 0 and mean that they do not care."""
    return min(max(1, status.max_key_per_request), MAX_SUPPLY_KEYS)


def _joined(keys: list[Key]) -> Secret:
    return Secret(b"".join(each.key.reveal() for each in keys))


def _words(error: BaseException) -> str:
    return str(error) or f"not all of it came within {FETCH_WITHIN_S:g} s"
