"""Any block: light, settings, keys and a wire drawn from one number, and what must hold at its end.

For `tests/distill/test_any_block.py`, and `tools/prove_blocks.py`, which runs as many as you like.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tests.simulators import halves
from tests.simulators.blocks import opening, reader, tags
from tests.simulators.decoys import RECTILINEAR, Channel, decoy_light

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.detections import OF_PHOTONS, Detections, Half, Protocol, Side
from bellwire.base.secret import Secret
from bellwire.distill.conversation import BlockAuthentication
from bellwire.distill.messages import Open, Stored, encode
from bellwire.distill.reconciliation import Method
from bellwire.distill.verdict import Reason
from bellwire.lab.pair import PairOutcome, distil

LONGEST = {
    Protocol.BB84: 60_000,
    Protocol.BBM92: 60_000,
    Protocol.E91: 120_000,
    Protocol.DECOY: 800_000,
}
LONG_ENOUGH_FOR_CODES = {
    Protocol.BB84: 110_000,
    Protocol.BBM92: 110_000,
    Protocol.E91: 250_000,
    Protocol.DECOY: 600_000,
}
SHORTEST_WITH_KEY = {
    Protocol.BB84: 12_000,
    Protocol.BBM92: 12_000,
    Protocol.E91: 40_000,
    Protocol.DECOY: 300_000,
}
TAGGED = b"\x91\xc4\x10"
AFTER_RECONCILIATION = (TAGGED, b"\x93\xc4\x10", b"\x93\xc4\0")
"""How the messages begin that have a tag alone, or a hash key, or nothing in its place."""

Flags = NDArray[np.bool_]
_T = TypeVar("_T")


class Errors(StrEnum):
    """How Bob's wrong bits lie."""

    INDEPENDENT = "independent"
    EXACT = "exact"
    BURSTS = "bursts"
    ONE_BASIS = "one basis"
    EVE = "eve"
    SHIFTED = "shifted"


class Fault(StrEnum):
    """What a wire does to a message."""

    DROP = "drop"
    REPEAT = "repeat"
    SWAP = "swap"
    FLIP = "flip"
    TRUNCATE = "truncate"
    EXTEND = "extend"
    REPLACE = "replace"
    EARLIER = "earlier"
    RENUMBER = "renumber"
    CONSPIRE = "conspire"
    """The same bit of both sides' parities: both go on alike, and wrong."""


@dataclass(frozen=True)
class AnyBlock:
    """What a block is drawn to be; everything else follows from `seed`.

    Attributes:
        seed: Of all that is drawn.
        block: Alice's opening.
        bobs: Bob's; it differs where their settings do.
        qber: Rate of errors, of which kind `errors` says.
        errors: See above.
        loss: Of each detecting side.
        wrong_key: Bob's tags are made with another key.
        fault: What the wire does, or None.
        fault_rate: To which share of the messages; 0: to those after reconciliation.
    """

    seed: int
    block: Open
    bobs: Open
    qber: float
    errors: Errors
    loss: float
    wrong_key: str | None
    fault: Fault | None
    fault_rate: float

    @property
    def undisturbed(self) -> bool:
        """Whether only light and limits decide."""
        return self.block == self.bobs and self.wrong_key is None and self.fault is None


def draw(seed: int) -> AnyBlock:
    """The block of this number."""
    rng = np.random.default_rng([seed, 0])
    # Blocks of decoy states are long, and so they are few.
    protocol = _one_of(rng, *OF_PHOTONS * 4, Protocol.DECOY)
    usual = RECTILINEAR if protocol.weak else 0.5
    method = Method.LDPC if rng.random() < 0.1 else Method.CASCADE
    block = opening(
        protocol,
        _pulses(protocol, method, rng),
        number=_one_of(rng, 1, 2, 255, 1 << 40, (1 << 62) - 1),
        probe=_mostly(rng, False, True),
        ticket=rng.bytes(16),
        sample_share=_mostly(rng, 0.2, 0.1, 0.5, 1e-6, 0.999, rng.uniform(0.01, 0.99)),
        epsilon=_mostly(rng, 1e-10, 1e-3, 1e-6, 1e-20),
        red_qber=_mostly(rng, 0.11, 0.05, 0.2, 0.5),
        chsh_floor=_mostly(rng, 2.2, 2.0, 2.6),
        rectilinear=0.5
        if protocol.judged_on_chsh
        else _mostly(rng, usual, 0.9, 0.2, rng.uniform(0.02, 0.98)),
        reconciliation=method,
    )
    bobs, wrong_key, fault = block, None, None
    if rng.random() < 0.4:
        match rng.integers(8):
            case 0:
                bobs = opening(protocol, block.pulses, number=block.number, probe=block.probe)
            case 1 if not block.probe:
                wrong_key = _one_of(rng, "hash_keys", "received_pads", "transcript_pads")
            case _:
                fault = _one_of(rng, *Fault)
    low, high = rng.uniform(0.0, 0.04), rng.uniform(0.0, 0.5)
    return AnyBlock(
        seed=seed,
        block=block,
        bobs=bobs,
        qber=_mostly(rng, low, 0.0, 0.11, 0.5, 1.0, high, 2 * low, 3 * low),
        errors=_mostly(rng, _one_of(rng, Errors.INDEPENDENT, Errors.EXACT), *Errors),
        loss=_mostly(rng, 0.0, 0.1, 0.3, 0.9, 0.999, 1.0),
        wrong_key=wrong_key,
        fault=fault,
        fault_rate=_one_of(rng, 0.0, 0.0, 0.004, 0.02, 0.1, 0.5),
    )


def _one_of(rng: np.random.Generator, *choices: _T) -> _T:
    return choices[rng.integers(len(choices))]


def _mostly(rng: np.random.Generator, usual: _T, *others: _T) -> _T:
    return usual if rng.random() < 0.8 else _one_of(rng, *others)


def _pulses(protocol: Protocol, method: Method, rng: np.random.Generator) -> int:
    if method is Method.LDPC:
        return int(LONG_ENOUGH_FOR_CODES[protocol] * rng.uniform(0.9, 1.3))
    shortest, longest = SHORTEST_WITH_KEY[protocol], LONGEST[protocol]
    low, high = _mostly(rng, (shortest, longest), (1, 200), (200, shortest))
    return int(np.exp(rng.uniform(np.log(low), np.log(high))))


def run(drawn: AnyBlock) -> tuple[PairOutcome, "Wire"]:
    """Both sides of the block, and what the wire did."""
    wire = Wire(drawn)
    keys: dict[Side, BlockAuthentication | None] = dict.fromkeys(Side)
    if not drawn.block.probe:
        keys = dict.fromkeys(Side, tags(drawn.block.number % 1000))
        if drawn.wrong_key is not None:
            keys[Side.BOB] = _spoilt(tags(drawn.block.number % 1000), drawn.wrong_key)
    outcome = distil(
        {Side.ALICE: drawn.block, Side.BOB: drawn.bobs},
        light(drawn),
        keys,
        {side: reader(drawn.seed, side) for side in Side},
        wire,
    )
    return outcome, wire


def _spoilt(keys: BlockAuthentication, what: str) -> BlockAuthentication:
    other = {side: Secret(bytes(b ^ 1 for b in key.reveal())) for side, key in _of(keys, what)}
    made = {name: getattr(keys, name) for name in ("hash_keys", "received_pads", "transcript_pads")}
    return BlockAuthentication(**{**made, what: other}, consumed_bits=keys.consumed_bits)


def _of(keys: BlockAuthentication, what: str) -> list[tuple[Side, Secret]]:
    return list(getattr(keys, what).items())


# --- light


def light(drawn: AnyBlock) -> dict[Side, Half]:
    """Both halves: without errors, but for those that the block is drawn to have."""
    rng = np.random.default_rng([drawn.seed, 1])
    if drawn.block.protocol.weak:
        return _weak_light(drawn, rng)
    pulses = drawn.block.pulses
    settings = _settings(drawn, rng)
    outcomes = rng.integers(0, 2, pulses, np.uint8)
    theirs = outcomes ^ _differs(drawn, settings, rng)
    if drawn.errors is Errors.SHIFTED:
        theirs = np.roll(theirs, 1)
    clicked = [np.flatnonzero(rng.random(pulses) >= drawn.loss) for _ in Side]
    alice: Half = halves.Prepared(settings[Side.ALICE], outcomes)
    if drawn.block.protocol.entangled:
        alice = alice.at(clicked[0])
    bob = Detections(clicked[1], settings[Side.BOB][clicked[1]], theirs[clicked[1]])
    return {Side.ALICE: alice, Side.BOB: bob}


def _weak_light(drawn: AnyBlock, rng: np.random.Generator) -> dict[Side, Half]:
    """Eve lets no single photon pass; other errors are as with single photons."""
    eve = drawn.errors is Errors.EVE
    channel = Channel(1.0 - drawn.loss, dark=1e-4, flips=(0.0, 0.0), single=0.0 if eve else 1.0)
    made = decoy_light(
        drawn.block.pulses, rng, channel, drawn.block.decoys, drawn.block.rectilinear
    ).halves
    bob = made[Side.BOB]
    assert isinstance(bob, Detections)
    outcomes = bob.outcomes
    if not eve:
        outcomes = outcomes ^ _errors(drawn, bob.settings, rng).astype(np.uint8)
    if drawn.errors is Errors.SHIFTED:
        outcomes = np.roll(outcomes, 1)
    return {**made, Side.BOB: Detections(bob.slots, bob.settings, outcomes)}


def _settings(drawn: AnyBlock, rng: np.random.Generator) -> dict[Side, NDArray[np.uint8]]:
    pulses = drawn.block.pulses
    if drawn.block.protocol is Protocol.E91:
        return {side: rng.integers(0, 3, pulses).astype(np.uint8) for side in Side}
    second = 1.0 - drawn.block.rectilinear
    return {side: (rng.random(pulses) < second).astype(np.uint8) for side in Side}


def _differs(
    drawn: AnyBlock, settings: dict[Side, NDArray[np.uint8]], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Where Bob's outcome is not Alice's."""
    a, b = settings[Side.ALICE], settings[Side.BOB]
    wrong = _errors(drawn, a, rng)
    if drawn.block.protocol is not Protocol.E91:
        return np.asarray(np.where(a == b, wrong, rng.random(a.size) < 0.5), np.uint8)
    alpha, beta = np.array(ALICE_ANGLES)[a], np.array(BOB_ANGLES)[b]
    correlation: NDArray[np.float64] = np.cos(alpha - beta)
    if drawn.errors is Errors.EVE:
        axis = rng.uniform(0.0, np.pi)
        correlation = np.cos(alpha - axis) * np.cos(beta - axis)
    quantum = rng.random(a.size) < 0.5 * (1.0 - correlation)
    return np.asarray(quantum ^ wrong, np.uint8)


def _errors(drawn: AnyBlock, bases: NDArray[np.uint8], rng: np.random.Generator) -> Flags:
    """Which outcomes are wrong, whatever the settings are."""
    n, q = bases.size, drawn.qber
    if drawn.errors is Errors.EXACT:
        return np.asarray(rng.permutation(n) < round(q * n))
    if drawn.errors is Errors.BURSTS:
        length = int(rng.choice([3, 30, 1_000]))
        lit = np.zeros(n + length, np.int64)
        starts = np.flatnonzero(rng.random(n) < q / length)
        lit[starts] += 1
        np.add.at(lit, starts + length, -1)
        return np.asarray(np.cumsum(lit)[:n] > 0)
    if drawn.errors is Errors.ONE_BASIS:
        return np.asarray((bases == 1) & (rng.random(n) < q))
    if drawn.errors is Errors.EVE and drawn.block.protocol is not Protocol.E91:
        return np.asarray(rng.random(n) < 0.25)
    return np.asarray(rng.random(n) < q)


# --- the wire


@dataclass
class Wire:
    """Does to messages what the block is drawn to suffer, and notes what arrived otherwise."""

    drawn: AnyBlock
    touched: list[tuple[Side, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.drawn.seed, 2])
        self._said: list[bytes] = []
        self._held: dict[Side, tuple[int, bytes]] = {}
        self._last = encode(Stored(self.drawn.block.number))
        if self.drawn.fault is not None:
            self._spoil = _SPOILS.get(self.drawn.fault)

    @property
    def only_at_the_end(self) -> bool:
        """Whether nothing before the tags on the transcript arrived otherwise than it was said."""
        return all(body == self._last or body.startswith(TAGGED) for _, body in self.touched)

    def __call__(self, sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
        self._said.append(body)
        if sender in self._held:
            return [(step, body), self._held.pop(sender)]
        if self.drawn.fault is Fault.CONSPIRE:
            arrives = [(step, self._conspire(step, body))]
        elif self.drawn.fault is not None and self._strikes(body):
            arrives = self._faulty(sender, step, body)
        else:
            return [(step, body)]
        if arrives != [(step, body)]:
            self.touched.append((sender, body))
        return arrives

    def _strikes(self, body: bytes) -> bool:
        if self.drawn.fault_rate:
            return self._rng.random() < self.drawn.fault_rate
        late = body == self._last or body.startswith(AFTER_RECONCILIATION)
        return late and self._rng.random() < 0.3

    def _conspire(self, step: int, body: bytes) -> bytes:
        """The same change to what both sides say in this step, if it is of parities."""
        rng = np.random.default_rng([self.drawn.seed, 3, step])
        parities = step > 4 and body != self._last and not body.startswith(AFTER_RECONCILIATION)
        if not parities or rng.random() > max(self.drawn.fault_rate, 0.02):
            return body
        return _flip(body, rng)

    def _faulty(self, sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
        rng = self._rng
        match self.drawn.fault:
            case Fault.DROP:
                return []
            case Fault.REPEAT:
                return [(step, body)] * 2
            case Fault.SWAP:
                self._held[sender] = step, body
                return []
            case Fault.RENUMBER:
                return [(int(rng.choice([step - 1, step + 1, 0, -1, 1 << 63])), body)]
            case Fault.EARLIER:
                return [(step, self._said[rng.integers(len(self._said))])]
        assert self._spoil is not None
        return [(step, self._spoil(body, rng))]


def _flip(body: bytes, rng: np.random.Generator) -> bytes:
    spoilt = bytearray(body)
    if spoilt:
        spoilt[rng.integers(len(spoilt))] ^= 1 << int(rng.integers(8))
    return bytes(spoilt)


_SPOILS: dict[Fault, Callable[[bytes, np.random.Generator], bytes]] = {
    Fault.FLIP: _flip,
    Fault.TRUNCATE: lambda body, rng: body[: rng.integers(len(body) + 1)],
    Fault.EXTEND: lambda body, rng: body + rng.bytes(int(rng.integers(1, 20))),
    Fault.REPLACE: lambda body, rng: rng.bytes(int(rng.choice([0, 1, len(body), 40]))),
}


# --- what must hold


def check(drawn: AnyBlock, outcome: PairOutcome, wire: Wire) -> tuple[Reason | None, Reason | None]:
    """Raise AssertionError unless the block ended as it must; give each side's reason, Alice first.

    Keys are equal or the block is rejected. A side accepts alone only if its last messages to the
    peer, and nothing else, went wrong; the peer then keeps the same key, as pending. Who rejects
    says why.
    """
    reports, secrets = outcome.reports, outcome.secrets
    assert set(reports) == set(Side), "a side came to no end"
    if len(secrets) == 2:
        assert secrets[Side.ALICE] == secrets[Side.BOB], "both keep a key, and not the same"
    for side, report in reports.items():
        if not report.accepted:
            assert report.reason is not None
            assert report.message
            assert report.secret_bits == 0
            assert report.epsilon is None or side in secrets
            continue
        assert report.reason is None
        assert drawn.wrong_key is None, "accepted with another key"
        assert drawn.block == drawn.bobs, "accepted though the sides opened different blocks"
        if drawn.block.probe:
            assert not secrets
            continue
        assert len(secrets) == 2, "a side accepted what not both have verified"
        assert 0 < report.secret_bits == report.extracted_bits - report.authentication_bits
        assert 8 * len(secrets[side]) >= report.extracted_bits > 8 * len(secrets[side]) - 8
        assert report.extracted_bits < report.key_bits - report.leaked_bits
        assert report.epsilon is not None
        assert report.epsilon <= drawn.block.epsilon
        assert report.qber is not None
        assert report.qber < drawn.block.red_qber
    alone = [side for side in Side if reports[side].accepted > reports[side.peer].accepted]
    for side in alone:
        said = {sender for sender, _ in wire.touched}
        assert drawn.block.probe or side in said, "a side accepted alone"
    if any(report.accepted for report in reports.values()) and not drawn.block.probe:
        assert wire.only_at_the_end, "accepted though the wire altered what the tags are of"
    if drawn.undisturbed:
        assert reports[Side.ALICE] == reports[Side.BOB], "two honest sides report differently"
        assert set(secrets) in (set(), set(Side))
        assert drawn.block.probe or reports[Side.ALICE].accepted == bool(secrets)
    return reports[Side.ALICE].reason, reports[Side.BOB].reason
