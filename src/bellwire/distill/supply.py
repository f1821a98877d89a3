"""A block of keys that a vendor's boxes gave: agreed on by the two sides, not distilled.

Alice's node has drawn the keys from the box of her site before the block begins; step 0 names them.
Bob's node fetches them from his. Then each side sends one tag, over the transcript and the keys: it
authenticates what was said and compares the keys at once. The tag is Wegman and Carter's, under a
pad that serves for it alone: whatever the keys are, it is uniformly distributed, so it tells Eve
nothing of them, without any assumption, and no bit has to be given up for it.

A probe draws nothing: each side says that its box answers.
"""

from dataclasses import replace

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.crypto.errors import TagMismatch
from bellwire.distill.conversation import (
    BlockAuthentication,
    BlockRejected,
    Conversation,
    FetchKeys,
    Talk,
)
from bellwire.distill.errors import MalformedMessage
from bellwire.distill.messages import Answered, Supply, decode, encode
from bellwire.distill.report import SUPPLY_ASSUMPTIONS, BlockReport
from bellwire.distill.verdict import Reason


class SupplySteps(Conversation):
    """One side's run through a block of a vendor's keys."""

    def __init__(
        self, side: Side, opening: Supply, authentication: BlockAuthentication | None
    ) -> None:
        report = BlockReport(
            number=opening.number,
            probe=opening.probe,
            protocol=None,
            pulses=0,
            assumptions=SUPPLY_ASSUMPTIONS,
        )
        super().__init__(side, encode(opening), authentication, report)
        self._opening = opening

    def run(self) -> Talk[BlockReport]:
        """The whole block; returns its report.

        Raises:
            BlockRejected, MalformedMessage: the block ends without key.
        """
        yield from self._open()
        keys = yield FetchKeys(self._opening)
        assert isinstance(keys, Secret)
        if 8 * len(keys) != self._opening.bits:
            raise BlockRejected(
                Reason.BOX, f"expected {self._opening.bits} bits of the box, got {8 * len(keys)}"
            )
        if self._opening.probe:
            return (yield from self._watch())
        net = self._opening.bits - self.report.authentication_bits
        if net <= 0:
            raise BlockRejected(
                Reason.NO_NET_KEY,
                f"the block has {self._opening.bits} bits, and its tags used "
                f"{self.report.authentication_bits}",
            )
        try:
            yield from self._authenticate(keys.reveal())
        except TagMismatch as error:
            # The frames were the peer's (`distill.line`), so it is the keys that differ.
            raise BlockRejected(
                Reason.DIFFER, "the two boxes gave different keys under the same ids"
            ) from error
        self.report = replace(self.report, extracted_bits=self._opening.bits, secret_bits=net)
        report = self._concluded(epsilon=None)
        yield from self._keep(keys, report)
        return report

    def _watch(self) -> Talk[BlockReport]:
        mine = encode(Answered(self._opening.number))
        theirs = decode((yield from self._exchange(mine)), Answered)
        if theirs.number != self._opening.number:
            raise MalformedMessage(f"expected an answer to probe {self._opening.number}")
        return self._concluded(epsilon=None)
