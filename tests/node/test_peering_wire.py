"""Whatever becomes of frames between two KMEs: no key twice, none unequal, and they meet again."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.keys.stores import add_ready
from tests.node.nodes import Pair, framed, key_at_both, open_store, ready, two_nodes
from tests.patience import PATIENCE_S
from tests.web.doors import Loop

from bellwire.base.detections import Side
from bellwire.keys import link_keys
from bellwire.keys.errors import KeyGone, NotEnoughKey, PeerAbsent, PeeringBroken
from bellwire.keys.kme import Delivery
from bellwire.keys.link_keys import LinkKeys
from bellwire.keys.peering import line
from bellwire.node import peering, service

STOCK = 2_000_000
AFTER = 5
"""Frames of a connection that a blow may fall on: hello, SYNC, SAES, a grant, a report."""

KINDS = (
    "drop", "repeat", "swap", "flip", "spoil", "shorten", "empty", "lengthen", "of before",
    "of the other", "half", "endless",
)  # fmt: skip


@dataclass(frozen=True)
class Blow:
    """What becomes of one frame of each connection."""

    sender: Side
    at: int
    kind: str


blows = st.builds(Blow, st.sampled_from(list(Side)), st.integers(0, AFTER), st.sampled_from(KINDS))


@dataclass
class Mangler:
    """Strikes frames of the connections that follow, until all blows have fallen."""

    blows: list[Blow]
    fallen: list[Blow] = field(default_factory=list)
    last: dict[Side, bytes] = field(default_factory=dict)
    before: deque[bytes] = field(default_factory=lambda: deque(maxlen=32))
    kept: dict[Side, bytes] = field(default_factory=dict)

    def __call__(self, sender: Side, number: int, frame: bytes) -> bytes:
        if number == 0:
            self.kept.pop(sender, None)
        late = framed(self.kept.pop(sender)) if sender in self.kept else b""
        self.before.append(frame)
        other = self.last.get(sender.peer, b"")
        self.last[sender] = frame
        for blow in self.blows:
            if (blow.sender, blow.at) == (sender, number):
                self.blows.remove(blow)
                self.fallen.append(blow)
                return self._struck(blow, frame, other) + late
        return framed(frame) + late

    def _struck(self, blow: Blow, frame: bytes, other: bytes) -> bytes:
        match blow.kind:
            case "drop":
                return b""
            case "repeat":
                return 2 * framed(frame)
            case "swap":
                self.kept[blow.sender] = frame
                return b""
            case "flip":
                return framed(frame[:-1] + bytes([frame[-1] ^ 1]))
            case "spoil":
                at = (7 * blow.at) % len(frame)
                return framed(frame[:at] + bytes([frame[at] ^ 16]) + frame[at + 1 :])
            case "shorten":
                return framed(frame[:-1])
            case "empty":
                return framed(b"")
            case "lengthen":
                return framed(frame + b"\0")
            case "of before":
                return framed(self.before[0])
            case "of the other":
                return framed(other)
            case "half":
                return framed(frame)[: len(frame) // 2]
            case _:
                return b"\xff" * 4 + frame


class Patience:
    """How long KMEs wait for each other: short, for each struck frame costs it.

    A slow disk or processor must not look like a blow: it doubles where two do not come to terms.
    """

    FIRST_S, LONGEST_S = 0.3, 10.0

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.seconds = self.FIRST_S
        self._set()

    def grow(self) -> None:
        self.seconds = min(2.0 * self.seconds, self.LONGEST_S)
        self._set()

    def _set(self) -> None:
        self._patch.setattr(peering, "HELLO_TIMEOUT_S", self.seconds)
        self._patch.setattr(service, "FIRST_FRAME_S", self.seconds)
        self._patch.setattr(link_keys, "AGREED_WITHIN_S", self.seconds)


class Both:
    """Two nodes that run, and every key that either ever gave."""

    def __init__(self, loop: Loop, pair: Pair, patience: Patience) -> None:
        self.loop = loop
        self.pair = pair
        self.patience = patience
        self.given: dict[bytes, bytes] = {}
        self.keys: dict[Side, LinkKeys] = {
            node.side: node.link_keys for node in (pair.alice, pair.bob)
        }

    def settled(self) -> bool:
        """Whether each has heard where the other is."""
        stand = {side: keys._pool.marks for side, keys in self.keys.items()}
        return all(
            stand[side].peer_sequence == stand[side.peer].sequence
            and keys.peer.met
            and keys._session is not None
            for side, keys in self.keys.items()
        )

    async def calm(self) -> None:
        """Until both have heard where the other is; not for long, for one may hear nothing."""
        async with asyncio.timeout(4.0 * self.patience.seconds):
            while not self.settled():
                await asyncio.sleep(0.01)

    async def strike(self, mangler: Mangler) -> None:
        """Keys leave while frames are struck, and leave as ever when they no longer are."""
        self.pair.wire.mangle = mangler
        begun = self.pair.wire.peerings
        self.pair.wire.cut()
        async with asyncio.timeout(PATIENCE_S):
            while mangler.blows and self.pair.wire.peerings < begun + 6:
                for side in Side:
                    await self.key(side)
                await self.pair_of_saes()
                await asyncio.sleep(0.02)
            self.pair.wire.mangle = None
            while not self.settled():
                for side in Side:
                    await self.key(side)  # what is said of it shows a connection that is spoilt
                try:
                    await self.calm()
                except TimeoutError:
                    self.patience.grow()
            while not await self.pair_of_saes():
                self.patience.grow()
                await asyncio.sleep(0.02)
        assert not any(keys.fences for keys in self.keys.values()), "key was voided"

    async def key(self, side: Side) -> None:
        """A key leaves at one node and at the other, once at each."""
        one, other = self.keys[side], self.keys[side.peer]
        grant = one.numbered(own=True, number=0)
        await self._leaves(await one.submit_take(grant, 1, 256), other, "")

    async def pair_of_saes(self) -> bool:
        """SAEs that never had a key together get one, if the KMEs can agree."""
        slave = f"b-{uuid4()}"
        try:
            drawn = await self.keys[Side.ALICE].take("a-1", (slave,), 1, 128)
        except PeerAbsent:
            return False
        await self._leaves(drawn, self.keys[Side.BOB], slave)
        return True

    async def _leaves(self, drawn: Delivery, other: LinkKeys, slave: str) -> None:
        assert drawn.ids not in self.given, "an id was made twice"
        assert drawn.keys.reveal() not in self.given.values(), "bits left twice"
        self.given[drawn.ids] = drawn.keys.reveal()
        found = other.read(drawn.ids, own=False)
        assert [grant is not None and slave in grant.slaves for grant in found.grants] == [True]
        fetched = await other.submit_leave(slave, found)
        assert fetched.keys == drawn.keys, "two sides have different bits"
        with pytest.raises(KeyGone):
            await other.submit_leave(slave, found)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder: Path = tmp_path_factory.mktemp("nodes")
    for side in Side:
        store = open_store(folder / side, side)
        add_ready(store, 1, STOCK)
        store.close()
    ready()
    with pytest.MonkeyPatch.context() as patch, Loop(asyncio.new_event_loop) as loop:
        patch.setattr(service, "RECONNECT_S", (0.02,))
        running = two_nodes(folder)
        pair = loop.wait(running.__aenter__())
        try:
            found = Both(loop, pair, Patience(patch))
            for side, keys in found.keys.items():
                keys._serves = lambda name, side=side: name.startswith(side.value[0])  # type: ignore[misc]
            loop.wait(key_at_both(pair))
            loop.wait(_settled(found))
            yield found
        finally:
            loop.wait(running.__aexit__(None, None, None))


async def _settled(both: Both) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not both.settled():
            await asyncio.sleep(0.01)


@given(st.lists(blows, min_size=1, max_size=3))
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_frames_that_are_struck_cost_no_key_and_repeat_none(both: Both, blows: list[Blow]) -> None:
    both.loop.wait(both.strike(Mangler(list(blows))))


@pytest.mark.parametrize("kind", KINDS)
def test_every_blow_falls_on_a_connection_that_runs(both: Both, kind: str) -> None:
    mangler = Mangler([Blow(Side.ALICE, 2, kind), Blow(Side.BOB, 3, kind)])
    both.loop.wait(both.strike(mangler))
    assert mangler.fallen, "nothing was struck"


def test_a_line_that_takes_whatever_comes_is_found_out(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peering that is not sealed: what is altered is taken for the peer's word."""
    monkeypatch.setattr(line, "seal", lambda key, nonce, message, _: message)
    monkeypatch.setattr(line, "open_sealed", lambda key, nonce, frame, _: frame)
    with pytest.raises((AssertionError, PeerAbsent, NotEnoughKey)):
        both.loop.wait(both.strike(Mangler([Blow(Side.ALICE, 1, "flip")])))
    both.loop.wait(_fenced(both))


async def _fenced(both: Both) -> None:
    # The one who noticed may have to be told of by the other.
    async with asyncio.timeout(PATIENCE_S):
        while not any(keys.fences for keys in both.keys.values()):
            await asyncio.sleep(0.01)


def test_a_connection_that_fails_as_the_node_stops_does_not_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with asyncio.timeout(PATIENCE_S):
            async with two_nodes(tmp_path) as pair:
                began = asyncio.Event()
                spoilt: list[str] = []

                async def fails_when_cancelled(*_: Any) -> None:
                    began.set()
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        if spoilt:
                            raise
                        spoilt.append("at that moment")
                        raise PeeringBroken("a frame was spoilt") from None

                monkeypatch.setattr(pair.alice._peering, "run", fails_when_cancelled)
                pair.wire.cut()
                await began.wait()

    asyncio.run(test())
