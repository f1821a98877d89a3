"""Claims about the classical channel: whoever alters it or lacks a key gets nothing through."""

import random
from typing import Final

from bellwire.base.detections import OF_PHOTONS, Protocol, Side
from bellwire.claims.model import Attacker, Claim, Ground, require
from bellwire.lab.experiment import Experiment, distil_halves, halves, run, seeds
from bellwire.lab.middle import Knows
from bellwire.lab.pair import PairOutcome, Wire

PULSES: Final = 20_000
MIDDLE_PULSES: Final = 40_000
DAMAGES: Final = 60
FULL_DAMAGES: Final = 1_000
KINDS: Final = ("flip", "drop", "repeat", "shorten")


class _Light:
    """Halves of one block, which is distilled again over other wires."""

    def __init__(self, ground: Ground) -> None:
        seed = ground.number("classical")
        self._what = Experiment(protocol=Protocol.BB84, pulses=PULSES, seed=seed)
        self._seed = seeds(seed)
        self._halves = halves(self._what, self._seed)

    def distil(self, wire: Wire) -> PairOutcome:
        """The block over a wire."""
        return distil_halves(self._what, *self._halves, self._seed, wire)


def _altered(ground: Ground) -> str:
    light = _Light(ground)
    messages: list[tuple[Side, int, int]] = []

    def listening(sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
        messages.append((sender, step, len(body)))
        return [(step, body)]

    whole = light.distil(listening)
    require(whole.accepted, "the undisturbed block was not accepted")
    _same_key(ground, whole)
    # After its last two a side may have all it needs, whatever the other one ends with.
    last = max(step for _, step, _ in messages)
    messages = [each for each in messages if each[1] < last - 1]
    drawn = random.Random(ground.number("damages"))  # noqa: S311 - where to damage is no secret
    damages = FULL_DAMAGES if ground.full else DAMAGES
    for number in range(damages):
        sender, step, length = drawn.choice(messages)
        kind = KINDS[number % len(KINDS)]
        at, bit = drawn.randrange(length), 1 << drawn.randrange(8)
        outcome = light.distil(_damaging(kind, sender, step, at, bit))
        what = f"message {step} of {sender}, {kind}"
        if len(outcome.secrets) == 2:
            same = outcome.secrets[Side.ALICE] == outcome.secrets[Side.BOB]
            require(same, f"{what}: two keys that differ")
        receiver = outcome.reports[sender.peer]
        require(not receiver.accepted and receiver.reason is not None, f"{what}: accepted")
    return f"{damages} damaged conversations, all rejected; {len(messages)} messages to choose from"


def _damaging(kind: str, sender: Side, step: int, at: int, bit: int) -> Wire:
    def wire(who: Side, number: int, body: bytes) -> list[tuple[int, bytes]]:
        if (who, number) != (sender, step):
            return [(number, body)]
        if kind == "drop":
            return []
        if kind == "repeat":
            return [(number, body), (number, body)]
        if kind == "shorten":
            return [(number, body[:at])]
        return [(number, body[:at] + bytes([body[at] ^ bit]) + body[at + 1 :])]

    return wire


def _same_key(ground: Ground, outcome: PairOutcome) -> None:
    keys = [ground.keep(outcome.secrets[side]) for side in Side]
    require(keys[0] == keys[1], "the two sides' keys differ")
    require(keys[0][:16] not in outcome.transcript, "the transcript has a piece of the key")


def _middle(ground: Ground) -> str:
    for protocol in OF_PHOTONS:
        for knows in (Knows.NOTHING, Knows.FRAME_KEY):
            what = Experiment(
                protocol=protocol,
                pulses=MIDDLE_PULSES,
                middle=knows,
                seed=ground.number(f"middle {protocol} {knows}"),
            )
            result = run(what)
            said = f"{protocol}, who knows {knows}"
            require(result.secret_bits == 0 and result.sides is not None, said)
            for side in result.sides or ():
                reason = side.reason or ""
                require(side.verdict == "abort", f"{said}: {side.side} accepts")
                require(reason.startswith("authentication failed"), f"{said}: {reason}")
    return f"{len(OF_PHOTONS)} protocols, without keys and with the frames' key: both sides refuse"


CLAIMS: Final = (
    Claim(
        name="classical.altered",
        attacker=Attacker.CLASSICAL,
        says="A conversation that is altered, shortened, repeated or cut is never accepted, and"
        " never leaves unequal keys; an honest one leaves both one key, which it does not show",
        run=_altered,
    ),
    Claim(
        name="classical.middle",
        attacker=Attacker.CLASSICAL,
        says="Both honest sides refuse somebody in the middle who lacks a key",
        run=_middle,
    ),
)
