"""How a session begins while the other side is away.

The initiator encapsulates to the responder's lasting prekey and, where there is one, to a one-time
prekey. From the secrets come the session's keys and one that hides the initiator's identity and
signature from whoever carries the message. The signature covers both identities, both prekeys and
all ciphertexts; the responder is whoever can decapsulate, for its identity signed the prekeys.
What is said holds if X25519 or ML-KEM-768 holds, and who says it, if Ed25519 or ML-DSA-65 holds.

Unlike PQXDH, where the initiator is authenticated by a Diffie-Hellman of long-term keys alone, a
quantum computer does not let anybody pass for the initiator; in exchange, the responder can show
others that the initiator began a session with him (not what was said in it).

Source: Kret and Schmidt, "The PQXDH Key Agreement Protocol", 2023; spec/chat.md, 2.
"""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bellwire.base.secret import Secret
from bellwire.chat import ratchet
from bellwire.chat.errors import BundleRefused, ChatMisuse, OpeningRefused
from bellwire.chat.identity import (
    PUBLIC_BYTES as IDENTITY_BYTES,
)
from bellwire.chat.identity import (
    SIGNATURE_BYTES,
    Identity,
    IdentityPublic,
)
from bellwire.chat.prekeys import NO_PREKEY, PREKEY_ID_BYTES, Bundle, PrekeyKind, PrekeySecret
from bellwire.chat.session import KIND_OPENING, OPENING_BYTES, SESSION_ID_BYTES, Session
from bellwire.crypto import kem
from bellwire.crypto.aead import TAG_BYTES, open_sealed, seal
from bellwire.crypto.errors import AuthenticationFailed, KemRefused
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.labels import CHAT_IDENTITY, CHAT_OPENING, CHAT_SESSION

_HELLO: Final = IDENTITY_BYTES + kem.PUBLIC_BYTES + SIGNATURE_BYTES
_LAYOUT: Final = struct.Struct(
    f">{PREKEY_ID_BYTES}s{PREKEY_ID_BYTES}s{kem.CIPHERTEXT_BYTES}s{kem.CIPHERTEXT_BYTES}s"
    f"{_HELLO + TAG_BYTES}s"
)
assert _LAYOUT.size == OPENING_BYTES

Lookup = Callable[[bytes], PrekeySecret | None]
"""A prekey of ours by its id, while it counts."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a responder has of an opening, before it has opened the message behind it.

    Attributes:
        session: Keep it only once the message has opened, too.
        peer: Who says that he is the initiator, and has signed it.
        one_time: Id of the one-time prekey to destroy with it; None if there was none.
    """

    session: Session
    peer: IdentityPublic
    one_time: bytes | None


def begin(identity: Identity, bundle: Bundle) -> Session:
    """A session of `identity` with the owner of `bundle`, which may be away.

    Raises:
        ChatMisuse: it is ourselves.
    """
    if bundle.identity == identity.public:
        raise ChatMisuse("expected somebody else's keys, got our own")
    ct_lasting, ss_lasting = kem.encapsulate(bundle.lasting.public)
    id_once, pk_once, ct_once, ss_once = NO_PREKEY, b"", bytes(kem.CIPHERTEXT_BYTES), bytes(32)
    if bundle.one_time is not None:
        id_once, pk_once = bundle.one_time.prekey_id, bundle.one_time.public
        ct_once, secret = kem.encapsulate(pk_once)
        ss_once = secret.reveal()
    agreed = _Agreed(
        bundle.identity.fingerprint,
        bundle.lasting.prekey_id + bundle.lasting.public + id_once + pk_once,
        ct_lasting + ct_once,
        ss_lasting.reveal() + ss_once,
    )
    own = kem.XWingPrivateKey.generate()
    hello = identity.public.public_bytes + own.public_bytes
    hello += identity.sign(agreed.signed_text(own.public_bytes), CHAT_OPENING)
    sealed = seal(agreed.identity_key(), bytes(12), hello, b"")
    opening = _LAYOUT.pack(bundle.lasting.prekey_id, id_once, ct_lasting, ct_once, sealed)
    return agreed.session(
        opening,
        identity.public.fingerprint,
        bundle.identity.fingerprint,
        lambda root, chain: ratchet.initiator(root, chain, own.seed.reveal()),
        initiates=True,
    )


def opening_id(payload: bytes) -> bytes | None:
    """The 32 bytes that an opening is known by; None if the payload carries none.

    All messages of an initiator carry the same one until it has heard from the responder. An
    opening whose id was seen belongs to that session, or is a replay if the session is gone.
    """
    if payload[:1] != bytes([KIND_OPENING]) or len(payload) <= OPENING_BYTES:
        return None
    return hashlib.sha256(payload[1 : 1 + OPENING_BYTES]).digest()


def accept(identity: Identity, payload: bytes, lookup: Lookup) -> Accepted:
    """The session that an opening begins, on the side of `identity`.

    Raises:
        OpeningRefused: it is no opening, names prekeys that are gone, or is not authentic.
    """
    if opening_id(payload) is None:
        raise OpeningRefused("expected the opening of a session, got another payload")
    opening = payload[1 : 1 + OPENING_BYTES]
    id_lasting, id_once, ct_lasting, ct_once, sealed = _LAYOUT.unpack(opening)
    lasting = _wanted(lookup, id_lasting, PrekeyKind.LASTING)
    once = None if id_once == NO_PREKEY else _wanted(lookup, id_once, PrekeyKind.ONE_TIME)
    try:
        secrets = _decapsulate(lasting.seed, ct_lasting)
        secrets += bytes(32) if once is None else _decapsulate(once.seed, ct_once)
        agreed = _Agreed(
            identity.public.fingerprint,
            id_lasting
            + lasting.prekey.public
            + id_once
            + (b"" if once is None else once.prekey.public),
            ct_lasting + ct_once,
            secrets,
        )
        hello = open_sealed(agreed.identity_key(), bytes(12), sealed, b"")
        peer = IdentityPublic(hello[:IDENTITY_BYTES])
        offered = hello[IDENTITY_BYTES : IDENTITY_BYTES + kem.PUBLIC_BYTES]
        peer.verify(hello[-SIGNATURE_BYTES:], agreed.signed_text(offered), CHAT_OPENING)
        kem.check_public(offered)
    except (KemRefused, AuthenticationFailed, BundleRefused) as error:
        raise OpeningRefused("expected an authentic opening for our keys, got another") from error
    if peer == identity.public:
        raise OpeningRefused("expected somebody else's opening, got our own")
    session = agreed.session(
        opening,
        identity.public.fingerprint,
        peer.fingerprint,
        lambda root, chain: ratchet.responder(root, chain, offered),
        initiates=False,
    )
    return Accepted(session, peer, None if once is None else id_once)


def _wanted(lookup: Lookup, prekey_id: bytes, kind: PrekeyKind) -> PrekeySecret:
    found = lookup(prekey_id)
    if found is None or found.prekey.kind is not kind:
        raise OpeningRefused(
            "expected keys of ours that hold, got some that were used before, have expired, or are "
            "another's"
        )
    return found


def _decapsulate(seed: Secret, ciphertext: bytes) -> bytes:
    return kem.XWingPrivateKey.from_seed(seed).decapsulate(ciphertext).reveal()


@dataclass(frozen=True, slots=True, repr=False)
class _Agreed:
    """What both sides of an opening have; `prekeys` are ids and public keys, in order."""

    responder: bytes
    prekeys: bytes
    ciphertexts: bytes
    secrets: bytes

    def transcript(self) -> bytes:
        text = CHAT_OPENING + self.responder + self.prekeys + self.ciphertexts
        return hashlib.sha256(text).digest()

    def identity_key(self) -> bytes:
        return hkdf(self.secrets, salt=self.transcript(), info=CHAT_IDENTITY, length=32)

    def signed_text(self, offered: bytes) -> bytes:
        return self.transcript() + self.responder + offered

    def session(
        self,
        opening: bytes,
        own: bytes,
        peer: bytes,
        start: Callable[[bytes, bytes], ratchet.Ratchet],
        *,
        initiates: bool,
    ) -> Session:
        whole = hashlib.sha256(self.transcript() + opening).digest()
        okm = hkdf(self.secrets, salt=whole, info=CHAT_SESSION, length=128 + SESSION_ID_BYTES)
        root, chain, up, down = (okm[at : at + 32] for at in range(0, 128, 32))
        return Session(
            session_id=okm[128:],
            own=own,
            peer=peer,
            opening_id=hashlib.sha256(opening).digest(),
            opening=opening if initiates else b"",
            header_out=up if initiates else down,
            header_in=down if initiates else up,
            ratchet=start(root, chain),
        )
