"""Sessions on demand, from light to a client at each end: one pad, once, or a record of why not."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

import msgspec
import pytest
from tests.node.test_door import Doors, doors, until
from tests.patience import PATIENCE_S

from bellwire.base.detections import Protocol, Side
from bellwire.base.frames import ConnectionEnded
from bellwire.distill import amplification, ldpc
from bellwire.distill.line import Declined, Wanted
from bellwire.distill.messages import Fresh
from bellwire.distill.verdict import Reason
from bellwire.etsi014.errors import (
    KmeRejected,
    KmeUnauthorised,
    KmeUnavailable,
    SessionAborted,
)
from bellwire.etsi014.exchange import Extras
from bellwire.etsi014.fresh import FreshPad
from bellwire.etsi014.record import FRESH, SessionRecord
from bellwire.keys.session_pads import PadFor
from bellwire.keys.store import KeyStore
from bellwire.node import fresh
from bellwire.node.service import NodeService

BITS = 1024
PAIRS = [("alice", "bob"), ("bob", "alice")]
ALONG = 1.178
"""3π/8: Eve's axis."""


@cache
def warm() -> None:
    """Compile what sessions need: whoever asks for one does not wait for that."""
    ldpc.warm()
    amplification.warm(200_000)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    warm()
    asyncio.run(bounded())


def nodes_of(kmes: Doors) -> dict[str, NodeService]:
    return {"alice": kmes.pair.alice, "bob": kmes.pair.bob}


async def make(kmes: Doors, master: str, slave: str, bits: int = BITS) -> FreshPad:
    return await kmes.clients[master].fresh(slave, bits)


def rows(store: KeyStore) -> dict[str, int]:
    """How much of sessions and blocks a store holds, readable or not."""
    with store._database.transaction() as cursor:
        return {
            table: cursor.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("sessions", "pending_bits", "copies")
        }


@pytest.mark.parametrize(("master", "slave"), PAIRS)
def test_a_session_gives_each_end_one_pad_at_its_own_node_once(
    tmp_path: Path, master: str, slave: str
) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            nodes = nodes_of(kmes)
            stock = [node.link_keys.stock_bits for node in nodes.values()]
            made = await make(kmes, master, slave)
            assert len(made.pad) == BITS // 8
            with pytest.raises(KmeUnauthorised):
                await kmes.clients["bea" if slave == "bob" else "aldous"].pad(master, made.pad_id)
            got = await kmes.clients[slave].pad(master, made.pad_id)
            assert (got.pad_id, got.pad) == (made.pad_id, made.pad)
            with pytest.raises(KmeRejected, match="not found"):
                await kmes.clients[slave].pad(master, made.pad_id)
            with pytest.raises(KmeRejected, match="not found"):
                await kmes.clients[master].pad(slave, made.pad_id)
            again = await make(kmes, master, slave)
            assert again.pad != made.pad
            assert [node.link_keys.stock_bits for node in nodes.values()] == stock
            for store in kmes.pair.stores.values():
                # The master has its pad when both have stored it; the other end may be settling.
                await until(lambda: rows(store)["pending_bits"] == rows(store)["sessions"] == 0)  # noqa: B023
            assert rows(kmes.pair.stores[nodes[master].side])["copies"] == 0

    run(test)


def test_both_ends_have_the_record_of_a_session_and_nobody_else(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            made = await make(kmes, "alice", "bob", 8192)
            got = await kmes.clients["bob"].pad("alice", made.pad_id)
            assert made.record is not None
            assert got.record is not None
            one, other = made.record, got.record
            assert (one.session, one.master, one.slave) == (made.pad_id, "alice", "bob")
            assert (one.verdict, one.reason, one.source) == ("accept", None, "simulated")
            assert one.final_bits == 8192
            assert one.pairs >= one.coincidences == one.sifted_bits + one.test_pairs > 0
            assert one.s is not None
            assert one.s_stderr is not None
            assert one.qber is not None
            assert abs(one.s - 0.96 * 2.8284) < 6 * one.s_stderr
            assert abs(one.qber - 0.02) < 0.01
            assert one.leaked_bits > 0 < one.verification_bits
            steps = [each.step for each in one.steps]
            assert steps[:3] == ["opening", "detections", "slots"]
            assert steps[-1] == "storage"
            assert all(each.ms >= 0 for each in one.steps)
            assert sum(each.ms for each in one.steps) <= one.total_ms
            alike = ("session", "s", "s_stderr", "qber", "leaked_bits", "final_bits", "pairs")
            assert [getattr(one, each) for each in alike] == [
                getattr(other, each) for each in alike
            ]
            for reader, peer in PAIRS:
                assert [each.session for each in await kmes.clients[reader].records(peer)] == [
                    made.pad_id
                ]
            assert await kmes.clients["bea"].records("alice") == []
            assert await kmes.clients["alice"].records("bea") == []
            secret = made.pad.reveal().hex()
            for node in nodes_of(kmes).values():
                assert secret not in msgspec.json.encode(node.sessions.records.all()).decode()

    run(test)


@pytest.mark.parametrize(("master", "slave"), PAIRS)
def test_eve_aborts_a_session_and_both_ends_hear_why_and_the_next_succeeds_after_she_left(
    tmp_path: Path, master: str, slave: str
) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            kmes.pair.link.eve = ALONG
            stores, before = kmes.pair.stores, [0]
            for _ in range(3):  # the first turns the link RED, the others find it so
                before = [store.reserve_sets_left() for store in stores.values()]
                with pytest.raises(SessionAborted, match="S = 1") as caught:
                    await make(kmes, master, slave)
                record = caught.value.record
                assert (record.verdict, record.reason, record.final_bits) == (
                    "abort", Reason.CHSH.value, 0
                )  # fmt: skip
                assert record.s is not None
                assert record.s < 2
                assert record.qber is not None
                with pytest.raises(SessionAborted, match="S = 1") as theirs:
                    await kmes.clients[slave].pad(master, record.session)
                assert theirs.value.record.s == record.s
                for store in stores.values():
                    assert rows(store) == {"sessions": 0, "pending_bits": 0, "copies": 0}
            # In RED a session is a probe, which costs no authentication key.
            assert [store.reserve_sets_left() for store in stores.values()] == before
            with pytest.raises(KmeUnavailable, match="access"):
                await kmes.get(master, slave)
            kmes.pair.link.eve = None
            made, aborted = await once_green(kmes, master, slave)
            assert 1 <= len(aborted) <= 3  # RED ends after three that are good
            for each in aborted:
                assert each.reason == Reason.RED.value
                assert each.s is not None
                assert each.s > 2
            assert (await kmes.clients[slave].pad(master, made.pad_id)).pad == made.pad

    run(test)


def test_a_verdict_that_is_only_old_does_not_stand_against_a_session(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            nodes = nodes_of(kmes).values()
            for node in nodes:
                node._clock = lambda: time.time() + 20_000.0
            assert not any(node._flowing() for node in nodes)
            made = await make(kmes, "alice", "bob")
            assert made.record is not None
            assert all(node._flowing() for node in nodes)

    run(test)


def test_more_sessions_at_once_than_a_pair_may_have_are_refused_and_others_are_not(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            link, gate = kmes.pair.link, asyncio.Event()
            link.holds = dict.fromkeys(Side, gate)
            clients = kmes.clients
            waiting = [asyncio.create_task(clients["alice"].fresh("bob", BITS)) for _ in range(2)]
            await until(lambda: link.held == 4)
            with pytest.raises(KmeUnavailable, match="access"):
                await clients["alice"].fresh("bob", BITS)
            other = asyncio.create_task(clients["aldous"].fresh("bea", BITS))
            await until(lambda: link.held == 6)
            drawn = await kmes.get("alice", "bob")  # the pool is not held up
            assert await kmes.fetch("bob", "alice", drawn) == drawn
            link.holds = {}
            gate.set()
            pads = [await each for each in (*waiting, other)]
            assert len({pad.pad.reveal() for pad in pads}) == 3
            await make(kmes, "alice", "bob")

    run(test)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"size": 65_544}, "65536"),
        ({"size": 12}, "multiple of 8"),
        ({"number": 2, "size": 64}, "number"),
        ({"size": 64, "additional_slave_SAE_IDs": ["bea"]}, "one slave"),
        ({"size": 64, "extension_mandatory": [{FRESH: 1}]}, "expected true"),
        ({"size": 64, "extension_mandatory": [{FRESH: True}, {"other": 1}]}, "not all"),
    ],
)
def test_what_a_session_cannot_be_is_refused_as_the_standard_has_it(
    tmp_path: Path, body: dict[str, object], says: str
) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            client = kmes.clients["alice"]
            whole = {"extension_mandatory": [{FRESH: True}], **body}
            answer = await client._http.post(client._url + "/api/v1/keys/bob/enc_keys", json=whole)
            assert answer.status_code == 400
            assert says in answer.json()["message"]

    run(test)


def test_a_slave_of_ones_own_site_has_no_session(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            with pytest.raises(KmeRejected):
                await make(kmes, "alice", "aldous")
            with pytest.raises(KmeRejected):
                await make(kmes, "alice", "nobody")

    run(test)


def test_a_client_that_asks_for_no_session_by_an_optional_extension_gets_a_key_of_the_pool(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            stock = kmes.pair.alice.link_keys.stock_bits
            await kmes.clients["alice"].get_keys("bob", 1, 256, Extras(optional=({FRESH: True},)))
            assert kmes.pair.alice.link_keys.stock_bits == stock - 256

    run(test)


def test_what_is_altered_on_the_classical_channel_gives_no_pad_and_the_next_one_comes(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            for spoilt in (3, 5, 8):
                seen = itertools.count()

                def tamper(
                    sender: Side,
                    number: int,
                    frame: bytes,
                    seen: "itertools.count[int]" = seen,
                    spoilt: int = spoilt,
                ) -> bytes:
                    if frame[1:6] == b"\xa4step" and next(seen) == spoilt:
                        return frame[:-20] + bytes([frame[-20] ^ 1]) + frame[-19:]
                    return frame

                kmes.pair.wire.tamper = tamper
                with pytest.raises((SessionAborted, KmeUnavailable)):
                    await make(kmes, "alice", "bob")
                kmes.pair.wire.tamper = None
                await until(lambda: all(n.sessions._line for n in nodes_of(kmes).values()))
                for store in kmes.pair.stores.values():
                    while rows(store)["pending_bits"]:
                        await asyncio.sleep(0.01)
                    assert rows(store)["copies"] == 0
            made, _ = await once_green(kmes)
            assert (await kmes.clients["bob"].pad("alice", made.pad_id)).pad == made.pad

    run(test)


async def once_green(
    kmes: Doors, master: str = "alice", slave: str = "bob"
) -> tuple[FreshPad, list[SessionRecord]]:
    """A pad, once there is one, and the records of the sessions before that gave none."""
    aborted: list[SessionRecord] = []
    while True:
        try:
            return await make(kmes, master, slave), aborted
        except SessionAborted as error:
            aborted.append(error.record)
        except KmeUnavailable:
            await asyncio.sleep(0.01)


def test_a_session_whose_last_word_is_lost_is_settled_alike_and_handed_to_no_master(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            lost: list[bytes] = []

            def tamper(sender: Side, number: int, frame: bytes) -> bytes | None:
                if frame[1:6] == b"\xa4step":
                    _, _, block, _, body = msgspec.msgpack.decode(frame[:-16])
                    if body == msgspec.msgpack.encode([block]):
                        lost.append(body)
                        if len(lost) == 2:
                            asyncio.get_running_loop().call_soon(kmes.pair.wire.cut)
                        return None
                return frame

            kmes.pair.wire.tamper = tamper
            with pytest.raises((SessionAborted, KmeUnavailable)):
                await make(kmes, "alice", "bob")
            kmes.pair.wire.tamper = None
            stores = kmes.pair.stores
            for store in stores.values():
                while rows(store)["pending_bits"] or rows(store)["sessions"]:
                    await asyncio.sleep(0.01)
            assert rows(stores[Side.ALICE])["copies"] == 0
            assert rows(stores[Side.BOB])["copies"] == 1  # settled as kept; nobody has its id
            sets = [store.reserve_sets_left() for store in stores.values()]
            assert sets[0] == sets[1]
            made, _ = await once_green(kmes)
            assert (await kmes.clients["bob"].pad("alice", made.pad_id)).pad == made.pad

    run(test)


def test_bob_takes_no_part_in_a_session_that_he_has_no_grant_for(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            await make(kmes, "alice", "bob")
            await make(kmes, "bob", "alice")
            alice, bob = kmes.pair.alice, kmes.pair.bob
            line = alice.sessions._line
            assert line is not None
            admit = alice.sessions.admit

            def admits(opening: Fresh) -> PadFor:
                return PadFor(opening.session, opening.pad_bits, "alice", "bob", waits=False)

            alice.sessions.admit = admits  # type: ignore[method-assign]
            known = bob.link_keys._grants.last(own=False)
            for grant, master in ((known + 1, Side.ALICE), (1, Side.BOB)):
                wanted = Wanted(uuid.uuid4().bytes, BITS, grant)
                report = await line.open_block(
                    Protocol.E91, 40_000, probe=None, session=wanted, master=master
                )
                assert (report.accepted, report.reason) == (False, Reason.GRANT)
            alice.sessions.admit = admit  # type: ignore[method-assign]
            await make(kmes, "alice", "bob")

    run(test)


def test_a_flood_of_wanted_sessions_is_declined_and_others_are_served(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            await make(kmes, "bob", "alice")
            alice, bob = kmes.pair.alice, kmes.pair.bob
            line = bob.sessions._line
            assert line is not None
            for number in range(200):
                await line.ask(Wanted(uuid.uuid4().bytes, BITS, 1 + number % 3))
            await until(lambda: alice.sessions._wanted > 0)
            assert alice.sessions._wanted <= fresh.MAX_WANTED
            drawn = await kmes.get("alice", "bob")
            assert await kmes.fetch("bob", "alice", drawn) == drawn
            await until(lambda: alice.sessions._wanted == 0)
            assert (await make(kmes, "bob", "alice")).record is not None
            assert rows(kmes.pair.stores[Side.ALICE])["copies"] == 2

    run(test)


@pytest.mark.parametrize("side", list(Side))
def test_a_side_that_says_what_only_the_other_may_ends_the_connection_and_not_the_node(
    tmp_path: Path, side: Side
) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            await make(kmes, "alice", "bob")
            node = kmes.pair.alice if side is Side.ALICE else kmes.pair.bob
            line = node.sessions._line
            assert line is not None
            session = uuid.uuid4().bytes
            if side is Side.ALICE:
                await line.ask(Wanted(session, BITS, 1))
            else:
                await line.ask(Declined(session, Reason.BUSY))
            await until(lambda: node.sessions._line is not line)
            await until(lambda: all(n.sessions._line for n in nodes_of(kmes).values()))
            made, _ = await once_green(kmes)
            assert (await kmes.clients["bob"].pad("alice", made.pad_id)).pad == made.pad

    run(test)


def test_what_alice_declines_that_nobody_wants_is_passed_over(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            line = kmes.pair.alice.sessions._line
            assert line is not None
            await line.ask(Declined(uuid.uuid4().bytes, Reason.BUSY))
            made = await make(kmes, "bob", "alice")
            assert (await kmes.clients["alice"].pad("bob", made.pad_id)).pad == made.pad
            assert kmes.pair.alice.sessions._line is line

    run(test)


def test_a_node_without_its_peer_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            await make(kmes, "alice", "bob")
            kmes.pair.tasks[0].cancel()
            await asyncio.gather(*kmes.pair.tasks, return_exceptions=True)
            await until(lambda: not kmes.pair.bob.sessions._line)
            for master, slave in PAIRS:
                with pytest.raises(KmeUnavailable):
                    await make(kmes, master, slave)

    run(test)


def test_the_end_of_a_connection_is_not_the_end_of_a_node(tmp_path: Path) -> None:
    async def test() -> None:
        async with doors(tmp_path) as kmes:
            link, gate = kmes.pair.link, asyncio.Event()
            link.holds = dict.fromkeys(Side, gate)
            waiting = [asyncio.create_task(make(kmes, *pair)) for pair in PAIRS]
            await until(lambda: link.held == 4)
            kmes.pair.wire.cut()
            for each in waiting:
                with pytest.raises((SessionAborted, KmeUnavailable, ConnectionEnded)):
                    await each
            link.holds = {}
            gate.set()
            await until(lambda: all(n.sessions._line for n in nodes_of(kmes).values()))
            await once_green(kmes)

    run(test)
