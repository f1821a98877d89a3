"""Two nodes on two recordings: each its own folder, one key, each tag once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.node.nodes import QUIET, open_store, ready
from tests.patience import PATIENCE_S
from tests.simulators.recordings import recorded

from bellwire.base.detections import Protocol
from bellwire.base.errors import UnreachableError, UsageError
from bellwire.crypto.randomness.source import OperatingSystem
from bellwire.distill.report import BlockReport
from bellwire.distill.verdict import Reason
from bellwire.keys.model import KeySourceKind
from bellwire.keys.status import LinkStatus
from bellwire.link.eve import Eve, EveKind
from bellwire.link.timetags.generator import Scene
from bellwire.link.timetags.recording import Recording
from bellwire.link.timetags.source import TimeTagLink, Uses, warm
from bellwire.node.assemble import SITES
from bellwire.node.material import Photons
from bellwire.node.policy import Policy
from bellwire.node.service import NodeService
from bellwire.node.settings import load
from bellwire.node.source import Source, open_source
from bellwire.node.vault import StoreVault

SCENE = Scene(
    protocol=Protocol.BBM92, pairs_hz=4e5, seconds=3.0, clock_offset_s=-0.04, clock_drift_ppm=21.0
)


@contextlib.asynccontextmanager
async def two_nodes(
    state: Path, recordings: dict[str, Recording]
) -> AsyncIterator[list[NodeService]]:
    ready()
    warm()
    async with contextlib.AsyncExitStack() as stack:
        nodes = []
        for site, side in SITES.items():
            folder = state / site
            store = open_store(folder, side)
            stack.callback(store.close)
            link = TimeTagLink(
                recordings[site], Uses(folder / "tags.json"), lambda _: None, lambda _: None
            )
            nodes.append(
                NodeService(
                    side,
                    store=store,
                    vault=StoreVault(store, KeySourceKind.RECORDED, lambda: 1.0),
                    material=Photons(link, Policy(), KeySourceKind.RECORDED),
                    random=OperatingSystem(),
                    status=LinkStatus(now=1.0),
                    schedule=QUIET,
                    clock=lambda: 1.0,
                )
            )
        server = await nodes[1].serve_peer("127.0.0.1", 0)
        stack.callback(server.close)
        calling = asyncio.create_task(nodes[0].run_alice(*server.sockets[0].getsockname()[:2]))
        try:
            yield nodes
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
            await nodes[1].close()


async def distil(alice: NodeService, pulses: int, protocol: Protocol) -> BlockReport:
    while True:
        try:
            return await alice.distil(protocol, pulses)
        except UnreachableError:  # not connected yet
            await asyncio.sleep(0.01)


def blocks(
    state: Path, recordings: dict[str, Recording], sizes: list[int]
) -> tuple[list[BlockReport], list[str | None]]:
    """Run blocks of these sizes; the reports, and what made the two nodes' sources end."""

    async def run() -> tuple[list[BlockReport], list[str | None]]:
        async with asyncio.timeout(PATIENCE_S), two_nodes(state, recordings) as nodes:
            protocol = recordings["a"].about.protocol
            reports = [await distil(nodes[0], pulses, protocol) for pulses in sizes]
            return reports, [node._material.spent for node in nodes]

    return asyncio.run(run())


def test_two_nodes_make_one_key_and_go_on_after_a_restart(tmp_path: Path) -> None:
    recordings = recorded(tmp_path / "tags", SCENE, search_s=0.2)
    (first,), _ = blocks(tmp_path, recordings, [30_000])
    assert first.accepted
    assert first.secret_bits > 300
    assert first.detected == 30_000
    assert first.qber == pytest.approx(0.02, abs=0.006)
    uses = {site: Uses(tmp_path / site / "tags.json")._read() for site in "ab"}
    # The recording has about 73,000 coincidences: a second start takes what is left, and no more.
    (second, third, fourth), spent = blocks(tmp_path, recordings, [30_000, 10**6, 10**6])
    assert second.accepted
    left = SCENE.coincidences_hz(1_000) * 3.0 - 60_000
    assert third.detected == pytest.approx(left, abs=5 * 280)
    assert third.qber == pytest.approx(0.02, abs=0.01)
    assert fourth.reason is Reason.LINK
    assert "no tags left that were not used" in (fourth.message or "")
    assert spent[0] is not None
    after = {site: Uses(tmp_path / site / "tags.json")._read() for site in "ab"}
    for site in "ab":
        ((name, use),) = uses[site].items()
        assert after[site][name].byte > use.byte > 32


def test_a_node_without_light_left_begins_no_block_and_spends_no_key(tmp_path: Path) -> None:
    recordings = recorded(tmp_path / "tags", Scene(
        protocol=Protocol.BBM92, pairs_hz=1e5, seconds=0.5
    ), search_s=0.1)  # fmt: skip
    (_, failed, again), spent = blocks(tmp_path, recordings, [10**6, 100, 100])
    assert failed.reason is again.reason is Reason.LINK
    assert failed.authentication_bits > 0
    assert again.authentication_bits == 0
    assert again.message == spent[0]


def test_e91_is_judged_on_s_and_eve_in_the_recording_is_caught(tmp_path: Path) -> None:
    scene = Scene(
        protocol=Protocol.E91, pairs_hz=4e5, seconds=0.8, eve=Eve(EveKind.INTERCEPT_RESEND, 1.0)
    )
    (report,), _ = blocks(tmp_path, recorded(tmp_path / "tags", scene), [15_000])
    assert not report.accepted
    assert report.reason is Reason.CHSH
    assert report.chsh == pytest.approx(2**0.5 * 0.96, abs=0.15)


def test_clocks_that_never_align_end_the_block_with_what_was_examined(tmp_path: Path) -> None:
    scene = Scene(protocol=Protocol.BBM92, pairs_hz=2e5, seconds=1.0)
    mine = recorded(tmp_path / "one", scene, search_s=0.05)
    mine["b"] = recorded(tmp_path / "two", scene, seed=2, search_s=0.05)["b"]
    (report,), spent = blocks(tmp_path, mine, [2_000])
    assert report.reason is Reason.LINK
    assert "the clocks of the two recordings do not align" in (report.message or "")
    assert "of his clock, offsets of +0.000 s ± 0.050 s" in (spent[0] or "")


def test_a_node_takes_only_its_own_sites_recording_of_its_protocol(tmp_path: Path) -> None:
    recordings = recorded(tmp_path, Scene(protocol=Protocol.BBM92, seconds=0.01))
    where = {site: f"timetags:{recording.folder}" for site, recording in recordings.items()}

    def source(site: str, given: str, protocol: str = "bbm92") -> Source:
        settings = load(None, {"distill": {"source": given, "protocol": protocol}})
        return open_source(settings, SITES[site], tmp_path, tmp_path)

    found = source("a", where["a"])
    assert found.kind is KeySourceKind.SIMULATED
    with pytest.raises(UsageError, match=r"expected a recording of bob in .*, got one of alice"):
        source("b", where["a"])
    with pytest.raises(UsageError, match="expected time tags of e91, got bbm92"):
        source("a", where["a"], "e91")
    with pytest.raises(UsageError, match="expected the description of a recording"):
        source("a", f"timetags:{tmp_path}/none")
    with pytest.raises(UsageError, match=r"distill\.source"):
        source("a", "tags")
    real = Recording(recordings["a"].folder, recordings["a"].about)
    text = (real.folder / "tags.toml").read_text().replace("generated = true", "generated = false")
    (real.folder / "tags.toml").write_text(text)
    found = source("a", where["a"])
    assert found.kind is KeySourceKind.RECORDED
    assert source("a", "link").kind is KeySourceKind.SIMULATED
