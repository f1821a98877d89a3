"""Neither side, nor the wire, holds what only the other side may know.

What can be reached from Alice's session is looked through for Bob's half: every array and byte
string is read as bits, at every offset, and every 32 bytes are tried as the seed of his choices.
The search is proven on variants that leak on purpose.
"""

import gc
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tests.simulators.blocks import Recorder, opening, reader, tags
from tests.simulators.slots import decode_slots

from bellwire.base.bits import Bits, PackedBits, pack
from bellwire.base.detections import OF_PHOTONS, Detections, Half, Protocol, Side
from bellwire.distill import messages
from bellwire.distill.amplification import amplify, seed_bits
from bellwire.distill.cascade import Cascade
from bellwire.distill.conversation import FetchHalf, Store
from bellwire.distill.messages import Announced, decode
from bellwire.distill.session import Session
from bellwire.lab.pair import PairOutcome, distil
from bellwire.link.choices import BasisChoices, PreparedPulses, SettingChoices
from bellwire.link.config import LinkConfig
from bellwire.link.simulate import simulate

SEEDS = {Side.ALICE: b"a" * 32, Side.BOB: b"b" * 32}
NOISE = b"n" * 32
PULSES = {Protocol.BB84: 20_000, Protocol.BBM92: 20_000, Protocol.E91: 60_000}
SIGNIFICANT = 7.0
"""Standard deviations; chance reaches them once in 10¹¹ looks, and there are below 10⁸."""

NumberArray = np.ndarray[Any, np.dtype[Any]]


# --- the search


def reachable(*roots: object) -> Iterator[object]:
    """Everything that can be reached from the roots, without modules, classes and globals."""
    seen: set[int] = set()
    queue = list(roots)
    while queue:
        thing = queue.pop()
        if id(thing) in seen or isinstance(thing, types.ModuleType | type | types.CodeType):
            continue
        seen.add(id(thing))
        yield thing
        if isinstance(thing, types.FunctionType):
            queue += [thing.__closure__, thing.__defaults__, thing.__kwdefaults__]
        else:
            queue += gc.get_referents(thing)
        if isinstance(thing, np.ndarray) and thing.base is not None:
            queue.append(thing.base)


def bit_strings(thing: object) -> Iterator[Bits]:
    """The ways to read a thing as bits."""
    if isinstance(thing, bytes | bytearray):
        yield np.unpackbits(np.frombuffer(bytes(thing), np.uint8), bitorder="little")
    elif isinstance(thing, np.ndarray) and thing.dtype.kind in "iub":
        flat = thing.reshape(-1).astype(np.uint64)
        yield from ((flat >> np.uint64(bit) & np.uint64(1)).astype(np.uint8) for bit in (0, 1))


def strongest(target: Bits, candidate: Bits) -> float:
    """How many standard deviations the best alignment of candidate and target lies off chance."""
    m = target.size
    if candidate.size < m:
        return 0.0
    size = 1 << int(candidate.size + m - 1).bit_length()
    signs, pattern = (1.0 - 2.0 * bits for bits in (candidate, target))
    spectrum = np.fft.rfft(signs, size) * np.conj(np.fft.rfft(pattern, size))
    sums = np.fft.irfft(spectrum, size)[: candidate.size - m + 1]
    return float(np.abs(sums).max() / np.sqrt(m))


@dataclass
class Hidden:
    """What only Bob may know: bits at his slots, guessed right half of the time by chance."""

    protocol: Protocol
    slots: NumberArray
    bits: Bits

    def found_in(self, *roots: object) -> float:
        """The strongest sign of the hidden bits in anything that can be reached."""
        best = 0.0
        for thing in reachable(*roots):
            for bits in bit_strings(thing):
                best = max(best, strongest(self.bits, bits))
                if bits.size > self.slots.max():
                    best = max(best, strongest(self.bits, bits[self.slots]))
            if isinstance(thing, bytes | bytearray) and len(thing) == 32:
                for guess in self.from_seed(bytes(thing)):
                    best = max(best, strongest(self.bits, guess))
        return best

    def from_seed(self, seed: bytes) -> Iterator[Bits]:
        """What Bob would hold if this were his seed, or the link's."""
        for side in Side:
            yield SettingChoices(seed, side).at(self.slots) & np.uint8(1)
            yield BasisChoices(seed, Protocol.BBM92, side).at(self.slots)
        yield BasisChoices(seed).at(self.slots)
        yield PreparedPulses(seed, PULSES[self.protocol]).at(self.slots).outcomes
        mine = SEEDS[Side.ALICE]
        bob = simulate(self.protocol, LinkConfig(), PULSES[self.protocol], mine, seed, seed)[1]
        yield bob.at(self.slots).outcomes


# --- a block, and Alice alone with what Bob said


@dataclass
class Block:
    protocol: Protocol
    halves: dict[Side, Half]
    said: dict[Side, list[bytes]]
    outcome: PairOutcome

    @property
    def bob(self) -> Detections:
        half = self.halves[Side.BOB]
        assert isinstance(half, Detections)
        return half


@pytest.fixture(scope="module", params=OF_PHOTONS, ids=str)
def block(request: pytest.FixtureRequest) -> Block:
    protocol: Protocol = request.param
    alice, bob = simulate(
        protocol, LinkConfig(), PULSES[protocol], SEEDS[Side.ALICE], SEEDS[Side.BOB], NOISE
    )
    said = Recorder()
    light: dict[Side, Half] = {Side.ALICE: alice, Side.BOB: bob}
    outcome = distil(
        dict.fromkeys(Side, opening(protocol)),
        light,
        dict.fromkeys(Side, tags(1)),
        {side: reader(3, side) for side in Side},
        said,
    )
    assert outcome.accepted
    return Block(protocol, light, said.said, outcome)


def alice_alone(
    block: Block, until: int, random_bytes: Callable[[int], bytes] | None = None
) -> tuple[object, ...]:
    """Alice's memory after Bob's messages before step `until`: session, half, seed."""
    one = Session(
        Side.ALICE, opening(block.protocol), tags(1), random_bytes or reader(3, Side.ALICE)
    )
    one.start()
    half = simulate(
        block.protocol,
        LinkConfig(),
        PULSES[block.protocol],
        SEEDS[Side.ALICE],
        b"?" * 32,
        b"!" * 32,
    )[0]
    if block.protocol.entangled:
        # Her half of pairs cannot be made again without the noise: it is what the link gave her.
        half = block.halves[Side.ALICE]
    for step, body in enumerate(block.said[Side.BOB][:until]):
        effects = one.receive(step, body)
        while effects and isinstance(effects[-1], FetchHalf | Store):
            last = effects[-1]
            effects = one.provide(half) if isinstance(last, FetchHalf) else one.stored()
    return one, half, SEEDS[Side.ALICE]


def never_opened(block: Block) -> Hidden:
    """Bob's outcomes that no step opens and no parity touches."""
    bob = block.bob
    alice = block.halves[Side.ALICE].at(bob.slots)
    other = alice.settings != bob.settings
    assert not block.protocol.judged_on_chsh
    return Hidden(block.protocol, bob.slots[other], bob.outcomes[other])


def settings_of(block: Block) -> Hidden:
    """Bob's settings, of which a bit each."""
    kept = slice(None)
    if block.protocol is Protocol.E91:  # 0 and 1 are equally likely, 2 is left out
        kept = np.flatnonzero(block.bob.settings < 2)  # type: ignore[assignment]  # an index array
    return Hidden(block.protocol, block.bob.slots[kept], block.bob.settings[kept])


def unknown_to_alice(block: Block) -> Hidden:
    """Bob's outcomes where hers say nothing: other bases, or settings at a right angle."""
    if not block.protocol.judged_on_chsh:
        return never_opened(block)
    bob, alice = block.bob, block.halves[Side.ALICE].at(block.bob.slots)
    # Alice's setting i is at 45°·i and Bob's j at 45°·(j + 1).
    right = np.abs(alice.settings.astype(int) - bob.settings.astype(int) - 1) == 2
    return Hidden(block.protocol, bob.slots[right], bob.outcomes[right])


def test_before_bases_open_alice_cannot_tell_bobs_settings(block: Block) -> None:
    memory = alice_alone(block, until=2)
    assert settings_of(block).found_in(*memory) < SIGNIFICANT


def test_before_outcomes_open_alice_cannot_tell_what_her_own_do_not_say(block: Block) -> None:
    assert unknown_to_alice(block).found_in(*alice_alone(block, until=3)) < SIGNIFICANT


@pytest.mark.parametrize("block", [Protocol.BB84, Protocol.BBM92], indirect=True, ids=str)
@pytest.mark.parametrize("until", [5, 40, 10_000])
def test_alice_never_learns_bobs_outcomes_in_other_bases(block: Block, until: int) -> None:
    memory = alice_alone(block, until)
    assert never_opened(block).found_in(*memory) < SIGNIFICANT


def test_a_session_that_could_reach_bobs_half_would_be_found_out(block: Block) -> None:
    bob = block.bob

    def leaky(count: int) -> bytes:
        assert bob is not None
        return reader(3, Side.ALICE)(count)

    memory = alice_alone(block, 2, leaky)
    assert settings_of(block).found_in(*memory) > SIGNIFICANT
    assert unknown_to_alice(block).found_in(*memory) > SIGNIFICANT


def test_a_session_that_could_reach_bobs_seed_would_be_found_out(block: Block) -> None:
    seed = bytes(SEEDS[Side.BOB])
    memory = alice_alone(block, 2, lambda count: (seed * count)[:count])
    assert settings_of(block).found_in(*memory) > SIGNIFICANT


def test_alices_seed_and_another_of_bobs_give_another_half(block: Block) -> None:
    bob = block.bob
    for guess in (SEEDS[Side.ALICE], bytes(32), b"B" * 32):
        again = simulate(
            block.protocol, LinkConfig(), PULSES[block.protocol], SEEDS[Side.ALICE], guess, NOISE
        )[1]
        common = np.intersect1d(bob.slots, again.received if again.received is not None else [])
        theirs, ours = again.at(common), bob.at(common)
        same = (theirs.settings == ours.settings).mean()
        assert same == pytest.approx(1 / block.protocol.settings, abs=0.02)


# --- the wire


def heard(block: Block) -> dict[str, object]:
    """What a listener has: every message of both sides, and what they decode to."""
    decoded = {
        side: [decode(block.said[side][2], Announced), decode(block.said[side][3], messages.Tested)]
        for side in Side
    }
    slots = messages.decode(block.said[Side.BOB][1], messages.Received).slots
    return {
        "transcript": block.outcome.transcript,
        "said": block.said,
        "decoded": decoded,
        "slots": decode_slots(slots, PULSES[block.protocol]),
    }


def secret_bits(block: Block) -> Bits:
    report = block.outcome.reports[Side.ALICE]
    data = block.outcome.secrets[Side.ALICE].reveal()
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: report.extracted_bits]


def test_the_transcript_does_not_show_the_secret(block: Block) -> None:
    hidden = Hidden(block.protocol, np.arange(1), secret_bits(block))
    best = max(
        strongest(hidden.bits, bits)
        for thing in reachable(heard(block))
        for bits in bit_strings(thing)
    )
    assert best < SIGNIFICANT


def test_the_transcript_of_a_leak_shows_the_secret(block: Block) -> None:
    secret = secret_bits(block)
    leaked = block.outcome.transcript + pack(secret ^ np.uint8(1))
    assert max(strongest(secret, bits) for bits in bit_strings(leaked)) > SIGNIFICANT


def test_settings_say_nothing_about_outcomes(block: Block) -> None:
    for side in Side:
        half = block.halves[side].at(block.bob.slots)
        for setting in range(block.protocol.settings):
            of = half.outcomes[half.settings == setting]
            assert abs(of.mean() - 0.5) < 4 * 0.5 / np.sqrt(of.size)
        assert strongest(half.outcomes, half.settings & np.uint8(1)) < SIGNIFICANT


def test_the_other_protocols_choices_say_nothing_about_the_key() -> None:
    slots = np.arange(20_000)
    bits = PreparedPulses(SEEDS[Side.ALICE], 20_000).at(slots).outcomes
    for side in Side:
        settings = SettingChoices(SEEDS[Side.ALICE], side).at(slots)
        for bit in (0, 1):
            assert strongest(bits, (settings >> np.uint8(bit)) & np.uint8(1)) < SIGNIFICANT


# --- parities are linear: what was said spans a space that no secret bit lies in


def rank(rows: NumberArray) -> int:
    """Rank over GF(2) of (r, n) rows of 0/1."""
    packed = [int.from_bytes(pack(row.astype(np.uint8)), "little") for row in rows]
    pivots: dict[int, int] = {}
    while packed:
        row = packed.pop()
        while row and row.bit_length() in pivots:
            row ^= pivots[row.bit_length()]
        if row:
            pivots[row.bit_length()] = row
    return len(pivots)


def hash_matrix(n: int, m: int, rng: np.random.Generator) -> NumberArray:
    """(m, n) matrix of an amplification with a random seed."""
    seed = PackedBits.of(rng.integers(0, 2, seed_bits(n, m), np.uint8))
    units = (PackedBits.of(unit) for unit in np.eye(n, dtype=np.uint8))
    return np.stack([amplify(unit, seed, m).unpack() for unit in units]).T


def announced(key: Bits, differences: list[Bits]) -> Bits:
    """All parities that a key announces when the peer's differ by `differences`."""
    engine = Cascade(
        PackedBits.of(key),
        (key.size,),
        0.04,
        bytes(32),
        corrects=False,
    )
    message: bytes | None = engine.first()
    parities = []
    for differs in differences:
        assert message is not None
        ours = np.unpackbits(np.frombuffer(message, np.uint8), bitorder="little")
        parities.append(ours[: differs.size])
        message = engine.receive(pack(ours[: differs.size] ^ differs))
    assert message is None
    return np.concatenate(parities)


def test_every_parity_is_counted_and_no_secret_bit_is_a_sum_of_parities() -> None:
    n = 320
    rng = np.random.default_rng(12)
    key = rng.integers(0, 2, n, np.uint8)
    errors = (rng.random(n) < 0.04).astype(np.uint8)
    alice = Cascade(PackedBits.of(key), (n,), 0.04, bytes(32), corrects=False)
    bob = Cascade(PackedBits.of(key ^ errors), (n,), 0.04, bytes(32), corrects=True)
    ours: bytes | None = alice.first()
    theirs: bytes | None = bob.first()
    differences = []
    while ours is not None:
        assert theirs is not None
        differs = np.unpackbits(
            np.frombuffer(ours, np.uint8) ^ np.frombuffer(theirs, np.uint8), bitorder="little"
        )
        differences.append(differs[: alice._ours.size])
        said = ours
        ours, theirs = alice.receive(theirs), bob.receive(said)
    assert np.array_equal(alice.corrected.words, bob.corrected.words)

    zero = announced(np.zeros(n, np.uint8), differences)
    columns = np.stack([announced(unit, differences) ^ zero for unit in np.eye(n, dtype=np.uint8)])
    functionals = columns.T
    assert np.array_equal(announced(key, differences), (functionals @ key % 2) ^ zero)
    leaked = rank(functionals)
    assert leaked <= alice.leaked_bits

    margin = 30  # what hashing costs keeps the two spaces apart but for a chance of 2⁻³⁰
    m = n - alice.leaked_bits - margin
    assert m > 20
    rows = hash_matrix(n, m, rng)
    assert rank(np.concatenate([functionals, rows])) == leaked + m
    # And the test can fail: one bit too many, and some of them follow from what was said.
    m = n - leaked + 1
    rows = hash_matrix(n, m, rng)
    assert rank(np.concatenate([functionals, rows])) < leaked + m
