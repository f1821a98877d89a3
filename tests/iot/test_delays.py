"""Handshakes and messages over a wire that delays and loses, over each transport."""

import asyncio
import random
from pathlib import Path

import pytest
from tests.iot.delays import TRANSPORTS, Pipe, Wire, measure
from tests.patience import PATIENCE_S

ROUND_TRIP_S = 0.05
SEED = 21
"""By which a UDP handshake passes whole, and several datagrams after it do not."""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_handshake_takes_a_round_trip_and_a_message_another(
    tmp_path: Path, transport: str
) -> None:
    work = measure(transport, Wire(ROUND_TRIP_S, 0.0), tmp_path, sessions=1, messages=2)
    found = asyncio.run(asyncio.wait_for(work, PATIENCE_S))
    assert len(found.handshakes_s) == 1
    assert len(found.messages_s) == 2
    # Over datagrams the knock and its cookie come before the hello, in the handshake's own time.
    trips = 1 if transport == "tcp" else 2
    assert found.handshakes_s[0] >= trips * ROUND_TRIP_S
    assert min(found.messages_s) >= ROUND_TRIP_S


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_wire_that_loses_a_tenth_costs_time_and_no_reading(
    tmp_path: Path, transport: str
) -> None:
    work = measure(transport, Wire(0.01, 0.1, seed=SEED), tmp_path, sessions=1, messages=4)
    found = asyncio.run(asyncio.wait_for(work, PATIENCE_S))
    assert len(found.messages_s) == 4


def test_what_is_lost_of_a_stream_comes_a_retransmission_later_and_holds_up_the_rest() -> None:
    pipe = Pipe(Wire(0.1, 0.5), random.Random(3))
    due = [pipe.when(0.0) for _ in range(50)]
    assert due == sorted(due)
    assert min(due) >= 0.05
    assert due[-1] >= 0.35
    assert Pipe(Wire(0.1, 0.0), random.Random(3)).when(2.0) == 2.05
