"""`bench channel`: the names the reference lists, true sizes, and ratios of what was measured."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.patience import PATIENCE_S

from bellwire.bench import channel, idle, rivals
from bellwire.bench.ends import KnownEnds
from bellwire.bench.rivals import Result, Rival
from bellwire.crypto.kem import XWingPrivateKey, XWingPublicKey

NAMES = [
    "handshake_bytes",
    "resumption_bytes",
    "handshakes_per_s",
    "handshake_us",
    "handshake_kem_us",
    "resumptions_per_s",
    "vs_tls_mldsa65",
    "vs_tls_ed25519",
    "tcp_handshakes_per_s",
    "tcp_device_us",
    "tcp_cloud_us",
    "tcp_handshake_us",
    "tcp_vs_tls_mldsa65",
    "tcp_vs_tls_ed25519",
    "tcp_throughput",
    "tcp_single_throughput",
    "record_overhead_bytes",
    "record_throughput",
    "small_messages_per_s",
    "idle_sessions",
    "idle_session_kib",
]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "_QUICK", channel._Size(0.01, 1, 3, 1, 20, 20))


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
        assert figures[name].ratio is not None
        assert figures[name].value == figures["handshakes_per_s"].value
    assert figures["vs_tls_ed25519"].against != figures["vs_tls_mldsa65"].against
    assert figures["idle_sessions"].value == 20
    assert figures["tcp_vs_tls_mldsa65"].ratio is not None
    assert figures["tcp_vs_tls_ed25519"].value == figures["tcp_handshakes_per_s"].value
    assert figures["tcp_throughput"].ratio is not None
    assert figures["tcp_single_throughput"].ratio is not None
    assert figures["record_throughput"].ratio == figures["record_throughput"].value / 1e9


@pytest.mark.usefixtures("tiny")
def test_without_the_rival_there_are_no_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Result("pyOpenSSL, which is not installed", None)
    monkeypatch.setattr(rivals, "measure", lambda *_: (missing, missing))
    alone = channel._in_turns(channel._QUICK)[:1]
    monkeypatch.setattr(channel, "_in_turns", lambda _: alone)
    monkeypatch.setattr(idle, "measure", lambda count: idle.Idle(count, 1.0))
    figures = channel.run(quick=True)
    assert [figure.name for figure in figures] == NAMES
    assert all(figure.ratio is None for figure in figures)


def test_tls_shakes_hands_with_a_post_quantum_group_and_both_certificates() -> None:
    lattice, edwards = rivals.said("tls13", 0.05)
    assert lattice["post_quantum"] == edwards["post_quantum"] == 1
    assert 20_000 < lattice["bytes"] < 22_000
    assert 3_500 < edwards["bytes"] < 4_500
    assert lattice["record_overhead"] == 22


def test_a_handshake_makes_no_more_kem_operations_than_it_must(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends, counts = KnownEnds(), Counter[str]()

    def counted(name: str, work: Callable[..., object]) -> Callable[..., object]:
        def count(*arguments: object) -> object:
            counts[name] += 1
            return work(*arguments)

        return count

    for holder, attribute, name in (
        (XWingPrivateKey, "__init__", "generate"),
        (XWingPrivateKey, "decapsulate", "decapsulate"),
        (XWingPublicKey, "__init__", "read"),
        (XWingPublicKey, "encapsulate", "encapsulate"),
    ):
        monkeypatch.setattr(holder, attribute, counted(name, getattr(holder, attribute)))
    ends.shake_hands()
    assert counts == channel.KEM_OPERATIONS


def test_both_ends_over_tcp_carry_what_they_should(tmp_path: Path) -> None:
    code = (
        "from bellwire.bench import loopback, over_tcp\n"
        "from bellwire.bench.ends import KnownEnds\n"
        "found = loopback.measure([over_tcp.ends(KnownEnds())], loopback.Work(2, 2, 3))\n"
        "assert len(found) == 1 and all(value > 0 for value in found[0].values()), found\n"
        "broken = loopback.Ends(over_tcp.ends(KnownEnds()).connect, lambda sock: 1 / 0, int)\n"
        "loopback.measure([broken], loopback.Work(1, 1, 1))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr, "a server that fails says why"
