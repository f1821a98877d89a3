"""A cable that is pulled for a while, over each transport: no reading is lost, none doubled."""

from pathlib import Path

from tests.iot.cable import TRANSPORTS, pulled


def test_a_pulled_cable_loses_and_doubles_no_reading_over_any_transport(tmp_path: Path) -> None:
    outcomes = pulled(tmp_path, 2.0)
    assert set(outcomes) == set(TRANSPORTS)
    for transport, outcome in outcomes.items():
        assert outcome.sent > 20, transport
        assert (outcome.lost, outcome.doubled, outcome.in_order) == (0, 0, True), transport
