"""The soak of the relay, for a few seconds."""

import sys

import pytest
from tools import soak_chat


def test_under_half_load_nothing_is_lost_and_memory_is_flat(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["soak_chat", "--minutes", "0.02"])
    monkeypatch.setattr(soak_chat, "ABSENT", 100)
    monkeypatch.setattr(soak_chat, "PAIRS", 4)
    monkeypatch.setattr(soak_chat, "SLACK_MB", 64.0)  # of a second nothing can be said
    assert soak_chat.main() == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("PASSED: 0 lost of ")
    assert last.endswith("flat")


def test_a_relay_that_is_gone_fails_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(*_: object) -> None:
        raise ConnectionError("expected the server to go on, got the end of the line")

    monkeypatch.setattr(sys, "argv", ["soak_chat", "--minutes", "0.02"])
    monkeypatch.setattr(soak_chat, "PAIRS", 1)
    monkeypatch.setattr(soak_chat, "drive", gone)
    assert soak_chat.main() == 1
    last = capsys.readouterr().out
    assert last == "FAILED: expected the server to go on, got the end of the line\n"
