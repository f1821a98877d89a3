"""A peer that has the right keys and lies, floods, stalls or stops: the node names it and lives."""

import asyncio
import socket
import struct
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from tests.node.nodes import PREPLACED, open_store
from tests.node.rogue import PULSES, Change, Rogue, Twist, against, as_said
from tests.patience import PATIENCE_S
from tests.simulators.halves import Prepared

from bellwire.base.detections import Half, Protocol, Side
from bellwire.base.frames import ConnectionEnded, read_frame, write_frame
from bellwire.distill.line import MAX_FRAME, MAX_SYNC, Ended, Frame, Step, Sync
from bellwire.distill.messages import NONCE_BYTES, Announced, encode
from bellwire.distill.verdict import Reason
from bellwire.keys.model import KeySourceKind
from bellwire.keys.reserve import MAC_KEY_BYTES
from bellwire.node import under_way
from bellwire.node.vault import StoreVault


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    asyncio.run(bounded())


# --- what a peer says inside a block


def at(step: int, instead: tuple[int, bytes]) -> Change:
    """Another message in place of one step."""
    return lambda n, body: [instead] if n == step else [(n, body)]


def silent(since: int) -> Change:
    """Nothing from a step on."""
    return lambda n, body: [(n, body)] if n < since else []


def again(step: int, of: int) -> Change:
    """After a step, an earlier one once more."""
    said: dict[int, bytes] = {}

    def change(n: int, body: bytes) -> list[tuple[int, bytes]]:
        said[n] = body
        return [(n, body), (of, said[of])] if n == step else [(n, body)]

    return change


def false_parities(step: int, body: bytes) -> list[tuple[int, bytes]]:
    """The first parity of every round but the first is the other one."""
    return [(step, bytes([body[0] ^ 1]) + body[1:] if 4 < step < 40 else body)]


def other_bases(half: Half) -> Half:
    """A peer that prepared in one basis and says the other."""
    everything = half.at(np.arange(PULSES))
    return Prepared(everything.settings ^ np.uint8(1), everything.outcomes)


def other_bits(half: Half) -> Half:
    everything = half.at(np.arange(PULSES))
    return Prepared(everything.settings, everything.outcomes ^ np.uint8(1))


def honest(half: Half) -> Half:
    return half


PARITIES_FAIL = {Reason.RECONCILIATION, Reason.VERIFICATION, Reason.MALFORMED, Reason.OUT_OF_STEP}
LIES: dict[str, tuple[Change, Twist, set[Reason]]] = {
    "false bases": (as_said, other_bases, {Reason.QBER}),
    "every bit wrong": (as_said, other_bits, {Reason.QBER}),
    "parities that cannot be": (false_parities, honest, PARITIES_FAIL),
    "too few bases": (
        at(2, (2, encode(Announced(b"\0\7", b"", bytes(NONCE_BYTES))))),
        honest,
        {Reason.MALFORMED},
    ),
    "no list of slots": (at(1, (1, b"")), honest, {Reason.MALFORMED}),
    "the opening once more": (again(3, of=0), honest, {Reason.OUT_OF_STEP}),
    "an earlier step once more": (again(4, of=2), honest, {Reason.OUT_OF_STEP}),
    "a step of the far future": (at(3, ((1 << 32) - 1, b"")), honest, {Reason.OUT_OF_STEP}),
    "nothing from step 1 on": (silent(1), honest, {Reason.TIMEOUT}),
    "nothing from step 4 on": (silent(4), honest, {Reason.TIMEOUT}),
    "nothing from step 20 on": (silent(20), honest, {Reason.TIMEOUT}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_ends_the_block_by_name_and_the_next_one_gives_key(tmp_path: Path, lie: str) -> None:
    change, twist, reasons = LIES[lie]

    async def test() -> None:
        stalls = Reason.TIMEOUT in reasons
        patience = 0.5 if stalls else PATIENCE_S
        async with against(tmp_path, Side.BOB, step_timeout_s=patience) as bob, bob.peer() as rogue:
            await rogue.meet()
            assert not (await rogue.block(change=change, twist=twist)).accepted
            report = await bob.reported(1)
            assert not report.accepted
            assert report.reason in reasons
            assert report.secret_bits == 0
            if not stalls:
                await bob.lives(rogue)

    run(test)


@pytest.mark.parametrize("step", [0, 1, 2, 4, 9])
def test_a_bob_who_stops_answering_costs_alice_one_block(tmp_path: Path, step: int) -> None:
    async def test() -> None:
        bounds = against(tmp_path, Side.ALICE, step_timeout_s=0.5)
        async with bounds as alice, alice.peer() as rogue:
            await rogue.meet()
            order = await alice.order()
            await rogue.block(change=silent(step))
            assert (await order).reason is Reason.TIMEOUT

    run(test)


def test_a_peer_that_takes_all_its_time_for_each_step_has_an_hour_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_way, "BLOCK_TIMEOUT_S", 0.5)

    async def test() -> None:
        async with against(tmp_path, Side.BOB) as bob, bob.peer() as rogue:
            await rogue.meet()
            await rogue.say(Step(False, 1, 0, encode(await rogue.open())))
            report = await bob.reported(1)  # a step alone may take ten times as long
            assert report.reason is Reason.TIMEOUT

    run(test)


def test_settings_that_change_are_no_block_of_ours(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {"sample_share": 0.001},
        {"epsilon": 1e-3},
        {"red_qber": 0.5},
        {"chsh_floor": 2.0},
        {"rectilinear": 0.9},
        {"protocol": Protocol.DECOY},
    ]

    async def test() -> None:
        async with against(tmp_path, Side.BOB) as bob, bob.peer() as rogue:
            await rogue.meet()
            for number, change in enumerate(changes, 10):
                opening = msgspec.structs.replace(await rogue.open(), number=number, **change)
                await rogue.say(Step(False, number, 0, encode(opening)))
                assert await rogue.hear() == Ended(False, number, Reason.DISAGREED)
                assert (await bob.reported(number)).reason is Reason.DISAGREED
            await bob.lives(rogue)

    run(test)


def test_a_block_that_was_is_not_distilled_again(tmp_path: Path) -> None:
    async def test() -> None:
        said: list[tuple[int, bytes]] = []

        def note(step: int, body: bytes) -> list[tuple[int, bytes]]:
            said.append((step, body))
            return [(step, body)]

        async with against(tmp_path, Side.BOB) as bob, bob.peer() as rogue:
            await rogue.meet()
            assert (await rogue.block(change=note)).accepted
            await bob.reported(1)
            for step, body in said:
                await rogue.say(Step(False, 1, step, body))
            assert await rogue.hear() == Ended(False, 1, Reason.DISAGREED)
            await bob.lives(rogue)

    run(test)


def test_right_macs_and_wrong_one_time_keys_end_at_the_first_tag(tmp_path: Path) -> None:
    others = PREPLACED[:MAC_KEY_BYTES] + bytes(b ^ 1 for b in PREPLACED[MAC_KEY_BYTES:])

    async def test() -> None:
        async with against(tmp_path, Side.BOB) as bob:
            store = open_store(tmp_path / "guessing", Side.ALICE, others)
            vault = StoreVault(store, KeySourceKind.SIMULATED, lambda: 0.0)
            async with bob.peer(vault) as rogue:
                await rogue.meet()
                await rogue.block()
                assert (await bob.reported(1)).reason is Reason.AUTHENTICATION
            store.close()
            async with bob.peer() as peer:
                await peer.meet()
                await bob.lives(peer)

    run(test)


# --- what ends the connection

RAW = {
    "a block's number of 2⁶³": msgspec.msgpack.encode(["step", False, 1 << 63, 0, b""]),
    "a step of 2⁶³": msgspec.msgpack.encode(["step", False, 1, 1 << 63, b""]),
    "a negative step": msgspec.msgpack.encode(["step", False, 1, -1, b""]),
    "a body of 4 GiB that is not there": b"\x95\xa4step\xc2\x01\x00\xc6\xff\xff\xff\xff",
    "an array of 2³² elements": b"\xdd\xff\xff\xff\xff",
    "arrays within arrays": b"\x91" * 100_000,
    "a second SYNC": encode(Sync(1, [])),
    "nothing": b"",
    "an opening that is none": encode(Step(False, 1, 0, b"\x90")),
    "an opening of a megabyte": encode(Step(False, 1, 0, bytes(1 << 20))),
    "two numbers of one block": encode(Step(False, 2, 0, b"")),
}


@pytest.mark.parametrize("what", RAW)
def test_what_no_peer_says_ends_the_connection_and_not_the_node(tmp_path: Path, what: str) -> None:
    async def test() -> None:
        async with against(tmp_path, Side.BOB) as bob:
            async with bob.peer() as rogue:
                await rogue.meet()
                await rogue.say(cast(Frame, msgspec.Raw(RAW[what])))
                await cut_off(rogue)
            async with bob.peer() as peer:
                await peer.meet()
                await bob.lives(peer)

    run(test)


async def cut_off(rogue: Rogue) -> None:
    """Return once the node has ended the connection, whatever it says before."""
    try:
        while True:
            await read_frame(rogue.reader, MAX_FRAME)
    except ConnectionEnded:
        return


STREAMS = {
    "a frame of 2³² − 1 bytes": b"\xff" * 4,
    "a frame one byte too long": struct.pack(">I", MAX_FRAME + 1),
    "a frame that is cut off": struct.pack(">I", 500) + bytes(499),
}


@pytest.mark.parametrize("what", STREAMS)
def test_lengths_that_lie_end_the_connection_and_not_the_node(tmp_path: Path, what: str) -> None:
    async def test() -> None:
        async with against(tmp_path, Side.BOB) as bob:
            async with bob.peer() as rogue:
                await rogue.meet()
                rogue.writer.write(STREAMS[what])
                rogue.writer.write_eof()
                await cut_off(rogue)
            async with bob.peer() as peer:
                await peer.meet()
                await bob.lives(peer)

    run(test)


def test_before_a_stranger_has_proved_who_it_is_nothing_long_is_taken_in(tmp_path: Path) -> None:
    async def test() -> None:
        async with against(tmp_path, Side.BOB) as bob:
            async with bob.peer() as stranger:
                await stranger.hello()
                stranger.writer.write(struct.pack(">I", MAX_SYNC + 1))
                await cut_off(stranger)
            async with bob.peer() as peer:
                await peer.meet(Sync(0, [(1 << 62) - i for i in range(64)]))  # the longest there is
                await bob.lives(peer)

    run(test)


def test_the_frames_of_an_earlier_connection_prove_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with against(tmp_path, Side.BOB) as bob:
            async with bob.peer() as peer:
                peer.sent = []
                await peer.meet()
                await bob.lives(peer)
            async with bob.peer() as rogue:
                for frame in peer.sent:
                    await write_frame(rogue.writer, frame)
                await cut_off(rogue)
            assert len(bob.node.reports()) == 1
            async with bob.peer() as peer:
                await peer.meet()
                await bob.lives(peer)

    run(test)


def test_a_number_that_leaves_no_authentication_key_is_named_and_not_taken(tmp_path: Path) -> None:
    async def test() -> None:
        async with against(tmp_path, Side.ALICE) as alice:
            async with alice.peer() as rogue:
                await rogue.meet(Sync(1 << 62, []))
                report = await (await alice.order())
                assert report.reason is Reason.RESERVE
            order = await alice.order()
            async with alice.peer() as peer:
                await peer.meet()
                assert (await peer.block()).accepted
                assert (await order).number == 1

    run(test)


# --- floods

FLOOD_BYTES = 20_000
MOST_BYTES = 12 << 20


def test_frames_of_blocks_that_are_not_there_cost_no_memory(tmp_path: Path) -> None:
    async def test() -> None:
        async with against(tmp_path, Side.BOB) as bob, bob.peer() as rogue:
            await rogue.meet()
            await bob.lives(rogue)
            body = bytes(FLOOD_BYTES)
            tracemalloc.start()
            try:
                for number in range(2_000):
                    await rogue.say(Step(bool(number % 2), 5 + number, 1 + number % 9, body))
                await bob.lives(rogue)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < MOST_BYTES  # 40 MB crossed

    run(test)


def test_more_blocks_than_may_wait_end_the_connection(tmp_path: Path) -> None:
    async def test() -> None:
        async with against(tmp_path, Side.BOB) as bob:
            bob.light.holds[Side.BOB] = asyncio.Event()  # he waits for his halves meanwhile
            async with bob.peer() as rogue:
                await rogue.meet()
                opening = await rogue.open()
                for number in range(1, 60):
                    other = encode(msgspec.structs.replace(opening, number=number))
                    await rogue.say(Step(False, number, 0, other))
                    if number == 1:
                        assert await rogue.hear() == Step(False, 1, 0, other)  # it is under way
                await cut_off(rogue)
                assert (await bob.reported(1)).reason is Reason.MALFORMED
            del bob.light.holds[Side.BOB]
            async with bob.peer() as peer:
                await peer.meet()
                await bob.lives(peer)

    run(test)


@pytest.mark.parametrize("probe", [False, True])
def test_answers_that_nobody_asked_for_are_not_kept(tmp_path: Path, probe: bool) -> None:
    async def test() -> None:
        async with against(tmp_path, Side.ALICE) as alice, alice.peer() as rogue:
            await rogue.meet()
            for number in range(1, 500):
                await rogue.say(Step(probe, 20 + number, number % 3, bytes(2_000)))
                await rogue.say(Ended(probe, 20 + number, Reason.QBER))
            await alice.lives(rogue)
            assert len(alice.node.reports()) == 1

    run(test)


def test_who_reads_nothing_of_what_we_say_is_given_up(tmp_path: Path) -> None:
    pulses = 4_000_000  # settings of 500 kB

    async def test() -> None:
        async with against(tmp_path, Side.BOB, step_timeout_s=1.0) as bob:
            door = bob.server.sockets[0]
            door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            async with bob.peer() as rogue:
                await rogue.meet()
                opening = await rogue.open(pulses=pulses)
                deafened = asyncio.create_task(rogue.block(opening, deafen(rogue)))
                report = await bob.reported(1)
                assert report.reason is Reason.LOST
                assert report.message == "the peer takes nothing of what we send"
                deafened.cancel()
                await asyncio.gather(deafened, return_exceptions=True)
            async with bob.peer() as peer:
                await peer.meet()
                await bob.lives(peer)

    run(test)


def deafen(rogue: Rogue) -> Change:
    """From step 1 on the peer speaks and does not listen."""

    def change(step: int, body: bytes) -> list[tuple[int, bytes]]:
        if step == 1:
            rogue.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, 4096
            )
            rogue.writer.transport.pause_reading()  # type: ignore[attr-defined]  # of TCP
        return [(step, body)]

    return change
