"""The steps of a block, top to bottom, as one side runs them (spec/classical-channel.md).

What any block does is in `distill.conversation`.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bellwire.base.bits import PackedBits, PackedBitsError, binary_entropy
from bellwire.base.detections import INTENSITIES, Side
from bellwire.base.errors import BellwireError
from bellwire.base.matching import Matching, MatchingMalformed
from bellwire.base.secret import Secret
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.one_time_mac import forgery_bound, tag
from bellwire.crypto.stream import SEED_BYTES, KeyStream
from bellwire.distill.amplification import amplify, seed_bits
from bellwire.distill.announcements import decode_plane, encode_plane
from bellwire.distill.bounds import Epsilon, EpsilonBudget
from bellwire.distill.choice import reconciler
from bellwire.distill.choices import Choices
from bellwire.distill.conversation import (
    BlockAuthentication,
    BlockRejected,
    Compute,
    Conversation,
    FetchHalf,
    Phase,
    Talk,
)
from bellwire.distill.errors import KeyMismatch, MalformedMessage, ReconciliationFailed
from bellwire.distill.estimation import ErrorRate
from bellwire.distill.evidence import Evidence, errors_of
from bellwire.distill.halves import PackedHalf, intensities, packed
from bellwire.distill.messages import (
    NONCE_BYTES,
    Announced,
    Decided,
    Open,
    Proof,
    Received,
    Tested,
    decode,
    encode,
)
from bellwire.distill.reconciliation import Reconciler
from bellwire.distill.report import ASSUMPTIONS, BlockReport
from bellwire.distill.sifting import Sifted, sift
from bellwire.distill.verdict import Reason, Rejection, Rules
from bellwire.distill.verification import (
    HASH_BITS,
    HASH_KEY_BYTES,
    collision_bound,
    key_hash,
    verify_key_hash,
)

BRIEF_BYTES = 2048
"""A round's parities up to so many bytes are answered in about a millisecond."""


class Steps(Conversation):
    """One side's run through a block; `transcript_bytes`, `step` and `report` grow as it goes."""

    def __init__(
        self,
        side: Side,
        opening: Open,
        authentication: BlockAuthentication | None,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        report = BlockReport(
            number=opening.number,
            probe=opening.probe,
            protocol=opening.protocol,
            pulses=opening.pulses,
            assumptions=ASSUMPTIONS[opening.protocol],
        )
        super().__init__(side, encode(opening), authentication, report)
        self._opening = opening
        self._random_bytes = random_bytes
        self._rules = Rules(opening.red_qber, opening.chsh_floor)
        self._budget = EpsilonBudget.divide(opening.epsilon)

    def run(self) -> Talk[BlockReport]:
        """The whole block; returns its report.

        Raises:
            BlockRejected, MalformedMessage, TagMismatch: the block ends without key.
        """
        yield from self._open()
        half = yield from self._half()
        slots = yield from self._receive_slots(half)
        settings, outcomes = half.at(slots)
        sends = self._opening.protocol.weak and self._side is Side.ALICE
        shades = intensities(half, slots) if sends else None
        sifted, public_seed = yield from self._sift(settings, outcomes, shades)
        tested = yield from self._test(sifted)
        evidence = Evidence.of(
            self._opening.protocol,
            sifted,
            tested,
            rare=self._opening.rare_basis,
            decoys=self._opening.decoys,
        )
        self.report = replace(
            self.report,
            detected=slots.count(),
            sifted_bits=evidence.sample.bits + sifted.key.size,
            sample_bits=evidence.sample.bits,
            **evidence.figures(self._budget),
            intensities=evidence.decoys.table(self._opening.pulses) if evidence.decoys else [],
        )
        rejection = evidence.judge(self._rules, self._budget, probe=self._opening.probe)
        if rejection is not None or self._opening.probe:
            return (yield from self._disclose(sifted, evidence, rejection))
        return (yield from self._distil(sifted, evidence, public_seed))

    def _half(self) -> Talk[PackedHalf]:
        self.phase = Phase.DETECTIONS
        source = yield FetchHalf(self._opening)
        assert source is not None
        assert not isinstance(source, bytes | Secret)
        protocol, pulses = self._opening.protocol, self._opening.pulses
        if not isinstance(source, Matching):
            yield Compute()
            return packed(source, protocol, pulses)
        try:
            while True:
                half = source.take((yield from self._exchange(source.message())))
                if half is not None:
                    yield Compute()
                    return packed(half, protocol, pulses)
        except MatchingMalformed as error:
            raise MalformedMessage(str(error)) from error
        except BellwireError as error:
            raise BlockRejected(Reason.LINK, f"no detections: {error}") from error

    def _receive_slots(self, half: PackedHalf) -> Talk[PackedBits]:
        self.phase = Phase.SLOTS
        own = half.detected
        body = b"" if own is None else encode_plane(own)
        said = encode(Received(body, self._slots_tag(self._side, body)))
        heard = yield from self._exchange(said)
        self._count_sifting(said, heard)
        theirs = decode(heard, Received)
        yield Compute()
        # Bases open only for a list of slots that is known to be the peer's own.
        if self._authentication is not None:
            self._verify_peer_tag(
                self._authentication.hash_keys[self._side.peer],
                self._authentication.received_pads[self._side.peer],
                self._tag_context(b"received", self._side.peer) + theirs.slots,
                theirs.tag,
            )
        prepares = not self._opening.protocol.entangled
        if prepares and self._side is Side.BOB:
            if theirs.slots:
                raise MalformedMessage("Alice, who prepares, registers no slots, got a list")
            assert own is not None
            return own
        peer = decode_plane(theirs.slots, self._opening.pulses, "list of slots")
        return peer if own is None else own & peer

    def _count_sifting(self, *messages: bytes) -> None:
        total = self.report.sifting_bytes + sum(len(message) for message in messages)
        self.report = replace(self.report, sifting_bytes=total)

    def _slots_tag(self, side: Side, body: bytes) -> bytes:
        if self._authentication is None:
            return b""
        return tag(
            self._authentication.hash_keys[side],
            self._authentication.received_pads[side],
            self._tag_context(b"received", side) + body,
        )

    def _sift(
        self, mine: Choices, outcomes: PackedBits, shades: Choices | None
    ) -> Talk[tuple[Sifted, bytes]]:
        settings, intensities, public_seed = yield from self._announce(mine, shades)
        sifted = sift(
            self._opening.protocol,
            settings,
            outcomes,
            self._opening.sample_share,
            hkdf(public_seed, info=b"sample", length=32),
            rare=self._opening.rare_basis,
            intensities=intensities,
        )
        return sifted, public_seed

    def _announce(
        self, mine: Choices, shades: Choices | None
    ) -> Talk[tuple[tuple[Choices, Choices], Choices | None, bytes]]:
        self.phase = Phase.SETTINGS
        nonce = self._random_bytes(NONCE_BYTES)
        told = (b"", b"") if shades is None else shades.encoded()
        said = encode(Announced(*mine.encoded(), nonce, *told))
        heard = yield from self._exchange(said)
        self._count_sifting(said, heard)
        theirs = decode(heard, Announced)
        yield Compute()
        size, kinds = mine.low.size, self._opening.protocol.settings
        peer = Choices.decode((theirs.low, theirs.high), size, kinds, "settings")
        heard_of = self._peer_intensities(theirs, size)
        shades = heard_of if shades is None else shades
        if self._side is Side.ALICE:
            return (mine, peer), shades, nonce + theirs.nonce
        return (peer, mine), shades, theirs.nonce + nonce

    def _peer_intensities(self, announced: Announced, size: int) -> Choices | None:
        planes = announced.intensity_low, announced.intensity_high
        if self._opening.protocol.weak and self._side is Side.BOB:
            return Choices.decode(planes, size, INTENSITIES, "intensities")
        if any(planes):
            raise MalformedMessage("expected intensities of Alice's decoy states only, got others")
        return None

    def _test(self, sifted: Sifted) -> Talk[tuple[PackedBits, PackedBits]]:
        self.phase = Phase.TEST
        mine = sifted.test
        theirs = decode((yield from self._exchange(encode(Tested(mine.to_bytes())))), Tested)
        return self._alice_first(mine, _bits(theirs.outcomes, mine.size))

    def _alice_first(self, mine: PackedBits, theirs: PackedBits) -> tuple[PackedBits, PackedBits]:
        return (mine, theirs) if self._side is Side.ALICE else (theirs, mine)

    def _disclose(
        self, sifted: Sifted, evidence: Evidence, rejection: Rejection | None
    ) -> Talk[BlockReport]:
        self.rejection = rejection
        self.phase = Phase.DISCLOSURE
        # These bits will never be key, so all of them may say how often they differ. A peer that
        # was led to another verdict cannot use the block: it will not get our transcript tag.
        said = encode(Decided(go=False, body=sifted.key.to_bytes()))
        theirs = decode((yield from self._exchange(said)), Decided)
        if theirs.go:
            raise BlockRejected(Reason.DISAGREED, "the peer accepts what we reject")
        wrong = sifted.key ^ _bits(theirs.body, sifted.key.size)
        opened = evidence.with_key(errors_of(wrong, sifted.parts))
        # E91 without a probe's full disclosure has no QBER; with it, its own limit applies too.
        rejection = rejection or opened.judge_bits(self._rules, self._budget)
        self.report = replace(
            self.report,
            sample_bits=opened.sample.bits,
            **opened.figures(self._budget),
        )
        if rejection is not None:
            raise BlockRejected(rejection.reason, rejection.message)
        return self._concluded(epsilon=None)

    def _distil(self, sifted: Sifted, evidence: Evidence, public_seed: bytes) -> Talk[BlockReport]:
        key = sifted.key
        self.phase = Phase.RECONCILIATION
        yield Compute()
        method, engine = reconciler(
            self._opening.reconciliation,
            key,
            sifted.parts,
            evidence.expected_qber(self._opening.reconciliation),
            hkdf(public_seed, info=b"cascade", length=32),
            corrects=self._side is Side.BOB,
        )
        yield from self._reconcile(engine)
        yield Compute()
        first, second = (
            ErrorRate(wrong, bits) for wrong, bits in zip(engine.errors, sifted.parts, strict=True)
        )
        known = evidence.with_key((first, second))
        errors = first.errors + second.errors
        ideal = key.size * binary_entropy(errors / key.size) if key.size else 0.0
        self.report = replace(
            self.report,
            key_bits=key.size,
            **known.figures(self._budget),
            reconciliation=method,
            leaked_bits=engine.leaked_bits,
            efficiency=engine.leaked_bits / ideal if ideal else None,
            rounds=engine.rounds,
            verification_bits=HASH_BITS,
        )
        rejection = known.judge_bits(self._rules, self._budget)
        if rejection is not None:
            raise BlockRejected(rejection.reason, rejection.message)
        length, proved = evidence.key_length(
            sifted.parts, engine.leaked_bits + HASH_BITS, self._budget
        )
        assert self._authentication is not None
        wanted = self._opening.extracted_bits
        if wanted is not None and length < wanted:
            self.report = replace(self.report, **proved, extracted_bits=length)
            raise BlockRejected(
                Reason.NO_NET_KEY,
                f"what Eve may know leaves {length:,} bits of {key.size:,}, and {wanted:,} are "
                "wanted",
            )
        length = length if wanted is None else wanted
        net = length - self._authentication.consumed_bits
        self.report = replace(self.report, **proved, extracted_bits=length)
        if net <= 0:
            raise BlockRejected(
                Reason.NO_NET_KEY,
                f"what Eve may know leaves {length:,} bits of {key.size:,}, and the block's tags "
                f"used {self._authentication.consumed_bits:,}",
            )
        secret = yield from self._prove(engine.corrected, length)
        yield from self._authenticate()
        self.report = replace(self.report, secret_bits=net)
        report = self._concluded(epsilon=self._epsilon(key.size))
        yield from self._keep(secret, report)
        return report

    def _reconcile(self, engine: Reconciler) -> Talk[None]:
        try:
            theirs = decode(
                (yield from self._exchange(encode(Decided(go=True, body=engine.first())))), Decided
            )
            if not theirs.go:
                raise BlockRejected(Reason.DISAGREED, "the peer rejects what we accept")
            heard = theirs.body
            while True:
                if len(heard) > BRIEF_BYTES:
                    yield Compute()
                answer = engine.receive(heard)
                if answer is None:
                    return
                heard = yield from self._exchange(answer)
        except ReconciliationFailed as error:
            raise BlockRejected(Reason.RECONCILIATION, str(error)) from error

    def _prove(self, key: PackedBits, length: int) -> Talk[Secret]:
        # Alice draws the hash key and the seed only now, when both keys are fixed.
        self.phase = Phase.VERIFICATION
        size = seed_bits(key.size, length)
        if self._side is Side.ALICE:
            yield Compute()  # a random device may have to be waited for
            hash_key = self._random_bytes(HASH_KEY_BYTES)
            seed = _stretched(self._random_bytes(SEED_BYTES), size)
            proof = Proof(hash_key, key_hash(key, hash_key), seed.to_bytes())
            decode((yield from self._exchange(encode(proof))), Proof)
            yield Compute()
        else:
            proof = decode((yield from self._exchange(encode(Proof(b"", b"", b"")))), Proof)
            yield Compute()
            if len(proof.hash_key) != HASH_KEY_BYTES:
                raise MalformedMessage(f"expected a hash key of {HASH_KEY_BYTES} bytes")
            seed = _bits(proof.seed, size)
            try:
                verify_key_hash(key, proof.hash_key, proof.key_hash)
            except KeyMismatch as error:
                raise BlockRejected(
                    Reason.VERIFICATION, "keys differ after reconciliation"
                ) from error
        return Secret(amplify(key, seed, length).to_bytes())

    def _epsilon(self, key_bits: int) -> Epsilon:
        return Epsilon(
            secrecy=self._budget.secrecy,
            correctness=collision_bound(key_bits),
            authentication=4 * forgery_bound(self.transcript_bytes + len(self._first) + 64),
        )


def _bits(data: bytes, count: int) -> PackedBits:
    try:
        return PackedBits.from_bytes(data, count)
    except PackedBitsError as error:
        raise MalformedMessage(str(error)) from error


def _stretched(fresh: bytes, count: int) -> PackedBits:
    """So many bits of a cryptographic stream, as all choices of a node are made."""
    words = KeyStream(fresh, "amplification").at(0, 8 * ((count + 63) // 64)).view("<u8")
    return PackedBits(words.astype(np.uint64, copy=False), count).cut(0, count)
