"""What a supervisor is asked over its socket, and what it answers: MessagePack arrays.

Times are in seconds since the epoch.
"""

from typing import Any

import msgspec

REQUEST_LIMIT = 1 << 10
ANSWER_LIMIT = 1 << 20


class Look(msgspec.Struct, frozen=True, array_like=True, tag="look"):
    """Say what runs."""


class Stop(msgspec.Struct, frozen=True, array_like=True, tag="stop"):
    """Stop all, and end; the answer says what ran."""


class ServiceView(msgspec.Struct, frozen=True, array_like=True):
    """One service, as its supervisor sees it.

    Attributes:
        name: One of `plan.STOP_ORDER`.
        state: `waiting`, `starting`, `running`, `failing` or `stopped`.
        pid: Its process, while there is one.
        since: When it became ready, in s since the epoch, while it runs.
        restarts: How often it was started again.
        trouble: How it ended last, with its last words; None if it never did.
        log: Its log.
        ready: What it said when it was ready last.
    """

    name: str
    state: str
    pid: int | None
    since: float | None
    restarts: int
    trouble: str | None
    log: str
    ready: dict[str, Any]


class Services(msgspec.Struct, frozen=True, array_like=True, tag="services"):
    """All services, and the process that minds them."""

    pid: int
    since: float
    services: list[ServiceView]


requests = msgspec.msgpack.Decoder(Look | Stop)
answers = msgspec.msgpack.Decoder(Services)
