"""What a node draws from: the operating system, or a device that fails closed with a reason."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.crypto.randomness.fifos import Fifo, fifo, good
from tests.node.nodes import Pair, ready, two_nodes
from tests.patience import PATIENCE_S

from bellwire.base.detections import Protocol, Side
from bellwire.base.errors import UnreachableError
from bellwire.crypto.errors import DeviceUnusable, HealthTestFailed, RandomnessFailed
from bellwire.crypto.randomness.hardware import HardwareSource
from bellwire.crypto.randomness.source import OperatingSystem, RandomSource
from bellwire.crypto.stream import SEED_BYTES
from bellwire.distill.choice import Conditions
from bellwire.distill.messages import TICKET_BYTES
from bellwire.distill.report import ASSUMPTIONS, BlockReport
from bellwire.distill.verdict import Reason
from bellwire.node import logs
from bellwire.node.policy import Policy
from bellwire.node.randomness import open_random, tell_failed, tell_opened
from bellwire.node.settings import RandomSettings

EVERY_DRAW = 0.0
STUCK = bytes(1000)


def device(path: Path, **changed: float) -> RandomSettings:
    words = {"entropy_per_byte": 7.0, "reseed_s": EVERY_DRAW, **changed}
    return RandomSettings.model_validate({"source": f"device:{path}", **words})


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    ready()  # compiling is no part of what is bounded
    asyncio.run(bounded())


async def distil(pair: Pair, pulses: int = 60_000) -> BlockReport:
    """A block, once the nodes have met."""
    while True:
        try:
            return await pair.alice.distil(Protocol.E91, pulses)
        except UnreachableError:
            await asyncio.sleep(0.01)


async def reported_by(pair: Pair, side: Side, number: int) -> BlockReport:
    node = pair.alice if side is Side.ALICE else pair.bob
    while True:
        for _, _, report in node.reports():
            if report.number == number:
                return report
        await asyncio.sleep(0.005)


def test_the_operating_system_is_the_default() -> None:
    source = open_random(RandomSettings())
    assert isinstance(source, OperatingSystem)
    assert isinstance(Policy().random, OperatingSystem)


def test_a_device_is_opened_and_tested_by_its_setting(tmp_path: Path) -> None:
    with fifo(tmp_path / "rng", good()) as rng:
        source = open_random(device(rng.path))
        assert isinstance(source, HardwareSource)
        assert source.name == f"device:{rng.path}"
        assert len(source.draw(32)) == 32
        source.close()


def test_a_device_that_does_not_pass_is_not_opened_and_the_log_says_why(tmp_path: Path) -> None:
    told: list[str] = []
    with fifo(tmp_path / "rng", bytes(5000)) as rng, pytest.raises(HealthTestFailed):
        open_random(device(rng.path), told.append)
    assert len(told) == 1
    with pytest.raises(DeviceUnusable):
        open_random(device(tmp_path / "none"), told.append)


def test_a_policy_draws_from_its_source(tmp_path: Path) -> None:
    with fifo(tmp_path / "rng", good()) as rng:
        source = open_random(device(rng.path))
        policy = Policy(random=source)
        tickets = {policy.ticket(1, probe=False) for _ in range(5)}
        assert {len(each) for each in tickets} == {TICKET_BYTES}
        opening = policy.opening(1, Protocol.E91, 1000, min(tickets), Conditions(), probe=False)
        seeds = {policy.choice_seed(opening) for _ in range(5)}
        assert (len(tickets), len(seeds)) == (5, 5)
        assert {len(each) for each in seeds} == {SEED_BYTES}
        source.close()
        with pytest.raises(RandomnessFailed):
            policy.choice_seed(opening)
    assert "random" not in repr(policy)


def broken_at(side: Side, folder: Path, spoil: Callable[[Fifo], None], seen: list[bool]) -> None:
    """Two nodes, one with a device that is spoilt after a good block: no block after it."""

    async def test() -> None:
        with fifo(folder / "rng", good()) as rng:
            source: RandomSource = open_random(device(rng.path, timeout_s=0.3))
            async with two_nodes(folder, step_timeout_s=60.0, randoms={side: source}) as pair:
                first = await distil(pair)
                assert first.accepted
                mine = (await reported_by(pair, side, first.number)).assumptions
                other = (await reported_by(pair, side.peer, first.number)).assumptions
                assert other == ASSUMPTIONS[Protocol.E91]
                assert mine[:-1] == other
                assert f"hardware ({rng.path}, health-tested)" in mine[-1]
                spoil(rng)
                assert (await distil(pair)).reason is Reason.RANDOMNESS
                node = pair.alice if side is Side.ALICE else pair.bob
                spent = (await node.accounts()).reserve_sets
                for _ in range(3):
                    report = await distil(pair)
                    assert report.reason is Reason.RANDOMNESS
                    own = await reported_by(pair, side, report.number)
                    assert "the random device" in (own.message or "")
                    assert not own.assumptions  # it never began
                assert (await node.accounts()).reserve_sets == spent
                # Everything else goes on: keys that are there can be drawn and fetched.
                drawn = await pair.alice.keys.draw(256)
                assert (await pair.bob.keys.fetch(drawn.key_id)).key == drawn.key
                seen.append(True)
            source.close()

    run(test)


def stuck(rng: Fifo) -> None:
    rng.drain()
    rng.write(STUCK)


def silent(rng: Fifo) -> None:
    rng.drain()


def gone(rng: Fifo) -> None:
    rng.drain()
    rng.end()


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("spoil", [stuck, silent, gone])
def test_a_device_that_breaks_ends_blocks_at_its_node_and_nothing_else(
    tmp_path: Path, side: Side, spoil: Callable[[Fifo], None]
) -> None:
    seen: list[bool] = []
    broken_at(side, tmp_path, spoil, seen)
    assert seen


def test_a_node_says_in_its_status_why_nothing_is_decided(tmp_path: Path) -> None:
    async def test() -> None:
        with fifo(tmp_path / "rng", good()) as rng:
            source = open_random(device(rng.path))
            async with two_nodes(
                tmp_path, step_timeout_s=60.0, randoms={Side.ALICE: source}
            ) as pair:
                assert (await distil(pair)).accepted
                stuck(rng)
                assert not (await distil(pair)).accepted
                later = pair.alice._status.at(pair.alice._clock() + 1e6)
                assert not later.keys_may_flow
                assert "the repetition count test of the random device failed" in later.reason
            source.close()

    run(test)


def test_the_log_has_what_is_drawn_from_and_what_failed_and_no_bytes(tmp_path: Path) -> None:
    stream = io.StringIO()
    logs.setup("debug", "json", stream)
    settings = device(tmp_path / "rng")
    with fifo(tmp_path / "rng", good()) as rng:
        source = open_random(settings, tell_failed)
        tell_opened(source, settings)
        tell_opened(OperatingSystem(), RandomSettings())
        drawn = source.draw(32)
        stuck(rng)
        with pytest.raises(HealthTestFailed):
            source.draw(32)
    hardware, system, failed = (json.loads(line) for line in stream.getvalue().splitlines())
    assert hardware["event"] == system["event"] == "random source"
    assert (hardware["source"], hardware["entropy_per_byte"]) == (f"device:{rng.path}", 7.0)
    assert system["source"] == "os"
    assert (failed["event"], failed["level"]) == ("random device failed", "error")
    assert "repetition count" in failed["why"]
    assert drawn.hex() not in stream.getvalue()
