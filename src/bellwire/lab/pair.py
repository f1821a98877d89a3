"""Both sides of a block in one process, joined by a wire that a test or an Eve may hold.

Only the lab and tests do this; what comes out never enters a pool.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bellwire.base.detections import Half, Side
from bellwire.base.secret import Secret
from bellwire.crypto.kdf import hkdf
from bellwire.distill.conversation import BlockAuthentication, FetchHalf, Send, Store
from bellwire.distill.messages import Open
from bellwire.distill.planes import Planes
from bellwire.distill.report import BlockReport
from bellwire.distill.session import Effect, End, Finished, Session
from bellwire.distill.verdict import Reason

Wire = Callable[[Side, int, bytes], list[tuple[int, bytes]]]
"""(sender, step, body) → what arrives instead: nothing, one message, or several."""

_TAG_BYTES = 16

CONSUMED_BITS = 4 * 8 * _TAG_BYTES
"""Key that a block's four tags use up."""


def faithful(_sender: Side, step: int, body: bytes) -> list[tuple[int, bytes]]:
    """The wire that carries every message as it is."""
    return [(step, body)]


def derive_authentication(seed: bytes) -> BlockAuthentication:
    """Tag keys that both sides derive from one seed: good for an experiment, not for a node."""

    def piece(purpose: str, side: Side) -> Secret:
        return Secret(hkdf(seed, info=f"{purpose} {side}".encode(), length=_TAG_BYTES))

    return BlockAuthentication(
        hash_keys={side: piece("hash key", side) for side in Side},
        received_pads={side: piece("received", side) for side in Side},
        transcript_pads={side: piece("transcript", side) for side in Side},
        consumed_bits=CONSUMED_BITS,
    )


@dataclass(slots=True)
class PairOutcome:
    """What both sides end with.

    Attributes:
        reports: Each side's report.
        secrets: Each side's secret, where it verified the block. Packed bits.
        transcript: What crossed the wire as Alice saw it.
    """

    reports: dict[Side, BlockReport] = field(default_factory=dict)
    secrets: dict[Side, Secret] = field(default_factory=dict)
    transcript: bytes = b""

    @property
    def accepted(self) -> bool:
        """Whether both sides accepted."""
        return len(self.reports) == 2 and all(r.accepted for r in self.reports.values())


def distil(
    openings: dict[Side, Open],
    halves: Mapping[Side, Half | Planes],
    authentication: dict[Side, BlockAuthentication | None],
    random_bytes: dict[Side, Callable[[int], bytes]],
    wire: Wire = faithful,
) -> PairOutcome:
    """Run both sides of a block to their ends; a side that waits for ever ends by timeout."""
    outcome = PairOutcome()
    sessions = {
        side: Session(side, openings[side], authentication[side], random_bytes[side])
        for side in Side
    }
    arriving: dict[Side, deque[tuple[int, bytes] | Reason]] = {side: deque() for side in Side}

    def perform(side: Side, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    arriving[side.peer].extend(wire(side, effect.step, effect.body))
                case End():
                    arriving[side.peer].append(effect.reason)
                case FetchHalf():
                    perform(side, sessions[side].provide(halves[side]))
                case Store():
                    outcome.secrets[side] = effect.secret
                    perform(side, sessions[side].stored())
                case Finished():
                    outcome.reports[side] = effect.report

    for side in Side:
        perform(side, sessions[side].start())
    while any(arriving.values()):
        for side in Side:
            if not arriving[side]:
                continue
            item = arriving[side].popleft()
            if isinstance(item, Reason):
                effects = sessions[side].end(item, f"the peer ended the block: {item}", tell=False)
            else:
                effects = sessions[side].receive(*item)
            perform(side, effects)
    for side in Side:
        perform(side, sessions[side].end(Reason.TIMEOUT, "the peer did not answer", tell=False))
    outcome.transcript = sessions[Side.ALICE].transcript
    return outcome
