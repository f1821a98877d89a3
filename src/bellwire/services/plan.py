"""Which services there are, and how each is started.

Link, nodes, cloud, consoles and relay are here; the log, its witnesses and admission in `record`.

A service that took a free port keeps it over restarts: its ready line says which, and the next
start asks for that one, so that whoever knows the address finds it again.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from bellwire.node.settings import AddressSettings, Settings
from bellwire.services.errors import PlanUnusable
from bellwire.services.place import Place
from bellwire.services.ports import Port
from bellwire.services.program import Known, Program, reached, said
from bellwire.services.record import (
    certified_devices,
    log_needed,
    reading,
    record_programs,
    writing,
)

MAX_PORT = 65_535
STOP_ORDER = (
    "console-a", "console-b", "cloud", "relay", "admission", "node-a", "node-b", "link",
    "ledger", "witness-a", "witness-b",
)  # fmt: skip
"""Who uses others goes first."""


def programs(
    settings: Settings,
    place: Place,
    *,
    config: Path | None,
    lab: bool,
    identities: Mapping[str, str],
) -> tuple[Program, ...]:
    """All services of one machine, in the order in which they are shown.

    Args:
        settings: Of all of them.
        place: Where they keep what they keep.
        config: The settings file to hand on, absolute.
        lab: Whether the link opens its control socket, and operators may let Eve in and overhear.
        identities: Fingerprint of each site's node, where first contact is signed; else empty.

    Raises:
        PlanUnusable: the settings are not for both sites on one machine.
    """
    addresses = settings.addresses
    if settings.distill.source != "link":
        raise PlanUnusable(
            "distill.source: expected link, the simulated light that both nodes of one machine can "
            f"share, got {settings.distill.source}",
            hint="Start each node by hand, with a source of its own: docs/how-to/use-time-tags.md, "
            "docs/how-to/connect-a-vendors-box.md",
        )
    common = ["--with-parent", "--state", str(place.state)]
    common += ["--config", str(config)] if config is not None else []
    with_lab = [*common, *(["--lab"] if lab else [])]
    return (
        Program("link", lambda _: ["link", *with_lab]),
        *(
            _node(settings, place, site, with_lab, identities.get("ab".replace(site, "")))
            for site in "ab"
        ),
        Program(
            "cloud",
            lambda known: [
                "cloud", *common, "--keys", str(place.state / "node-b" / "keys.sock"),
                "--listen", said(known, "cloud", "listen")
                or f"{addresses.cloud_host}:{addresses.cloud_port}",
                *certified_devices(place),
            ],
            (Port("cloud", "addresses.cloud_port", addresses.cloud_host, addresses.cloud_port),),
        ),
        *(_console(settings, place, site, with_lab) for site in "ab"),
        Program(
            "relay",
            lambda known: [
                "relay", *common,
                "--listen", said(known, "relay", "listen")
                or f"{addresses.relay_host}:{addresses.relay_port}",
            ],
            (Port("relay", "addresses.relay_port", addresses.relay_host, addresses.relay_port),),
        ),
        *record_programs(settings, place, common),
    )  # fmt: skip


def _console(settings: Settings, place: Place, site: str, common: list[str]) -> Program:
    addresses = settings.addresses
    name, node = f"console-{site}", f"node-{site}"
    port = addresses.console_a_port if site == "a" else addresses.console_b_port

    def arguments(known: Known) -> list[str]:
        return [
            "console", "--site", site, *common, "--kme", reached(said(known, node, "kme")),
            "--listen",
            urlsplit(said(known, name, "url")).netloc or f"{addresses.console_host}:{port}",
        ]  # fmt: skip

    what, setting = f"console of site {site}", f"addresses.console_{site}_port"
    ports = (Port(what, setting, addresses.console_host, port),)
    return Program(
        name,
        arguments,
        ports,
        needs=(node, *log_needed(settings), *_relay_needed(settings)),
        environment=lambda known: reading(settings, place, known) | _relays(settings, known),
    )


def _relay_needed(settings: Settings) -> tuple[str, ...]:
    """The relay must run before a console where only it can say where it is."""
    known = settings.console.relays or settings.addresses.relay_port
    return () if known else ("relay",)


def _relays(settings: Settings, known: Known) -> dict[str, str]:
    """The variable by which a console reaches the relay of this machine; none for others."""
    if settings.console.relays:
        return {}
    addresses = settings.addresses
    url = said(known, "relay", "url") or f"ws://{addresses.relay_host}:{addresses.relay_port}"
    return {"BELLWIRE_CONSOLE__RELAYS": json.dumps([reached(url)])}


def _node(
    settings: Settings, place: Place, site: str, common: list[str], peer_identity: str | None
) -> Program:
    addresses = settings.addresses
    name = f"node-{site}"
    kme = addresses.kme_a_port if site == "a" else addresses.kme_b_port
    classical = f"{addresses.classical_host}:{addresses.classical_port}"
    metrics = metrics_port(addresses, site)

    def arguments(known: Known) -> list[str]:
        line = [
            "node", "--site", site, *common,
            "--kme", urlsplit(said(known, name, "kme")).netloc or f"{addresses.kme_host}:{kme}",
            "--listen" if site == "b" else "--peer",
            said(known, "node-b", "classical") or classical,
        ]  # fmt: skip
        if peer_identity is not None:
            return [*line, "--peer-identity", peer_identity]
        return [*line, "--authentication-key", str(place.authentication_key(site))]

    def environment(known: Known) -> dict[str, str]:
        return {
            "BELLWIRE_ADDRESSES__METRICS_PORT": str(metrics),
            **writing(settings, place, name, known),
        }

    ports = [Port(f"KME of site {site}", f"addresses.kme_{site}_port", addresses.kme_host, kme)]
    if site == "b":
        ports.append(
            Port(
                "classical channel",
                "addresses.classical_port",
                addresses.classical_host,
                addresses.classical_port,
            )
        )
    if metrics:
        what = f"metrics of site {site}"
        ports.append(Port(what, "addresses.metrics_port", "127.0.0.1", metrics))
    return Program(
        name,
        arguments,
        tuple(ports),
        needs=("node-b",) if site == "a" else log_needed(settings),
        environment=environment,
    )


def metrics_port(addresses: AddressSettings, site: str) -> int:
    """The port of a site's metrics: site b, on the same machine, takes the one after site a's.

    Raises:
        PlanUnusable: there is none after it.
    """
    if not addresses.metrics_port or site == "a":
        return addresses.metrics_port
    if addresses.metrics_port == MAX_PORT:
        raise PlanUnusable(
            f"addresses.metrics_port: expected at most {MAX_PORT - 1}, as site b takes the port "
            f"after it, got {MAX_PORT}"
        )
    return addresses.metrics_port + 1
