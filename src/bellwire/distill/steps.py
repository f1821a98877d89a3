"""The steps of a block, top to bottom, as one side runs them (spec/classical-channel.md).

What any block does is in `distill.conversation`.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bellwire.base.bits import (
    Bits,
    PackedBits,
    PackedBitsError,
    binary_entropy,
    pack,
    unpack,
)
from bellwire.base.detections import Half, Settings, Side, Slots
from bellwire.base.errors import BellwireError
from bellwire.base.matching import Matching, MatchingMalformed
from bellwire.base.secret import Secret
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.one_time_mac import forgery_bound, tag
from bellwire.distill.amplification import amplify, seed_bits
from bellwire.distill.bounds import EpsilonBudget, secret_length
from bellwire.distill.cascade import Cascade, CascadeBudget
from bellwire.distill.conversation import (
    BlockAuthentication,
    BlockRejected,
    Conversation,
    FetchHalf,
    Talk,
)
from bellwire.distill.errors import KeyMismatch, MalformedMessage, ReconciliationFailed
from bellwire.distill.evidence import Evidence
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
from bellwire.distill.report import ASSUMPTIONS, BlockReport
from bellwire.distill.sifting import Roles, assign, decode_slots, encode_slots
from bellwire.distill.verdict import Reason, Rejection, Rules
from bellwire.distill.verification import (
    HASH_BITS,
    HASH_KEY_BYTES,
    collision_bound,
    key_hash,
    verify_key_hash,
)

MAX_ROUNDS = 20_000  # a block at the QBER limit takes about a thousand


class Steps(Conversation):
    """One side's run through a block; `transcript`, `step` and `report` grow as it goes."""

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
        if half.received is not None and half.received.size > 0:
            last = int(half.received[-1])
            if last >= self._opening.pulses:
                raise BlockRejected(
                    Reason.LINK, f"expected slots below {self._opening.pulses}, got {last}"
                )
        slots = yield from self._receive_slots(half)
        ours = half.at(slots)
        highest = self._opening.protocol.settings - 1
        if slots.size and (ours.settings.max() > highest or ours.outcomes.max() > 1):
            raise BlockRejected(Reason.LINK, "settings or outcomes are out of range")
        alice, bob, public_seed = yield from self._announce(ours.settings)
        roles = assign(
            self._opening.protocol,
            alice,
            bob,
            self._opening.sample_share,
            hkdf(public_seed, info=b"sample", length=32),
            rare=self._opening.rare_basis,
        )
        tested = yield from self._test(ours.outcomes, roles)
        evidence = Evidence.of(
            self._opening.protocol,
            (alice, bob),
            roles,
            tested,
            rare=self._opening.rare_basis,
        )
        self.report = replace(
            self.report,
            detected=slots.size,
            sifted_bits=evidence.sample.bits + roles.key.size,
            sample_bits=evidence.sample.bits,
            **evidence.figures(self._budget),
        )
        rejection = evidence.judge(self._rules, self._budget)
        if rejection is not None or self._opening.probe:
            return (yield from self._disclose(ours.outcomes[roles.key], roles, evidence, rejection))
        return (yield from self._distil(ours.outcomes[roles.key], roles, evidence, public_seed))

    def _half(self) -> Talk[Half]:
        source = yield FetchHalf(self._opening)
        assert source is not None
        assert not isinstance(source, bytes | Secret)
        if not isinstance(source, Matching):
            return source
        try:
            while True:
                half = source.take((yield from self._exchange(source.message())))
                if half is not None:
                    return half
        except MatchingMalformed as error:
            raise MalformedMessage(str(error)) from error
        except BellwireError as error:
            raise BlockRejected(Reason.LINK, f"no detections: {error}") from error

    def _receive_slots(self, half: Half) -> Talk[Slots]:
        own = half.received
        body = b"" if own is None else encode_slots(own, self._opening.pulses)
        theirs = decode(
            (yield from self._exchange(encode(Received(body, self._slots_tag(self._side, body))))),
            Received,
        )
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
                raise MalformedMessage("Alice registers no slots in BB84, got a list")
            assert own is not None
            return own
        peer = decode_slots(theirs.slots, self._opening.pulses)
        if own is None:
            return peer
        return np.intersect1d(own, peer, assume_unique=True)

    def _slots_tag(self, side: Side, body: bytes) -> bytes:
        if self._authentication is None:
            return b""
        return tag(
            self._authentication.hash_keys[side],
            self._authentication.received_pads[side],
            self._tag_context(b"received", side) + body,
        )

    def _announce(self, settings: Settings) -> Talk[tuple[Settings, Settings, bytes]]:
        nonce = self._random_bytes(NONCE_BYTES)
        three = self._opening.protocol.settings > 2
        low = pack(settings & np.uint8(1))
        high = pack(settings >> np.uint8(1)) if three else b""
        theirs = decode((yield from self._exchange(encode(Announced(low, high, nonce)))), Announced)
        peer = _bits(theirs.low, settings.size)
        if three:
            peer = peer | (_bits(theirs.high, settings.size) << np.uint8(1))
            if peer.size and peer.max() > 2:
                raise MalformedMessage("expected settings 0, 1 or 2, got 3")
        elif theirs.high:
            raise MalformedMessage("expected one bit per basis, got two")
        if self._side is Side.ALICE:
            return settings, peer, nonce + theirs.nonce
        return peer, settings, theirs.nonce + nonce

    def _test(self, outcomes: Bits, roles: Roles) -> Talk[tuple[Bits, Bits]]:
        mine = outcomes[roles.test]
        theirs = decode((yield from self._exchange(encode(Tested(pack(mine))))), Tested)
        return self._alice_first(mine, _bits(theirs.outcomes, mine.size))

    def _alice_first(self, mine: Bits, theirs: Bits) -> tuple[Bits, Bits]:
        return (mine, theirs) if self._side is Side.ALICE else (theirs, mine)

    def _disclose(
        self, key: Bits, roles: Roles, evidence: Evidence, rejection: Rejection | None
    ) -> Talk[BlockReport]:
        # These bits will never be key, so all of them may say how often they differ. A peer that
        # was led to another verdict cannot use the block: it will not get our transcript tag.
        theirs = decode(
            (yield from self._exchange(encode(Decided(go=False, body=pack(key))))), Decided
        )
        if theirs.go:
            raise BlockRejected(Reason.DISAGREED, "the peer accepts what we reject")
        alice, bob = self._alice_first(key, _bits(theirs.body, key.size))
        opened = evidence.with_key(roles.errors(np.flatnonzero(alice != bob)))
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

    def _distil(
        self, key: Bits, roles: Roles, evidence: Evidence, public_seed: bytes
    ) -> Talk[BlockReport]:
        engine = Cascade(
            PackedBits.of(key),
            evidence.expected_qber(),
            hkdf(public_seed, info=b"cascade", length=32),
            corrects=self._side is Side.BOB,
            budget=CascadeBudget(max_leaked_bits=key.size, max_rounds=MAX_ROUNDS),
        )
        yield from self._reconcile(engine)
        known = evidence.with_key(roles.errors(engine.error_positions))
        ideal = key.size * binary_entropy(engine.errors / key.size) if key.size else 0.0
        self.report = replace(
            self.report,
            key_bits=key.size,
            **known.figures(self._budget),
            leaked_bits=engine.leaked_bits,
            efficiency=engine.leaked_bits / ideal if ideal else None,
            rounds=engine.rounds,
            verification_bits=HASH_BITS,
        )
        rejection = known.judge_bits(self._rules, self._budget)
        if rejection is not None:
            raise BlockRejected(rejection.reason, rejection.message)
        limits = evidence.phase_errors(roles.parts, self._budget)
        length = secret_length(
            list(zip(roles.parts, limits, strict=True)),
            engine.leaked_bits + HASH_BITS,
            self._budget,
        )
        assert self._authentication is not None
        net = length - self._authentication.consumed_bits
        self.report = replace(self.report, phase_errors=limits, extracted_bits=max(0, length))
        if net <= 0:
            raise BlockRejected(
                Reason.NO_NET_KEY,
                f"what Eve may know leaves {length} bits of {key.size}, and the block's tags used "
                f"{self._authentication.consumed_bits}",
            )
        secret = yield from self._prove(engine.corrected, length)
        yield from self._authenticate()
        self.report = replace(self.report, secret_bits=net)
        report = self._concluded(epsilon=self._epsilon(key.size))
        yield from self._keep(secret, report)
        return report

    def _reconcile(self, engine: Cascade) -> Talk[None]:
        try:
            theirs = decode(
                (yield from self._exchange(encode(Decided(go=True, body=engine.first())))), Decided
            )
            if not theirs.go:
                raise BlockRejected(Reason.DISAGREED, "the peer rejects what we accept")
            answer = engine.receive(theirs.body)
            while answer is not None:
                answer = engine.receive((yield from self._exchange(answer)))
        except ReconciliationFailed as error:
            raise BlockRejected(Reason.RECONCILIATION, str(error)) from error

    def _prove(self, key: PackedBits, length: int) -> Talk[Secret]:
        # Alice draws the hash key and the seed only now, when both keys are fixed.
        size = seed_bits(key.size, length)
        if self._side is Side.ALICE:
            hash_key = self._random_bytes(HASH_KEY_BYTES)
            seed = _random_bits(self._random_bytes, size)
            proof = Proof(hash_key, key_hash(key, hash_key), seed.to_bytes())
            decode((yield from self._exchange(encode(proof))), Proof)
        else:
            proof = decode((yield from self._exchange(encode(Proof(b"", b"", b"")))), Proof)
            if len(proof.hash_key) != HASH_KEY_BYTES:
                raise MalformedMessage(f"expected a hash key of {HASH_KEY_BYTES} bytes")
            seed = _packed_bits(proof.seed, size)
            try:
                verify_key_hash(key, proof.hash_key, proof.key_hash)
            except KeyMismatch as error:
                raise BlockRejected(
                    Reason.VERIFICATION, "keys differ after reconciliation"
                ) from error
        return Secret(amplify(key, seed, length).to_bytes())

    def _epsilon(self, key_bits: int) -> float:
        tags = 4 * forgery_bound(len(self.transcript) + len(self._first) + 64)
        return self._budget.secrecy + collision_bound(key_bits) + tags


def _bits(data: bytes, count: int) -> Bits:
    try:
        return unpack(data, count)
    except PackedBitsError as error:
        raise MalformedMessage(str(error)) from error


def _packed_bits(data: bytes, count: int) -> PackedBits:
    try:
        return PackedBits.from_bytes(data, count)
    except PackedBitsError as error:
        raise MalformedMessage(str(error)) from error


def _random_bits(random_bytes: Callable[[int], bytes], count: int) -> PackedBits:
    data = bytearray(random_bytes((count + 7) // 8))
    if count % 8:
        data[-1] &= (1 << count % 8) - 1
    return PackedBits.from_bytes(bytes(data), count)
