"""The packed engine is its slow twin bit for bit, follows theory, and is the same however cut."""

import math
from dataclasses import replace
from hashlib import sha256
from itertools import product
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.link.laws import assert_follows, assert_same_law, counted, law
from tests.reference import packed as twin

from bellwire.base.detections import OF_PHOTONS, Protocol, Side
from bellwire.crypto.counter import Generator
from bellwire.lab.pair import derive_authentication, distil
from bellwire.link import packed, theory
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.eve import Axes, Eve, EveKind
from bellwire.link.kernels import packed as kernel
from bellwire.link.packed import GROUP_SLOTS, PackedLink, Planes, Seeds, SidePlanes

MANY = 20_000_000
CLEAN = LinkConfig(misalignment=0.0)
USUAL = LinkConfig()
INTERCEPT = Eve(EveKind.INTERCEPT_RESEND, 0.3)
EVES = [
    None,
    INTERCEPT,
    Eve(EveKind.INTERCEPT_RESEND),
    Eve(EveKind.INTERCEPT_RESEND, 0.6, Axes.uniform()),
    Eve(EveKind.GHZ),
    Eve(EveKind.BREIDBART, 0.9),
    Eve(EveKind.CLONER, 0.9),
    Eve(EveKind.SUBSTITUTION, 0.7),
]
ATTACKS = [
    (protocol, eve)
    for protocol, eve in product(OF_PHOTONS, EVES)
    if protocol.entangled or eve is None or eve.kind is not EveKind.SUBSTITUTION
]
attacks = pytest.mark.parametrize(
    ("protocol", "eve"),
    ATTACKS,
    ids=lambda each: str(each) if isinstance(each, Protocol) else each and f"{each.kind}",
)


def seeds(number: int) -> Seeds:
    return Seeds(*(sha256(f"packed {number} {k}".encode()).digest() for k in range(3)))


def side_bits(side: SidePlanes) -> tuple[Any, Any]:
    held = side.detections()
    return held.settings.astype(np.int64), held.outcomes.astype(np.int64)


def eve_bits(planes: Planes) -> Any:
    """(3, n): touched, basis, bit of every slot."""
    assert planes.eve is not None
    words = np.stack([planes.eve.touched, planes.eve.bases, planes.eve.bits])
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, : planes.alice.slots]


def twin_slots(
    protocol: Protocol, config: LinkConfig, eve: Eve | None, of: Seeds, slots: list[int]
) -> list[twin.Slot]:
    given_seeds = (of.alice, of.bob, of.noise)
    if eve is not None and eve.kind is EveKind.INTERCEPT_RESEND and protocol is not Protocol.E91:
        error = config.misalignment
        return twin.intercepted(str(protocol), given_seeds, eve.share, error, slots)

    def differ(a: int, b: int) -> float:
        return (1 - packed._CORRELATION[protocol](config, a, b, eve)) / 2

    return twin.correlated(str(protocol), given_seeds, differ, slots)


@pytest.mark.parametrize("misalignment", [0.0, 0.02])
@pytest.mark.parametrize("eve", [None, INTERCEPT, Eve(EveKind.INTERCEPT_RESEND)])
@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_every_bit_is_that_of_the_slow_twin(
    protocol: Protocol, eve: Eve | None, misalignment: float
) -> None:
    config, of = LinkConfig(misalignment=misalignment), seeds(1)
    slots = 2 * GROUP_SLOTS + 200
    planes = PackedLink(protocol, config, of, eve).planes(0, slots)
    asked = [*range(150), *range(GROUP_SLOTS - 70, GROUP_SLOTS + 70), *range(slots - 70, slots)]
    expected = twin_slots(protocol, config, eve, of, asked)
    for side, wanted in (
        (planes.alice, [slot.alice for slot in expected]),
        (planes.bob, [slot.bob for slot in expected]),
    ):
        held = side.at(np.array(asked))
        assert list(zip(held.settings.tolist(), held.outcomes.tolist(), strict=True)) == wanted
    if expected[0].eve is None:
        assert planes.eve is None
    else:
        hers = eve_bits(planes)[:, asked].T.tolist()
        assert [tuple(each) for each in hers] == [slot.eve for slot in expected]


@attacks
def test_settings_and_outcomes_follow_theory(protocol: Protocol, eve: Eve | None) -> None:
    link = PackedLink(protocol, USUAL, seeds(2), eve)
    counts = link.counts(link.advance(link.start(), MANY))
    assert counts.sum() == MANY
    assert_follows(counts.astype(float), law(protocol, USUAL, eve)[..., :2, :2])


@settings(deadline=None, max_examples=15)
@given(
    protocol=st.sampled_from(OF_PHOTONS),
    misalignment=st.floats(0.0, 0.5),
    share=st.one_of(st.none(), st.floats(0.0, 1.0)),
    number=st.integers(0, 2**32),
)
@example(protocol=Protocol.BB84, misalignment=0.0, share=math.nextafter(1.0, 0.0), number=0)
def test_any_misalignment_and_share_follow_theory(
    protocol: Protocol, misalignment: float, share: float | None, number: int
) -> None:
    config = LinkConfig(misalignment=misalignment)
    eve = None if share is None else Eve(EveKind.INTERCEPT_RESEND, share)
    link = PackedLink(protocol, config, seeds(number), eve)
    counts = link.counts(link.advance(link.start(), 1_000_000)).astype(float)
    probabilities = law(protocol, config, eve)[..., :2, :2]
    used = probabilities > 1e-4
    z = (counts - 1e6 * probabilities)[used] / np.sqrt(1e6 * probabilities[used])
    assert abs(z).max() < 6
    rare = 1e6 * probabilities[~used].sum()
    assert abs(counts[~used].sum() - rare) < 6 * math.sqrt(rare) + 20


@pytest.mark.parametrize("share", [0.25, 0.11, 1.0])
@pytest.mark.parametrize("protocol", [Protocol.BB84, Protocol.BBM92])
def test_all_patterns_with_eves_data_follow_the_law(protocol: Protocol, share: float) -> None:
    error, slots = 0.03, 3_000_000
    config = LinkConfig(misalignment=error)
    eve = Eve(EveKind.INTERCEPT_RESEND, share)
    planes = PackedLink(protocol, config, seeds(3), eve).planes(0, slots)
    code = eve_bits(planes).astype(np.int64)
    cell = code[0] + 2 * code[1] + 4 * code[2]
    for settings_of, outcomes in (side_bits(planes.alice), side_bits(planes.bob)):
        cell = 4 * cell + 2 * settings_of + outcomes
    counts = np.bincount(cell, minlength=128).reshape(2, 2, 2, 2, 2, 2, 2)
    wanted = np.zeros_like(counts, dtype=float)  # bit, basis, touched of Eve; Alice's; Bob's
    for a, x, b, y in product(range(2), repeat=4):

        def bob(basis: int, bit: int, b: int = b, y: int = y) -> float:
            if basis != b:
                return 0.5
            return error if bit != y else 1 - error

        wanted[0, 0, 0, a, x, b, y] = (1 - share) / 8 * bob(a, x)
        for axis, found in product(range(2), repeat=2):
            chance = (1.0 if found == x else 0.0) if axis == a else 0.5
            wanted[found, axis, 1, a, x, b, y] = share / 8 / 2 * chance * bob(axis, found)
    assert wanted.sum() == pytest.approx(1)
    assert_follows(counts.astype(float), wanted)


@attacks
def test_both_engines_agree(protocol: Protocol, eve: Eve | None) -> None:
    slots = 300_000
    link = PackedLink(protocol, USUAL, seeds(4), eve)
    ours = link.counts(link.advance(link.start(), 4 * slots)).astype(float)
    theirs = counted(protocol, USUAL, slots, eve, 4)
    assert theirs[..., 2].sum() + theirs[..., 2, :].sum() == 0
    assert_same_law(ours, theirs[..., :2, :2])


def test_eve_knows_what_she_measured_in_the_sifted_basis() -> None:
    link = PackedLink(Protocol.BB84, CLEAN, seeds(5), INTERCEPT)
    slots = 1_000_000
    state = link.advance(link.start(), slots)
    planes = link.planes(0, slots)
    (a, x), (b, _), hers = side_bits(planes.alice), side_bits(planes.bob), eve_bits(planes)
    known = (a == b) & (hers[0] == 1) & (hers[1] == a)
    assert state.known == known.sum()
    assert (hers[2] == x)[known].all()
    share = INTERCEPT.share / 4
    assert abs(state.known / slots - share) < 5 * math.sqrt(share / slots)
    guess = theory.eve_guess(Protocol.BB84, INTERCEPT)
    assert guess == pytest.approx(0.5 + share * 2 / 2)
    assert link.keeps_eve
    assert not PackedLink(Protocol.E91, CLEAN, seeds(5), INTERCEPT).keeps_eve


@pytest.mark.parametrize(
    ("protocol", "eve"), [(Protocol.E91, None), (Protocol.BB84, INTERCEPT)], ids=["e91", "bb84"]
)
def test_the_portable_generator_gives_the_same_light(protocol: Protocol, eve: Eve | None) -> None:
    slots = 5 * GROUP_SLOTS
    fast = PackedLink(protocol, USUAL, seeds(6), eve)
    other = PackedLink(protocol, USUAL, seeds(6), eve, generator=Generator.PORTABLE)
    assert fast.advance(fast.start(), slots) == other.advance(other.start(), slots)
    assert_equal(fast.planes(0, slots), other.planes(0, slots))


def assert_equal(one: Planes, two: Planes, first_word: int = 0) -> None:
    """`two` is what `one` has from a word on."""
    words = two.alice.outcomes.size
    window = slice(first_word, first_word + words)
    for mine, other in ((one.alice, two.alice), (one.bob, two.bob)):
        np.testing.assert_array_equal(mine.settings[:, window], other.settings)
        np.testing.assert_array_equal(mine.outcomes[window], other.outcomes)
    if one.eve is not None and two.eve is not None:
        np.testing.assert_array_equal(one.eve.touched[window], two.eve.touched)
        np.testing.assert_array_equal(one.eve.bases[window], two.eve.bases)
        np.testing.assert_array_equal(one.eve.bits[window], two.eve.bits)


RUN = 40 * GROUP_SLOTS


@settings(deadline=None, max_examples=20)
@given(
    attack=st.sampled_from([(Protocol.E91, None), (Protocol.BB84, INTERCEPT)]),
    cuts=st.lists(st.integers(1, RUN - 1), max_size=6, unique=True).map(sorted),
    threads=st.sampled_from([1, 3]),
)
def test_a_run_in_parts_is_the_run_as_a_whole(
    attack: tuple[Protocol, Eve | None], cuts: list[int], threads: int
) -> None:
    protocol, eve = attack
    link = PackedLink(protocol, USUAL, seeds(7), eve, threads=threads)
    state = link.start()
    for begin, end in zip([0, *cuts], [*cuts, RUN], strict=True):
        state = link.advance(state, end - begin)
    whole = link.advance(link.start(), RUN)
    assert state == whole
    planes = link.planes(0, RUN)
    (a, x), (b, y) = side_bits(planes.alice), side_bits(planes.bob)
    n = protocol.settings
    cell = ((a * n + b) * 2 + x) * 2 + y
    assert whole.counts == tuple(np.bincount(cell, minlength=4 * n * n).tolist())


@pytest.mark.parametrize(
    ("protocol", "eve"), [(Protocol.E91, None), (Protocol.BBM92, INTERCEPT)], ids=str
)
def test_planes_in_parts_are_those_of_one_long_run(protocol: Protocol, eve: Eve | None) -> None:
    slots = 300 * GROUP_SLOTS
    link = PackedLink(protocol, USUAL, seeds(8), eve, threads=2)
    whole = link.planes(0, slots)
    assert_equal(PackedLink(protocol, USUAL, seeds(8), eve, threads=1).planes(0, slots), whole)
    assert_equal(whole, link.planes(0, 64 * 100))
    for group in (1, 37, 298):
        part = link.planes(group * GROUP_SLOTS, 2 * GROUP_SLOTS)
        assert part.alice.start == group * GROUP_SLOTS
        assert_equal(whole, part, group * kernel.GROUP_WORDS)
    short = link.planes(0, 1000)
    for plane in (short.alice.outcomes, short.bob.outcomes, short.alice.settings[-1]):
        assert int(plane[-1]) >> (1000 % 64) == 0
        assert plane.size == 16


def test_long_runs_draw_what_no_earlier_part_drew() -> None:
    link = PackedLink(Protocol.E91, USUAL, seeds(9))
    end = packed.MAX_SLOTS // GROUP_SLOTS * GROUP_SLOTS
    starts = [0, GROUP_SLOTS, 1 << 32, 1 << 40, end - GROUP_SLOTS]
    words = np.concatenate([link.planes(at, GROUP_SLOTS).alice.outcomes for at in starts])
    assert np.unique(words).size == words.size
    with pytest.raises(ParameterError, match="pulses"):
        link.planes(end, GROUP_SLOTS)


def test_each_party_draws_from_a_stream_of_its_own() -> None:
    of, slots = seeds(10), 4 * GROUP_SLOTS
    base = PackedLink(Protocol.BB84, CLEAN, of, INTERCEPT).planes(0, slots)

    def changed(whose: str) -> Planes:
        other = replace(of, **{whose: bytes(32)})
        return PackedLink(Protocol.BB84, CLEAN, other, INTERCEPT).planes(0, slots)

    def same(planes: Planes) -> tuple[bool, bool, bool, bool]:
        assert planes.eve is not None
        assert base.eve is not None
        pairs = (
            (planes.alice.settings, base.alice.settings),
            (planes.alice.outcomes, base.alice.outcomes),
            (planes.bob.settings, base.bob.settings),
            (planes.eve.touched, base.eve.touched),
        )
        a, x, b, e = (np.array_equal(one, two) for one, two in pairs)
        return a, x, b, e

    assert same(changed("alice")) == (False, False, True, True)
    assert same(changed("bob")) == (True, True, False, True)
    assert same(changed("noise")) == (True, True, True, False)
    pairs = PackedLink(Protocol.BBM92, CLEAN, of).planes(0, slots)
    silent = PackedLink(Protocol.BBM92, CLEAN, replace(of, noise=bytes(32))).planes(0, slots)
    assert np.array_equal(pairs.alice.settings, silent.alice.settings)
    assert not np.array_equal(pairs.alice.outcomes, silent.alice.outcomes)


def test_one_seed_for_all_still_gives_independent_choices() -> None:
    planes = PackedLink(Protocol.BB84, CLEAN, Seeds(*[bytes(32)] * 3)).planes(0, 1 << 20)
    alike = int(np.bitwise_count(planes.alice.settings ^ planes.bob.settings).sum())
    assert abs(alike - (1 << 19)) < 5 * 512


@pytest.mark.parametrize("protocol", OF_PHOTONS)
def test_each_half_can_be_distilled(protocol: Protocol) -> None:
    from bellwire.distill.messages import TICKET_BYTES, VERSION, Open

    slots = 200_000
    planes = PackedLink(protocol, USUAL, seeds(11)).planes(0, slots)
    opening = Open(VERSION, 1, False, protocol, slots, bytes(TICKET_BYTES), 0.2, 1e-10, 0.11, 2.2)
    tags = derive_authentication(bytes(32))
    rng = np.random.default_rng(1)
    outcome = distil(
        dict.fromkeys(Side, opening),
        {Side.ALICE: planes.alice, Side.BOB: planes.bob},
        dict.fromkeys(Side, tags),
        dict.fromkeys(Side, rng.bytes),
    )
    assert outcome.accepted
    assert outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
    assert outcome.reports[Side.BOB].detected == slots


def test_a_half_says_what_it_has_and_hides_it() -> None:
    planes = PackedLink(Protocol.BB84, CLEAN, seeds(12), INTERCEPT).planes(GROUP_SLOTS, 1000)
    assert planes.alice.received is None
    received = planes.bob.received
    assert received is not None
    assert (received[0], received[-1], received.size) == (GROUP_SLOTS, GROUP_SLOTS + 999, 1000)
    for outside in (0, GROUP_SLOTS - 1, GROUP_SLOTS + 1000):
        with pytest.raises(KeyError, match="outside"):
            planes.bob.at(np.array([outside]))
    assert planes.bob.at(np.array([], np.int64)).slots.size == 0
    shown = repr(planes) + repr(seeds(12)) + repr(PackedLink(Protocol.BB84, CLEAN, seeds(12)))
    assert "array" not in shown
    assert "b'" not in shown


def test_python_and_compiled_kernels_agree() -> None:
    link = PackedLink(Protocol.E91, USUAL, seeds(13))
    attacked = PackedLink(Protocol.BB84, USUAL, seeds(13), INTERCEPT)
    words = kernel.GROUP_WORDS

    def arrays(n: int) -> Any:
        return [np.zeros(s, np.uint64) for s in ((n, words), words, (n, words), words, (3, words))]

    forms: Any

    one, two = arrays(2), arrays(2)
    forms = ((kernel.correlated, one), (kernel.correlated.py_func, two))
    for form, into in forms:
        form(5, 0, 1, *into[:4], *link._keys, *link._law)
    for mine, other in zip(one, two, strict=True):
        np.testing.assert_array_equal(mine, other)
    ours, theirs = arrays(1), arrays(1)
    assert attacked._attack is not None
    forms = ((kernel.intercepted, ours), (kernel.intercepted.py_func, theirs))
    for form, into in forms:
        form(5, 0, 1, *into, *attacked._keys, *attacked._attack)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)
    mask = np.full(words, 2**64 - 1, np.uint64)
    counts, slow = np.zeros((3, 3, 2, 2), np.int64), np.zeros((3, 3, 2, 2), np.int64)
    planes, tallied = one[:4], cast("Any", kernel.tally)
    with np.errstate(over="ignore"):
        tallied(counts, *planes, mask)
        tallied.py_func(slow, *planes, mask)
        assert kernel._ones.py_func(np.uint64(0xF0F0000000000001)) == 9
        known = kernel.known.py_func(ours[0], ours[2], ours[4], mask)
    np.testing.assert_array_equal(counts, slow)
    assert counts.sum() == GROUP_SLOTS
    assert known == kernel.known(ours[0], ours[2], ours[4], mask)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"config": LinkConfig(fibre_km=1.0)}, "without losses"),
        ({"config": LinkConfig(dark_count_probability=1e-9)}, "dark counts"),
        ({"config": LinkConfig(detector_efficiency=0.999)}, "without losses"),
        ({"eve": Eve(EveKind.SUBSTITUTION)}, "substitution"),
        ({"threads": 0}, "threads at least 1, got 0"),
    ],
)
def test_what_the_engine_has_not_is_refused_by_name(words: dict[str, Any], said: str) -> None:
    arguments: dict[str, Any] = {"protocol": Protocol.BB84, "config": CLEAN, "seeds": seeds(0)}
    with pytest.raises(ParameterError, match=said):
        PackedLink(**{**arguments, **words})


def test_parts_out_of_range_are_refused() -> None:
    link = PackedLink(Protocol.BB84, CLEAN, seeds(0))
    for start, slots, said in ((5, 10, "start"), (-4096, 10, "start"), (0, 0, "pulses")):
        with pytest.raises(ParameterError, match=said):
            link.planes(start, slots)
    for slots in (0, -1, packed.MAX_SLOTS + 1):
        with pytest.raises(ParameterError, match="pulses"):
            link.advance(link.start(), slots)
    with pytest.raises(ValueError, match="32 bytes, got 3"):
        Seeds(b"abc", bytes(32), bytes(32))
