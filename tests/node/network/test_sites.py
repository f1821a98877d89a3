"""Keys between sites of a network, through their doors."""

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.keys.conftest import folder
from tests.network.conftest import NatsServer, nats_server
from tests.node.network.sites import DIAMOND, LINE, Sites, run, sites, until

from bellwire.base.errors import RefusedError, UsageError
from bellwire.base.secret import Secret
from bellwire.etsi014.errors import KmeRejected, KmeUnauthorised, KmeUnavailable
from bellwire.keys.errors import LinkRed, SlaveUnknown, StoreError
from bellwire.keys.status import Status
from bellwire.network.deposit import Header, kept, part_bytes, seal
from bellwire.network.hop import ShareHeader
from bellwire.network.node import RelayNode
from bellwire.network.wire import Kind
from bellwire.node.network import service
from bellwire.node.network.assemble import open_site
from bellwire.node.network.socket import Forget, GetRoute, Show, ask_site

__all__ = ["folder", "nats_server"]


def test_slaves_two_links_away_get_the_masters_keys_once(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, LINE) as net:
            drawn = await net.get("a-1", ["c-1"], 3)
            assert len({key.key.reveal() for key in drawn}) == 3
            for stranger in ("c-2", "a-1", "a-2"):
                with pytest.raises(KmeUnauthorised):
                    await net.fetch(stranger, "c-1" if stranger == "a-1" else "a-1", drawn)
            assert await net.fetch("c-1", "a-1", drawn[::-1]) == drawn[::-1]
            with pytest.raises(KmeRejected, match="not found on KME"):
                await net.fetch("c-1", "a-1", drawn[:1])
            back = await net.get("c-2", ["a-2"], 1, 2048)
            assert await net.fetch("a-2", "c-2", back) == back

    run(story)


def test_slaves_at_several_sites_get_the_same_keys_each_once(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, LINE) as net:
            drawn = await net.get("a-1", ["c-1", "r-1", "a-2", "c-2"], 2)
            for slave in ("r-1", "c-2", "c-1", "a-2"):
                assert await net.fetch(slave, "a-1", drawn) == drawn
                with pytest.raises(KmeRejected, match="not found on KME"):
                    await net.fetch(slave, "a-1", drawn)
            with pytest.raises(KmeUnauthorised):
                await net.fetch("r-2", "a-1", await net.get("a-1", ["c-1", "r-1"]))
            local = await net.get("a-1", ["a-2"])
            assert await net.fetch("a-2", "a-1", local) == local
            with pytest.raises(KmeRejected, match="slave SAE is not known"):
                await net.get("a-1", ["c-1", "nobody"])

    run(story)


def test_keys_of_any_number_and_size_within_the_limits_arrive(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, LINE, block_bytes=1024) as net:
            for number, bits in ((1, 8), (128, 1024), (7, 8192), (20, 264)):
                drawn = await net.get("a-1", ["c-1"], number, bits)
                assert {len(key.key) for key in drawn} == {bits // 8}
                assert await net.fetch("c-1", "a-1", drawn) == drawn
            with pytest.raises(KmeUnavailable, match="key data access error"):
                await net.get("a-1", ["c-1"], 128, 8192)
            status = await net.clients["a-1"].status("c-1")
            assert status.stored_key_count > 0
            assert (status.source_kme_id, status.target_kme_id) == ("kme-a", "kme-c")

    run(story)


def test_a_key_says_how_it_was_carried_and_who_could_know_it(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, DIAMOND) as net:
            told = await about(net, "c-1")
            assert told["bellwire_routes"] == [["a", "x", "c"], ["a", "y", "c"]]
            assert told["bellwire_relays_that_could_know"] == []
            assert (await about(net, "x-1"))["bellwire_routes"] == [["a", "x"]]
            net.links["y", "c"].turn_red()
            await until(lambda: ways(net) == 1)
            told = await about(net, "c-1")
            assert told["bellwire_relays_that_could_know"] == ["x"]
            assert told["bellwire_link_sources"] == ["simulated"]

    run(story)


def test_a_red_link_is_gone_around_and_without_a_way_nothing_leaves(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, DIAMOND) as net:
            first = await net.get("a-1", ["c-1"])
            waits = await net.get("a-1", ["c-1"])
            net.links["x", "c"].turn_red()
            await until(lambda: ways(net) == 1)
            again = await net.get("a-1", ["c-1"])
            for drawn in (first, again):
                assert await net.fetch("c-1", "a-1", drawn) == drawn
            net.links["y", "c"].turn_red()
            await until(lambda: ways(net) == 0 and not flows(net))
            with pytest.raises(KmeUnavailable):
                await net.get("a-1", ["c-1"])
            with pytest.raises(KmeUnavailable):
                await net.fetch("c-1", "a-1", waits)
            assert "trusted links" in (await about(net, "c-1"))["bellwire_reason"]
            near = await net.get("a-1", ["x-1"])
            assert await net.fetch("x-1", "a-1", near) == near
            status = await net.clients["a-1"].status("c-1")
            assert status.stored_key_count == 0
            net.links["y", "c"].recover()
            await until(lambda: flows(net))
            assert await net.fetch("c-1", "a-1", waits) == waits

    run(story)


async def about(net: Sites, slave: str) -> dict[str, Any]:
    extension = (await net.clients["a-1"].status(slave)).status_extension
    assert isinstance(extension, dict)
    return extension


def ways(net: Sites) -> int:
    try:
        return len(net.open["a"].service.deposits.ways("c"))
    except LinkRed:
        return 0


def flows(net: Sites) -> bool:
    views = [link.view() for link in net.open["c"].service.links.values()]
    return any(view.status is not Status.RED and not view.stale for view in views)


@pytest.mark.parametrize("who", ["a", "r", "c"])
def test_sites_that_start_again_go_on_with_what_waits(folder: Path, who: str) -> None:
    async def story() -> None:
        async with sites(folder, LINE) as net:
            waits = await net.get("a-1", ["c-1", "a-2"], 2)
            await net.restart(who)
            await net.settled()
            assert await net.fetch("c-1", "a-1", waits) == waits
            assert await net.fetch("a-2", "a-1", waits) == waits
            fresh = await net.get("a-1", ["c-1"])
            assert await net.fetch("c-1", "a-1", fresh) == fresh
            with pytest.raises(KmeRejected, match="not found on KME"):
                await net.fetch("c-1", "a-1", waits)
            with pytest.raises(KmeUnauthorised):
                await net.fetch("a-1", "c-1", fresh)

    run(story)


def test_a_site_that_is_away_is_told_as_such_and_nothing_is_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with sites(folder, LINE) as net:
            await net.get("a-1", ["c-1"])
            await net.stop("c")
            with monkeypatch.context() as patch:
                patch.setattr("bellwire.network.deposits.WITHIN_S", 0.5)
                with pytest.raises(KmeUnavailable):
                    await net.get("a-1", ["c-1"])
            await net.start("c")
            await net.settled()
            drawn = await net.get("a-1", ["c-1"])
            assert await net.fetch("c-1", "a-1", drawn) == drawn

    run(story)


def test_split_keys_go_on_after_either_end_was_started_anew(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, DIAMOND, routes=2, min_routes=2) as net:
            for who in ("a", "c", "a"):
                drawn = await net.get("a-1", ["c-1"])
                assert await net.fetch("c-1", "a-1", drawn) == drawn
                back = await net.get("c-2", ["a-2"])
                assert await net.fetch("a-2", "c-2", back) == back
                await net.restart(who)
                await net.settled()

    run(story)


def test_a_relay_that_alters_keys_is_found_and_gone_around(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, DIAMOND) as net:
            alter(net.open["x"].service.node)
            for number in range(3):
                drawn = await net.get("a-1", ["c-1"], number + 1)
                assert await net.fetch("c-1", "a-1", drawn) == drawn
            assert net.open["a"].service.node.charge_against("x") > 0.5
            assert ways(net) == 1
            assert (await about(net, "c-1"))["bellwire_routes"] == [["a", "y", "c"]]

    run(story)


def alter(node: RelayNode) -> None:
    """From now on a relay changes a bit of what it carries."""
    honest = node._share

    async def share(header: ShareHeader, carried: Secret) -> None:
        data = bytearray(carried.reveal())
        data[0] ^= 0 if header.last else 1
        await honest(header, Secret(data))

    node._share = share  # type: ignore[assignment, method-assign]


def test_sites_talk_over_nats_as_over_tcp(folder: Path, nats_server: NatsServer) -> None:
    async def story() -> None:
        async with sites(folder, LINE, bus=nats_server.address) as net:
            drawn = await net.get("a-1", ["c-1", "r-1"], 2)
            for slave in ("c-1", "r-1"):
                assert await net.fetch(slave, "a-1", drawn) == drawn
            await net.restart("c")
            await net.settled()
            back = await net.get("c-1", ["a-1"])
            assert await net.fetch("a-1", "c-1", back) == back

    run(story)


def test_no_site_makes_keys_for_masters_of_another(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, LINE) as net:
            deposits, ids = net.open["a"].service.deposits, bytes(15) + b"1"
            for master, slaves in (("c-2", ("c-1",)), ("nobody", ("c-1",)), ("a-1", ("r-1",))):
                with pytest.raises(SlaveUnknown):
                    await deposits.send("c", master, slaves, ids, Secret(bytes(32)))
            assert len(net.open["c"].service.waiting) == 0
            await deposits.send("c", "a-1", ("c-1",), ids, Secret(bytes(32)))
            with pytest.raises(StoreError):
                await deposits.send("c", "a-1", ("c-1",), ids, Secret(bytes(32)))
            assert len(net.open["c"].service.waiting) == 1

    run(story)


def test_forged_deposits_and_answers_change_nothing(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, LINE) as net:
            first = await net.get("a-1", ["c-1"])
            a, c, r = (net.open[name].service for name in "acr")
            (record,) = a.pads.records("c")
            forged = Header("a", "c", record.transfer, 2000, "a-1", ("c-1",), bytes(16), 256)
            part = Secret(bytes(part_bytes(32)))
            with capture_logs() as told:
                await r.node.say("c", Kind.DEPOSIT, seal(forged, Secret(bytes(32)), part))
                await r.node.say("c", Kind.DEPOSIT, b"noise")
                await r.node.say("a", Kind.ANSWER, kept(forged, part))
                await r.node.say("a", Kind.ANSWER, b"noise")
                await until(lambda: len([e for e in told if "refused" in e["event"]]) == 3)
            assert len(c.waiting) == 1
            again = await net.get("a-1", ["c-1"])
            assert a.pads.records("c") == (record,), "no part of it was spent by others"
            for drawn in (first, again):
                assert await net.fetch("c-1", "a-1", drawn) == drawn

    run(story)


def test_a_lost_block_costs_a_try_and_no_key(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, LINE) as net:
            await net.get("a-1", ["c-1"])
            net.open["c"].service.pads.wipe()
            drawn = await net.get("a-1", ["c-1"])
            assert await net.fetch("c-1", "a-1", drawn) == drawn

    run(story)


def test_saes_of_a_changed_topology_count_without_a_restart(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, LINE) as net:
            path = folder / "topology.toml"
            text = path.read_text()
            path.write_text(text.replace('"c-2"', '"c-3"'))
            directories = [each.service.directory for each in net.open.values()]
            assert all(each.refresh() or each.site_of("c-3") == "c" for each in directories)
            with pytest.raises(KmeRejected):
                await net.get("a-1", ["c-2"])
            with pytest.raises(KmeUnauthorised):
                await net.get("c-2", ["a-1"])
            for spoilt in (text[:-20], text.replace('["r", "c"]', '["a", "c"]'), "["):
                path.write_text(spoilt)
                assert not any(each.refresh() for each in directories)
            assert all(each.site_of("c-3") == "c" for each in directories)
            path.unlink()
            assert not any(each.refresh() for each in directories)

    run(story)


def test_each_sites_requests_are_in_its_audit_log(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, LINE) as net:
            drawn = await net.get("a-1", ["c-1"])
            await net.fetch("c-1", "a-1", drawn)
            assert net.open["c"].audit is not None

    run(story)
    for site, method in (("a", "enc_keys"), ("c", "dec_keys")):
        entries = (folder / site / "audit" / f"site-{site}.jsonl").read_text()
        assert f'"method":"{method}"' in entries


def test_a_site_whose_store_has_failed_for_good_ends_with_what_failed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "TEND_EVERY_S", 0.01)

    async def story() -> None:
        async with sites(folder, LINE) as net:
            await net.stop("a")
            async with open_site(net.settings["a"]) as site:
                site.service._store.close()
                with pytest.raises(StoreError, match=r"is closed"):
                    await site.service.run()

    run(story)


def test_what_operators_are_told_has_no_key_and_no_sae(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, DIAMOND) as net:
            drawn = await net.get("a-1", ["c-1", "a-2"])
            socket = Path(str(net.open["a"].about["operator"]))
            shown = await ask_site(socket, Show())
            assert {each["site"] for each in shown["sites"]} == {"a", "c", "x", "y"}
            assert all(each["heard"] for each in shown["sites"])
            assert len(shown["links"]) == 8
            assert {each["source"] for each in shown["links"]} == {"simulated"}
            assert shown["keys"] == {"waiting": 1, "deposited": 1, "taken_in": 0}
            text = json.dumps(shown)
            assert "a-1" not in text
            assert drawn[0].key_id not in text
            route = await ask_site(socket, GetRoute("c"))
            assert [each["sites"] for each in route["routes"]] == [["a", "x", "c"], ["a", "y", "c"]]
            assert route["relays_that_could_know"] == []
            assert await ask_site(socket, Forget("c")) == {"site": "a", "forgot": "c"}
            for wrong in ("a", "nowhere"):
                with pytest.raises(UsageError, match="another site"):
                    await ask_site(socket, GetRoute(wrong))
            for turned in (("a", "x"), ("a", "y")):
                net.links[turned].turn_red()
            await until(lambda: ways(net) == 0)
            with pytest.raises(RefusedError, match="trusted links"):
                await ask_site(socket, GetRoute("c"))

    run(story)
