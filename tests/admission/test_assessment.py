"""Evidence and the verdict by rules."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwire.admission.assessment import MIN_ECHOES, Verdict, assess
from bellwire.admission.errors import EvidenceUnusable
from bellwire.admission.evidence import Claim, Measured, measured, read_address, seen_address
from bellwire.admission.fingerprint import colour

HERE = read_address("192.0.2.7")
CLAIM = Claim(20.0, 2.0, HERE)
SEEN = Measured(21.0, 1.5, 24, HERE)


def test_a_claim_that_fits_is_secure_and_says_nothing_against() -> None:
    found = assess(CLAIM, SEEN)
    assert (found.verdict, found.reasons, found.assessor) == (Verdict.SECURE, (), "local")
    assert found.distance < 0.1


@pytest.mark.parametrize(
    ("claim", "seen", "word"),
    [
        (replace(CLAIM, address=read_address("192.0.2.8")), SEEN, "address"),
        (replace(CLAIM, ping_ms=180.0), SEEN, "ping of 180.0"),
        (CLAIM, replace(SEEN, ping_ms=180.0), "180.0 ms was measured"),
        (replace(CLAIM, jitter_ms=90.0), SEEN, "jitter of 90.0"),
        (CLAIM, replace(SEEN, echoes=MIN_ECHOES - 1), "7 echoes"),
        (replace(CLAIM, jitter_ms=400.0), replace(SEEN, jitter_ms=400.0), "lets nothing"),
        (replace(CLAIM, address=read_address("2001:db8::1")), SEEN, "circuit"),
    ],
)
def test_one_reason_is_enough(claim: Claim, seen: Measured, word: str) -> None:
    found = assess(claim, seen)
    assert found.verdict is Verdict.INSECURE
    assert any(word in reason for reason in found.reasons)
    assert not any(str(each.address) in " ".join(found.reasons) for each in (claim, seen))


@given(st.floats(0, 200), st.floats(0, 200), st.floats(-24, 24), st.floats(-24, 24))
def test_two_who_measure_on_busy_machines_are_not_held_apart(
    ping: float, jitter: float, later: float, more: float
) -> None:
    claim = Claim(max(0.0, ping + later), max(0.0, jitter + more), HERE)
    assert assess(claim, Measured(ping, jitter, 24, HERE)).reasons == ()


@given(st.floats(0, 60_000), st.floats(0, 60_000), st.integers(0, 256))
def test_the_same_evidence_gives_the_same_verdict(ping: float, jitter: float, echoes: int) -> None:
    seen = Measured(ping, jitter, echoes, HERE)
    assert assess(CLAIM, seen) == assess(CLAIM, seen)


def test_the_stricter_of_two_counts() -> None:
    good, bad = Verdict.SECURE, Verdict.INSECURE
    assert [a.and_(b) for a in (good, bad) for b in (good, bad)] == [good, bad, bad, bad]


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, 60_001.0])
def test_times_that_are_none_are_refused(value: float) -> None:
    for make in (
        lambda: Claim(value, 0.0, HERE),
        lambda: Claim(0.0, value, HERE),
        lambda: measured([1.0, value], HERE),
    ):
        with pytest.raises(EvidenceUnusable, match="0 to 60000 ms"):
            make()


def test_what_echoes_say() -> None:
    assert measured([20.0, 22.0, 21.0], HERE) == Measured(20.0, 1.5, 3, HERE)
    assert measured([20.0], HERE).jitter_ms is None
    for times in ([], [1.0] * 257):
        with pytest.raises(EvidenceUnusable, match="1 to 256"):
            measured(times, HERE)


@pytest.mark.parametrize(
    "text", ["", "localhost", "1.2.3", "fe80::1%eth0", "1" * 10_000, "١.2.3.4"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(EvidenceUnusable, match="IPv4 or IPv6") as caught:
        read_address(text)
    assert len(str(caught.value)) < 200


def test_an_ipv4_address_in_ipv6_is_itself() -> None:
    assert read_address("::ffff:192.0.2.7") == HERE


def test_only_what_our_own_proxies_added_is_believed() -> None:
    proxy, liar = read_address("10.0.0.1"), read_address("203.0.113.9")
    assert seen_address(HERE, [liar], 0) == HERE
    assert seen_address(proxy, [liar, HERE], 1) == HERE
    assert seen_address(proxy, [liar, HERE, proxy], 2) == HERE
    with pytest.raises(EvidenceUnusable, match="2 proxies add, got 1"):
        seen_address(proxy, [HERE], 2)


def test_a_colour_is_of_the_address_alone() -> None:
    assert colour(HERE) == colour(read_address("::ffff:192.0.2.7"))
    assert colour(HERE) != colour(read_address("192.0.2.8"))
    one, other = read_address("2001:db8::1"), read_address("2001:db8::2")
    assert colour(one) == colour(other)
    assert len(str(colour(HERE))) == 7
    assert len({str(colour(read_address(f"192.0.2.{n}"))) for n in range(256)}) == 256
