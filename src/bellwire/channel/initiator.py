"""The initiator's side of the handshake in full: it knows whom it wants to reach.

Step numbers are those of spec/channel.md.
"""

from typing import ClassVar

from bellwire.channel.errors import ChannelMisuse
from bellwire.channel.initiating import InitiatingEnd
from bellwire.channel.messages import (
    ANSWER_BODY,
    GRANT_BYTES,
    HELLO_BODY,
    MAX_COUNTER,
    Kind,
    Offer,
    Policy,
    Suite,
    header,
)
from bellwire.channel.options import SessionOptions
from bellwire.channel.protections import Protections
from bellwire.channel.terms import QkdKey, fingerprint
from bellwire.crypto.kem import CIPHERTEXT_BYTES, XWingPrivateKey, XWingPublicKey, encapsulate


class Initiator(InitiatingEnd):
    """The end that knows whom it wants to reach; one object, one handshake."""

    __slots__ = ("_certificate", "_counter", "_identity", "_responder")

    _ANSWERS: ClassVar = {Kind.ANSWER: ANSWER_BODY}
    _GRANT_BYTES = GRANT_BYTES
    _REFUSED = "the responder refused the handshake"

    def __init__(
        self,
        *,
        identity: XWingPrivateKey,
        responder_name: str,
        responder_public: bytes | XWingPublicKey,
        policy: Policy,
        qkd: QkdKey | None,
        counter: int,
        certificate: bytes = b"",
        suite: Suite = Suite.AES_256_GCM,
        options: SessionOptions | None = None,
    ) -> None:
        """Prepare a handshake.

        Args:
            identity: Our key pair, which the responder must have on its list.
            responder_name: As the responder calls itself; 1 to 255 bytes.
            responder_public: The pinned public key, 1216 bytes; or read already, which is worth it
                for who calls often.
            policy: What we ask of QKD.
            qkd: The key we drew, or None. Under REQUIRE there must be one, under OFF none.
            counter: Higher than in any handshake of this identity before, also before a restart;
                1 to 2⁶⁴ − 1.
            certificate: For our key, for a responder that has an authority and no list; or empty.
            suite: The cipher; the responder takes it or refuses.
            options: Of the session.

        Raises:
            ChannelMisuse: policy and key do not fit, the counter is out of range, or the pinned
                key is our own.
            LengthError: the pinned key has another length.
            KemRefused: the pinned key is malformed.
        """
        if not 1 <= counter <= MAX_COUNTER:
            raise ChannelMisuse(f"expected a counter from 1 to {MAX_COUNTER}, got {counter}")
        if isinstance(responder_public, bytes):
            responder_public = XWingPublicKey(responder_public)
        if responder_public.public_bytes == identity.public_bytes:
            raise ChannelMisuse("expected the responder's public key, got our own")
        self._responder = responder_public
        super().__init__(
            suite=suite,
            responder_name=responder_name,
            responder_public=responder_public.public_bytes,
            policy=policy,
            qkd=qkd,
            options=options,
        )
        self._identity = identity
        self._counter = counter
        self._certificate = certificate

    def _header(self) -> bytes:
        kind = Kind.CERTIFIED_HELLO if self._certificate else Kind.HELLO
        return header(kind, self._suite, HELLO_BODY + len(self._certificate))

    def _open_call(self) -> bytes:
        ct_s, ss_s = encapsulate(self._responder)
        self._state.mix_hash(ct_s)
        self._state.mix_key(ss_s)
        return ct_s

    def _seal_offer(self) -> bytes:
        offer = Offer(
            fingerprint(self._identity.public_bytes),
            self._policy,
            None if self._qkd is None else self._qkd.key_id,
            self._counter,
        )
        sealed = self._state.seal(offer.encode() + self._certificate)
        self._state.mix_hash(self._identity.public_bytes)
        return sealed

    def _take_grant(self, grant: bytes) -> int:
        self._state.mix_key(self._identity.decapsulate(grant[:CIPHERTEXT_BYTES]))
        return grant[CIPHERTEXT_BYTES]

    def _protections(self, qkd: QkdKey | None) -> Protections:
        return Protections.of(qkd, self._suite)
