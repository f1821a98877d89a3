"""Reconciliation by low-density codes: keys become equal or the block fails, in few rounds."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwire.base.bits import Bits, PackedBits, binary_entropy
from bellwire.distill import ldpc
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.ldpc import Ldpc
from bellwire.distill.ldpc_code import plan
from bellwire.distill.ldpc_frames import CHECKSUM_BITS, MOST_REQUESTS, WHOLE, _deal

SEED = bytes(range(32))


def keys(n: int, qber: float, seed: int) -> tuple[Bits, Bits]:
    rng = np.random.default_rng(seed)
    alice: Bits = rng.integers(0, 2, n, np.uint8)
    errors: Bits = (rng.random(n) < qber).astype(np.uint8)
    return alice, alice ^ errors


def engines(
    alice: Bits,
    bob: Bits,
    estimate: float,
    seed: bytes = SEED,
    parts: tuple[int, ...] | None = None,
) -> tuple[Ldpc, Ldpc]:
    parts = (alice.size,) if parts is None else parts
    return (
        Ldpc(PackedBits.of(alice), parts, estimate, seed, corrects=False),
        Ldpc(PackedBits.of(bob), parts, estimate, seed, corrects=True),
    )


def reconcile(a: Ldpc, b: Ldpc) -> None:
    """Run both to the end, checking every round that they are in step."""
    from_a, from_b = a.first(), b.first()
    while True:
        assert (a.rounds, a.leaked_bits) == (b.rounds, b.leaked_bits)
        assert not (from_b if a.rounds % 2 else from_a)
        next_a, next_b = a.receive(from_b), b.receive(from_a)
        assert (next_a is None) == (next_b is None)
        if next_a is None or next_b is None:
            break
        from_a, from_b = next_a, next_b
    assert (a.rounds, a.leaked_bits, a.errors) == (b.rounds, b.leaked_bits, b.errors)


def agree(alice: Bits, bob: Bits, estimate: float, seed: bytes = SEED) -> Ldpc:
    """Reconcile; both must end with Alice's key and the true number of errors."""
    a, b = engines(alice, bob, estimate, seed)
    reconcile(a, b)
    assert (a.corrected.unpack() == alice).all()
    assert (b.corrected.unpack() == alice).all()
    assert a.errors == (int((alice != bob).sum()),)
    return a


# --- the keys become equal


@given(
    n=st.integers(70_000, 100_000),
    qber=st.sampled_from([0.0, 0.01, 0.02, 0.05, 0.08, 0.11]),
    factor=st.sampled_from([0.5, 0.9, 1.0, 1.1, 2.0]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_keys_agree_even_where_the_estimate_is_wrong_by_a_factor_of_two(
    n: int, qber: float, factor: float, seed: int
) -> None:
    estimate = min(0.12, max(0.01, qber * factor))
    agree(*keys(n, qber, seed), estimate, seed.to_bytes(32, "big"))


@pytest.mark.parametrize(("n", "estimate"), [(40_000, 0.02), (11_003, 0.11), (130_001, 0.02)])
def test_equal_keys_need_two_rounds(n: int, estimate: float) -> None:
    alice, _ = keys(n, 0.0, 1)
    engine = agree(alice, alice, estimate)
    assert engine.rounds == 2
    assert engine.errors == (0,)


@pytest.mark.parametrize("qber", [0.3, 0.5, 1.0])
def test_keys_with_hopelessly_many_errors_are_told_bit_by_bit_at_once(qber: float) -> None:
    alice, bob = keys(40_010, qber, 2)
    engine = agree(alice, bob, 0.02)
    assert engine.leaked_bits == 40_010
    assert engine.rounds == 4


@pytest.mark.parametrize("n", [98_304, 98_305, 98_368, 196_607, 196_608, 250_001])
def test_a_key_of_any_number_of_frames_and_bits_is_corrected(n: int) -> None:
    agree(*keys(n, 0.03, n), 0.03)


def test_errors_are_counted_part_by_part() -> None:
    alice, bob = keys(50_000, 0.02, 3)
    parts = (17_001, 0, 32_999)
    a, b = engines(alice, bob, 0.02, parts=parts)
    reconcile(a, b)
    wrong = alice != bob
    expected = (int(wrong[:17_001].sum()), 0, int(wrong[17_001:].sum()))
    assert a.errors == b.errors == expected


def test_a_burst_is_as_easy_as_scattered_errors() -> None:
    alice, _ = keys(200_000, 0.0, 4)
    bob = alice.copy()
    bob[70_000:74_000] ^= 1
    engine = agree(alice, bob, 0.02)
    assert engine.rounds <= 4


def test_a_part_with_more_errors_is_spread_over_all_frames() -> None:
    alice, _ = keys(400_000, 0.0, 5)
    rng = np.random.default_rng(5)
    rate = np.where(np.arange(400_000) < 100_000, 0.05, 0.01)
    bob = alice ^ (rng.random(400_000) < rate).astype(np.uint8)
    engine = agree(alice, bob, 0.02)
    assert engine.rounds <= 4


@pytest.mark.parametrize(
    ("qber", "highest"), [(0.01, 1.25), (0.02, 1.16), (0.03, 1.16), (0.05, 1.14), (0.08, 1.14)]
)
def test_what_is_leaked_is_within_the_stated_share_of_the_limit(
    qber: float, highest: float
) -> None:
    leaked, limit = 0, 0.0
    for seed in range(3):
        alice, bob = keys(400_000, qber, seed)
        leaked += agree(alice, bob, qber).leaked_bits
        limit += alice.size * binary_entropy(float((alice != bob).mean()))
    assert 1.0 < leaked / limit < highest


@pytest.mark.parametrize(("size", "frames"), [(6400, 5), (6401, 5), (6393, 4), (640, 1), (641, 3)])
def test_words_are_dealt_evenly_and_each_once(size: int, frames: int) -> None:
    order, start = _deal(size, frames, SEED)
    words = -(-size // 64)
    assert sorted(order.tolist()) == list(range(words))
    assert (start[0], start[-1]) == (0, words)
    hands = [order[a:b] for a, b in pairwise(start)]
    assert {hand.size for hand in hands} <= {words // frames, -(-words // frames)}
    rounds = size // 64 // frames
    for hand in hands:
        assert sorted(hand[hand < rounds * frames] // frames) == list(range(rounds))
    if size % 64:
        assert hands[-1][-1] == words - 1
    if words > 3 * frames:
        assert _deal(size, frames, bytes(32))[0].tolist() != order.tolist()


# --- what is counted


def test_the_leak_is_a_bit_a_check_and_the_checksums() -> None:
    alice, bob = keys(250_000, 0.02, 6)
    chosen = plan(250_000, 0.02)
    assert chosen is not None
    a, b = engines(alice, bob, 0.02)
    message = a.first()
    b.first()
    assert 8 * len(message) == chosen.frames * (64 * chosen.checks + CHECKSUM_BITS)
    assert a.leaked_bits == b.leaked_bits == 8 * len(message)


def test_further_checks_are_counted_and_a_whole_frame_counts_its_bits_once() -> None:
    alice, bob = keys(40_000, 0.02, 7)
    a, b = engines(alice, bob, 0.02)
    opening = len(a.first())
    b.first()
    a.receive(b"")
    assert a.receive(b"\x00" + (5).to_bytes(2, "little")) is not None
    assert a.leaked_bits == 8 * opening + 5 * 64
    a.receive(b"")
    told = a.receive(b"\x00" + WHOLE.to_bytes(2, "little"))
    assert told is not None
    assert len(told) == 40_000 // 8
    assert a.leaked_bits == 40_000


# --- it ends, in step


def test_a_frame_that_asks_too_often_gets_its_bits_or_nothing() -> None:
    alice, bob = keys(60_000, 0.02, 8)
    a, _ = engines(alice, bob, 0.02)
    a.first()
    a.receive(b"")
    for _ in range(MOST_REQUESTS - 1):
        assert a.receive(b"\x00" + (1).to_bytes(2, "little")) is not None
        a.receive(b"")
    with pytest.raises(MalformedMessage, match="at most 0 more"):
        a.receive(b"\x00" + (1).to_bytes(2, "little"))
    told = a.receive(b"\x00" + WHOLE.to_bytes(2, "little"))
    assert told is not None
    assert len(told) == 8 * -(-60_000 // 64)
    assert a.leaked_bits == 60_000
    a.receive(b"")
    with pytest.raises(MalformedMessage):
        a.receive(b"\x00" + (1).to_bytes(2, "little"))
    assert a.rounds <= 2 + 2 * MOST_REQUESTS


def test_other_frames_go_on_when_one_has_asked_for_its_bits() -> None:
    alice, bob = keys(130_000, 0.02, 8)
    a, _ = engines(alice, bob, 0.02)
    before = 8 * len(a.first())
    a.receive(b"")
    assert a.receive(b"\x00" + WHOLE.to_bytes(2, "little") + b"\x01\x00") is not None
    assert a.leaked_bits == 65_024 + before // 2 + 64
    a.receive(b"")
    assert a.receive(b"\x00\x02\x00") is not None
    assert a.leaked_bits == 65_024 + before // 2 + 3 * 64


@pytest.mark.parametrize("false", ["noise", "of another frame"])
def test_a_decoder_that_never_succeeds_asks_for_the_bits_within_its_budget(false: str) -> None:
    alice, bob = keys(40_000, 0.02, 9)
    other, _ = keys(40_000, 0.02, 10)
    rng = np.random.default_rng(3)
    a, b = engines(alice, bob, 0.02)
    liar, _ = engines(other, bob, 0.02)
    said, _ = liar.first(), a.first()
    b.first()
    while True:
        liar.receive(b"")
        answer = b.receive(rng.bytes(len(said)) if false == "noise" else said)
        assert answer is not None
        if b.receive(b"") is None:
            break
        said = liar.receive(answer) or b""
    assert b.leaked_bits == 40_000
    assert b.rounds <= 2 + 2 * MOST_REQUESTS


# --- a hostile peer


def test_checks_that_are_noise_end_with_the_bits_and_the_peers_key() -> None:
    alice, bob = keys(40_000, 0.02, 10)
    noise = np.random.default_rng(10)
    _, b = engines(alice, bob, 0.02)
    a, _ = engines(alice, bob, 0.02)
    size = len(a.first())
    b.first()
    a.receive(b"")
    answer = b.receive(noise.bytes(size))
    assert answer == b"\x00" + WHOLE.to_bytes(2, "little")
    told = a.receive(answer)
    b.receive(b"")
    assert told is not None
    assert b.receive(told) is not None
    assert b.receive(b"") is None
    assert (b.corrected.unpack() == alice).all()


def test_a_frame_whose_checksum_does_not_fit_is_not_taken_for_decoded() -> None:
    alice, bob = keys(40_000, 0.01, 11)
    a, b = engines(alice, bob, 0.02)
    message = bytearray(a.first())
    b.first()
    message[0] ^= 1
    answer = b.receive(bytes(message))
    assert answer is not None
    assert answer[:1] == b"\x00"
    assert int.from_bytes(answer[1:], "little") > 0


def started(corrects: bool) -> Ldpc:
    alice, bob = keys(130_000, 0.02, 12)
    engine = engines(alice, bob, 0.02)[corrects]
    engine.first()
    return engine


@pytest.mark.parametrize("cut", [-1, 1])
def test_checks_of_another_length_are_malformed(cut: int) -> None:
    alice, bob = keys(130_000, 0.02, 12)
    a, b = engines(alice, bob, 0.02)
    message = a.first()
    b.first()
    wrong = message[:-1] if cut < 0 else message + b"\x00"
    with pytest.raises(MalformedMessage, match="bytes"):
        b.receive(wrong)


def test_where_nothing_is_due_something_is_malformed() -> None:
    with pytest.raises(MalformedMessage, match="expected nothing"):
        started(corrects=False).receive(b"\x00")


ANSWERS: list[tuple[str, Callable[[Ldpc], bytes], str]] = [
    ("nothing", lambda _: b"", "an answer"),
    ("a third kind", lambda _: b"\x02", "an answer"),
    ("frames left out", lambda _: b"\x00\x01\x00", "bytes"),
    ("none asks", lambda _: b"\x00" + bytes(4), "asks for more"),
    ("more than there is", lambda _: b"\x00\xfe\xff\x00\x00", "more words of checks"),
    ("counts left out", lambda _: b"\x01", "bytes of counts"),
    ("a count above the part", lambda _: b"\x01" + (130_001).to_bytes(8, "little"), "wrong bits"),
    ("a count of 2^63", lambda _: b"\x01" + (1 << 63).to_bytes(8, "little"), "wrong bits"),
]


@pytest.mark.parametrize(("name", "make", "expected"), ANSWERS, ids=[name for name, *_ in ANSWERS])
def test_an_answer_that_cannot_be_is_malformed(
    name: str, make: Callable[[Ldpc], bytes], expected: str
) -> None:
    engine = started(corrects=False)
    engine.receive(b"")
    with pytest.raises(MalformedMessage, match=expected):
        engine.receive(make(engine))


def test_bits_behind_the_end_of_a_frame_are_malformed() -> None:
    alice, bob = keys(40_001, 0.5, 13)
    a, b = engines(alice, bob, 0.02)
    b.receive((b.first(), a.first())[1])
    a.receive(b"")
    b.receive(b"")
    told = a.receive(b"\x00" + WHOLE.to_bytes(2, "little"))
    assert told is not None
    with pytest.raises(MalformedMessage, match="padding"):
        b.receive(told[:-1] + b"\x80")


@given(messages=st.lists(st.binary(max_size=40), min_size=1, max_size=4), corrects=st.booleans())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_whatever_arrives_is_answered_or_refused(messages: list[bytes], corrects: bool) -> None:
    engine = started(corrects)
    for message in messages:
        try:
            if engine.receive(message) is None:
                return
        except MalformedMessage:
            return


# --- misuse


def test_a_key_without_a_code_is_refused() -> None:
    with pytest.raises(ValueError, match="a code fits"):
        engines(*keys(5000, 0.02, 1), 0.02)


def test_misuse_is_refused() -> None:
    alice, bob = keys(40_000, 0.02, 14)
    with pytest.raises(ValueError, match="parts"):
        engines(alice, bob, 0.02, parts=(1, 2))
    with pytest.raises(ValueError, match="seed"):
        engines(alice, bob, 0.02, seed=b"short")
    a, b = engines(alice, bob, 0.02)
    with pytest.raises(ValueError, match="opening"):
        a.receive(b"")
    with pytest.raises(ValueError, match="not finished"):
        _ = a.corrected
    reconcile(a, b)
    with pytest.raises(ValueError, match="opening"):
        a.first()
    with pytest.raises(MalformedMessage, match="after the last round"):
        a.receive(b"")


def test_the_key_is_not_shown_and_not_changed() -> None:
    alice, bob = keys(40_000, 0.02, 15)
    packed = PackedBits.of(bob)
    before = packed.words.copy()
    engine = Ldpc(packed, (40_000,), 0.02, SEED, corrects=True)
    other = Ldpc(PackedBits.of(alice), (40_000,), 0.02, SEED, corrects=False)
    reconcile(other, engine)
    assert (packed.words == before).all()
    assert repr(engine).startswith("Ldpc(40000 bits, round 2, ")
    assert repr(engine._frames) == "Frames(1 of 40000 bits)"


def test_keys_longer_than_any_block_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldpc, "MAX_BITS", 39_999)
    with pytest.raises(ValueError, match="at most 39999 bits"):
        engines(*keys(40_000, 0.02, 16), 0.02)
