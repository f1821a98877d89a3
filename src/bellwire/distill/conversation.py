"""What one side of any block does: say a step and hear the peer's, tag the whole, keep the result.

The transcript is one ordered text, the same at both sides: step by step, Alice's message before
Bob's, each with its length (spec/classical-channel.md). Blocks of photons (`distill.steps`) and of
a vendor's keys (`distill.supply`) are generators that yield what they want done and are sent the
answer; `distill.session` drives them. What ends a block is raised from wherever it is found.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from bellwire.base.detections import Half, Side
from bellwire.base.matching import Matching
from bellwire.base.secret import Secret
from bellwire.crypto.one_time_mac import TAG_BYTES, Message, tag, verify_tag
from bellwire.distill.bounds import Epsilon
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.messages import Open, Stored, Supply, Tagged, decode, encode
from bellwire.distill.report import BlockReport
from bellwire.distill.verdict import Reason, Rejection

if TYPE_CHECKING:  # who only hands keys out need not load the kernels
    from bellwire.distill.planes import Planes


class Phase(StrEnum):
    """Where in a block a side is; supplied keys have no detections to go through."""

    OPENING = "opening"
    DETECTIONS = "detections"
    SLOTS = "slots"
    SETTINGS = "settings"
    TEST = "test"
    DISCLOSURE = "disclosure"
    RECONCILIATION = "reconciliation"
    VERIFICATION = "verification"
    AUTHENTICATION = "authentication"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True)
class BlockAuthentication:
    """Pre-shared key of one block's tags; its pads were burnt before this was handed out.

    Attributes:
        hash_keys: Reusable hash key of each sender.
        received_pads: One-time pad of each sender's tag on its list of slots.
        transcript_pads: One-time pad of each sender's tag on the transcript.
        consumed_bits: What the block uses up, whatever becomes of it.
        first_contact: How the two sides came by the first key of all this, in words; None where
            nobody asks (the lab).
        assumptions: What that way adds to a block's.
    """

    hash_keys: dict[Side, Secret]
    received_pads: dict[Side, Secret]
    transcript_pads: dict[Side, Secret]
    consumed_bits: int
    first_contact: str | None = None
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """Send this body as the given step."""

    step: int
    body: bytes


@dataclass(frozen=True, slots=True)
class FetchHalf:
    """Get our half of these pulses from the link, then call `provide`."""

    open: Open


@dataclass(frozen=True, slots=True)
class FetchKeys:
    """Get the keys of these ids from our box, one after the other, then call `provide`.

    For a probe, which has none, `provide` says that the box answers.
    """

    open: Supply


@dataclass(frozen=True, slots=True)
class Store:
    """Keep the secret (`report.extracted_bits`, packed) durably as pending, then call `stored`."""

    secret: Secret
    report: BlockReport


@dataclass(frozen=True, slots=True)
class Compute:
    """What comes next takes long: call `resume`, best where nothing waits for it."""


class BlockRejected(Exception):
    """The block ends here, from any depth of the steps; caught by the session, never beyond."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


Answer: TypeAlias = "bytes | Half | Planes | Matching | Secret | None"
_T = TypeVar("_T")
Talk = Generator[Send | FetchHalf | FetchKeys | Store | Compute, Answer, _T]


_SHORT_BYTES = 1 << 12
"""Up to here a message is cheaper to copy than to keep as pieces of its own."""


class Conversation:
    """One side's run through a block; `transcript_bytes`, `step` and `report` grow as it goes.

    `phase` says where it is. `rejection` is the verdict, once it is that there is no key. A kind of
    block adds `run`, a generator that returns the block's report and raises BlockRejected,
    MalformedMessage or TagMismatch where it ends without key.

    Args:
        side: Which side we are.
        first: Body of step 0, which both sides must send alike.
        authentication: For the tags; None for a probe, which carries none.
        report: What is known beforehand.
    """

    def __init__(
        self,
        side: Side,
        first: bytes,
        authentication: BlockAuthentication | None,
        report: BlockReport,
    ) -> None:
        self._side = side
        self._first = first
        self._authentication = authentication
        self._said: list[bytes] = []  # the transcript, in pieces as they were said
        self.transcript_bytes = 0
        self.step = 0
        self.phase = Phase.OPENING
        self.rejection: Rejection | None = None
        if authentication is not None:
            report = replace(
                report,
                authentication_bits=authentication.consumed_bits,
                first_contact=authentication.first_contact,
                assumptions=report.assumptions + authentication.assumptions,
            )
        self.report = report

    def _open(self) -> Talk[None]:
        if (yield from self._exchange(self._first)) != self._first:
            raise BlockRejected(Reason.DISAGREED, "the sides opened different blocks")

    def _exchange(self, body: bytes) -> Talk[bytes]:
        step, self.step = self.step, self.step + 1
        theirs = yield Send(step, body)
        assert isinstance(theirs, bytes)
        alice, bob = (body, theirs) if self._side is Side.ALICE else (theirs, body)
        pieces = (
            step.to_bytes(4, "big") + len(alice).to_bytes(4, "big"),
            alice,
            len(bob).to_bytes(4, "big"),
            bob,
        )
        size = sum(map(len, pieces))
        self.transcript_bytes += size
        # Long messages are kept as they are, for megabytes are dear to copy; short ones together.
        self._said += (b"".join(pieces),) if size < _SHORT_BYTES else pieces
        return theirs

    @property
    def transcript(self) -> bytes:
        """All that was said so far, in its order."""
        return b"".join(self._said)

    def _tag_context(self, purpose: bytes, side: Side) -> bytes:
        return b"bellwire " + purpose + b" " + side.encode() + self._first

    def _authenticate(self, held: bytes = b"") -> Talk[None]:
        """Tag the transcript, and after it what both sides should hold, and check the peer's tag.

        Raises:
            TagMismatch: the peer saw another transcript, or holds something else.
        """
        keys = self._authentication
        assert keys is not None
        self.phase = Phase.AUTHENTICATION
        yield Compute()
        said = tuple(self._said)
        mine = tag(
            keys.hash_keys[self._side],
            keys.transcript_pads[self._side],
            (self._tag_context(b"transcript", self._side), *said, held),
        )
        theirs = decode((yield from self._exchange(encode(Tagged(mine)))), Tagged)
        yield Compute()
        self._verify_peer_tag(
            keys.hash_keys[self._side.peer],
            keys.transcript_pads[self._side.peer],
            (self._tag_context(b"transcript", self._side.peer), *said, held),
            theirs.tag,
        )

    def _verify_peer_tag(
        self, hash_key: Secret, pad: Secret, message: Message, theirs: bytes
    ) -> None:
        # A short tag is the peer's mistake, not a misuse of the primitive by us.
        if len(theirs) != TAG_BYTES:
            raise MalformedMessage(f"expected a tag of {TAG_BYTES} bytes, got {len(theirs)}")
        verify_tag(hash_key, pad, message, theirs)

    def _keep(self, secret: Secret, report: BlockReport) -> Talk[None]:
        self.phase = Phase.STORAGE
        yield Store(secret, report)
        stored = encode(Stored(report.number))
        if decode((yield from self._exchange(stored)), Stored).number != report.number:
            raise MalformedMessage(f"expected block {report.number} to be stored")

    def _concluded(self, epsilon: Epsilon | None) -> BlockReport:
        self.report = replace(
            self.report,
            accepted=True,
            epsilon=None if epsilon is None else epsilon.total,
            epsilon_secrecy=None if epsilon is None else epsilon.secrecy,
            epsilon_correctness=None if epsilon is None else epsilon.correctness,
            epsilon_authentication=None if epsilon is None else epsilon.authentication,
            transcript_bytes=self.transcript_bytes,
            steps=self.step,
        )
        return self.report
