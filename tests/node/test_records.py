"""Records of sessions at a node: bounded in number and in age."""

import uuid

import pytest

from bellwire.base.detections import Protocol
from bellwire.distill.conversation import Phase
from bellwire.distill.report import BlockReport
from bellwire.distill.verdict import Reason
from bellwire.etsi014.record import SessionRecord
from bellwire.keys.model import KeySourceKind
from bellwire.keys.session_pads import PadFor
from bellwire.node import records
from bellwire.node.records import Records, record_of


def made(number: int, report: BlockReport | None = None) -> SessionRecord:
    return record_of(
        PadFor(number.to_bytes(16, "big"), 64, "alice", "bob", waits=True),
        report or BlockReport(1, probe=False, protocol=Protocol.E91, pulses=10, accepted=True),
        KeySourceKind.SIMULATED,
        began_at=1000.0,
        total_s=0.5,
        times={Phase.TEST: 0.25, Phase.OPENING: 0.125},
    )


def test_a_record_is_kept_for_its_time_and_no_longer() -> None:
    now = [1000.0]
    kept = Records(lambda: now[0])
    kept.keep(bytes(16), made(0))
    now[0] += records.KEPT_S - 1
    assert kept.find(bytes(16)) == made(0)
    now[0] += 2
    assert kept.find(bytes(16)) is None
    assert kept.all() == []


def test_a_node_keeps_the_latest_records_and_not_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_RECORDS", 3)
    kept = Records(lambda: 1000.0)
    for number in range(5):
        kept.keep(number.to_bytes(16, "big"), made(number))
    kept.keep((3).to_bytes(16, "big"), made(3))  # again: it is the latest
    assert [uuid.UUID(each.session).int for each in kept.all()] == [2, 4, 3]


def test_a_record_of_what_gave_no_pad_says_so_and_counts_no_bits() -> None:
    refused = BlockReport(
        1, probe=True, protocol=Protocol.E91, pulses=10, reason=Reason.CHSH, message="x" * 1000
    )
    record = made(1, refused)
    assert (record.verdict, record.accepted, record.final_bits) == ("abort", False, 0)
    assert record.reason == Reason.CHSH.value
    assert len(record.message or "") == 400
    assert [(each.step, each.ms) for each in record.steps] == [("opening", 125.0), ("test", 250.0)]
    assert made(1).final_bits == 64
