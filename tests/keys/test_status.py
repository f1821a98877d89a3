"""Link status: every row of its table, freshness, and what must hold after any sequence."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.base.detections import Protocol
from bellwire.keys.errors import StatusRulesInvalid
from bellwire.keys.status import (
    HISTORY,
    TRANSITIONS,
    BlockOutcome,
    Decision,
    LinkStatus,
    Phase,
    Status,
    StatusRules,
    StatusView,
    diagram,
)


def bb84(at: float, qber: float | None = 0.02, *, accepted: bool = True) -> BlockOutcome:
    return BlockOutcome(protocol=Protocol.BB84, accepted=accepted, qber=qber, decided_at=at)


def e91(at: float, chsh: float, *, accepted: bool = True) -> BlockOutcome:
    return BlockOutcome(
        protocol=Protocol.E91, accepted=accepted, qber=0.02, chsh=chsh, decided_at=at
    )


def failed(at: float) -> BlockOutcome:
    return BlockOutcome(
        protocol=Protocol.BB84, accepted=False, qber=None, reason="verification", decided_at=at
    )


def too_few(at: float, qber: float = 0.4) -> BlockOutcome:
    return BlockOutcome(
        protocol=Protocol.BB84, accepted=False, qber=qber, too_few=True, decided_at=at
    )


def tampered(at: float) -> BlockOutcome:
    return BlockOutcome(
        protocol=Protocol.BB84, accepted=False, qber=None, tampered=True, decided_at=at
    )


def keys_agree(at: float) -> BlockOutcome:
    return BlockOutcome(protocol=None, accepted=True, qber=None, decided_at=at)


def boxes_answer(at: float) -> BlockOutcome:
    return BlockOutcome(protocol=None, accepted=True, qber=None, probe=True, decided_at=at)


def keys_differ(at: float) -> BlockOutcome:
    return BlockOutcome(
        protocol=None,
        accepted=False,
        qber=None,
        tampered=True,
        reason="the two boxes gave different keys",
        decided_at=at,
    )


def link(*outcomes: BlockOutcome) -> LinkStatus:
    status = LinkStatus(now=0.0)
    for outcome in outcomes:
        status.decide(outcome)
    return status


def view_after(*outcomes: BlockOutcome) -> StatusView:
    return link(*outcomes).at(outcomes[-1].decided_at)


def test_the_table_has_a_row_for_every_phase_and_decision() -> None:
    assert set(TRANSITIONS) == {(phase, decision) for phase in Phase for decision in Decision}


def test_before_the_first_block_nothing_is_green_and_no_key_flows() -> None:
    view = LinkStatus(now=7.0).at(8.0)
    assert view.status is Status.YELLOW
    assert not view.keys_may_flow
    assert view.stale
    assert view.reason == "no block decided yet"
    assert (view.qber, view.last_qber, view.since) == (None, None, 7.0)


@pytest.mark.parametrize(
    ("qber", "status"),
    [
        (0.0, Status.GREEN),
        (0.0499, Status.GREEN),
        (0.05, Status.YELLOW),
        (0.1099, Status.YELLOW),
        (0.11, Status.RED),
        (0.5, Status.RED),
    ],
)
def test_thresholds_are_inclusive(qber: float, status: Status) -> None:
    view = view_after(bb84(1.0, qber))
    assert view.status is status
    assert view.keys_may_flow is (status is not Status.RED)


def test_the_mean_is_over_the_last_five_accepted_blocks() -> None:
    outcomes = [bb84(float(i), q) for i, q in enumerate((0.10, 0.01, 0.02, 0.03, 0.04, 0.05))]
    view = view_after(*outcomes)
    assert view.qber == pytest.approx(0.03)
    assert view.status is Status.GREEN


def test_four_clean_blocks_do_not_hide_one_above_the_threshold() -> None:
    view = view_after(*(bb84(float(i)) for i in range(4)), bb84(4.0, 0.25, accepted=False))
    assert view.status is Status.RED
    assert (view.qber, view.last_qber, view.since) == (None, 0.25, 4.0)
    assert "25.0%" in view.reason


def test_a_block_above_the_threshold_is_red_even_if_it_arrives_as_accepted() -> None:
    assert view_after(bb84(1.0, 0.2, accepted=True)).status is Status.RED


def test_e91_is_judged_on_the_estimate_of_s() -> None:
    assert view_after(e91(1.0, 2.7)).status is Status.GREEN
    red = view_after(e91(1.0, 2.7), e91(2.0, 1.41, accepted=False))
    assert (red.status, red.last_chsh) == (Status.RED, 1.41)
    assert "S = 1.41" in red.reason


def test_e91_rejected_on_its_lower_limit_alone_leaves_the_status() -> None:
    outcome = BlockOutcome(
        protocol=Protocol.E91,
        accepted=False,
        qber=0.03,
        chsh=2.4,
        chsh_lower=1.9,
        reason="lower limit of S",
        decided_at=2.0,
    )
    assert view_after(e91(1.0, 2.7), outcome).status is Status.GREEN


def test_red_ends_after_three_accepted_blocks_in_a_row_with_a_new_mean() -> None:
    status = link(bb84(0.0, 0.10), bb84(1.0, 0.25, accepted=False), bb84(2.0), bb84(3.0))
    assert status.at(3.0).status is Status.RED
    status.decide(bb84(4.0, 0.05))
    view = status.at(4.0)
    assert view.status is Status.GREEN
    assert view.qber == pytest.approx(0.03)
    assert view.since == 4.0


@pytest.mark.parametrize("between", [failed(3.5), tampered(3.5), bb84(3.5, 0.3, accepted=False)])
def test_a_rejected_block_restarts_the_count(between: BlockOutcome) -> None:
    start = [bb84(1.0, 0.25, accepted=False), bb84(2.0), bb84(3.0), between]
    assert view_after(*start, bb84(4.0), bb84(5.0)).status is Status.RED
    assert view_after(*start, bb84(4.0), bb84(5.0), bb84(6.0)).status is Status.GREEN


def test_a_block_too_small_to_decide_leaves_everything_as_it_is() -> None:
    status = link(bb84(1.0, 0.25, accepted=False), bb84(2.0), bb84(3.0), too_few(3.5), bb84(4.0))
    assert status.at(4.0).status is Status.GREEN
    status.decide(too_few(6.9))
    assert status.at(7.0).status is Status.GREEN
    assert status.at(7.1).stale


def test_decoys_that_show_no_single_photons_are_red_whatever_the_errors() -> None:
    starved = BlockOutcome(
        protocol=Protocol.DECOY, accepted=False, qber=0.02, starved=True, decided_at=2.0
    )
    view = view_after(bb84(1.0), starved)
    assert view.status is Status.RED
    assert view.reason == "decoy states show no single photons"


def test_tampering_with_the_classical_channel_is_red() -> None:
    view = view_after(bb84(1.0), tampered(2.0))
    assert view.status is Status.RED
    assert view.reason == "the classical channel was tampered with"


def test_a_failed_block_changes_nothing_and_is_recorded() -> None:
    status = link(bb84(1.0), failed(3.9))
    view = status.at(4.0)
    assert (view.status, view.qber, view.since) == (Status.GREEN, 0.02, 1.0)
    assert view.history[-1].reason == "verification"
    assert status.at(4.1).stale


def test_without_a_fresh_verdict_no_key_flows() -> None:
    status = link(bb84(10.0))
    assert status.at(13.0).keys_may_flow
    view = status.at(13.1)
    assert (view.status, view.stale, view.keys_may_flow) == (Status.YELLOW, True, False)
    assert view.since == 13.0
    assert "3.0 s" in view.reason
    status.decide(bb84(20.0))
    assert status.at(20.0).status is Status.GREEN
    assert status.at(20.0).since == 20.0


def test_a_clock_set_back_does_not_keep_an_old_verdict_fresh() -> None:
    assert not link(bb84(5000.0)).at(1000.0).keys_may_flow


def test_stale_red_stays_red() -> None:
    view = link(bb84(1.0, 0.25, accepted=False)).at(1000.0)
    assert (view.status, view.stale, view.since) == (Status.RED, True, 1.0)


def test_staleness_follows_the_expected_interval() -> None:
    status = LinkStatus(expected_interval_s=4.0, now=0.0)
    status.decide(bb84(0.0))
    assert status.at(12.0).keys_may_flow
    assert not status.at(12.5).keys_may_flow
    status.expect_every(0.5)
    assert status.at(3.0).keys_may_flow
    assert not status.at(3.5).keys_may_flow
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive interval"):
            status.expect_every(wrong)


def test_history_is_bounded_and_newest_last() -> None:
    view = view_after(*(bb84(float(i)) for i in range(HISTORY + 5)))
    assert len(view.history) == HISTORY
    assert view.history[-1].decided_at == HISTORY + 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"yellow_qber": 0.0},
        {"yellow_qber": 0.2},
        {"red_qber": 0.6},
        {"chsh_floor": 1.9},
        {"chsh_floor": 2.9},
        {"chsh_floor": float("nan")},
        {"window": 0},
        {"recovery_blocks": 0},
        {"stale_after_s": 0.0},
        {"red_qber": float("nan")},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(StatusRulesInvalid):
        StatusRules(**wrong)  # type: ignore[arg-type] # the table mixes whole numbers and others


@pytest.mark.parametrize(
    "wrong",
    [
        {"qber": 1.5},
        {"qber": float("nan")},
        {"qber": None},
        {"chsh": float("inf")},
        {"chsh": None},
        {"chsh_lower": float("nan")},
        {"decided_at": float("nan")},
        {"too_few": True},
        {"tampered": True},
        {"starved": True},
        {"reason": "x" * 501},
    ],
)
def test_outcomes_that_contradict_themselves_are_refused(wrong: dict[str, object]) -> None:
    good: dict[str, object] = {
        "protocol": Protocol.E91,
        "accepted": True,
        "qber": 0.02,
        "chsh": 2.7,
        "decided_at": 1.0,
    }
    BlockOutcome(**good)  # type: ignore[arg-type] # a mixed table
    with pytest.raises(ValueError, match=r"expected|accepted"):
        BlockOutcome(**{**good, **wrong})  # type: ignore[arg-type] # a mixed table


OUTCOMES = st.lists(
    st.sampled_from(
        [
            bb84(0.0, 0.01),
            bb84(0.0, 0.08),
            bb84(0.0, 0.25, accepted=False),
            e91(0.0, 2.7),
            e91(0.0, 1.4, accepted=False),
            failed(0.0),
            tampered(0.0),
            too_few(0.0),
        ]
    ),
    max_size=40,
)


@given(outcomes=OUTCOMES)
def test_keys_flow_only_if_nothing_bad_came_since_three_accepted(
    outcomes: list[BlockOutcome],
) -> None:
    status, rules = LinkStatus(now=0.0), StatusRules()
    for outcome in outcomes:
        status.decide(outcome)
    decided = [d for d in map(rules.decision, outcomes) if d is not Decision.TOO_FEW]
    bad = [i for i, d in enumerate(decided) if d in (Decision.NOISY, Decision.TAMPERED)]
    since = decided[bad[-1] + 1 :] if bad else decided
    if bad:
        in_a_row = [Decision.ACCEPTED] * 3
        flows = any(since[i : i + 3] == in_a_row for i in range(len(since)))
    else:
        flows = Decision.ACCEPTED in since
    view = status.at(0.0)
    assert view.keys_may_flow is flows
    assert (view.status is Status.RED) is (bool(bad) and not flows)


# A vendor's boxes


def test_keys_of_a_vendor_that_agree_are_green_and_claim_no_qber() -> None:
    view = view_after(keys_agree(1.0))
    assert (view.status, view.keys_may_flow) == (Status.GREEN, True)
    assert (view.qber, view.last_qber, view.last_chsh) == (None, None, None)
    assert view.reason == "the vendor's boxes gave the same keys"


def test_boxes_that_answer_keep_a_verdict_fresh_and_make_none() -> None:
    assert not view_after(boxes_answer(1.0)).keys_may_flow
    status = link(keys_agree(1.0), boxes_answer(3.5), boxes_answer(6.0))
    assert status.at(8.9).keys_may_flow
    assert not status.at(9.1).keys_may_flow


def test_keys_that_differ_are_red_until_three_blocks_agree_in_a_row() -> None:
    status = link(keys_agree(1.0), keys_differ(2.0))
    assert status.at(2.0).status is Status.RED
    assert status.at(2.0).reason == "the two boxes gave different keys"
    for at in (3.0, 4.0, 5.0, 6.0):
        status.decide(boxes_answer(at))
    for at in (7.0, 8.0):
        status.decide(keys_agree(at))
        status.decide(boxes_answer(at + 0.5))
        assert status.at(at + 0.5).status is Status.RED
    status.decide(keys_agree(9.0))
    assert status.at(9.0).status is Status.GREEN


def test_nothing_measured_is_said_of_a_vendors_link() -> None:
    for numbers in ({"qber": 0.0}, {"qber": None, "chsh": 2.7}):
        with pytest.raises(ValueError, match="nothing is measured"):
            BlockOutcome(protocol=None, accepted=True, decided_at=1.0, **numbers)


def test_the_documented_diagram_is_drawn_from_the_table() -> None:
    page = Path("docs/explanation/link-status.md").read_text()
    assert f"```mermaid\n{diagram()}```" in page
