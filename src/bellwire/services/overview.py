"""What runs in a state folder and how it is: for `bellwire status`, whoever started it."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.errors import BellwireError
from bellwire.base.lock import is_held
from bellwire.chat.relay.operator import RelayOperator
from bellwire.keys.delivery import DeliveryClient
from bellwire.node.operator import OperatorClient
from bellwire.services.control import look
from bellwire.services.messages import Services
from bellwire.services.place import place_of
from bellwire.services.program import reached

SOCKETS = {
    "link": "link/alice.sock",
    "node-a": "node-a/keys.sock",
    "node-b": "node-b/keys.sock",
}
"""By these a service that nobody minds is known."""

LOCKS = {
    "cloud": "cloud/lock",
    "console-a": "console-a/lock",
    "console-b": "console-b/lock",
    "relay": "relay/lock",
    "ledger": "ledger/log.lock",
    "witness": "witness/lock",
    "witness-a": "witness-a/lock",
    "witness-b": "witness-b/lock",
    "admission": "admission/lock",
}
"""These are known by the lock that they hold."""

LOG_WITHIN_S = 2.0
MAX_HEALTH = 64 << 10

ADDRESSES = {"kme": "kme", "classical": "classical", "listen": "cloud", "url": "console"}
"""Fields of ready lines that hold an address, and what is there."""

URLS = {"relay": "relay", "ledger": "log", "witness-a": "witness", "witness-b": "witness"} | {
    "admission": "admission"
}
"""What is at the address `url` of a service that is no console."""


async def overview(state: Path) -> dict[str, Any]:
    """What `bellwire status --json` prints (docs/reference/json.md).

    Raises:
        BellwireError: the supervisor holds the folder and does not answer.
    """
    minded = await look(place_of(state))
    nodes = [await node(state, site) for site in "ab"]
    services = of_supervisor(minded) if minded is not None else by_hand(state)
    supervisor = None
    if minded is not None:
        supervisor = {"pid": minded.pid, "uptime_s": _age(minded.since)}
    return {
        "nodes": nodes,
        "supervisor": supervisor,
        "services": services,
        "relay": await relay(state),
        "log": await log_of(services),
    }


async def log_of(services: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """How it stands with the log and its witnesses; None where no log is known to run."""
    url = next((each["addresses"].get("log") for each in services if each["name"] == "ledger"), "")
    if not url:
        return None
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=LOG_WITHIN_S) as client:
            answer = await client.get(f"{reached(url)}/healthz")
        found = msgspec.json.decode(answer.content[:MAX_HEALTH], type=dict[str, Any])
    except (httpx.HTTPError, *UNDECODABLE):
        return None
    return {"url": url, **found}


async def relay(state: Path) -> dict[str, Any] | None:
    """Where the relay of messages is; None where none answers."""
    try:
        there = await RelayOperator(state / "relay").look()
    except BellwireError:
        return None
    return {
        "level": there.level.name.lower(),
        "places": there.places,
        "sequence": there.sequence,
        "until": there.until,
    }


def of_supervisor(minded: Services) -> list[dict[str, Any]]:
    """Services as their supervisor sees them."""
    return [
        _service(
            each.name,
            each.state,
            each.pid,
            each.since,
            restarts=each.restarts,
            trouble=each.trouble,
            addresses=_addresses(each.name, each.ready),
            log=each.log,
        )
        for each in minded.services
    ]


def _addresses(name: str, ready: Mapping[str, Any]) -> dict[str, str]:
    if name in URLS:
        return {URLS[name]: str(ready["url"])} if "url" in ready else {}
    return {what: ready[key] for key, what in ADDRESSES.items() if key in ready}


def by_hand(state: Path) -> list[dict[str, Any]]:
    """Services that run without a supervisor, known by the sockets that they listen on."""
    listening = _listeners()
    found = []
    for name, socket in SOCKETS.items():
        pid = listening.get(os.path.realpath(state / socket))
        if pid is not None:
            found.append(_service(name, "running", pid, _born(pid)))
    for name, lock in LOCKS.items():
        try:
            if is_held(state / lock):
                found.append(_service(name, "running", None, None))
        except OSError:
            pass  # Another user's: it is not ours to tell of.
    return found


async def history(state: Path, site: str, most: int) -> list[dict[str, Any]]:
    """The last records of a link's status, as its node keeps them; none where no node answers.

    Raises:
        BellwireError: the node answers something else.
    """
    client = OperatorClient(state / f"node-{site}" / "operator.sock")
    return [{**asdict(each), "status": each.status.value} for each in await client.records(most)]


async def node(state: Path, site: str) -> dict[str, Any]:
    """What a site's node says of its link and its keys."""
    place = state / f"node-{site}"
    try:
        view = await DeliveryClient(place / "keys.sock").status()
        accounts = await OperatorClient(place / "operator.sock").accounts()
    except BellwireError as error:
        return {"site": site, "running": False, "reason": str(error)}
    return {
        "site": site,
        "running": True,
        "status": view.status.value,
        "reason": view.reason,
        "keys_may_flow": view.keys_may_flow,
        "qber": view.qber,
        "last_qber": view.last_qber,
        "last_chsh": view.last_chsh,
        **asdict(accounts),
    }


def _service(
    name: str,
    state: str,
    pid: int | None,
    since: float | None,
    *,
    restarts: int | None = None,
    trouble: str | None = None,
    addresses: Mapping[str, str] | None = None,
    log: str | None = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "state": state,
        "pid": pid,
        "uptime_s": None if since is None else _age(since),
        "restarts": restarts,
        "trouble": trouble,
        "addresses": addresses or {},
        "log": log,
    }


def _age(since: float) -> float:
    return round(max(0.0, time.time() - since), 1)


def _born(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def _listeners() -> dict[str, int]:
    """The process behind each Unix socket with a path, as far as we may know."""
    found: dict[str, int] = {}
    for each in psutil.net_connections("unix"):
        path = str(each.laddr)
        if each.pid is None or not path:
            continue
        try:
            # A path is as its process gave it: relative to where that works.
            here = "" if path.startswith("/") else psutil.Process(each.pid).cwd()
        except psutil.Error:
            continue  # It has gone, or is another user's.
        found[os.path.realpath(Path(here, path))] = each.pid
    return found
