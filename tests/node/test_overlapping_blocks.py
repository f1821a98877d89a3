"""Several blocks under way at once: each its own conversation, all kept in one order."""

import asyncio
import random
from pathlib import Path

import msgspec
import pytest
from tests.node.nodes import QUIET, Pair, two_nodes
from tests.node.test_service import connected, run

from bellwire.base.detections import Protocol, Side
from bellwire.base.errors import UnreachableError
from bellwire.distill.report import BlockReport
from bellwire.distill.verdict import Reason
from bellwire.node.service import Schedule

PULSES = 40_000


class Watch:
    """A wire's tamper that notes which block each step is of, and may drop or cut."""

    def __init__(self) -> None:
        self.blocks: dict[Side, list[int]] = {side: [] for side in Side}
        self.stored: dict[Side, list[int]] = {side: [] for side in Side}

    def __call__(self, sender: Side, _number: int, frame: bytes) -> bytes | None:
        # A later STEP is ["step", probe, number, step, body] and a MAC.
        if frame[1:6] == b"\xa4step":
            _, probe, number, _, body = msgspec.msgpack.decode(frame[:-16])
            if not probe:
                self.blocks[sender].append(number)
                if body == msgspec.msgpack.encode([number]):
                    self.stored[sender].append(number)
        return frame


async def blocks(pair: Pair, count: int) -> list[BlockReport | BaseException]:
    return await asyncio.gather(
        *(pair.alice.distil(Protocol.BB84, PULSES) for _ in range(count)), return_exceptions=True
    )


async def same_states(pair: Pair, last: int) -> None:
    """Return once both stores say the same of every block."""
    while True:
        states = [[pair.stores[side].state(n) for n in range(1, last + 1)] for side in Side]
        if states[0] == states[1]:
            return
        await asyncio.sleep(0.01)


def test_blocks_asked_for_together_run_together_and_are_kept_in_order(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            await connected(pair)
            watch = Watch()
            pair.wire.tamper = watch
            pair.wire.cut()
            await connected(pair)
            reports = await blocks(pair, 5)
            assert all(isinstance(r, BlockReport) and r.accepted for r in reports)
            numbers = [r.number for r in reports if isinstance(r, BlockReport)]
            assert numbers == list(range(min(numbers), min(numbers) + 5))
            await same_states(pair, max(numbers))
            said = watch.blocks[Side.ALICE]
            last = {number: at for at, number in enumerate(said)}
            together = sum(said.index(n + 1) < last[n] for n in numbers[:-1])
            assert together, "the blocks ran one after the other"
            assert watch.stored == dict.fromkeys(Side, numbers)
            drawn = [await pair.alice.keys.draw(256) for _ in range(8)]
            for each in drawn:
                assert (await pair.bob.keys.fetch(each.key_id)).key == each.key

    run(test)


def test_a_peer_that_answers_one_block_at_a_time_makes_the_others_wait(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            pair.bob._schedule = Schedule(probe_interval_s=3600.0, blocks_in_flight=1)
            await connected(pair)
            pair.wire.cut()
            await connected(pair)
            reports = await blocks(pair, 4)
            assert all(isinstance(r, BlockReport) and r.accepted for r in reports)

    run(test)


def test_a_block_that_stalls_ends_alone(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path, step_timeout_s=10.0) as pair:
            await connected(pair)
            pair.link.holds[Side.BOB] = hold = asyncio.Event()
            first = asyncio.create_task(pair.alice.distil(Protocol.BB84, PULSES))
            while not pair.link.held:
                await asyncio.sleep(0.01)
            del pair.link.holds[Side.BOB]
            rest = await blocks(pair, 3)
            report = await first
            hold.set()
            assert report.reason is Reason.TIMEOUT
            assert all(isinstance(r, BlockReport) and r.accepted for r in rest)
            await same_states(pair, report.number + 3)

    run(test)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_cut_off_in_mid_flight_both_stores_agree_in_the_end(
    tmp_path: Path, seed: int
) -> None:
    async def test() -> None:
        rng = random.Random(seed)
        async with two_nodes(tmp_path, schedule=QUIET, step_timeout_s=2.0) as pair:
            await connected(pair)
            for _ in range(3):
                left = rng.randrange(5, 160)

                def cut(_sender: Side, _number: int, frame: bytes) -> bytes | None:
                    nonlocal left
                    left -= 1
                    if left == 0:
                        pair.wire.cut()
                    return frame

                pair.wire.tamper = cut
                for outcome in await blocks(pair, 3):
                    assert isinstance(outcome, BlockReport | UnreachableError)
            pair.wire.tamper = None
            await connected(pair)
            reports = await blocks(pair, 2)
            assert all(isinstance(r, BlockReport) and r.accepted for r in reports)
            last = max(r.number for r in reports if isinstance(r, BlockReport))
            await same_states(pair, last)
            for node in (pair.alice, pair.bob):
                said = [r.number for _, _, r in node.reports() if not r.probe]
                assert len(said) == len(set(said)), "a block was reported twice"
            drawn = [await pair.bob.keys.draw(512) for _ in range(2)]
            for each in drawn:
                assert (await pair.alice.keys.fetch(each.key_id)).key == each.key

    run(test)
