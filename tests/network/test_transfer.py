"""The two ends of a transfer, without I/O: what is accepted, what is found, what is learnt."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.base.secret import Secret
from bellwire.crypto.one_time_mac import tag
from bellwire.network.control import Check, Confirm, Received
from bellwire.network.errors import MessageRefused, NetworkMisuse
from bellwire.network.hop import ShareHeader
from bellwire.network.model import SHARE_OVERHEAD
from bellwire.network.origin import Agreed, Altered, Origin
from bellwire.network.shares import combine, share_tag
from bellwire.network.target import MAX_ARRIVALS, Target

ROUTES = (("a", "m", "b"), ("a", "x", "y", "b"), ("a", "b"))


def at_target(header: ShareHeader) -> ShareHeader:
    return ShareHeader(header.transfer, header.index, header.route, len(header.route) - 1)


def begun(block_bytes: int = 40, seed: int = 1) -> tuple[Origin, Target]:
    origin = Origin(ROUTES, block_bytes, random.Random(seed).randbytes)
    return origin, Target("b", origin.transfer, "a")


def arrive_all(origin: Origin, target: Target) -> Check:
    check = None
    for header, share in origin.shares():
        report = target.arrive(at_target(header), share)
        assert report is not None
        check = origin.received(report)
    assert check is not None
    return check


def test_both_ends_come_to_the_same_block_and_record() -> None:
    origin, target = begun()
    confirm, theirs = target.check(arrive_all(origin, target), met=True)
    ours = origin.confirmed(confirm, met=True)
    assert isinstance(ours, Agreed)
    assert ours == theirs
    assert len(ours.block.bits) == 40
    assert len(ours.meeting) == 32
    record = ours.block.record
    assert (record.origin, record.target, record.routes) == ("a", "b", ROUTES)
    assert record.relays == {"m", "x", "y"}
    assert record.knowers == frozenset()


def test_a_block_that_went_one_way_is_known_to_all_on_it() -> None:
    origin = Origin((("a", "x", "y", "b"),), 8, random.Random(1).randbytes)
    target = Target("b", origin.transfer, "a")
    ((header, share),) = origin.shares()
    report = target.arrive(at_target(header), share)
    assert report is not None
    check = origin.received(report)
    assert check is not None
    _, agreed = target.check(check, met=False)
    assert agreed is not None
    assert agreed.block.record.knowers == {"x", "y"}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    which=st.sets(st.integers(0, 2), min_size=1),
    at=st.integers(0, 39 + SHARE_OVERHEAD),
    flip=st.integers(1, 255),
    cut=st.booleans(),
)
def test_every_altered_share_is_found_and_no_other(
    which: set[int], at: int, flip: int, cut: bool
) -> None:
    origin, target = begun()
    check = None
    for header, share in origin.shares():
        data = bytearray(share.reveal())
        if header.index in which:
            data[at] ^= flip
            data = data[:-1] if cut else data
        report = target.arrive(at_target(header), Secret(data))
        assert report is not None
        check = origin.received(report)
    assert check is not None
    confirm, agreed = target.check(check, met=False)
    assert agreed is None
    assert set(confirm.altered) == which
    verdict = origin.confirmed(confirm, met=False)
    assert isinstance(verdict, Altered)
    assert verdict.routes == tuple(ROUTES[index] for index in sorted(which))
    assert set(verdict.others) == set(ROUTES) - set(verdict.routes)


def test_nothing_is_told_of_the_check_before_all_shares_are_fixed() -> None:
    origin, target = begun()
    first, second, third = origin.shares()
    for header, share in (first, second):
        report = target.arrive(at_target(header), share)
        assert report is not None
        assert origin.received(report) is None
    assert origin.missing() == (("a", "b"),)
    # Named by a neighbour that is not on its route, a share does not count.
    lie = Received(origin.transfer, ((0, "m"), (1, "y"), (2, "m")))
    assert origin.received(lie) is None
    with pytest.raises(MessageRefused):
        origin.confirmed(Confirm(origin.transfer, ()), met=False)
    report = target.arrive(at_target(third[0]), third[1])
    assert report is not None
    assert origin.received(report) is not None
    assert origin.received(report) is None, "it is told once"


def test_a_share_that_came_first_stands_and_what_comes_late_changes_nothing() -> None:
    origin, target = begun()
    check: Check | None = None
    for header, share in origin.shares():
        place = at_target(header)
        report = target.arrive(place, share)
        assert report is not None
        assert target.arrive(place, Secret(bytes(len(share)))) is None
        check = origin.received(report)
    # A relay that delivers another route's share as its own is not believed.
    intruder = ShareHeader(origin.transfer, 1, ("a", "m", "b"), 2)
    assert target.arrive(intruder, Secret(bytes(88))) is not None
    assert check is not None
    confirm, agreed = target.check(check, met=False)
    assert confirm.altered == ()
    assert agreed is not None
    assert target.arrive(at_target(origin.shares()[0][0]), Secret(bytes(88))) is None
    with pytest.raises(MessageRefused):
        target.check(check, met=False)


def test_a_check_of_what_never_arrived_or_of_other_ends_is_refused() -> None:
    origin, target = begun()
    check = arrive_all(origin, target)
    fresh = Target("b", origin.transfer, "a")
    with pytest.raises(MessageRefused, match="have arrived"):
        fresh.check(check, met=False)
    for other in (Target("c", origin.transfer, "a"), Target("b", origin.transfer, "z")):
        with pytest.raises(MessageRefused, match="from its origin to us"):
            other.check(check, met=False)


def test_a_verdict_on_shares_that_are_not_there_is_refused() -> None:
    origin, target = begun()
    arrive_all(origin, target)
    with pytest.raises(MessageRefused):
        origin.confirmed(Confirm(origin.transfer, (3,)), met=False)


def test_what_one_attempt_holds_is_bounded() -> None:
    target = Target("b", b"t" * 16, "a")
    taken = [
        target.arrive(ShareHeader(b"t" * 16, index, ("a", f"m{who}", "b"), 2), Secret(bytes(50)))
        for who in range(10)
        for index in range(8)
    ]
    assert sum(report is not None for report in taken) == MAX_ARRIVALS
    stranger = ShareHeader(b"t" * 16, 0, ("z", "m", "b"), 2)
    assert Target("b", b"t" * 16, "a").arrive(stranger, Secret(bytes(50))) is None


@pytest.mark.parametrize("size", [0, -1, 2**16 + 1])
def test_a_block_has_a_length_within_bounds(size: int) -> None:
    with pytest.raises(NetworkMisuse):
        Origin(ROUTES, size, random.Random(1).randbytes)


def test_the_view_of_a_relay_fits_every_block_equally_well() -> None:
    """One route's share, the point and all tags: for each block there is one completion.

    The other share's text follows from the block by the sum, its mask from its tag; masks and
    texts are uniform, so all 256 blocks of a byte stay equally likely.
    """
    origin = Origin((("a", "m", "b"), ("a", "x", "b")), 1, random.Random(5).randbytes)
    (_, seen), (_, hidden) = origin.shares()
    check = origin.received(Received(origin.transfer, ((0, "m"), (1, "x"))))
    assert check is not None
    point = Secret(check.point)
    block, meeting = combine([seen, hidden])
    completions: Counter[int] = Counter()
    for candidate in range(256):
        text = bytes(
            one ^ other
            for one, other in zip(
                seen.reveal()[:33], bytes([candidate]) + meeting.reveal(), strict=True
            )
        )
        hashed = int.from_bytes(tag(point, Secret(bytes(16)), text), "little")
        mask = (int.from_bytes(check.tags[1], "little") - hashed) % 2**128
        completed = Secret(text + mask.to_bytes(16, "little"))
        assert share_tag(completed, point) == check.tags[1]
        assert combine([seen, completed])[0].reveal() == bytes([candidate])
        completions[candidate] += 1
        if candidate == block.reveal()[0]:
            assert completed == hidden
    assert set(completions.values()) == {1}
    assert len(completions) == 256
