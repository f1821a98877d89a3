"""How fast a guard cuts: from Eve on the fibre to the last packet that passes the router.

Everything is real and a process of its own: link, two nodes and Eve, `bellwire guard` on a router
between two network namespaces, and a stream of packets through it. The kernel stamps each packet
that arrives, so a cut is as late as the last of them. Beside it, in the same run: a guard that
starts the program `nft`, and one that asks for the status every three seconds.

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


class _Size(NamedTuple):
    """How often each is done."""

    attacks: int
    programs: int
    polls: int
    kills: int


_FULL = _Size(attacks=100, programs=40, polls=10, kills=5)
_QUICK = _Size(attacks=3, programs=3, polls=1, kills=1)


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
        with _guarding(nodes, packets) as guard:
            pushed = [_cut(nodes, guard, packets, drawn) for _ in range(size.attacks)]
        with _rival(nodes, packets, "program") as guard:
            by_program = [
                _cut(nodes, guard, packets, drawn, distil=True) for _ in range(size.programs)
            ]
        with _rival(nodes, packets, "polling") as guard:
            polled = [_cut(nodes, guard, packets, drawn, distil=True) for _ in range(size.polls)]
        leases = [_lease(nodes, packets) for _ in range(size.kills)]
    return _figures(pushed, by_program, polled, leases)


@contextlib.contextmanager
def _guarding(nodes: Site, packets: Stream) -> Iterator[Child]:
    words = ("guard", *nodes.kme, "--port", str(PORT), "--good", "1", "--print", "--with-parent")
    guard = nodes.start("guard", "bellwire", *words)
    try:
        guard.until(packets="pass")
        yield guard
    finally:
        guard.end()


@contextlib.contextmanager
def _rival(nodes: Site, packets: Stream, way: str) -> Iterator[Child]:
    guard = nodes.start(way, "bellwire.bench.guard.rivals", way, *nodes.kme[1::2], str(PORT))
    try:
        guard.until(packets="pass")
        yield guard
    finally:
        guard.end()


def _cut(
    nodes: Site, guard: Child, packets: Stream, drawn: random.Random, *, distil: bool = False
) -> Cut:
    """Eve comes, packets are cut, she goes, packets pass."""
    packets.flows()
    time.sleep(drawn.uniform(0.0, 1.0))  # at any moment between two probes
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
    with _guarding(nodes, packets) as guard:
        guard.process.kill()
        killed_at = time.time()
        guard.process.wait()
        return packets.last() - killed_at


def _figures(
    pushed: list[Cut], by_program: list[Cut], polled: list[Cut], leases: list[float]
) -> list[Figure]:
    event = np.array([cut.event_to_cut_ms for cut in pushed])
    attack = np.array([cut.attack_to_cut_ms for cut in pushed])
    polling = np.array([cut.event_to_cut_ms for cut in polled])
    program = np.array([cut.event_to_cut_ms for cut in by_program])
    detection = np.array([1e3 * (cut.told_at - cut.eve_at) for cut in pushed])
    decision = np.array([1e3 * (cut.heard_at - cut.told_at) for cut in pushed])
    enforcement = np.array([1e3 * (cut.cut_at - cut.heard_at) for cut in pushed])
    whole = float(np.sum(detection) + np.sum(decision) + np.sum(enforcement))
    original = f"polling every 3 s and the program nft, {len(polled)} cuts"
    beside = f"push and the program nft, {len(by_program)} cuts"
    figures = []
    for percent in (50, 99):
        ours = float(np.percentile(event, percent))
        theirs = float(np.percentile(polling, percent))
        figures.append(Figure(f"event_to_cut_p{percent}_ms", ours, "ms", original, ours / theirs))
    for percent in (50, 99):
        ours = float(np.percentile(event, percent))
        theirs = float(np.percentile(program, percent))
        name = f"vs_program_p{percent}"
        figures.append(Figure(name, ours, "ms", beside, ours / theirs))
    figures += [
        Figure("attack_to_cut_p50_ms", float(np.percentile(attack, 50)), "ms"),
        Figure("attack_to_cut_p99_ms", float(np.percentile(attack, 99)), "ms"),
        Figure("detection_share", float(np.sum(detection)) / whole, "of the time"),
        Figure("decision_share", float(np.sum(decision)) / whole, "of the time"),
        Figure("enforcement_share", float(np.sum(enforcement)) / whole, "of the time"),
        Figure("decision_p50_ms", float(np.percentile(decision, 50)), "ms"),
        Figure("enforcement_p50_ms", float(np.percentile(enforcement, 50)), "ms"),
        Figure("lease_s", max(leases), "s"),
    ]
    return figures
