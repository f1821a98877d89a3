"""Keys between sites of a network, through their doors."""

from pathlib import Path
from typing import Any

import pytest
from tests.keys.conftest import folder
from tests.node.network.sites import DIAMOND, LINE, Sites, run, sites, until

from bellwire.etsi014.errors import KmeRejected, KmeUnauthorised, KmeUnavailable
from bellwire.keys.errors import LinkRed
from bellwire.keys.status import Status

__all__ = ["folder"]


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


def test_a_site_that_is_away_is_told_as_such_and_nothing_is_lost(folder: Path) -> None:
    async def story() -> None:
        async with sites(folder, LINE) as net:
            await net.get("a-1", ["c-1"])
            await net.stop("c")
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
