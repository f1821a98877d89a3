"""A block of a vendor's keys between two sides: kept if equal, and only then."""

import itertools
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulators.blocks import reader, tags

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.distill.conversation import FetchKeys, Send, Store
from bellwire.distill.errors import ParameterError
from bellwire.distill.messages import VERSION, Answered, Stored, Supply, Tagged, decode, encode
from bellwire.distill.report import BlockReport
from bellwire.distill.session import Effect, End, Finished, Session
from bellwire.distill.verdict import Reason

BLOCK = Supply(VERSION, 7, False, 256, [f"key-{i}" for i in range(16)])
PROBE = Supply(VERSION, 3, True, 0, [])
KEYS = bytes(range(256)) * 2
Wire = Callable[[Side, int, bytes], list[tuple[int, bytes]]]


def faithful(sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
    return [(step, body)]


def session(side: Side, opening: Supply = BLOCK) -> Session:
    return Session(side, opening, None if opening.probe else tags(), reader(0, side))


class Run:
    """Both sides, driven over a wire until nothing moves."""

    def __init__(
        self, openings: dict[Side, Supply], keys: dict[Side, bytes], wire: Wire = faithful
    ) -> None:
        self.reports: dict[Side, BlockReport] = {}
        self.stored: dict[Side, bytes] = {}
        self.said: list[tuple[Side, int, bytes]] = []
        self._keys, self._wire = keys, wire
        self._sides = {side: session(side, openings[side]) for side in Side}
        self._mail: list[tuple[Side, int, bytes]] = []
        for side in Side:
            self._do(side, self._sides[side].start())
        while self._mail:
            to, step, body = self._mail.pop(0)
            self._do(to, self._sides[to].receive(step, body))

    def _do(self, side: Side, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(step, body):
                    self.said.append((side, step, body))
                    self._mail += [(side.peer, *each) for each in self._wire(side, step, body)]
                case FetchKeys():
                    self._do(side, self._sides[side].provide(Secret(self._keys[side])))
                case Store(secret):
                    self.stored[side] = secret.reveal()
                    self._do(side, self._sides[side].stored())
                case Finished(report):
                    self.reports[side] = report
                case End(reason):
                    told = self._sides[side.peer].end(reason, "the peer ended it", tell=False)
                    self._do(side.peer, told)


def run(
    opening: Supply = BLOCK, keys: dict[Side, bytes] | None = None, wire: Wire = faithful
) -> Run:
    held = keys or dict.fromkeys(Side, b"" if opening.probe else KEYS)
    return Run(dict.fromkeys(Side, opening), held, wire)


def test_equal_keys_are_kept_at_both_sides_and_nothing_is_claimed_of_light() -> None:
    done = run()
    assert done.stored == dict.fromkeys(Side, KEYS)
    report = done.reports[Side.ALICE]
    assert report == done.reports[Side.BOB]
    assert report.accepted
    assert (report.protocol, report.qber, report.chsh, report.epsilon) == (None,) * 4
    assert (report.extracted_bits, report.secret_bits) == (4096, 4096 - 512)
    assert report.assumptions


@pytest.mark.parametrize("at", [0, 255, 511])
def test_one_bit_of_difference_is_found_at_both_sides(at: int) -> None:
    other = bytearray(KEYS)
    other[at] ^= 0x10
    done = run(keys={Side.ALICE: KEYS, Side.BOB: bytes(other)})
    assert {each.reason for each in done.reports.values()} == {Reason.DIFFER}
    assert not done.stored


def test_keys_in_another_order_are_other_keys() -> None:
    swapped = KEYS[32:64] + KEYS[:32] + KEYS[64:]
    done = run(keys={Side.ALICE: KEYS, Side.BOB: swapped})
    assert {each.reason for each in done.reports.values()} == {Reason.DIFFER}


@pytest.mark.parametrize("size", [0, 511, 513])
def test_keys_of_another_length_than_named_are_none(size: int) -> None:
    done = run(keys={Side.ALICE: KEYS, Side.BOB: bytes(size)})
    assert done.reports[Side.BOB].reason is Reason.BOX
    assert not done.stored


def test_sides_that_opened_different_blocks_disagree() -> None:
    other = msgspec.structs.replace(BLOCK, key_ids=[*BLOCK.key_ids[:-1], "another"])
    done = Run({Side.ALICE: BLOCK, Side.BOB: other}, dict.fromkeys(Side, KEYS))
    assert {each.reason for each in done.reports.values()} == {Reason.DISAGREED}


def test_a_block_that_pays_not_even_for_its_tags_is_none() -> None:
    small = msgspec.structs.replace(BLOCK, key_ids=["a", "b"])
    done = run(small, dict.fromkeys(Side, KEYS[:64]))
    assert {each.reason for each in done.reports.values()} == {Reason.NO_NET_KEY}


def test_a_probe_has_no_tags_and_no_keys_and_says_that_both_boxes_answer() -> None:
    done = run(PROBE)
    assert all(report.accepted for report in done.reports.values())
    assert {report.authentication_bits for report in done.reports.values()} == {0}
    assert not done.stored
    assert [decode(body, Answered).number for _, step, body in done.said if step == 1] == [3, 3]


def test_what_is_said_of_keys_is_uniform_whatever_they_are() -> None:
    # Over all pads, the tag of one pair of keys takes each value as often as that of another.
    def low_bits(keys: bytes) -> Counter[int]:
        found: Counter[int] = Counter()
        for pad in range(256):
            keyring = tags()
            keyring.transcript_pads[Side.ALICE] = Secret(bytes([pad]) + bytes(15))
            alice = Session(Side.ALICE, BLOCK, keyring, reader(0, Side.ALICE))
            alice.start()
            alice.receive(0, encode(BLOCK))
            (said,) = (e for e in alice.provide(Secret(keys)) if isinstance(e, Send))
            found[decode(said.body, Tagged).tag[0]] += 1
        return found

    assert low_bits(KEYS) == low_bits(bytes(512)) == Counter(range(256))


@pytest.mark.parametrize(("sender", "step"), list(itertools.product(Side, range(3))))
def test_an_altered_message_gives_no_usable_key(sender: Side, step: int) -> None:
    def alter(who: Side, at: int, body: bytes) -> list[tuple[int, bytes]]:
        changed = bytes([*body[:-1], body[-1] ^ 1])
        return [(at, changed if (who, at) == (sender, step) else body)]

    done = run(wire=alter)
    assert not all(each.accepted for each in done.reports.values())
    assert not done.reports[sender.peer].accepted


@pytest.mark.parametrize(("sender", "step"), list(itertools.product(Side, range(3))))
def test_a_repeated_message_is_out_of_step(sender: Side, step: int) -> None:
    def repeat(who: Side, at: int, body: bytes) -> list[tuple[int, bytes]]:
        return [(at, body)] * (2 if (who, at) == (sender, step) else 1)

    done = run(wire=repeat)
    if step < 2:  # after the last step nobody listens
        assert done.reports[sender.peer].reason is Reason.OUT_OF_STEP


@pytest.mark.parametrize(("sender", "step"), list(itertools.product(Side, range(3))))
def test_a_lost_message_gives_the_peer_no_usable_key(sender: Side, step: int) -> None:
    done = run(wire=lambda who, at, body: [] if (who, at) == (sender, step) else [(at, body)])
    report = done.reports.get(sender.peer)
    assert report is None or not report.accepted
    if step < 2:
        assert sender.peer not in done.stored
    else:  # kept as pending: the next connection settles it
        assert report is None
        assert done.stored[sender.peer] == KEYS


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"key_ids": []},
        {"key_ids": ["a", "a"]},
        {"key_ids": ["a b"]},
        {"key_ids": ["x" * 257]},
        {"key_ids": [str(i) for i in range(1025)]},
        {"key_bits": 0},
        {"key_bits": 12},
        {"key_bits": 1 << 21},
        {"key_bits": 1 << 20},  # of 16 keys together too much
        {"probe": True},
    ],
)
def test_an_opening_out_of_range_is_refused(change: dict[str, object]) -> None:
    bad = msgspec.structs.replace(BLOCK, **change)
    with pytest.raises(ParameterError):
        Session(Side.BOB, bad, None if bad.probe else tags(), reader(0, Side.BOB))


@given(step=st.integers(0, 3), body=st.binary(max_size=64))
@settings(max_examples=200)
def test_any_bytes_of_a_peer_end_the_block_with_a_reason(step: int, body: bytes) -> None:
    alice = session(Side.ALICE)
    alice.start()
    effects = alice.receive(step, body)
    assert isinstance(effects[-1], Finished | FetchKeys)
    if isinstance(effects[-1], Finished):
        assert effects[-1].report.reason in {
            Reason.OUT_OF_STEP,
            Reason.DISAGREED,
            Reason.MALFORMED,
        }


def test_the_kept_block_is_named_by_its_number() -> None:
    done = run()
    assert {decode(body, Stored).number for _, step, body in done.said if step == 2} == {7}
