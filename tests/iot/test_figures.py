"""The cloud's figures: what they count is what happened, in the form that Prometheus reads."""

import asyncio
import socket
from pathlib import Path

import pytest
from tests.iot.doubles import Bench, readings
from tests.patience import PATIENCE_S
from tests.web.scraping import scraped

from bellwire.iot.events import OutputDown, OutputUp
from bellwire.iot.figures import CloudFigures
from bellwire.web.errors import DoorUnusable
from bellwire.web.loopback import shown


def test_figures_count_sessions_readings_and_times(tmp_path: Path) -> None:
    async def work() -> dict[str, float]:
        bench = Bench(tmp_path)
        figures = CloudFigures(bench.events.append)
        bench.notify = figures.notify
        async with bench.running() as cloud:
            figures.watch((), cloud.reception)
            await bench.device().send(readings(300), bench.address)
            await bench.device().send(readings(5), bench.address)
            with shown(figures, 0) as port:
                assert port
                return await asyncio.to_thread(scraped, port)

    found = asyncio.run(asyncio.wait_for(work(), PATIENCE_S))
    assert found["bellwire_cloud_sessions_total full simulated"] == 2
    assert found["bellwire_cloud_readings_total"] == 305
    assert found["bellwire_cloud_reading_bytes_total"] == len(readings(300).data) + len(
        readings(5).data
    )
    # Two sessions, each of some records of 20 bytes and a few of their messages' own.
    assert 200 < found["bellwire_cloud_overhead_bytes_total"] < 3000
    assert found["bellwire_cloud_turned_away_total"] == 0
    assert found["bellwire_cloud_handshake_seconds_count"] == 2
    assert found["bellwire_cloud_handshake_seconds_sum"] > 0
    assert found["bellwire_cloud_handshake_seconds_bucket +Inf"] == 2
    assert found["bellwire_cloud_storing_seconds_count"] >= 2
    assert found["bellwire_cloud_connections"] <= 2


def test_an_output_that_is_down_shows() -> None:
    figures = CloudFigures()

    class Pump:
        name, sent, behind = "nats://h", 7, 2

    figures._pumps = [Pump()]  # type: ignore[list-item] # what is read of a pump
    for event, up in ((OutputDown("nats://h", "gone"), 0), (OutputUp("nats://h"), 1)):
        figures.notify(event)
        with shown(figures, 0) as port:
            assert port
            found = scraped(port)
        assert found["bellwire_cloud_output_up nats://h"] == up
        assert found["bellwire_cloud_output_readings_total nats://h"] == 7
        assert found["bellwire_cloud_output_streams_behind nats://h"] == 2


def test_a_port_that_is_taken_is_said_so_and_none_shows_nothing() -> None:
    with shown(CloudFigures(), None) as nothing:
        assert nothing is None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DoorUnusable, match=str(port)), shown(CloudFigures(), port):
            pass
