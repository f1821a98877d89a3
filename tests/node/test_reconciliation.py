"""How keys are made equal between two nodes: as set, or by the latency of their channel."""

import pytest
from tests.distill.test_ldpc import SEED

from bellwire.base.detections import Protocol
from bellwire.distill.choice import Conditions
from bellwire.distill.messages import TICKET_BYTES, Open
from bellwire.distill.reconciliation import Method
from bellwire.distill.report import BlockReport
from bellwire.node.policy import Policy

FAR = Conditions(round_trip_s=0.5, key_bits=1_000_000)
NEAR = Conditions(round_trip_s=1e-5, key_bits=1_000_000)


def opened(policy: Policy, conditions: Conditions) -> Open:
    ticket = SEED[:TICKET_BYTES]
    return policy.opening(1, Protocol.BB84, 1000, ticket, conditions, probe=False)


def test_a_node_that_is_left_the_choice_takes_codes_on_a_far_channel() -> None:
    policy = Policy()
    assert opened(policy, FAR).reconciliation is Method.LDPC
    assert opened(policy, NEAR).reconciliation is Method.CASCADE
    assert policy.accepts(opened(policy, FAR))
    assert policy.accepts(opened(policy, NEAR))


@pytest.mark.parametrize("method", Method)
def test_a_node_that_is_set_to_a_method_opens_and_accepts_no_other(method: Method) -> None:
    policy = Policy(reconciliation=method)
    for conditions in (FAR, NEAR):
        assert opened(policy, conditions).reconciliation is method
        theirs = opened(Policy(), conditions)
        assert policy.accepts(theirs) == (theirs.reconciliation is method)


def test_the_block_before_says_what_the_next_will_be_like() -> None:
    conditions = Conditions(0.1)
    report = BlockReport(number=1, probe=False, protocol=Protocol.BB84, pulses=1000)
    assert conditions.after(report) == conditions
    reconciled = BlockReport(
        number=1, probe=False, protocol=Protocol.BB84, pulses=1000, key_bits=777, qber=0.03
    )
    assert conditions.after(reconciled) == Conditions(0.1, 777, 0.03)
