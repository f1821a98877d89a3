"""Put a node together from its settings, and run it until it is told to stop."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bellwire.base.clock import system_clock
from bellwire.base.detections import Protocol, Side
from bellwire.base.disk import sync_time
from bellwire.base.errors import BellwireError, UsageError
from bellwire.base.lifetime import until_stopped
from bellwire.base.manager import READY, STOPPING, tell_manager
from bellwire.base.memory import keep_freed_memory, settle_memory
from bellwire.base.private import own_folder, read_own_file
from bellwire.base.secret import Secret
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.kek.envelope import Envelope
from bellwire.crypto.kek.key_file import KeyFiles
from bellwire.crypto.kek.source import KekSource
from bellwire.crypto.randomness.source import RandomSource
from bellwire.crypto.signatures import SigningKey, fingerprint
from bellwire.crypto.stream import SEED_BYTES
from bellwire.distill.reconciliation import Method
from bellwire.keys.allowance import Allowance
from bellwire.keys.database.opening import has_store
from bellwire.keys.delivery_server import DeliveryServer
from bellwire.keys.reserve import MAX_PREPLACED_SETS, AuthenticationKeys, preplaced_bytes
from bellwire.keys.sealing import STORE_KEY
from bellwire.keys.status import LinkStatus, StatusRules
from bellwire.keys.store import KeyStore
from bellwire.node.audit import AuditLog, open_audit
from bellwire.node.door import GRACE_S, LINK, KmeIdentity, open_door, open_identity, renew, rules_of
from bellwire.node.fence import key_is_placed, settle_restored
from bellwire.node.fresh import SessionRules
from bellwire.node.identity import load_identity, load_or_create_identity
from bellwire.node.kek import kek_source
from bellwire.node.ledger import delivering
from bellwire.node.material import Material, Photons
from bellwire.node.operator import operator_server
from bellwire.node.overheard import Overheard
from bellwire.node.policy import Policy
from bellwire.node.randomness import open_random, tell_failed, tell_opened
from bellwire.node.reload import Reloader
from bellwire.node.saes import NOBODY
from bellwire.node.service import Found, NodeService, Schedule
from bellwire.node.settings import Settings
from bellwire.node.signed_contact import SignedContact
from bellwire.node.status_push import open_push
from bellwire.node.store_place import store_place
from bellwire.node.used_keys import note_used, refuse_used
from bellwire.node.vault import StoreVault
from bellwire.web.push import Changes, Document
from bellwire.web.server import KmeServer

SITES = {"a": Side.ALICE, "b": Side.BOB}


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What the command line says of one node.

    Attributes:
        site: `a` is Alice's, `b` is Bob's.
        link_dir: Folder of the link's sockets.
        listen: Bob: host and port of the classical channel.
        peer: Alice: where Bob listens.
        authentication_key: File of the pre-placed key, taken in and removed at the first start.
        with_parent: End when standard input does.
        lab_seed: Makes this side's choices reproducible, in the lab and the demo only.
        kme: Where keys are served over HTTPS; None for nowhere.
        lab: Whether what crosses the public channel of sessions is kept for operators to hear.
    """

    site: str
    link_dir: Path
    listen: tuple[str, int]
    peer: tuple[str, int]
    authentication_key: Path | None
    with_parent: bool
    lab_seed: int | None = None
    kme: tuple[str, int] | None = None
    lab: bool = False


def node_folder(state: Path, site: str) -> Path:
    """Where a site's node keeps its state."""
    return state / f"node-{site}"


def open_store(
    folder: Path,
    side: Side,
    authentication_key: Path | None,
    *,
    signed: bool = False,
    kek: KekSource | None = None,
    url: str = "",
) -> KeyStore:
    """Open a node's key store, taking in the pre-placed authentication key if it has none.

    The file of the key is removed once it rests, encrypted, in the store: also at a later start,
    if a crash left it there. Where first contact is `signed`, the store may be without a key. The
    store's data key opens with a key of `kek`, which are files in the folder if nothing is said.
    The store is a file in the folder, too, unless `url` names a PostgreSQL server.

    Raises:
        UsageError: there is no key in the store and no file of it, or another key than the file's,
            or the folder is unusable.
    """
    own_folder(folder)
    place = store_place(url, folder, side)
    envelope = Envelope(folder, kek or KeyFiles(folder), STORE_KEY)
    data_key = envelope.unlock(fresh=not has_store(place))
    store = KeyStore.open(place, data_key, side)
    try:
        envelope.settle(data_key)
        settle_restored(folder, store)
        if store.has_preplaced():
            note_used(folder, store)
        if signed:
            return store
        if not store.has_preplaced():
            key = _read_key(authentication_key)
            refuse_used(folder, key)
            key_is_placed(folder)
            store.install_preplaced(key)
            note_used(folder, store)
        elif authentication_key is not None and authentication_key.exists():
            _check_same(store, authentication_key)
        if authentication_key is not None:
            authentication_key.unlink(missing_ok=True)
    except BaseException:
        store.close()
        raise
    return store


def _read_key(path: Path | None) -> Secret:
    hint = (
        "Make one with: bellwire node --new-authentication-key FILE, and copy it to both sites. Or "
        "let the nodes meet by signatures: docs/how-to/first-contact.md"
    )
    if path is None:
        raise UsageError("this node has no authentication key yet", hint=hint)
    data = read_own_file(path, preplaced_bytes(MAX_PREPLACED_SETS) + 1)
    if data is None:
        raise UsageError(f"expected an authentication key at {path}, got no file", hint=hint)
    return Secret(data)


def _check_same(store: KeyStore, path: Path) -> None:
    """UsageError unless the file holds the key that the store has: it is about to be removed."""
    there = AuthenticationKeys.from_bytes(_read_key(path).reveal())
    if there != store.authentication_keys():
        raise UsageError(
            f"expected the authentication key that this node has, got another in {path}",
            hint="Leave the option out; for a new key, first: bellwire keys fence, at both nodes.",
        )


async def run_node(
    settings: Settings,
    options: NodeOptions,
    ready: Callable[[dict[str, object]], None],
    load: Callable[[], Settings],
) -> None:
    """Run one node until it is told to stop.

    Args:
        settings: From `settings.load`.
        options: From the command line.
        ready: Called once with what the node listens on.
        load: Reads the settings again, for SIGHUP and operators.

    Raises:
        BellwireError: it cannot start, or a part of it failed.
    """
    keep_freed_memory()
    side = SITES[options.site]
    folder = node_folder(settings.state.dir, options.site)
    identities = _identities(settings, options, folder)
    store = open_store(
        folder,
        side,
        options.authentication_key,
        signed=identities is not None,
        kek=kek_source(settings, folder),
        url=settings.store.url,
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(store.close)
        audit = _audit(settings, options.site, stack)
        if settings.ledger.url:
            store.record_for(settings.ledger.link)
        delivery = await stack.enter_async_context(delivering(settings.ledger, store.transaction))
        random = await asyncio.to_thread(open_random, settings.random, tell_failed)
        stack.callback(random.close)
        material, warm_source = await _material(
            settings, side, options, folder, stack, random=random
        )
        contact = SignedContact(side, store, *identities, random) if identities else None
        identity = None
        if options.kme is not None:
            identity = await asyncio.to_thread(open_identity, settings, options.site)
        sync_s = await asyncio.to_thread(lambda: store.sync_time() or sync_time(folder))
        node = _assemble(
            settings,
            side,
            store,
            material,
            random=random,
            contact=contact,
            identity=identity,
            sync_s=sync_s,
        )
        node.delivery = delivery
        node.sessions.overheard = Overheard() if options.lab else None
        if audit is not None:
            node.note, node.keys.left = audit.note, audit.local
        warming = asyncio.create_task(asyncio.to_thread(warm_source))
        await stack.enter_async_context(DeliveryServer(folder / "keys.sock", node.keys))
        await stack.enter_async_context(operator_server(folder / "operator.sock", node))
        about: dict[str, object] = {
            "ready": True,
            "service": "node",
            "site": options.site,
            "source": material.kind.value,
            "keys": str(folder / "keys.sock"),
            "operator": str(folder / "operator.sock"),
        }
        door, allowance = None, Allowance(rules_of(settings), system_clock)
        if identity is not None and options.kme is not None:
            door = open_door(
                settings,
                node,
                identity,
                sync_s,
                audit=audit,
                allowance=allowance,
                delivery=delivery,
                relay=_follow_relay(settings, folder, stack),
            )
            about["kme"] = await _start(door, settings, options.kme, stack)
        push = _push(settings, options.site, folder, node, door)
        # No block before its kernels: a peer's time for a step is not there to compile in.
        await warming
        background = await _meet_peer(settings, options, folder, node, stack=stack, about=about)
        reloader = Reloader(
            settings, load, node=node, identity=identity, door=door, allowance=allowance
        )
        stop = asyncio.create_task(
            until_stopped(with_parent=options.with_parent, reload=reloader.on_signal)
        )
        await asyncio.sleep(0)  # Signals are minded before anybody is told that we run.
        tell_opened(random, settings.random)
        settle_memory()
        ready(about)
        tell_manager(READY)
        node.note("node started", source=material.kind.value, kme=about.get("kme"))
        renewing = asyncio.create_task(renew(identity, node.note)) if identity else None
        if push is not None:
            stack.push_async_callback(_ended, push())
        await _until(stop, background, renewing, node, door)


async def _meet_peer(
    settings: Settings,
    options: NodeOptions,
    folder: Path,
    node: NodeService,
    *,
    stack: contextlib.AsyncExitStack,
    about: dict[str, object],
) -> "asyncio.Task[None] | None":
    """Listen for the peer (Bob), or connect to it, for ever, in the task that is returned."""
    if node.side is Side.ALICE:
        found = await _look_for_peer(settings, stack)
        return asyncio.create_task(node.run_alice(*options.peer, found))
    server = await node.serve_peer(*options.listen)
    stack.callback(server.close)
    host, port = server.sockets[0].getsockname()[:2]
    about["classical"] = f"{host}:{port}"
    if settings.discovery.enabled:
        await _announce(folder, host, port, stack)
    return None


async def _announce(folder: Path, host: str, port: int, stack: contextlib.AsyncExitStack) -> None:
    """Bob: say on the local network who listens here, by his identity, made if there is none."""
    from bellwire.node.discovery import announced  # noqa: PLC0415 - seldom wanted, and slow

    key = await asyncio.to_thread(load_or_create_identity, folder)
    name = fingerprint(key.public_bytes).hex()
    await stack.enter_async_context(announced(name, host, port))


async def _look_for_peer(settings: Settings, stack: contextlib.AsyncExitStack) -> Found:
    """Alice: where the peer that is pinned says it is, if she is to look for it."""
    if not settings.discovery.enabled:
        return lambda: ()
    pinned = _pinned(settings, "with discovery.enabled")
    from bellwire.node.discovery import looked_for  # noqa: PLC0415 - seldom wanted, and slow

    found = await stack.enter_async_context(looked_for())
    return lambda: found.addresses(pinned)


def _audit(settings: Settings, site: str, stack: contextlib.AsyncExitStack) -> AuditLog | None:
    """The audit log, which is closed when all else is."""
    audit = open_audit(settings, site)
    if audit is not None:
        stack.callback(audit.close)
        stack.callback(audit.note, "node stopped")
    return audit


def _follow_relay(
    settings: Settings, folder: Path, stack: contextlib.AsyncExitStack
) -> Callable[[], Document] | None:
    """Follow the relay of the settings until `stack` ends; what says where it is."""
    if not settings.kme.relay_places and not settings.kme.relay_id:
        return None
    from bellwire.node.relay_places import open_places, told_places  # noqa: PLC0415 - seldom wanted

    follower = open_places(settings.kme, folder)
    following = asyncio.create_task(follower.run(lambda: None))
    stack.push_async_callback(_ended, following)
    return lambda: told_places(follower)


def _push(
    settings: Settings, site: str, folder: Path, node: NodeService, door: KmeServer | None
) -> Callable[[], "asyncio.Task[None]"] | None:
    """What begins to tell NATS of changes, if it is to be told; the door's listeners hear, too."""
    changes = door.changes if door is not None else Changes()
    node.status_changed = changes.tell
    return open_push(
        settings.push,
        site,
        node.kme,
        lambda: load_or_create_identity(folder),
        views=lambda: {LINK: node.view()},
        changes=changes,
        clock=system_clock,
    )


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _until(
    stop: "asyncio.Task[None]",
    background: "asyncio.Task[None] | None",
    renewing: "asyncio.Task[None] | None",
    node: NodeService,
    door: KmeServer | None,
) -> None:
    """Run until told to stop, then answer what was asked; BellwireError if a task ended by itself.

    The door closes first: what it still has to answer needs the store, and maybe the peer.
    """
    tending = node.start_tending()
    tasks = {task for task in (stop, background, renewing, tending) if task is not None}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tending.done():
            tending.result()
        if background is not None and background.done():
            background.result()
            raise BellwireError("the node's connection task ended by itself")
    finally:
        tell_manager(STOPPING)
        if door is not None:
            await door.stop(GRACE_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await node.close()


async def _start(
    door: KmeServer,
    settings: Settings,
    address: tuple[str, int],
    stack: contextlib.AsyncExitStack,
) -> str:
    """Open a door; its URL."""
    stack.push_async_callback(door.stop, GRACE_S)
    host, port = await door.start(*address)
    if settings.addresses.metrics_port:
        await door.start_loopback(settings.addresses.metrics_port)
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


async def _material(
    settings: Settings,
    side: Side,
    options: NodeOptions,
    folder: Path,
    stack: contextlib.AsyncExitStack,
    *,
    random: RandomSource,
) -> tuple[Material, Callable[[], None]]:
    """What blocks are made from, and what compiles all that they need.

    What a material holds open is left to `stack`.
    """
    if settings.distill.source == "etsi014":
        from bellwire.node.box import VendorKeys, open_box  # noqa: PLC0415 - brings an HTTP client

        box = await stack.enter_async_context(open_box(settings.etsi014))
        return VendorKeys(box), lambda: None  # nothing is reconciled or amplified
    # Who is fed by a box, or hands out what another process makes, loads no compiler.
    from bellwire.distill import amplification, announcements, cascade, ldpc  # noqa: PLC0415
    from bellwire.node.source import open_source  # noqa: PLC0415

    source = await asyncio.to_thread(open_source, settings, side, options.link_dir, folder)

    def warm() -> None:
        announcements.warm()
        cascade.warm()
        ldpc.warm()
        amplification.warm(settings.distill.pulses)
        source.warm()

    policy = _policy(settings, side, options, random)
    return Photons(source.link, policy, source.kind, overlapping=source.overlapping), warm


def _policy(settings: Settings, side: Side, options: NodeOptions, random: RandomSource) -> Policy:
    distill, rules = settings.distill, settings.status
    return Policy(
        sample_share=distill.sample_share,
        epsilon=distill.epsilon,
        red_qber=rules.red_qber,
        chsh_floor=rules.chsh_floor,
        rectilinear=distill.rectilinear,
        decoys=settings.weak.decoys,
        decoy_rectilinear=settings.weak.rectilinear,
        reconciliation=(
            None if distill.reconciliation == "auto" else Method(distill.reconciliation)
        ),
        lab_seed=(
            None
            if options.lab_seed is None
            else hkdf(str(options.lab_seed).encode(), info=side.encode(), length=SEED_BYTES)
        ),
        random=random,
    )


def _identities(
    settings: Settings, options: NodeOptions, folder: Path
) -> tuple[SigningKey, bytes] | None:
    """Our identity and the peer's fingerprint, where first contact is a signed exchange.

    Raises:
        UsageError: one of the two is missing, or two ways were asked for.
        PathUnusable, PathExposed: as `load_identity`.
    """
    if settings.discovery.enabled and options.site == "a":
        _pinned(settings, "with discovery.enabled")
    if settings.first_contact.method != "signed":
        return None
    if options.authentication_key is not None:
        raise UsageError(
            "expected no --authentication-key with first_contact.method signed, got one",
            hint="Leave one of the two out: a pre-placed key needs no signatures.",
        )
    make = f"Make it with: bellwire node --site {options.site} --identity"
    identity = load_identity(folder, make)
    return identity, bytes.fromhex(_pinned(settings, "for a signed first contact"))


def _pinned(settings: Settings, why: str) -> str:
    """The fingerprint of the peer's identity, lower case.

    Raises:
        UsageError: none was given.
    """
    peer = settings.first_contact.peer_identity.lower()
    if not peer:
        raise UsageError(
            f"expected the fingerprint of the peer's identity {why}, got none",
            hint="Give what the other site's `bellwire node --identity` says as --peer-identity.",
        )
    return peer


def _assemble(
    settings: Settings,
    side: Side,
    store: KeyStore,
    material: Material,
    *,
    random: RandomSource,
    contact: SignedContact | None,
    identity: KmeIdentity | None,
    sync_s: float,
) -> NodeService:
    distill, rules = settings.distill, settings.status
    return NodeService(
        side,
        store=store,
        vault=StoreVault(store, material.kind, system_clock),
        material=material,
        random=random,
        status=LinkStatus(
            StatusRules(
                yellow_qber=rules.yellow_qber,
                red_qber=rules.red_qber,
                chsh_floor=rules.chsh_floor,
                window=rules.window,
                recovery_blocks=rules.recovery_blocks,
                stale_after_s=rules.stale_after_s,
            ),
            expected_interval_s=distill.probe_interval_s,
            now=system_clock(),
        ),
        schedule=Schedule(
            protocol=Protocol(distill.protocol),
            pulses=distill.pulses,
            target_stock_bits=distill.target_stock_bits,
            probe_pulses=distill.probe_pulses,
            probe_interval_s=distill.probe_interval_s,
            blocks_in_flight=distill.blocks_in_flight,
        ),
        contact=contact,
        kme=identity.name if identity else None,
        saes=identity.registry if identity else NOBODY,
        sync_s=sync_s,
        time_to_live_s=settings.kme.time_to_live_s,
        session_rules=SessionRules(
            epsilon=distill.epsilon,
            in_flight=settings.kme.sessions,
            of_sae=settings.kme.sessions_per_sae,
            of_pair=settings.kme.sessions_per_pair,
        ),
    )
