"""One more process of a site's KME: its door, on the node's store and beside the node."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bellwire.base.clock import system_clock
from bellwire.base.errors import BellwireError, UnreachableError, UsageError
from bellwire.base.lifetime import until_stopped
from bellwire.base.memory import keep_freed_memory, settle_memory
from bellwire.crypto.kek.envelope import Envelope
from bellwire.keys.further import FurtherKeys
from bellwire.keys.model import KeySourceKind
from bellwire.keys.sealing import STORE_KEY
from bellwire.keys.site import SessionSource
from bellwire.keys.status import StatusView
from bellwire.keys.status_log import StatusLog, StatusRecord
from bellwire.keys.store import KeyStore
from bellwire.node.assemble import SITES, node_folder
from bellwire.node.audit import open_audit
from bellwire.node.door import GRACE_S, open_door, open_identity, renew
from bellwire.node.kek import kek_source
from bellwire.node.settings import Settings
from bellwire.node.store_place import store_place

HEARD_WITHIN_S = 10.0
"""How long the node may take to be heard at the start."""


@dataclass(frozen=True, slots=True)
class FurtherOptions:
    """What the command line says.

    Attributes:
        site: Whose KME.
        listen: Where keys are served over HTTPS.
        with_parent: End when standard input does.
    """

    site: str
    listen: tuple[str, int]
    with_parent: bool


class Further:
    """What is behind the door of a further process (`node.door.Behind`).

    Args:
        keys: Of the link.
        log: The history of the link's status, which the node writes.
        source: Where keys come from, as the node said.

    Attributes:
        sessions: None: the node has the link.
    """

    def __init__(self, keys: FurtherKeys, log: StatusLog, source: KeySourceKind) -> None:
        self.link_keys = keys
        self.source = source
        self.sessions: SessionSource | None = None
        self._log = log

    def view(self) -> StatusView:
        """The link's status, as the node said it."""
        return self.link_keys.node.view()

    async def status_records(self, since: float, most: int) -> Sequence[StatusRecord]:
        """The history of the link's status, as `NodeService.status_records`."""
        return await asyncio.to_thread(self._log.read, since, most)


def open_shared(settings: Settings, site: str) -> KeyStore:
    """The store of a site, for one more process beside its node.

    Raises:
        UsageError: the store is a file, which one process has.
        StoreError, KekRefused: it cannot be opened.
    """
    if not settings.store.url:
        raise UsageError(
            "expected store.url, a PostgreSQL server that processes can share, got none",
            hint="A store in a file has one process: docs/how-to/share-the-pool.md",
        )
    side, folder = SITES[site], node_folder(settings.state.dir, site)
    data_key = Envelope(folder, kek_source(settings, folder), STORE_KEY).unlock(fresh=False)
    return KeyStore.open(store_place(settings.store.url, folder, side), data_key, side, shared=True)


async def run_further(
    settings: Settings, options: FurtherOptions, ready: Callable[[dict[str, object]], None]
) -> None:
    """Serve keys until told to stop.

    Args:
        settings: From `settings.load`; those of the node.
        options: From the command line.
        ready: Called once with where keys are served.

    Raises:
        UnreachableError: the node is not heard.
        BellwireError: it cannot start, or a part of it failed.
    """
    keep_freed_memory()
    async with contextlib.AsyncExitStack() as stack:
        store = await asyncio.to_thread(open_shared, settings, options.site)
        stack.callback(store.close)
        audit = open_audit(settings, options.site)
        if audit is not None:
            stack.callback(audit.close)
        identity = await asyncio.to_thread(open_identity, settings, options.site)
        sync_s = await asyncio.to_thread(store.sync_time) or 0.0
        keys = FurtherKeys(
            store,
            identity.name,
            serves=identity.registry.serves,
            clock=system_clock,
            sync_s=sync_s,
        )
        stack.push_async_callback(keys.close)
        mac_key = await asyncio.to_thread(lambda: store.authentication_keys().mac_key)
        await keys.open(mac_key)
        following = asyncio.create_task(keys.follow())
        stack.push_async_callback(_cancelled, following)
        source = await _heard(keys)
        behind = Further(keys, store.status_log(), source)
        door = open_door(settings, behind, identity, sync_s, audit=audit)
        stack.push_async_callback(door.stop, GRACE_S)
        host, port = await door.start(*options.listen)
        stop = asyncio.create_task(until_stopped(with_parent=options.with_parent))
        await asyncio.sleep(0)  # Signals are minded before anybody is told that we run.
        settle_memory()
        url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        ready({"ready": True, "service": "kme", "site": options.site, "kme": url})
        renewing = asyncio.create_task(renew(identity, audit.note if audit else lambda _: None))
        tasks = {stop, following, renewing}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
                raise BellwireError("listening to the node ended by itself")
        finally:
            for task in (stop, renewing):
                await _cancelled(task)


async def _heard(keys: FurtherKeys) -> KeySourceKind:
    try:
        async with asyncio.timeout(HEARD_WITHIN_S):
            return (await keys.node.first()).source
    except TimeoutError as error:
        raise UnreachableError(
            f"expected to hear the node of this site within {HEARD_WITHIN_S:.0f} s, got nothing",
            hint="Start the node first, with the same store.url.",
        ) from error


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
