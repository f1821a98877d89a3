"""Two nodes and the link's service: decoy states to a key at both, and none from an Eve's light."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.node.nodes import Pair, two_nodes
from tests.node.test_service import connected, reports_agree, run
from tests.patience import PATIENCE_S

from bellwire.base.decoys import Decoys
from bellwire.base.detections import Protocol, Side
from bellwire.distill.choice import Conditions
from bellwire.distill.messages import Open
from bellwire.distill.report import BlockReport
from bellwire.distill.verdict import Reason
from bellwire.keys.model import BlockState
from bellwire.keys.status import Status
from bellwire.link import weak_nodes
from bellwire.link.client import ControlClient, LinkClient
from bellwire.link.config import LinkConfig
from bellwire.link.detectors import Detectors
from bellwire.link.service import LinkService
from bellwire.link.weak import WeakEve, WeakEveKind
from bellwire.node.material import Material, Photons
from bellwire.node.policy import Policy

KM = 40.0
"""Far enough for an Eve who splits photon numbers to block every single photon."""

FIBRE = LinkConfig(
    fibre_km=KM,
    dark_count_probability=1e-6,
    detectors=Detectors(dead_gates=5, afterpulse=0.001, afterpulse_gates=20.0),
)
PULSES = 10_000_000


@asynccontextmanager
async def over_the_link(folder: Path, bobs: Policy | None = None) -> AsyncIterator[Pair]:
    """Two nodes whose light comes from a link's process, in this one."""
    weak_nodes.warm()
    policies = {Side.ALICE: Policy(), Side.BOB: bobs or Policy()}
    materials: dict[Side, Material] = {
        side: Photons(
            LinkClient(
                folder / "run" / f"{side}.sock",
                decoys=policy.decoys,
                decoy_rectilinear=policy.decoy_rectilinear,
            ),
            policy,
        )
        for side, policy in policies.items()
    }
    (folder / "nodes").mkdir()
    async with (
        LinkService(folder / "run", FIBRE, lab=True, seed=1),
        two_nodes(folder / "nodes", materials=materials, step_timeout_s=PATIENCE_S) as pair,
    ):
        await connected(pair)
        yield pair


async def distil(pair: Pair) -> BlockReport:
    report = await pair.alice.distil(Protocol.DECOY, PULSES)
    ours, theirs = await reports_agree(pair, report.number)
    assert (ours.accepted, ours.reason) == (theirs.accepted, theirs.reason)
    return report


def test_two_nodes_distil_decoy_states_and_reject_an_eve_who_splits_photon_numbers(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with over_the_link(tmp_path) as pair:
            control = ControlClient(tmp_path / "run" / "control.sock")
            report = await distil(pair)
            assert report.accepted
            assert report.secret_bits > 1_000
            assert report.single_photon_bits is not None
            assert report.single_photon_bits < report.key_bits
            assert len(report.intensities) == 3
            assert pair.stores[Side.BOB].state(report.number) is BlockState.READY
            drawn = await pair.alice.keys.draw(256)
            assert (await pair.bob.keys.fetch(drawn.key_id)).key == drawn.key

            await control.set_eve(WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING))
            report = await distil(pair)
            assert report.reason is Reason.SINGLE_PHOTONS
            assert report.secret_bits == 0
            # The errors show nothing: without decoys she would have had the whole key.
            assert report.qber is not None
            assert report.qber < 0.03
            for node in (pair.alice, pair.bob):
                view = node.keys.status()
                assert view.status is Status.RED
                assert "single photons" in view.reason

            await control.set_eve(WeakEve(WeakEveKind.INTERCEPT_RESEND))
            report = await distil(pair)
            assert report.reason is Reason.QBER

    run(test)


def test_nodes_that_do_not_send_the_same_decoys_make_no_block(tmp_path: Path) -> None:
    async def test() -> None:
        bobs = Policy(decoys=Decoys((0.5, 0.1, 0.0)))
        async with over_the_link(tmp_path, bobs) as pair:
            report = await pair.alice.distil(Protocol.DECOY, 1_000)
            assert not report.accepted
            assert report.reason in {Reason.DISAGREED, Reason.PEER}

    run(test)


@pytest.mark.parametrize(
    "opening",
    [
        Policy().opening(1, Protocol.DECOY, 1_000, bytes(16), Conditions(), probe=False),
        Policy().opening(1, Protocol.BB84, 1_000, bytes(16), Conditions(), probe=False),
    ],
)
def test_a_policy_accepts_what_it_would_open_and_nothing_beside_it(opening: Open) -> None:
    policy = Policy()
    assert policy.accepts(opening)
    assert not policy.accepts(replace(opening, rectilinear=0.6))
    assert not policy.accepts(replace(opening, decoys=Decoys((0.5, 0.1, 0.0))))
    other = None if opening.protocol.weak else Decoys()
    assert not policy.accepts(replace(opening, decoys=other))
