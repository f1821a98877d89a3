"""How fast a guard cuts: from Eve on the fibre to the last packet that passes the router.

Everything is real and a process of its own: link, two nodes and Eve, `bellwire guard` on a router
between two network namespaces, and a stream of packets through it. The kernel stamps each packet
that arrives, so a cut is as late as the last of them. Beside it, in the same run: our guard on
iptables, a guard that starts the program `nft`, and one that asks for the status every three
seconds. All have the priority that the unit of systemd gives a guard.

Three moments part the way: the node sends the word that its link is RED, the guard has heard it,
the last packet passes. The way to the first is *detection*, most of it waiting for the next probe,
of which there is one a second; then *decision*; then *enforcement*.
"""

import contextlib
import math
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from bellwire.bench.guard.errors import NetworkUnusable
from bellwire.bench.guard.site import Child, Site, site
from bellwire.bench.guard.spaces import networks
from bellwire.bench.guard.stream import Stream, packet_stream
from bellwire.bench.model import Figure

PORT: Final = 8765
_SEED: Final = 9
_NICE: Final = -10
"""As `deploy/systemd/bellwire-guard.service` runs it."""


class _Size(NamedTuple):
    """How often each is done."""

    attacks: int
    waits: int
    iptables: int
    programs: int
    polls: int
    kills: int


_FULL = _Size(attacks=80, waits=20, iptables=20, programs=20, polls=4, kills=3)
_QUICK = _Size(attacks=3, waits=2, iptables=2, programs=2, polls=1, kills=1)


class _Cuts(NamedTuple):
    """The cuts of each guard, in the order in which they were made.

    Attributes:
        pushed: By our guard, Eve met by a block at once.
        waited: By our guard, Eve met by the next probe.
        iptables: By our guard on iptables.
        program: By one that starts `nft`.
        polled: By one that asks every three seconds.
        leases: From `kill -9` of our guard to the last packet, in seconds.
    """

    pushed: list["Cut"]
    waited: list["Cut"]
    iptables: list["Cut"]
    program: list["Cut"]
    polled: list["Cut"]
    leases: list[float]


class Cut(NamedTuple):
    """When what happened, in seconds since the epoch."""

    eve_at: float
    told_at: float
    heard_at: float
    last_at: float

    @property
    def cut_at(self) -> float:
        """The last packet, or when the guard heard, should none have come since before that."""
        return max(self.last_at, self.heard_at)

    @property
    def event_to_cut_ms(self) -> float:
        """From the node's word to the cut."""
        return 1e3 * (self.cut_at - self.told_at)

    @property
    def attack_to_cut_ms(self) -> float:
        """From Eve's start to the cut."""
        return 1e3 * (self.cut_at - self.eve_at)


def run(quick: bool = False) -> list[Figure]:
    """All figures of `bellwire bench guard`.

    Raises:
        NetworkUnusable: network namespaces cannot be made here.
        BellwireError: something that takes part does not work.
    """
    if os.geteuid():
        raise NetworkUnusable(
            "expected to run as root, to make networks, got another user",
            hint="Run it with sudo, or leave `guard` out.",
        )
    size = _QUICK if quick else _FULL
    drawn = random.Random(_SEED)  # noqa: S311 - when Eve comes
    with (
        tempfile.TemporaryDirectory() as folder,
        networks() as made,
        site(Path(folder)) as nodes,
        packet_stream(made, PORT) as packets,
    ):

        def cuts(guard: Child, count: int, *, distil: bool = True) -> list[Cut]:
            return [_cut(nodes, guard, packets, drawn, distil=distil) for _ in range(count)]

        with _guarding(nodes) as guard:
            pushed = cuts(guard, size.attacks)
            waited = cuts(guard, size.waits, distil=False)
        with _guarding(nodes, "--firewall", "iptables-nft") as guard:
            iptables = cuts(guard, size.iptables)
        with _rival(nodes, "program") as guard:
            program = cuts(guard, size.programs)
        with _rival(nodes, "polling") as guard:
            polled = cuts(guard, size.polls)
        leases = [_lease(nodes, packets) for _ in range(size.kills)]
    return _figures(_Cuts(pushed, waited, iptables, program, polled, leases))


@contextlib.contextmanager
def _guarding(nodes: Site, *more: str) -> Iterator[Child]:
    words = ("guard", *nodes.kme, "--port", str(PORT), "--good", "1", "--print", "--with-parent")
    guard = nodes.start("guard", "bellwire", *words, *more, nice=_NICE)
    try:
        guard.until(packets="pass")
        yield guard
    finally:
        guard.end()


@contextlib.contextmanager
def _rival(nodes: Site, way: str) -> Iterator[Child]:
    words = (way, *nodes.kme[1::2], str(PORT))
    guard = nodes.start(way, "bellwire.bench.guard.rivals", *words, nice=_NICE)
    try:
        guard.until(packets="pass")
        yield guard
    finally:
        guard.end()


def _cut(nodes: Site, guard: Child, packets: Stream, drawn: random.Random, *, distil: bool) -> Cut:
    """Eve comes, packets are cut, she goes, packets pass."""
    packets.flows()
    # At any moment between two probes; a block is asked for as soon as she is there.
    time.sleep(drawn.uniform(0.0, 0.1 if distil else 1.0))
    eve_at = time.time()
    nodes.attack(distil=distil)
    # Whoever asks at times is told late; the word left for others when the block was rejected.
    told_by = time.time() if distil else math.inf
    said = guard.until(packets="stop")
    last_at = packets.last()
    nodes.reset()
    guard.until(packets="pass")
    return Cut(eve_at, min(said["told_at"], told_by), said["heard_at"], last_at)


def _lease(nodes: Site, packets: Stream) -> float:
    """From `kill -9` of a guard whose link is GREEN to the last packet, in seconds."""
    with _guarding(nodes) as guard:
        guard.process.kill()
        killed_at = time.time()
        guard.process.wait()
        return packets.last() - killed_at


def _figures(cuts: _Cuts) -> list[Figure]:
    ours = _events(cuts.pushed + cuts.waited)
    others = (
        ("event_to_cut_p{}_ms", f"polling every 3 s and the program nft, {len(cuts.polled)} cuts",
         _events(cuts.polled)),
        ("vs_program_p{}", f"push and the program nft, {len(cuts.program)} cuts",
         _events(cuts.program)),
        ("vs_iptables_p{}", f"push and our guard on iptables-nft, {len(cuts.iptables)} cuts",
         _events(cuts.iptables)),
    )  # fmt: skip
    figures = []
    for name, against, theirs in others:
        for percent in (50, 99):
            mine, other = (float(np.percentile(each, percent)) for each in (ours, theirs))
            figures.append(Figure(name.format(percent), mine, "ms", against, mine / other))
    for percent in (50, 99):
        value = float(np.percentile(_events(cuts.iptables), percent))
        figures.append(Figure(f"iptables_p{percent}_ms", value, "ms"))
    return [*figures, *_way(cuts.waited), Figure("lease_s", max(cuts.leases), "s")]


def _events(cuts: list[Cut]) -> np.ndarray:
    return np.array([cut.event_to_cut_ms for cut in cuts])


def _way(cuts: list[Cut]) -> list[Figure]:
    """Parts of the way from Eve, who is met by a probe, to the cut."""
    attack = np.array([cut.attack_to_cut_ms for cut in cuts])
    detection = np.array([1e3 * (cut.told_at - cut.eve_at) for cut in cuts])
    decision = np.array([1e3 * (cut.heard_at - cut.told_at) for cut in cuts])
    enforcement = np.array([1e3 * (cut.cut_at - cut.heard_at) for cut in cuts])
    whole = float(np.sum(detection) + np.sum(decision) + np.sum(enforcement))
    return [
        Figure("attack_to_cut_p50_ms", float(np.percentile(attack, 50)), "ms"),
        Figure("attack_to_cut_p99_ms", float(np.percentile(attack, 99)), "ms"),
        Figure("detection_share", float(np.sum(detection)) / whole, "of the time"),
        Figure("decision_share", float(np.sum(decision)) / whole, "of the time"),
        Figure("enforcement_share", float(np.sum(enforcement)) / whole, "of the time"),
        Figure("decision_p50_ms", float(np.percentile(decision, 50)), "ms"),
        Figure("enforcement_p50_ms", float(np.percentile(enforcement, 50)), "ms"),
    ]
