"""What `bellwire cloud` says of events."""

from structlog.testing import capture_logs

from bellwire.cli.cloud_teller import TOLD_A_SECOND, Teller
from bellwire.iot.events import TurnedAway


def test_a_flood_of_connections_is_no_flood_of_lines() -> None:
    now = [100.0]
    with capture_logs() as lines:
        tell = Teller(print_readings=False, clock=lambda: now[0])
        for _ in range(10_000):
            tell(TurnedAway("192.0.2.1:1", "too slow"))
        assert len(lines) == TOLD_A_SECOND
        now[0] += 1.0
        tell(TurnedAway("192.0.2.1:2", "too slow"))
    assert [line["event"] for line in lines[-2:]] == ["more turned away", "turned away"]
    assert lines[-2]["count"] == 10_000 - TOLD_A_SECOND
    assert lines[-1]["peer"] == "192.0.2.1:2"


def test_single_ones_are_all_told() -> None:
    now = [100.0]
    with capture_logs() as lines:
        tell = Teller(print_readings=False, clock=lambda: now[0])
        for _ in range(50):
            tell(TurnedAway("192.0.2.1:1", "too slow"))
            now[0] += 0.5
    assert [line["event"] for line in lines] == ["turned away"] * 50
