"""`bench chat`: the names the reference lists, and ratios of what was measured."""

import math
import subprocess

import pytest

from bellwire.bench.chat import figures, latency
from bellwire.bench.chat.wire import _Count
from bellwire.chat.messenger.views import Mode

NAMES = [
    "fresh_p50_ms",
    "fresh_p99_ms",
    "pool_p50_ms",
    "pool_p99_ms",
    "fresh_pad_bytes",
    "pool_pad_bytes",
    "relay_messages_per_s",
    "relay_vs_websockets_json",
    "single_messages_per_s",
    "relay_vs_nats",
    "relay_vs_jetstream",
    "absent_messages_per_s",
    "relay_processor_us",
    "single_processor_us",
    "crowded_messages_per_s",
    "client_kib",
]


def test_messages_come_under_pad_and_every_relay_carries_what_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figures, "_QUICK", figures._Size(0.01, 1, 10, 2, 2))
    monkeypatch.setattr(figures, "PAIRS", 2)
    monkeypatch.setattr(latency, "WARM", 1)
    found = {figure.name: figure for figure in figures.run(quick=True)}
    assert list(found) == NAMES
    for kind in ("fresh", "pool"):
        assert 0 < found[f"{kind}_p50_ms"].value <= found[f"{kind}_p99_ms"].value
    ours = found["relay_messages_per_s"]
    assert ours.value > 0
    assert found["relay_vs_websockets_json"].ratio == ours.ratio
    for name in ("relay_vs_nats", "relay_vs_jetstream", "relay_vs_websockets_json"):
        ratio = found[name].ratio
        assert found[name].value == ours.value
        assert ratio is not None
        assert ratio > 0
        assert math.isfinite(ratio)


def test_a_message_that_went_without_pad_ends_the_measurement() -> None:
    timed = {Mode.POOL: latency._Timed([5.0] * 3, without=1, pad=1048.0)}
    with pytest.raises(ArithmeticError, match="3 messages in pool mode under pad, got 1 without"):
        latency._figures(timed)


def test_without_nats_server_there_are_no_ratios_to_it() -> None:
    carried = figures._Carried(100.0, 10.0)
    ours = ("bellwire", "bellwire-single", "bellwire-absent")
    best = {**dict.fromkeys(ours, carried), "json": figures._Carried(50.0, 5.0)}
    found = {figure.name: figure for figure in figures._rates(best)}
    assert found["relay_messages_per_s"].ratio == 2
    assert found["relay_processor_us"].ratio == 2
    assert found["relay_vs_nats"].ratio is None
    assert "not installed" in (found["relay_vs_nats"].against or "")


def test_what_a_server_does_not_take_ends_the_measurement() -> None:
    with (
        figures.child("bellwire.bench.rivals.websockets_json") as plain,
        pytest.raises(subprocess.CalledProcessError),
    ):
        figures._measure("nats", plain, 0.01)


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_mark_is_counted_wherever_reads_end(cut: int) -> None:
    text = b"xxmarkxmarkmarkx" * 3
    count = _Count(b"mark")
    assert sum(count.more(text[at : at + cut]) for at in range(0, len(text), cut)) == 9
