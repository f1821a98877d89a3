"""Two nodes that prefer a basis: more of the slots become key, and the rare basis judges Eve."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.node.nodes import Pair, two_nodes
from tests.node.test_service import connected, reports_agree, run
from tests.patience import PATIENCE_S

from bellwire.base.detections import Protocol, Side
from bellwire.distill.report import BlockReport
from bellwire.distill.verdict import Reason
from bellwire.link.client import ControlClient, LinkClient
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve, EveKind, parse_axes
from bellwire.link.service import LinkService
from bellwire.node.material import Material, Photons
from bellwire.node.policy import Policy

PULSES = 300_000


@asynccontextmanager
async def over_the_link(
    folder: Path, alice: float = 0.85, bob: float = 0.85
) -> AsyncIterator[Pair]:
    materials: dict[Side, Material] = {
        side: Photons(
            LinkClient(folder / "run" / f"{side}.sock", rectilinear=share),
            Policy(rectilinear=share),
        )
        for side, share in ((Side.ALICE, alice), (Side.BOB, bob))
    }
    (folder / "nodes").mkdir()
    async with (
        LinkService(folder / "run", LinkConfig(), lab=True, seed=1),
        two_nodes(folder / "nodes", materials=materials, step_timeout_s=PATIENCE_S) as pair,
    ):
        await connected(pair)
        yield pair


async def distil(pair: Pair, protocol: Protocol) -> BlockReport:
    report = await pair.alice.distil(protocol, PULSES)
    ours, theirs = await reports_agree(pair, report.number)
    assert (ours.accepted, ours.reason) == (theirs.accepted, theirs.reason)
    return report


@pytest.mark.parametrize("protocol", [Protocol.BB84, Protocol.BBM92])
def test_a_preferred_basis_keeps_more_and_an_eve_in_it_is_seen(
    tmp_path: Path, protocol: Protocol
) -> None:
    async def test() -> None:
        async with over_the_link(tmp_path) as pair:
            report = await distil(pair, protocol)
            assert report.accepted
            # 0.85² of the slots in the preferred basis, 0.15² in the other.
            assert abs(report.sifted_bits / PULSES - 0.745) < 0.01
            drawn = await pair.alice.keys.draw(256)
            assert (await pair.bob.keys.fetch(drawn.key_id)).key == drawn.key
            along = Eve(EveKind.GHZ, 1.0, parse_axes("0")) if protocol is Protocol.BBM92 else None
            control = ControlClient(tmp_path / "run" / "control.sock")
            await control.set_eve(along or Eve(EveKind.INTERCEPT_RESEND, 1.0))
            report = await distil(pair, protocol)
            assert report.reason is Reason.QBER

    run(test)


def test_e91_has_no_preferred_basis(tmp_path: Path) -> None:
    async def test() -> None:
        async with over_the_link(tmp_path) as pair:
            assert (await distil(pair, Protocol.E91)).accepted

    run(test)


def test_nodes_that_prefer_a_basis_differently_are_told(tmp_path: Path) -> None:
    async def test() -> None:
        async with over_the_link(tmp_path, bob=0.8) as pair:
            assert (await distil(pair, Protocol.BB84)).reason is Reason.DISAGREED

    run(test)
