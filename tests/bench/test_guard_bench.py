"""`bench guard`: the names of the reference, what they count, and a cut that is seen in packets."""

import os
import time
from collections.abc import Iterator

import pytest

from bellwire.bench import guard
from bellwire.bench.guard import rivals
from bellwire.bench.guard.errors import NetworkUnusable
from bellwire.bench.guard.spaces import Spaces, networks
from bellwire.bench.guard.stream import QUIET_S, Stream, packet_stream
from bellwire.guard.enforcer import Enforcer, NftEnforcer
from bellwire.guard.nft import Nft
from bellwire.guard.scope import Scope

NAMES = [
    "event_to_cut_p50_ms",
    "event_to_cut_p99_ms",
    "vs_program_p50",
    "vs_program_p99",
    "vs_iptables_p50",
    "vs_iptables_p99",
    "iptables_p50_ms",
    "iptables_p99_ms",
    "attack_to_cut_p50_ms",
    "attack_to_cut_p99_ms",
    "detection_share",
    "decision_share",
    "enforcement_share",
    "decision_p50_ms",
    "enforcement_p50_ms",
    "lease_s",
]


@pytest.fixture(scope="module")
def net() -> Iterator[Spaces]:
    if os.geteuid() and not os.environ.get("CI"):
        pytest.skip("needs root, to make networks")
    with networks() as made:
        yield made


def test_figures_are_those_of_the_reference_and_say_what_they_are_compared_with() -> None:
    cut = guard.Cut(eve_at=100.0, told_at=100.5, heard_at=100.502, last_at=100.504)
    late = guard.Cut(eve_at=100.0, told_at=100.5, heard_at=102.0, last_at=102.5)
    before = guard.Cut(eve_at=100.0, told_at=100.5, heard_at=100.504, last_at=100.499)
    slow = guard.Cut(eve_at=100.0, told_at=100.5, heard_at=100.504, last_at=100.508)
    cuts = guard._Cuts([before], [cut, before], [slow], [cut], [late], [2.9, 3.0])
    figures = {each.name: each for each in guard._figures(cuts)}
    assert list(figures) == NAMES
    for percent in (50, 99):  # a cut is never earlier than the guard that made it
        assert figures[f"event_to_cut_p{percent}_ms"].value == pytest.approx(4.0)
        assert figures[f"event_to_cut_p{percent}_ms"].ratio == pytest.approx(0.002)
        assert figures[f"vs_program_p{percent}"].ratio == pytest.approx(1.0)
        assert figures[f"vs_iptables_p{percent}"].ratio == pytest.approx(0.5)
        assert figures[f"iptables_p{percent}_ms"].value == pytest.approx(8.0)
    shares = [figures[f"{part}_share"].value for part in ("detection", "decision", "enforcement")]
    assert shares == pytest.approx([1.0 / 1.008, 0.006 / 1.008, 0.002 / 1.008])
    assert figures["lease_s"].value == 3.0


CUTS = 50


def _is_at_the_cut(enforcer: Enforcer, packets: Stream) -> bool:
    """Cut, and say whether the last packet that passed is told of that time."""
    enforcer.permit(60.0)
    packets.flows()
    began = time.time()
    enforcer.forbid()
    done = time.time()
    return began - QUIET_S < packets.last() <= done + 0.005


def test_the_last_packet_that_passed_is_the_one_before_the_cut(net: Spaces) -> None:
    with packet_stream(net, 8765) as packets:
        ours, by_program = Nft(), rivals.ProgramNft()
        for firewall in (ours, by_program):
            enforcer = NftEnforcer(firewall, Scope((8765,)))
            enforcer.begin()
            # Who sends, or the kernel, may have to wait for a processor just then.
            assert any(_is_at_the_cut(enforcer, packets) for _ in range(CUTS))
            enforcer.remove()
            packets.flows()
            firewall.close()


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NetworkUnusable, match="expected to run as root"):
        guard.run()
