"""First contact without a courier: two pinned identities agree on what a pre-placed key holds.

An ephemeral X-Wing key (X25519 and ML-KEM-768) gives both sides a secret; each signs the exchange
with its long-term ML-DSA-65 key and confirms that it has the secret, the pattern of SIGMA. What
comes out is as long as a pre-placed key, is laid out as one and serves as one. It is computational:
who recorded the exchange, and breaks X25519 and ML-KEM-768 both, has it. Keys that were distilled
before that day stay secret; a signature scheme that is broken later changes nothing.

Alice stores after Bob says that he has, so that a key of Alice's is always one that Bob holds. Wire
format, and why a crash anywhere is harmless: spec/first-contact.md.

Source: Krawczyk, "SIGMA: the 'SIGn-and-MAc' approach to authenticated Diffie-Hellman", CRYPTO
2003; FIPS 204; draft-connolly-cfrg-xwing-kem.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.crypto import kem
from bellwire.crypto.errors import KemRefused, SignatureInvalid
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import FIRST_CONTACT
from bellwire.crypto.signatures import (
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    SigningKey,
    fingerprint,
    verify,
)
from bellwire.distill.contact_frames import (
    ANSWER_OPEN_BYTES,
    CONFIRMATION_BYTES,
    HEADER_BYTES,
    Kind,
    header,
    split,
)
from bellwire.distill.errors import ContactRefused, MalformedMessage, ParameterError, Refusal
from bellwire.distill.messages import NONCE_BYTES

CHUNK_BYTES: Final = 64
SETS: Final = 256
"""Pad sets of the key, as many as a pre-placed key is made with; part of version 1."""

KEY_BYTES: Final = CHUNK_BYTES * (1 + SETS)

_PUBLIC_END: Final = NONCE_BYTES + PUBLIC_BYTES


@dataclass(frozen=True, slots=True)
class Agreement:
    """What an exchange came to.

    Attributes:
        key: `KEY_BYTES` bytes, laid out as a pre-placed key. Secret.
        peer: Fingerprint of the peer's identity, 32 bytes.
        exchange: Hash of the transcript, 64 bytes: names this exchange at both sides.
    """

    key: Secret
    peer: bytes
    exchange: bytes


class _Step(Enum):
    START = auto()
    OPENED = auto()
    PROVEN = auto()
    DONE = auto()


class _End:
    """What both sides do: check the peer, seal the transcript, sign, confirm, derive."""

    def __init__(
        self, side: Side, identity: SigningKey, peer: bytes, random: Callable[[int], bytes]
    ) -> None:
        if fingerprint(identity.public_bytes) == peer:
            raise ParameterError(
                "expected the fingerprint of the peer's identity, got that of our own"
            )
        self._side = side
        self._identity = identity
        self._peer = peer
        self._random = random
        self._step = _Step.START
        self._peer_public = b""
        self._exchange = b""
        self._secret = Secret(b"")

    def _take(self, expected: _Step) -> None:
        if self._step is not expected:
            raise RuntimeError(f"expected step {expected.name}, got {self._step.name}")
        # Whatever fails from here on, this exchange does not go on.
        self._step = _Step.DONE

    def _check_identity(self, public: bytes) -> None:
        found = fingerprint(public)
        if found != self._peer:
            raise ContactRefused(
                f"expected the identity {self._peer.hex()} at the other end, got {found.hex()}",
                reason=Refusal.IDENTITY,
                hint="Compare with the other site what its `bellwire node --identity` says.",
            )
        self._peer_public = public

    def _seal(self, hello: bytes, opened: bytes, secret: Secret) -> None:
        # Each part has one length, so no two transcripts have the same bytes.
        self._exchange = hashlib.sha512(FIRST_CONTACT + hello + opened).digest()
        self._secret = secret

    def _derive(self, purpose: bytes, length: int) -> bytes:
        info = FIRST_CONTACT + b" " + purpose
        return hkdf(self._secret.reveal(), salt=self._exchange, info=info, length=length)

    def _confirmation(self, side: Side, signature: bytes) -> bytes:
        key = self._derive(b"confirmation of " + side.encode(), CONFIRMATION_BYTES)
        return hmac.digest(key, signature, "sha256")

    def _prove(self) -> bytes:
        signature = self._identity.sign(self._exchange, _context(self._side))
        return signature + self._confirmation(self._side, signature)

    def _check_proof(self, proof: bytes) -> None:
        signature, confirmation = proof[:SIGNATURE_BYTES], proof[SIGNATURE_BYTES:]
        side = self._side.peer
        try:
            verify(self._peer_public, signature, self._exchange, _context(side))
        except SignatureInvalid as error:
            raise ContactRefused(f"expected {side}'s signature of this exchange") from error
        if not hmac.compare_digest(confirmation, self._confirmation(side, signature)):
            raise ContactRefused(f"expected {side} to confirm the secret of this exchange")

    def _agreement(self) -> Agreement:
        key = b"".join(
            self._derive(b"key " + number.to_bytes(4, "big"), CHUNK_BYTES)
            for number in range(1 + SETS)
        )
        return Agreement(Secret(key), self._peer, self._exchange)


class Alice(_End):
    """The side that calls; one object, one exchange.

    Args:
        identity: Our long-term key.
        peer: Fingerprint of Bob's, 32 bytes.
        random: Gives so many fresh random bytes.

    Raises:
        ParameterError: the fingerprint is our own.
    """

    def __init__(self, identity: SigningKey, peer: bytes, random: Callable[[int], bytes]) -> None:
        super().__init__(Side.ALICE, identity, peer, random)
        self._hello = b""
        self._ephemeral: kem.XWingPrivateKey | None = None

    def hello(self) -> bytes:
        """Step 1."""
        self._take(_Step.START)
        nonce = self._random(NONCE_BYTES)
        self._ephemeral = kem.XWingPrivateKey(self._random(kem.SEED_BYTES))
        self._hello = (
            header(Kind.HELLO) + nonce + self._identity.public_bytes + self._ephemeral.public_bytes
        )
        self._step = _Step.OPENED
        return self._hello

    def receive_answer(self, frame: bytes) -> bytes:
        """Step 2 from Bob: he is who he must be. Returns step 3.

        Raises:
            ContactRefused: he is not, or he refuses.
            MalformedMessage, PeerMismatch: no answer of this version.
        """
        self._take(_Step.OPENED)
        assert self._ephemeral is not None
        body = split(frame, Kind.ANSWER)
        self._check_identity(body[NONCE_BYTES:_PUBLIC_END])
        try:
            secret = self._ephemeral.decapsulate(body[_PUBLIC_END:ANSWER_OPEN_BYTES])
        except KemRefused as error:
            raise MalformedMessage(str(error)) from error
        self._ephemeral = None
        self._seal(self._hello, frame[: HEADER_BYTES + ANSWER_OPEN_BYTES], secret)
        self._check_proof(body[ANSWER_OPEN_BYTES:])
        self._step = _Step.PROVEN
        return header(Kind.PROOF) + self._prove()

    def receive_stored(self, frame: bytes) -> Agreement:
        """Step 4 from Bob: he keeps the key; only now may we.

        Raises:
            ContactRefused: it is not Bob's word, or he refuses.
            MalformedMessage, PeerMismatch: not that message of this version.
        """
        self._take(_Step.PROVEN)
        word = split(frame, Kind.STORED)
        if not hmac.compare_digest(word, self._derive(b"stored", CONFIRMATION_BYTES)):
            raise ContactRefused("expected Bob's word that he has stored the key")
        return self._agreement()


class Bob(_End):
    """The side that is called; one object, one exchange.

    Args:
        identity: Our long-term key.
        peer: Fingerprint of Alice's, 32 bytes.
        random: Gives so many fresh random bytes.

    Raises:
        ParameterError: the fingerprint is our own.
    """

    def __init__(self, identity: SigningKey, peer: bytes, random: Callable[[int], bytes]) -> None:
        super().__init__(Side.BOB, identity, peer, random)

    def receive_hello(self, frame: bytes) -> bytes:
        """Step 1 from Alice, who has proved nothing yet. Returns step 2.

        Raises:
            ContactRefused: it names another identity than the pinned one.
            MalformedMessage, PeerMismatch: no hello of this version.
        """
        self._take(_Step.START)
        body = split(frame, Kind.HELLO)
        self._check_identity(body[NONCE_BYTES:_PUBLIC_END])
        try:
            ciphertext, secret = kem.encapsulate(body[_PUBLIC_END:])
        except KemRefused as error:
            raise MalformedMessage(str(error)) from error
        opened = (
            header(Kind.ANSWER)
            + self._random(NONCE_BYTES)
            + self._identity.public_bytes
            + ciphertext
        )
        self._seal(frame, opened, secret)
        self._step = _Step.OPENED
        return opened + self._prove()

    def receive_proof(self, frame: bytes) -> Agreement:
        """Step 3 from Alice: she is who she must be. Store the key, then send `stored`.

        Raises:
            ContactRefused: she is not.
            MalformedMessage, PeerMismatch: no proof of this version.
        """
        self._take(_Step.OPENED)
        self._check_proof(split(frame, Kind.PROOF))
        self._step = _Step.PROVEN
        return self._agreement()

    def stored(self) -> bytes:
        """Step 4: our word that the key is stored, durably."""
        self._take(_Step.PROVEN)
        return header(Kind.STORED) + self._derive(b"stored", CONFIRMATION_BYTES)


def _context(side: Side) -> bytes:
    return FIRST_CONTACT + b" " + side.encode()
