"""Two nodes that draw key from a vendor's boxes, over real mutual TLS; the boxes honest and not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.crypto.randomness.fifos import fifo, good
from tests.node.nodes import Pair, two_nodes
from tests.patience import PATIENCE_S
from tests.simulators.kme import Authority, Handler, Kme, Reply, Vendor, VendorLink, vendor

from bellwire.base.detections import Protocol, Side
from bellwire.base.errors import UsageError
from bellwire.base.private import PathExposed
from bellwire.crypto.randomness.source import RandomSource
from bellwire.distill.report import BlockReport
from bellwire.distill.verdict import Reason
from bellwire.keys.errors import KeyNotReady, LinkRed, NotEnoughKey
from bellwire.keys.model import KeySourceKind
from bellwire.keys.status import Status
from bellwire.node import box as box_module
from bellwire.node.box import VendorKeys, open_box
from bellwire.node.errors import ConfigError
from bellwire.node.randomness import open_random
from bellwire.node.service import Schedule
from bellwire.node.settings import Etsi014Settings, RandomSettings

SOON = Schedule(target_stock_bits=4_000, probe_interval_s=0.05)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    asyncio.run(bounded())


def settings_of(boxes: Vendor, side: Side, **changes: Any) -> Etsi014Settings:
    place = boxes.alice if side is Side.ALICE else boxes.bob
    certificate, key = boxes.sae[f"sae-{side}"]
    given: dict[str, Any] = {
        "url": place.url,
        "own_sae": f"sae-{side}",
        "peer_sae": f"sae-{side.peer}",
        "certificate": certificate,
        "key": key,
        "authority": boxes.authority.file,
        "timeout_s": 2.0,
    }
    return Etsi014Settings(**(given | changes))


@contextlib.asynccontextmanager
async def vendor_nodes(
    folder: Path,
    boxes: Vendor,
    schedule: Schedule = SOON,
    randoms: dict[Side, RandomSource] | None = None,
    **changes: Any,
) -> AsyncIterator[Pair]:
    async with contextlib.AsyncExitStack() as stack:
        materials = {}
        for side in Side:
            opened = open_box(settings_of(boxes, side, **changes))
            materials[side] = VendorKeys(await stack.enter_async_context(opened))
        yield await stack.enter_async_context(
            two_nodes(folder, schedule=schedule, materials=dict(materials), randoms=randoms)
        )


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def flows(pair: Pair) -> bool:
    return all(
        node.keys.status().keys_may_flow and node.link_keys.peer.met
        for node in (pair.alice, pair.bob)
    )


def reports(pair: Pair) -> list[BlockReport]:
    return [report for node in (pair.alice, pair.bob) for _, _, report in node.reports()]


def probes(pair: Pair) -> int:
    return sum(report.probe and report.accepted for report in reports(pair))


def reason(pair: Pair, wanted: Reason) -> bool:
    return any(report.reason is wanted for report in reports(pair))


def test_a_consumer_gets_the_same_key_at_both_nodes_and_it_is_called_a_vendors(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes:
            async with vendor_nodes(tmp_path, boxes) as pair:
                await until(lambda: flows(pair))
                drawn = await pair.alice.keys.draw(256)
                fetched = await pair.bob.keys.fetch(drawn.key_id)
                assert drawn.key == fetched.key
                assert drawn.source is fetched.source is KeySourceKind.VENDOR
                back = await pair.bob.keys.draw(1024)
                assert (await pair.alice.keys.fetch(back.key_id)).key == back.key
                view = pair.alice.keys.status()
                assert (view.status, view.qber, view.last_chsh) == (Status.GREEN, None, None)
                record = pair.stores[Side.BOB].record(1)
                assert record is not None
                assert (record.protocol, record.qber, record.epsilon) == (None, None, None)
                # The block paid for its tags and for more.
                assert (await pair.bob.accounts()).refilled_bits >= 512

    run(test)


def test_blocks_of_boxes_draw_nothing_and_outlive_a_random_device(tmp_path: Path) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes, fifo(tmp_path / "rng", good()) as rng:
            words = {"source": f"device:{rng.path}", "entropy_per_byte": 7.0}
            source = open_random(RandomSettings.model_validate(words))
            async with vendor_nodes(tmp_path, boxes, randoms={Side.BOB: source}) as pair:
                await until(lambda: flows(pair))
                source.close()
                last = pair.stores[Side.BOB].last_block()
                while pair.stores[Side.BOB].last_block() == last or not flows(pair):
                    await spend(pair)
                assert not reason(pair, Reason.RANDOMNESS)

    run(test)


def test_with_a_full_stock_the_boxes_are_watched_and_no_key_of_theirs_is_spent(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes:
            async with vendor_nodes(tmp_path, boxes) as pair:
                await until(lambda: flows(pair))
                await until(lambda: probes(pair) >= 10)
                assert pair.stores[Side.ALICE].last_block() == 1
                assert boxes.link.stock == 10_000 - 64
                assert not boxes.link.keys
                asked = {
                    (who, what) for box in (boxes.alice, boxes.bob) for who, what, _ in box.served
                }
                assert ("sae-alice", "dec_keys") not in asked
                assert ("sae-bob", "enc_keys") not in asked

    run(test)


def test_a_box_with_one_key_a_request_is_asked_often_enough(tmp_path: Path) -> None:
    async def test() -> None:
        link = VendorLink(max_per_request=1, key_size=320)
        with vendor(tmp_path / "vendor", link) as boxes:
            async with vendor_nodes(tmp_path, boxes, block_bits=4096) as pair:
                await until(lambda: flows(pair))
                drawn = await pair.alice.keys.draw(256)
                assert (await pair.bob.keys.fetch(drawn.key_id)).key == drawn.key
                sizes = [len(r["key_IDs"]) for _, what, r in boxes.bob.served if what == "dec_keys"]
                assert sizes == [1] * 13

    run(test)


def other_bits(handler: Handler, method: str, reply: Any) -> Reply:
    """A box whose keys have one bit turned."""
    code, content = reply
    if method == "dec_keys" and code == 200:
        first = content["keys"][0]["key"]
        turned = ("A" if first[0] != "A" else "B") + first[1:]
        content["keys"][0]["key"] = turned
    return code, content


def test_another_key_at_the_other_side_is_red_and_three_that_agree_end_it(tmp_path: Path) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes:
            boxes.bob.fault = other_bits
            async with vendor_nodes(tmp_path, boxes) as pair:
                both = (pair.alice, pair.bob)
                await until(lambda: all(n.keys.status().status is Status.RED for n in both))
                for node in both:
                    assert "different keys" in node.keys.status().reason
                    assert node.link_keys.stock_bits == 0
                    with pytest.raises(LinkRed):
                        await node.keys.draw(256)
                boxes.bob.fault = None
                await until(lambda: flows(pair))
                for node in both:
                    kept = [r for _, _, r in node.reports() if r.accepted and not r.probe]
                    assert len(kept) >= 3
                drawn = await pair.alice.keys.draw(256)
                assert (await pair.bob.keys.fetch(drawn.key_id)).key == drawn.key

    run(test)


def says(code: int, message: str) -> Callable[[Handler, str, Any], Reply]:
    return lambda handler, method, reply: (code, {"message": message})


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    "fault",
    [
        says(503, "link down"),
        says(401, "unknown SAE"),
        says(400, "no"),
        says(200, "what?"),
        lambda handler, method, reply: handler.send(307, b"", Location="http://127.0.0.1:9/"),
    ],
    ids=["503", "401", "400", "nonsense", "redirect"],
)
def test_a_box_that_refuses_gives_no_block_and_keys_stop_when_the_verdict_is_old(
    tmp_path: Path, side: Side, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box_module, "READY_WITHIN_S", 0.0)

    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes:
            async with vendor_nodes(tmp_path, boxes) as pair:
                await until(lambda: flows(pair))
                (boxes.alice if side is Side.ALICE else boxes.bob).fault = fault
                before = pair.stores[Side.ALICE].last_block()
                await until(lambda: reason(pair, Reason.BOX))
                for node in (pair.alice, pair.bob):  # an old verdict, without waiting for its age
                    node._status.expect_every(1e-9)
                    node._status._limit_s = 0.0
                with pytest.raises(LinkRed, match="stale"):
                    await pair.alice.keys.draw(256)
                with pytest.raises(LinkRed, match="stale"):
                    await pair.bob.keys.draw(256)
                for node in (pair.alice, pair.bob):
                    node._status.expect_every(1.0)
                if side is Side.ALICE:  # she asks her box before she spends a number
                    assert pair.stores[Side.ALICE].last_block() == before
                (boxes.alice if side is Side.ALICE else boxes.bob).fault = None
                await until(lambda: flows(pair))

    run(test)


def test_a_box_killed_and_started_again_is_drawn_from_again(tmp_path: Path) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes:
            schedule = Schedule(target_stock_bits=10_000, probe_interval_s=0.05)
            async with vendor_nodes(tmp_path, boxes, schedule) as pair:
                await until(lambda: flows(pair))
                for kme in (boxes.bob, boxes.alice):
                    failed = refused(pair)
                    await asyncio.to_thread(kme.stop)
                    while refused(pair) == failed:
                        await spend(pair)  # a full stock asks for nothing but a status
                    await asyncio.to_thread(kme.start)
                    last = pair.stores[Side.BOB].last_block()
                    while pair.stores[Side.BOB].last_block() == last or not flows(pair):
                        await spend(pair)

    run(test)


def refused(pair: Pair) -> int:
    return sum(report.reason is Reason.BOX for report in reports(pair))


async def spend(pair: Pair) -> None:
    """A consumer's key, the same at both nodes whenever both give it."""
    with contextlib.suppress(LinkRed, NotEnoughKey, KeyNotReady):
        drawn = await pair.alice.keys.draw(1024)
        assert (await pair.bob.keys.fetch(drawn.key_id)).key == drawn.key
    await asyncio.sleep(0.01)


def test_a_key_that_needs_a_while_to_reach_the_other_box_is_waited_for(tmp_path: Path) -> None:
    async def test() -> None:
        times = iter([400, 400])

        def late(handler: Handler, method: str, reply: Any) -> Reply:
            if method == "dec_keys" and reply[0] == 200 and next(times, None):
                keys = {k["key_ID"]: k["key"] for k in reply[1]["keys"]}
                import base64

                for key_id, data in keys.items():  # put back: a 400 takes nothing
                    boxes.link.keys[key_id] = ("sae-alice", "sae-bob", base64.b64decode(data))
                return 400, {"message": "one or more keys specified are not found on KME"}
            return reply  # type: ignore[no-any-return]

        with vendor(tmp_path / "vendor") as boxes:
            boxes.bob.fault = late
            async with vendor_nodes(tmp_path, boxes) as pair:
                await until(lambda: flows(pair))
                assert pair.stores[Side.BOB].last_block() == 1
                assert not reason(pair, Reason.BOX)

    run(test)


def test_a_box_without_key_left_is_no_alarm_and_stored_key_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        schedule = Schedule(target_stock_bits=1 << 30, probe_interval_s=0.02)
        with vendor(tmp_path / "vendor", VendorLink(stock=70)) as boxes:
            async with vendor_nodes(tmp_path, boxes, schedule) as pair:
                await until(lambda: reason(pair, Reason.BOX) and flows(pair))
                seen = len(reports(pair))
                await until(lambda: sum(r.probe and r.accepted for r in reports(pair)[seen:]) >= 6)
                assert pair.alice.keys.status().status is Status.GREEN
                drawn = await pair.alice.keys.draw(256)
                assert (await pair.bob.keys.fetch(drawn.key_id)).key == drawn.key

    run(test)


def test_a_box_that_is_away_for_long_does_not_use_up_the_tags(tmp_path: Path) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes:
            await asyncio.to_thread(boxes.bob.stop)
            schedule = Schedule(target_stock_bits=4_000, probe_interval_s=0.005)
            async with vendor_nodes(tmp_path, boxes, schedule) as pair:
                await until(lambda: refused(pair) >= 20)
                assert pair.stores[Side.ALICE].last_block() == 1
                await asyncio.to_thread(boxes.bob.start)
                await until(lambda: flows(pair))
                assert pair.stores[Side.ALICE].last_block() == 2

    run(test)


def test_bob_who_starts_anew_gets_keys_compared_before_any_flows_there(tmp_path: Path) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes:
            async with vendor_nodes(tmp_path, boxes) as pair:
                await until(lambda: flows(pair))
                fresh = type(pair.bob._status)(expected_interval_s=1.0, now=0.0)
                pair.bob._status = pair.bob.keys._flow._status = fresh
                assert not pair.bob.keys.status().keys_may_flow
                await until(lambda: flows(pair))
                assert reason(pair, Reason.UNPROVEN)
                assert pair.stores[Side.ALICE].last_block() == 2  # though the stock was full

    run(test)


def test_nodes_of_different_sources_tell_each_other_so(tmp_path: Path) -> None:
    async def test() -> None:
        from tests.node.nodes import TwoHalves

        from bellwire.node.material import Material, Photons
        from bellwire.node.policy import Policy

        with vendor(tmp_path / "vendor") as boxes:
            for vendors in Side:
                async with contextlib.AsyncExitStack() as stack:
                    opened = open_box(settings_of(boxes, vendors))
                    box = VendorKeys(await stack.enter_async_context(opened))
                    photons = Photons(TwoHalves().end(vendors.peer), Policy())
                    materials: dict[Side, Material] = {vendors: box, vendors.peer: photons}
                    pair = await stack.enter_async_context(
                        two_nodes(tmp_path / vendors, schedule=SOON, materials=materials)
                    )
                    await until(lambda: reason(pair, Reason.DISAGREED))  # noqa: B023

    (tmp_path / Side.ALICE).mkdir(mode=0o700)
    (tmp_path / Side.BOB).mkdir(mode=0o700)
    run(test)


def test_photons_cannot_be_ordered_from_a_vendors_box(tmp_path: Path) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes:
            async with vendor_nodes(tmp_path, boxes) as pair:
                with pytest.raises(UsageError, match="vendor's box"):
                    await pair.alice.distil(Protocol.E91, 60_000)

    run(test)


def test_a_certificate_of_another_sae_is_noticed(tmp_path: Path) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes:
            async with vendor_nodes(tmp_path, boxes, own_sae="somebody") as pair:
                await until(lambda: reason(pair, Reason.BOX))
                (found,) = {r.message for r in reports(pair) if r.reason is Reason.BOX}
                assert found is not None
                assert "another SAE" in found

    run(test)


def test_a_box_of_a_foreign_authority_is_not_believed(tmp_path: Path) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes:
            stranger = Authority(tmp_path, "stranger")
            false = Kme("kme-b", "kme-a", boxes.link, stranger.issue("kme-b"), boxes.authority.file)
            false.start()
            true, boxes.bob = boxes.bob, false
            try:
                async with vendor_nodes(tmp_path, boxes) as pair:
                    await until(lambda: reason(pair, Reason.BOX))
                    assert not flows(pair)
                    assert not false.served
            finally:
                boxes.bob = true
                false.stop()

    run(test)


# Settings


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://h"},
        {"url": ""},
        {"own_sae": ""},
        {"peer_sae": ".."},
        {"certificate": None},
        {"key": None},
        {"authority": None},
    ],
)
def test_settings_that_name_no_box_are_refused_by_name(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes, pytest.raises(ConfigError, match="etsi014"):
            async with open_box(settings_of(boxes, Side.ALICE, **change)):
                pass

    run(test)


def test_an_exposed_private_key_stops_the_node(tmp_path: Path) -> None:
    async def test() -> None:
        with vendor(tmp_path / "vendor") as boxes:
            boxes.sae["sae-alice"][1].chmod(0o644)
            with pytest.raises(PathExposed):
                async with open_box(settings_of(boxes, Side.ALICE)):
                    pass

    run(test)
