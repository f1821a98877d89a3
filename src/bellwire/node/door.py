"""The door of a site's KME: its certificates, its SAEs and HTTPS, put before the node's keys."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from bellwire.base.clock import system_clock
from bellwire.base.errors import BellwireError
from bellwire.keys.allowance import Allowance, Rules
from bellwire.keys.further import FurtherSite
from bellwire.keys.kme import Limits
from bellwire.keys.link_keys import LinkKeys
from bellwire.keys.model import KeySourceKind
from bellwire.keys.site import SessionSource, SiteLink
from bellwire.keys.status import StatusView
from bellwire.keys.status_log import StatusRecord
from bellwire.ledger.outbox.delivery import Delivery
from bellwire.node.settings import Settings
from bellwire.pki.authority import Authority, authority_folder
from bellwire.pki.registry import OperatorAuthority, Registry
from bellwire.pki.tls import KmeTls
from bellwire.web.audit import Audit
from bellwire.web.figures import Reading
from bellwire.web.push import Document
from bellwire.web.server import KmeServer
from bellwire.web.settings import DoorLimits

LINK = "link"
RENEW_EVERY_S = 60.0
GRACE_S = 5.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class KmeIdentity:
    """Who a KME is, and whom it serves.

    Attributes:
        name: Its id.
        tls: Its certificates.
        registry: Its SAEs.
    """

    name: str
    tls: KmeTls
    registry: Registry


def open_identity(settings: Settings, site: str) -> KmeIdentity:
    """The KME of a site, with the authority that vouches for it; made at the first start.

    Raises:
        BellwireError: a file cannot be used.
    """
    kme = settings.kme
    folder = authority_folder(settings.state.dir, site)
    operators = operator_authorities(settings)
    name = kme.name or f"kme-{site}"
    hosts = list(kme.hosts)
    if settings.addresses.kme_host not in {"0.0.0.0", "::"}:  # noqa: S104 - these are no names
        hosts.append(settings.addresses.kme_host)
    tls = KmeTls(Authority(folder, site), name, hosts, operators)
    return KmeIdentity(name, tls, Registry(folder, operators))


def operator_authorities(settings: Settings) -> list[OperatorAuthority]:
    """Authorities of operators that are believed beside the site's own."""
    kme = settings.kme
    if kme.authority is None:
        return []
    return [OperatorAuthority(kme.authority, frozenset(kme.authority_saes), kme.authority_uri)]


def rules_of(settings: Settings) -> Rules:
    """How much key SAEs may have."""
    kme = settings.kme
    return Rules(
        bits_per_day=kme.bits_per_day,
        quotas=kme.quotas,
        priority=frozenset(kme.priority),
        kept_bits=kme.kept_bits,
    )


class Behind(Protocol):
    """What is behind a door: a node, or a further process beside it."""

    source: KeySourceKind

    @property
    def sessions(self) -> SessionSource | None:
        """What makes keys on demand; a further process does not."""

    @property
    def link_keys(self) -> LinkKeys:
        """The keys of its link."""

    def view(self) -> StatusView:
        """The status of the link now."""

    async def status_records(self, since: float, most: int) -> Sequence[StatusRecord]:
        """The history of the link's status, as `NodeService.status_records`."""


def open_door(
    settings: Settings,
    node: Behind,
    identity: KmeIdentity,
    sync_s: float,
    *,
    audit: Audit | None = None,
    allowance: Allowance | None = None,
    delivery: Delivery | None = None,
    relay: Callable[[], Document] | None = None,
) -> KmeServer:
    """The server of a node's keys; it is not started yet.

    Args:
        settings: Limits.
        node: Whose keys.
        identity: From `open_identity`.
        sync_s: How long a sync of the store's disk takes, for metrics.
        audit: Keeps a record of requests.
        allowance: What masters may have; None for what the settings say.
        delivery: Brings entries to the site's log, for metrics.
        relay: Where a relay is that this site follows.
    """
    kme = settings.kme
    link = SiteLink(node.link_keys, node.view, node.source, node.sessions)
    limits = Limits(
        key_bits=kme.key_bits,
        max_keys_per_request=kme.max_keys_per_request,
        sessions=node.sessions is not None,
    )
    site = FurtherSite(
        identity.name,
        identity.registry,
        [link],
        limits,
        allowance or Allowance(rules_of(settings), system_clock),
    )

    def readings() -> Iterable[Reading]:
        view = node.view()
        labels = {"link": LINK}
        yield Reading("stock_bits", "Key that may be handed out.", link.keys.stock_bits, labels)
        yield Reading("keys_flow", "1 while keys may leave.", int(view.keys_may_flow), labels)
        yield Reading("qber", "Mean QBER of the last blocks.", view.qber or 0.0, labels)
        yield Reading("fences", "Times that the pool was voided.", len(link.keys.fences), labels)
        yield Reading("store_sync_seconds", "A sync of the store's disk, at the start.", sync_s)
        yield from _of_delivery(delivery)

    def troubles() -> list[str]:
        told = [] if link.keys.peer.met else ["the peer's KME was not met since the start"]
        fault = identity.registry.fault
        return told if fault is None else [*told, str(fault)]

    async def histories(since: float, most: int) -> dict[str, Sequence[StatusRecord]]:
        return {LINK: await node.status_records(since, most)}

    return KmeServer(
        site,
        identity.registry,
        identity.tls.server,
        limits=DoorLimits(requests_per_s=kme.requests_per_s, burst=kme.requests_per_s),
        operators=frozenset(kme.operators),
        views=lambda: {LINK: node.view()},
        troubles=troubles,
        readings=readings,
        histories=histories,
        audit=audit,
        skip=kme.skip,
        relay=relay,
    )


def _of_delivery(delivery: Delivery | None) -> Iterable[Reading]:
    """What metrics say of a delivery."""
    if delivery is None:
        return
    state = delivery.state
    age_s = 0.0 if state.oldest_at is None else max(0.0, system_clock() - state.oldest_at)
    yield Reading("ledger_waiting", "Entries that wait for the log.", state.waiting)
    yield Reading("ledger_oldest_seconds", "How long the first of them waits.", age_s)
    yield Reading("ledger_failing", "1 while the log takes nothing.", int(bool(state.problem)))
    yield Reading("ledger_delivered", "Entries that the log took.", delivery.delivered)


async def renew(identity: KmeIdentity, note: Callable[[str], None]) -> None:
    """Renew what is due, for ever; `note` is told when something was."""
    while True:
        await asyncio.sleep(RENEW_EVERY_S)
        try:
            if identity.tls.renew():  # in this thread: it alters contexts in use
                log.info("the KME's certificate was renewed")
                note("KME certificate renewed")
        except BellwireError as error:
            log.warning("the KME's certificate was not renewed", error=str(error))
