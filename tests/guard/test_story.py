"""The story from end to end, once, in a hurry; `tools/cut_chat.py` tells it at its own pace."""

import os
from pathlib import Path

import pytest
from tests.guard.story import tell

from bellwire.chat import courier
from bellwire.chat.relay import client

LEASE_S = 3.0
SEES_WITHIN_S = 5.0
"""How late a guard of a busy machine may hear of something, or say what it has done."""


def test_a_chat_is_cut_while_eve_is_there_follows_its_relay_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() and not os.environ.get("CI"):
        pytest.skip("needs root, to make networks")
    monkeypatch.setattr(courier, "MAX_RETRY_S", 0.5)  # how long people wait in a lockdown,
    monkeypatch.setattr(client, "IDLE_PING_S", 0.5)  # and on a line that was cut as they listened
    told = tell(tmp_path / "s", red_s=0.5, patient=False)
    assert told.green_qber < 0.05 < 0.2 < told.red_qber
    assert told.passed_while_red == 0 < told.held_back
    assert told.event_to_rules_ms < 1e3 * (LEASE_S + SEES_WITHIN_S)
    assert (told.lost, told.doubled, told.in_order) == (0, 0, True)
    assert len(told.moved_s) == 3
    assert (told.passed_away_while_red, told.passed_while_locked, told.old_places_heard) == (0,) * 3
    assert told.node_killed_s < LEASE_S + SEES_WITHIN_S
