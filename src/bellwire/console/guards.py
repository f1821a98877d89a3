"""What guards tell of themselves: whether packets pass, since when and why.

A guard is an account of its own, so that it may say nothing but this, and only of itself. Kept in
memory alone, the latest word of each: who has fallen silent is shown as silent, with what it said
last. What a guard does never depends on us. Times are in seconds since the epoch.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_GUARDS = 64
"""Kept at once; beyond it who has been silent longest is forgotten."""

SILENT_S = 5.0
"""A guard says something every two seconds."""

_Packets = Literal["pass", "stop"]
_Words = Annotated[str, Meta(max_length=600)]
_Count = Annotated[int, Meta(ge=0)]


class OverrideReport(msgspec.Struct, frozen=True):
    """What an operator decided at a guard; `until` is None if it has no end that is known."""

    packets: _Packets
    until: float | None
    reason: _Words


class RelayReport(msgspec.Struct, frozen=True):
    """Where the relay is that a guard follows; `level` is None while it has read no notice."""

    level: Literal["home", "port", "address", "interface", "lockdown"] | None
    places: Annotated[tuple[Annotated[str, Meta(max_length=300)], ...], Meta(max_length=16)]
    sequence: _Count
    problem: _Words


class GuardReport(msgspec.Struct, frozen=True):
    """The state of a guard, in its own words; times are seconds since the epoch, by its clock.

    Attributes:
        packets: Whether guarded packets pass.
        reason: Why.
        since: When that began.
        heard_at: When its node was last heard; None if not yet.
        qber: Of the link, as its node told it.
        blocked_packets: Stopped since its rules are there.
        blocked_bytes: Of them.
        restored: How often others' changes of its rules were undone.
        override: What an operator decided there, while it lasts.
        firewall: Which has its rules.
        lease_s: How long a good word of the node lasts, in seconds.
        ports: Guarded.
        addresses: Guarded; none means any.
        interfaces: By which a packet counts; none means any.
        relay: Where the relay is that it follows; None if it follows none.
    """

    packets: _Packets
    reason: _Words
    since: float
    heard_at: float | None
    qber: Annotated[float, Meta(ge=0, le=1)] | None
    blocked_packets: _Count
    blocked_bytes: _Count
    restored: _Count
    override: OverrideReport | None
    firewall: Literal["nftables", "iptables-nft", "iptables-legacy"]
    lease_s: Annotated[float, Meta(gt=0, le=60)]
    ports: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=65535)], ...], Meta(min_length=1, max_length=64)
    ]
    addresses: Annotated[tuple[Annotated[str, Meta(max_length=49)], ...], Meta(max_length=256)]
    interfaces: Annotated[tuple[Annotated[str, Meta(max_length=15)], ...], Meta(max_length=16)]
    relay: RelayReport | None = None


class ShownGuard(GuardReport, frozen=True, kw_only=True):
    """A guard as others see it: its word, and for how long it has been silent.

    Attributes:
        name: Of its account.
        silent: Whether nothing came for more than `SILENT_S`.
        silent_s: Seconds since its last word.
    """

    name: Annotated[str, Meta(max_length=64)]
    silent: bool
    silent_s: Annotated[float, Meta(ge=0)]


class Guards:
    """The latest word of each guard.

    Args:
        clock: Seconds of a clock that only advances.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[str, tuple[float, GuardReport]] = {}  # who spoke last comes last

    def tell(self, name: str, report: GuardReport) -> bool:
        """A guard says how it is; whether it says something else than before."""
        _, before = self._told.pop(name, (0.0, None))
        self._told[name] = self._clock(), report
        if len(self._told) > MAX_GUARDS:
            del self._told[next(iter(self._told))]
        return before is None or (before.packets, before.reason) != (report.packets, report.reason)

    def shown(self, known: Callable[[str], bool]) -> list[ShownGuard]:
        """Each guard that is still an account's, by name, and for how long it has been silent."""
        for name in [name for name in self._told if not known(name)]:
            del self._told[name]
        now = self._clock()
        return [
            ShownGuard(
                *msgspec.structs.astuple(report),
                name=name,
                silent=now - at > SILENT_S,
                silent_s=round(now - at, 3),
            )
            for name, (at, report) in sorted(self._told.items())
        ]
