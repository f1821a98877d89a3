"""Two nodes over TCP: blocks accepted and rejected, connections lost, pending blocks settled."""

import asyncio
import contextlib
import itertools
import math
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.keys.faults import Armed, Faults, FaultyConnection
from tests.node.nodes import (
    PREPLACED,
    LinkEnd,
    Pair,
    TwoHalves,
    make_node,
    met,
    open_store,
    two_nodes,
)
from tests.patience import PATIENCE_S

from bellwire.base.detections import OF_PHOTONS, Protocol, Side
from bellwire.base.errors import BellwireError, UnreachableError, UsageError
from bellwire.distill.report import BlockReport
from bellwire.distill.verdict import Reason
from bellwire.keys.errors import LinkRed, StoreError
from bellwire.keys.model import BlockState
from bellwire.keys.reserve import preplaced_bytes
from bellwire.keys.status import Status
from bellwire.node import assemble, service
from bellwire.node.material import Photons
from bellwire.node.policy import Policy
from bellwire.node.service import Schedule


async def connected(pair: Pair) -> None:
    """Return once Alice's node takes blocks and both KMEs let keys leave."""
    while True:
        try:
            await pair.alice.distil(Protocol.E91, 1)
        except UnreachableError:
            await asyncio.sleep(0.01)
        else:
            return await met(pair)


async def distil(
    pair: Pair, protocol: Protocol = Protocol.E91, pulses: int = 60_000
) -> BlockReport:
    return await pair.alice.distil(protocol, pulses)


async def reports_agree(pair: Pair, number: int) -> tuple[BlockReport, BlockReport]:
    found: dict[Side, BlockReport] = {}
    for side, node in ((Side.ALICE, pair.alice), (Side.BOB, pair.bob)):
        while side not in found:
            for _, _, report in node.reports():
                if report.number == number and not report.probe:
                    found[side] = report
            await asyncio.sleep(0.005)
    return found[Side.ALICE], found[Side.BOB]


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    asyncio.run(bounded())


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_a_clean_block_gives_both_nodes_the_same_key_under_the_same_id(
    tmp_path: Path, protocol: Protocol
) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            await connected(pair)
            report = await distil(pair, protocol, 100_000)
            ours, theirs = await reports_agree(pair, report.number)
            assert ours.accepted
            assert theirs.accepted
            assert pair.stores[Side.ALICE].state(report.number) is BlockState.READY
            drawn = await pair.alice.keys.draw(256)
            fetched = await pair.bob.keys.fetch(drawn.key_id)
            assert drawn.key == fetched.key
            back = await pair.bob.keys.draw(512)
            assert (await pair.alice.keys.fetch(back.key_id)).key == back.key

    run(test)


def test_eve_turns_both_nodes_red_and_three_clean_blocks_end_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            await connected(pair)
            assert (await distil(pair)).accepted
            pair.link.eve = 3 * math.pi / 8
            report = await distil(pair)
            assert report.reason is Reason.CHSH
            assert report.qber is not None
            assert report.qber < 0.11
            await reports_agree(pair, report.number)
            for node in (pair.alice, pair.bob):
                assert node.keys.status().status is Status.RED
                with pytest.raises(LinkRed):
                    await node.keys.draw(256)
            pair.link.eve = None
            for expected in (Status.RED, Status.RED, Status.GREEN):
                report = await distil(pair)
                assert report.accepted
                await reports_agree(pair, report.number)
                assert pair.alice.keys.status().status is expected
                assert pair.bob.keys.status().status is expected
            await pair.alice.keys.draw(256)

    run(test)


def test_probes_watch_without_spending_key_or_yielding_any(tmp_path: Path) -> None:
    async def test() -> None:
        schedule = Schedule(probe_interval_s=0.02, probe_pulses=20_000)
        async with two_nodes(tmp_path, schedule=schedule) as pair:
            while not any(r.probe and r.accepted for _, _, r in pair.bob.reports()):
                await asyncio.sleep(0.01)
            before = await pair.alice.accounts()
            assert before.consumed_bits == 0
            assert before.stock_bits == 0
            pair.link.eve = math.pi / 4
            while pair.bob.keys.status().status is not Status.RED:
                await asyncio.sleep(0.01)
            pair.link.eve = None
            while pair.bob.keys.status().status is not Status.GREEN:
                await asyncio.sleep(0.01)
            assert await pair.alice.accounts() == before
            assert pair.stores[Side.ALICE].last_block() == 0

    run(test)


def test_the_stock_is_filled_to_its_target_and_then_probed(tmp_path: Path) -> None:
    async def test() -> None:
        schedule = Schedule(
            pulses=60_000, target_stock_bits=4_000, probe_interval_s=0.05, probe_pulses=20_000
        )
        async with two_nodes(tmp_path, schedule=schedule) as pair:
            while not any(r.probe for _, _, r in pair.alice.reports()):
                await asyncio.sleep(0.01)
            assert (await pair.alice.accounts()).stock_bits >= 4_000

    run(test)


def test_a_frame_altered_on_the_way_ends_the_block_and_the_nodes_meet_again(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            await connected(pair)

            def flip(sender: Side, number: int, frame: bytes) -> bytes:
                if sender is Side.BOB and number == 9:
                    return frame[:20] + bytes([frame[20] ^ 1]) + frame[21:]
                return frame

            pair.wire.tamper = flip
            pair.wire.cut()
            while pair.alice.keys.status().status is not Status.RED:
                with contextlib.suppress(UnreachableError):
                    await distil(pair)
            pair.wire.tamper = None
            await connected(pair)
            assert (await distil(pair)).accepted

    run(test)


def be_patient(pair: Pair) -> None:
    """From the next connection on no step ends by time: a disk may be as slow as it likes."""
    for node in (pair.alice, pair.bob):
        node._step_timeout_s = PATIENCE_S
    pair.wire.cut()


@pytest.mark.parametrize("dropped", range(3, 12, 2))
@pytest.mark.parametrize("sender", list(Side))
def test_a_lost_frame_ends_the_block_by_timeout_never_the_node(
    tmp_path: Path, sender: Side, dropped: int
) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path, step_timeout_s=0.3) as pair:
            await connected(pair)
            pair.wire.tamper = lambda s, n, frame: None if (s, n) == (sender, dropped) else frame
            pair.wire.cut()
            for _ in range(4):
                try:
                    await distil(pair)
                except BellwireError:
                    await asyncio.sleep(0.01)
            pair.wire.tamper = None
            be_patient(pair)
            await connected(pair)
            report = await distil(pair)
            assert report.accepted
            await reports_agree(pair, report.number)

    run(test)


@pytest.mark.parametrize("loser", list(Side))
def test_a_block_whose_last_message_was_lost_is_settled_when_the_nodes_meet_again(
    tmp_path: Path, loser: Side
) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path, step_timeout_s=PATIENCE_S) as pair:
            await connected(pair)
            last: dict[Side, int] = {}

            def count(sender: Side, number: int, frame: bytes) -> bytes:
                last[sender] = number
                return frame

            pair.wire.tamper = count
            pair.wire.cut()
            await connected(pair)
            report = await distil(pair)
            number = report.number + 1

            def stop_at_stored(sender: Side, at: int, frame: bytes) -> bytes | None:
                # STORED is the one step whose body is just the block's number in an array.
                if sender is loser.peer and frame[:-16].endswith(bytes([0x91, number])):
                    pair.wire.cut()
                    return None
                return frame

            pair.wire.tamper = stop_at_stored
            # The cut may take the other side's STORED with it: then both are to be settled.
            with contextlib.suppress(UnreachableError):
                assert (await distil(pair)).accepted
            assert pair.stores[loser].last_block() == number
            pair.wire.tamper = None
            await connected(pair)
            for side in Side:
                assert pair.stores[side].state(number) is BlockState.READY
            drawn = [await pair.alice.keys.draw(8) for _ in range(2)]
            assert all([(await pair.bob.keys.fetch(d.key_id)).key == d.key for d in drawn])

    run(test)


def test_nodes_with_different_preplaced_keys_never_run_a_block(tmp_path: Path) -> None:
    async def test() -> None:
        other = bytes(reversed(PREPLACED))
        keys = {Side.ALICE: PREPLACED, Side.BOB: other}
        async with two_nodes(tmp_path, preplaced=keys) as pair:
            with pytest.raises(UnreachableError):
                await distil(pair)
            while pair.wire.connections < 3:
                await asyncio.sleep(0.01)
            assert pair.bob.reports() == []
            assert pair.alice.reports() == []

    run(test)


def test_a_used_up_authentication_key_pauses_blocks_and_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        short = PREPLACED[: preplaced_bytes(2)]
        async with two_nodes(tmp_path, preplaced=dict.fromkeys(Side, short)) as pair:
            await connected(pair)  # burns set 1
            pair.link.eve = math.pi / 4
            assert (await distil(pair)).reason is Reason.CHSH  # burns set 2
            report = await distil(pair)
            assert report.reason is Reason.RESERVE
            assert report.message is not None
            assert "authentication" in report.message

    run(test)


def test_accepted_blocks_refill_the_authentication_key(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            await connected(pair)
            before = await pair.alice.accounts()
            assert (await distil(pair)).accepted
            after = await pair.alice.accounts()
            assert after.consumed_bits - before.consumed_bits == 512
            assert after.refilled_bits >= 512
            assert after.reserve_sets >= before.reserve_sets

    run(test)


def test_settings_that_differ_are_told_to_both(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            await connected(pair)
            pair.alice._material = Photons(pair.link.end(Side.ALICE), Policy(red_qber=0.2))
            pair.wire.cut()
            await connected(pair)
            report = await distil(pair)
            ours, theirs = await reports_agree(pair, report.number)
            assert ours.reason is theirs.reason is Reason.DISAGREED

    run(test)


def test_a_link_that_gives_nothing_ends_the_block_at_both_nodes(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            await connected(pair)
            pair.link.fails = UnreachableError("the fibre is unplugged")
            report = await distil(pair)
            assert report.reason is Reason.LINK
            pair.link.fails = None
            assert (await distil(pair)).accepted

    run(test)


def test_a_side_that_waits_for_its_half_hears_that_the_peer_gave_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path, step_timeout_s=0.2) as pair:
            await connected(pair)
            pair.link.holds[Side.BOB] = asyncio.Event()
            report = await distil(pair)
            assert report.reason is Reason.TIMEOUT
            _, theirs = await reports_agree(pair, report.number)
            assert theirs.reason is Reason.TIMEOUT
            del pair.link.holds[Side.BOB]
            be_patient(pair)
            await connected(pair)
            assert (await distil(pair)).accepted

    run(test)


def test_only_alices_node_opens_blocks_and_only_within_the_policy(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            with pytest.raises(UsageError, match="Alice"):
                await pair.bob.distil(Protocol.E91, 1000)
            with pytest.raises(UsageError, match="pulses"):
                await pair.alice.distil(Protocol.E91, 1 << 30)

    run(test)


def test_a_node_whose_store_has_failed_for_good_ends_with_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "TEND_EVERY_S", 0.01)

    def connect(path: Path) -> sqlite3.Connection:
        words: dict[str, Any] = {"isolation_level": None, "check_same_thread": False}
        return sqlite3.connect(path, factory=FaultyConnection, **words)

    monkeypatch.setattr("bellwire.keys.database.sqlite.connect", connect)

    async def test() -> None:
        store = open_store(tmp_path, Side.BOB)
        photons = Photons(LinkEnd(TwoHalves(), Side.BOB), Policy())
        node = make_node(Side.BOB, store, photons)
        for_ever = asyncio.create_task(asyncio.sleep(3600.0))
        Armed.faults = Faults(3, sqlite3.OperationalError("the disk is full"), after=False)
        with pytest.raises(StoreError, match="the disk is full"):
            store.last_block()
        Armed.faults = None
        with pytest.raises(
            StoreError, match="is closed, because a commit failed: the disk is full"
        ):
            await assemble._until(for_ever, None, None, node, None)
        store.close()

    run(test)


def test_strangers_on_bobs_port_disturb_nobody(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            await connected(pair)
            for data in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\4abcd", b"\xff" * 64):
                _, writer = await asyncio.open_connection("127.0.0.1", pair.port)
                writer.write(data)
                await writer.drain()
                writer.close()
                await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            assert (await distil(pair)).accepted
            with pytest.raises(UsageError, match="cannot listen"):
                await pair.bob.serve_peer("127.0.0.1", pair.port)

    run(test)


def test_strangers_who_hold_connections_open_do_not_lock_the_peer_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_UNPROVEN", 3)
    monkeypatch.setattr(service, "FIRST_FRAME_S", 3600.0)

    async def test() -> None:
        async with two_nodes(tmp_path) as pair, contextlib.AsyncExitStack() as held:
            await connected(pair)
            door = await pair.bob.serve_peer("127.0.0.1", 0)  # Bob's own, beside the wire
            held.callback(door.close)
            strangers = []
            for _ in range(4):
                reader, writer = await asyncio.open_connection(*door.sockets[0].getsockname())
                held.callback(writer.close)
                strangers.append(reader)
            assert await strangers[0].read() == b""
            pair.wire.cut()
            await connected(pair)
            assert (await distil(pair)).accepted
            assert await strangers[1].read() == b""
            assert not strangers[3].at_eof()

    run(test)


def test_an_idle_node_notices_at_once_that_its_connection_is_gone(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:  # whose next probe is an hour away
            await connected(pair)
            before = pair.wire.connections
            pair.wire.cut()
            while pair.wire.connections == before:
                await asyncio.sleep(0.01)
            await connected(pair)
            assert (await distil(pair)).accepted

    run(test)


def test_a_stock_that_cannot_be_filled_is_not_hammered(tmp_path: Path) -> None:
    async def test() -> None:
        # 3,000 pairs are too few for E91: every block fails, and spends a set of pads.
        schedule = Schedule(
            pulses=3_000, target_stock_bits=1_000, probe_interval_s=0.05, probe_pulses=20_000
        )
        async with two_nodes(tmp_path, schedule=schedule) as pair:
            while sum(not r.probe for _, _, r in pair.alice.reports()) < 4:
                await asyncio.sleep(0.01)
            kinds = [r.probe for _, _, r in pair.alice.reports()]
            assert all(a or b for a, b in itertools.pairwise(kinds))

    run(test)


def test_an_operator_who_leaves_does_not_take_the_node_along(tmp_path: Path) -> None:
    async def test() -> None:
        async with two_nodes(tmp_path) as pair:
            await connected(pair)
            for _ in range(3):
                asking = asyncio.create_task(distil(pair))
                await asyncio.sleep(0)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            pair.wire.cut()
            asking = asyncio.create_task(distil(pair))
            await asyncio.sleep(0)
            asking.cancel()
            await connected(pair)
            assert (await distil(pair)).accepted

    run(test)
