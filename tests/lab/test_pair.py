"""The pair that the lab runs is the pair that the nodes run, wire included."""

import pytest
from tests.simulators.blocks import opening, run

from bellwire.base.detections import OF_PHOTONS, Protocol, Side
from bellwire.distill.verdict import Reason
from bellwire.lab.pair import derive_authentication


def test_tag_keys_follow_from_the_seed_and_differ_among_each_other() -> None:
    one, again, other = (derive_authentication(seed) for seed in (b"1" * 32, b"1" * 32, b"2" * 32))
    for side in Side:
        assert one.hash_keys[side] == again.hash_keys[side]
        assert one.received_pads[side] != other.received_pads[side]
        assert one.received_pads[side] != one.transcript_pads[side]
    assert one.transcript_pads[Side.ALICE] != one.transcript_pads[Side.BOB]
    assert one.consumed_bits == 512


def test_sides_under_different_tag_keys_end_before_bases_open() -> None:
    keys = {side: derive_authentication(side.encode().ljust(32)) for side in Side}
    outcome = run(opening(), authentication={**keys})
    assert {r.reason for r in outcome.reports.values()} == {Reason.AUTHENTICATION}
    assert all(r.steps == 2 for r in outcome.reports.values())
    assert not outcome.secrets


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_a_wire_that_carries_nothing_ends_both_sides_by_timeout(protocol: Protocol) -> None:
    outcome = run(opening(protocol), wire=lambda _sender, _step, _body: [])
    assert {r.reason for r in outcome.reports.values()} == {Reason.TIMEOUT}
    assert not outcome.accepted


def test_one_side_that_ends_tells_the_other_why() -> None:
    outcome = run(
        opening(),
        wire=lambda who, step, body: [(step, body + b"x" * ((who, step) == (Side.BOB, 2)))],
    )
    assert {r.reason for r in outcome.reports.values()} == {Reason.MALFORMED}
    assert "peer ended the block" in str(outcome.reports[Side.BOB].message)
    assert "peer ended the block" not in str(outcome.reports[Side.ALICE].message)
