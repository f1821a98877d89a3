"""Eve in the middle: she cuts both channels, plays Bob to Alice and Alice to Bob.

Nothing she does to light shows here. Each honest side shares a block of its own with her, over a
link without any Eve, and would be right to accept it if only the other end were who it says. So
there are two conversations, each with the lines and the sessions that nodes have; what differs is
which of the keys, shared beforehand by the honest sides, Eve holds as well. Without the frames' key
her first frame is not taken; with that one alone, the one-time tag on the list of slots is not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from bellwire.base.detections import Half, Side
from bellwire.base.secret import Secret
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.stream import SEED_BYTES
from bellwire.distill.conversation import BlockAuthentication
from bellwire.distill.errors import FrameTampered, ParameterError
from bellwire.distill.line import Line, Step, Sync
from bellwire.distill.messages import NONCE_BYTES, Open
from bellwire.distill.report import BlockReport
from bellwire.distill.session import Finished, Session
from bellwire.distill.verdict import Reason
from bellwire.lab.pair import PairOutcome, derive_authentication, distil
from bellwire.link.config import LinkConfig
from bellwire.link.simulate import simulate

KIND = "man-in-the-middle"
"""As the command line names her."""


class Knows(StrEnum):
    """Which of the honest sides' keys Eve holds."""

    NOTHING = "nothing"
    FRAME_KEY = "frame-key"
    ALL_KEYS = "all-keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideOutcome:
    """How the block ended for an honest side.

    Attributes:
        side: alice or bob.
        verdict, reason: As seen there: accept or abort, and why in words.
        secret_bits: What this side would use; 0 if aborted.
        eve_holds_key: Whether Eve has the same bits; None if there are none.
    """

    side: str
    verdict: str
    reason: str | None
    secret_bits: int
    eve_holds_key: bool | None


@dataclass(frozen=True, slots=True)
class Interposed:
    """Both conversations at their ends.

    Attributes:
        outcomes: By the honest side in it.
    """

    outcomes: dict[Side, PairOutcome]

    def report(self, side: Side) -> BlockReport:
        """An honest side's own report."""
        return self.outcomes[side].reports[side]

    @property
    def sides(self) -> tuple[SideOutcome, ...]:
        """How it ended for each honest side."""
        return tuple(self._side(side) for side in Side)

    @property
    def accepted(self) -> bool:
        """Whether both honest sides accepted."""
        return all(self.report(side).accepted for side in Side)

    @property
    def keys_match(self) -> bool | None:
        """Whether Alice and Bob hold the same bits; None unless both hold some."""
        held = [self.outcomes[side].secrets.get(side) for side in Side]
        return None if None in held else held[0] == held[1]

    def _side(self, side: Side) -> SideOutcome:
        report, secrets = self.report(side), self.outcomes[side].secrets
        return SideOutcome(
            side=side.value,
            verdict="accept" if report.accepted else "abort",
            reason=None if report.accepted else f"{report.reason}: {report.message}",
            secret_bits=report.secret_bits,
            eve_holds_key=(secrets[side] == secrets.get(side.peer) if side in secrets else None),
        )


def parse_middle(text: str) -> Knows | None:
    """Read `man-in-the-middle[:KNOWS]`, `nothing` unless given; None if it is another Eve.

    Raises:
        ParameterError: KNOWS is none of `Knows`.
    """
    kind, colon, knows = text.strip().partition(":")
    if kind != KIND:
        return None
    try:
        return Knows(knows) if colon else Knows.NOTHING
    except ValueError:
        raise ParameterError(
            f"what the man in the middle knows: expected {', '.join(Knows)}, got {knows!r}"
        ) from None


def interpose(
    opening: Open,
    config: LinkConfig,
    knows: Knows,
    seed: Callable[[str], bytes],
    reader: Callable[[bytes], Callable[[int], bytes]],
) -> Interposed:
    """Run Alice's block with Eve, and Bob's block with Eve.

    Args:
        opening: What the block is; Eve opens the same one to each.
        config: The link between an honest side and Eve, twice.
        knows: Which keys she holds.
        seed: Purpose → 32 secret bytes.
        reader: Seed → source of public randomness.
    """
    return Interposed(
        {side: _conversation(side, opening, config, knows, seed, reader) for side in Side}
    )


def _conversation(  # noqa: PLR0917 - all that a conversation depends on
    honest: Side,
    opening: Open,
    config: LinkConfig,
    knows: Knows,
    seed: Callable[[str], bytes],
    reader: Callable[[bytes], Callable[[int], bytes]],
) -> PairOutcome:
    eve = f"eve as {honest.peer}"
    alice, bob = (honest, eve) if honest is Side.ALICE else (eve, honest)
    halves = simulate(
        opening.protocol, config, opening.pulses, seed(alice), seed(bob), seed(f"noise to {honest}")
    )
    shared = seed("authentication")
    tags = shared if knows is Knows.ALL_KEYS else seed(f"authentication of {eve}")
    frames = seed(f"frames of {eve}") if knows is Knows.NOTHING else shared
    return converse(
        opening,
        dict(zip(Side, halves, strict=True)),
        {honest: derive_authentication(shared), honest.peer: derive_authentication(tags)},
        {honest: derive_frame_key(shared), honest.peer: derive_frame_key(frames)},
        {honest: reader(seed(f"public {honest}")), honest.peer: reader(seed(f"public {eve}"))},
    )


def derive_frame_key(seed: bytes) -> Secret:
    """Key of the line that both sides derive from one seed: for an experiment, not for a node."""
    return Secret(hkdf(seed, info=b"frame key", length=SEED_BYTES))


def converse(
    opening: Open,
    halves: dict[Side, Half],
    tags: dict[Side, BlockAuthentication],
    frame_keys: dict[Side, Secret],
    random_bytes: dict[Side, Callable[[int], bytes]],
) -> PairOutcome:
    """Both ends of one connection: HELLO, SYNC, and a block whose messages travel as its frames.

    A side that does not know the other's first frame ends there, as a node does.
    """
    lines = {side: Line(side, frame_keys[side], random_bytes[side](NONCE_BYTES)) for side in Side}
    hellos = {side: lines[side].hello() for side in Side}
    for side in Side:
        lines[side].receive_hello(hellos[side.peer])
    syncs = {side: lines[side].seal(Sync(0, [])) for side in Side}
    refused = PairOutcome()
    for side in Side:
        try:
            lines[side].open(syncs[side.peer])
        except FrameTampered as error:
            session = Session(side, opening, tags[side], random_bytes[side])
            for effect in session.end(Reason.AUTHENTICATION, str(error)):
                if isinstance(effect, Finished):
                    refused.reports[side] = effect.report
    if refused.reports:
        return refused

    def wire(sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
        frame = lines[sender].seal(Step(opening.probe, opening.number, step, body))
        arrived = lines[sender.peer].open(frame)
        assert isinstance(arrived, Step)
        return [(arrived.step, arrived.body)]

    return distil(dict.fromkeys(Side, opening), halves, {**tags}, random_bytes, wire)
