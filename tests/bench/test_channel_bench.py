"""`bench channel`: the names the reference lists, true sizes, and ratios of what was measured."""

import pytest

from bellwire.bench import channel, rivals
from bellwire.bench.rivals import Result, Rival

NAMES = [
    "handshake_bytes",
    "resumption_bytes",
    "handshakes_per_s",
    "resumptions_per_s",
    "vs_tls_mldsa65",
    "vs_tls_ed25519",
    "record_overhead_bytes",
    "record_throughput",
    "small_messages_per_s",
    "idle_session_kib",
]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "_QUICK", channel._Size(0.01, 1, 10))


@pytest.mark.usefixtures("tiny")
def test_figures_are_those_of_the_reference_and_ratios_are_ours_over_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = {"sent": 100.0, "bytes": 9516.0, "record_overhead": 40.0, "bytes_per_s": 1e9}

    def instead(rival: Rival, *arguments: float) -> tuple[Result, ...]:
        return tuple(Result(what, 100.0, said) for what in rival.does)

    monkeypatch.setattr(rivals, "measure", instead)
    figures = {figure.name: figure for figure in channel.run(quick=True)}
    assert list(figures) == NAMES
    assert (figures["handshake_bytes"].value, figures["handshake_bytes"].ratio) == (4758, 0.5)
    assert figures["resumption_bytes"].value == 2494
    assert (figures["record_overhead_bytes"].value, figures["record_overhead_bytes"].ratio) == (
        20,
        0.5,
    )
    for name in ("vs_tls_mldsa65", "vs_tls_ed25519"):
        assert figures[name].ratio == figures[name].value / 100
        assert figures[name].value == figures["handshakes_per_s"].value
    assert figures["vs_tls_ed25519"].against != figures["vs_tls_mldsa65"].against
    assert figures["record_throughput"].ratio == figures["record_throughput"].value / 1e9


@pytest.mark.usefixtures("tiny")
def test_without_the_rival_there_are_no_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Result("pyOpenSSL, which is not installed", None)
    monkeypatch.setattr(rivals, "measure", lambda *_: (missing, missing))
    figures = channel.run(quick=True)
    assert [figure.name for figure in figures] == NAMES
    assert all(figure.ratio is None for figure in figures)


def test_tls_shakes_hands_with_a_post_quantum_group_and_both_certificates() -> None:
    lattice, edwards = rivals.said("tls13", 0.05)
    assert lattice["post_quantum"] == edwards["post_quantum"] == 1
    assert 20_000 < lattice["bytes"] < 22_000
    assert 3_500 < edwards["bytes"] < 4_500
    assert lattice["record_overhead"] == 22
