"""How the keys of a session move on: each message its own, each turn of the talk a fresh secret.

A *chain* gives one key a message and forgets the one before, so that a stolen chain opens nothing
earlier. A *step*, at most one each time the talk turns, encapsulates to the peer's newest X-Wing
key and mixes the secret, and 32 bytes of pad where there is some, into the root: who stole
everything before and only listens since knows nothing after it. Epochs alternate: the initiator's
are even, the responder's odd, and each begins with a step on what the other's last one offered.

States are values: a function returns the next one, and what raises has changed nothing.

Source: Perrin and Marlinspike, "The Double Ratchet Algorithm", 2016 (chains, steps, skipped keys),
with an X-Wing encapsulation in place of each Diffie-Hellman; spec/chat.md, 3.
"""

import struct
from typing import Final, NamedTuple

import msgspec

from bellwire.chat.errors import ChatMisuse, EpochUnknown, NotAuthentic, Replayed, TooManySkipped
from bellwire.chat.pads import MIX_BYTES, NO_PAD, PAD_ID_BYTES, Slice
from bellwire.crypto.errors import KemRefused
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.kem import (
    CIPHERTEXT_BYTES,
    PUBLIC_BYTES,
    SEED_BYTES,
    XWingPrivateKey,
    encapsulate,
)
from bellwire.crypto.labels import CHAT_CHAIN, CHAT_STEP

KEY_BYTES: Final = 32
MAX_SKIP: Final = 1000
"""Messages that one message may find missing before it."""

MAX_SKIPPED: Final = 2000
"""Keys of missing messages that are kept; the oldest go first."""

MAX_EPOCHS_BEHIND: Final = 64
"""Keys of messages still missing after so many epochs are forgotten."""

_STEP: Final = struct.Struct(f">{CIPHERTEXT_BYTES}s{PUBLIC_BYTES}s{PAD_ID_BYTES}sQ")
STEP_BYTES: Final = _STEP.size


class Chain(msgspec.Struct, frozen=True, array_like=True):
    """The messages of one epoch: the key that the next message's comes from, and its number."""

    epoch: int
    key: bytes
    number: int = 0

    def __repr__(self) -> str:
        return f"Chain(epoch {self.epoch}, number {self.number})"


class Skipped(msgspec.Struct, frozen=True, array_like=True):
    """The key of a message that has not come."""

    epoch: int
    number: int
    key: bytes

    def __repr__(self) -> str:
        return f"Skipped(epoch {self.epoch}, number {self.number})"


class Place(NamedTuple):
    """Where a message stands, as its header says.

    Attributes:
        epoch: Of the sender.
        number: In that epoch.
        previous: How many messages the sender's epoch before had.
        seen: The newest epoch of the receiver that the sender has a message of; -1: none.
    """

    epoch: int
    number: int
    previous: int
    seen: int


class Ratchet(msgspec.Struct, frozen=True, array_like=True):
    """One side's state; its repr shows nothing secret.

    Attributes:
        root: What the next step starts from.
        seed: Of the X-Wing key that the peer's next step encapsulates to.
        peer_public: The X-Wing key that our next step encapsulates to; empty: none yet.
        sending: Our newest epoch; None before a responder's first.
        previous: How many messages our epoch before had.
        step: What began our epoch, while the peer may not know it; else empty.
        receiving: The peer's newest epoch; None before an initiator has heard anything.
        skipped: Keys of messages that may still come, oldest first.
    """

    root: bytes
    seed: bytes
    peer_public: bytes
    sending: Chain | None
    previous: int
    step: bytes
    receiving: Chain | None
    skipped: tuple[Skipped, ...] = ()

    def __repr__(self) -> str:
        return f"Ratchet({self.sending!r}, {self.receiving!r}, {len(self.skipped)} skipped)"

    @property
    def sent_epoch(self) -> int:
        """Our newest epoch; -1 before the first."""
        return -1 if self.sending is None else self.sending.epoch

    @property
    def seen_epoch(self) -> int:
        """The peer's newest epoch that we know; -1 before the first."""
        return -1 if self.receiving is None else self.receiving.epoch

    @property
    def may_step(self) -> bool:
        """Whether the peer has offered a key since our last step."""
        return self.seen_epoch > self.sent_epoch


def initiator(root: bytes, chain: bytes, seed: bytes) -> Ratchet:
    """The state of who begins: epoch 0 comes from the key agreement, without a step."""
    return Ratchet(root, seed, b"", Chain(0, chain), 0, b"", None)


def responder(root: bytes, chain: bytes, peer_public: bytes) -> Ratchet:
    """The state of who answers, whose first message steps."""
    return Ratchet(root, bytes(SEED_BYTES), peer_public, None, 0, b"", Chain(0, chain))


def step(state: Ratchet, mix: Slice | None) -> Ratchet:
    """Begin a new epoch of ours, with `MIX_BYTES` of pad mixed in where there are some.

    Raises:
        ChatMisuse: the peer has offered no key since our last step.
    """
    if not state.may_step:
        raise ChatMisuse("expected a message of the peer's between two steps, got none")
    ciphertext, secret = encapsulate(state.peer_public)
    own = XWingPrivateKey.generate()
    pad_id, offset = (NO_PAD, 0) if mix is None else (mix.pad_id, mix.offset)
    part = _STEP.pack(ciphertext, own.public_bytes, pad_id, offset)
    epoch = state.seen_epoch + 1
    root, chain = _mix(state.root, secret.reveal(), mix, epoch, part)
    previous = 0 if state.sending is None else state.sending.number
    return msgspec.structs.replace(
        state,
        root=root,
        seed=own.seed.reveal(),
        sending=Chain(epoch, chain),
        previous=previous,
        step=part,
    )


def next_key(state: Ratchet) -> tuple[Ratchet, Place, bytes]:
    """The place and the key of our next message.

    Raises:
        ChatMisuse: a responder that has not stepped yet.
    """
    chain = state.sending
    if chain is None:
        raise ChatMisuse("expected a step before a responder's first message")
    place = Place(chain.epoch, chain.number, state.previous, state.seen_epoch)
    advanced, key = _advance(chain)
    return msgspec.structs.replace(state, sending=advanced), place, key


def mixed_pad(part: bytes) -> tuple[bytes, int] | None:
    """The pad id and offset that a step names; None if it mixes no pad."""
    pad_id, offset = _STEP.unpack(part)[2:]
    return None if pad_id == NO_PAD else (pad_id, offset)


def is_new_step(state: Ratchet, place: Place) -> bool:
    """Whether a message of this place comes from an epoch of the peer's that we do not know."""
    return place.epoch > state.seen_epoch


def key_of(state: Ratchet, place: Place, part: bytes, mix: Slice | None) -> tuple[Ratchet, bytes]:
    """The key of a message of the peer's, and the state once it has been opened.

    The header that `place` and `part` come from is authentic only for who holds the session's
    header key; so keep the state only once the message itself has opened.

    Args:
        state: Ours.
        place: As the header says.
        part: The step it carries, or empty.
        mix: The pad that `part` names, if the step is new to us and names one.

    Raises:
        EpochUnknown: a step is missing, or cannot follow on ours.
        Replayed: the message's key is gone.
        TooManySkipped: too many messages are missing before it.
        NotAuthentic: the step does not decapsulate.
    """
    if is_new_step(state, place):
        state = _follow(state, place, part, mix)
    if place.seen >= state.sent_epoch:
        state = msgspec.structs.replace(state, step=b"")
    newest = state.receiving
    assert newest is not None  # a step sets it
    if (place.epoch, place.number) < (newest.epoch, newest.number):
        return _late(state, place)
    state = _skip_to(state, place.number)
    assert state.receiving is not None
    chain, key = _advance(state.receiving)
    return msgspec.structs.replace(state, receiving=chain), key


def _follow(state: Ratchet, place: Place, part: bytes, mix: Slice | None) -> Ratchet:
    """Take the peer's step into a new epoch."""
    if not part or place.epoch != state.sent_epoch + 1:
        raise EpochUnknown(
            f"expected a message of epoch {state.seen_epoch} at most, or the step into "
            f"{state.sent_epoch + 1}, got one of epoch {place.epoch}"
        )
    if state.receiving is not None:
        state = _skip_to(state, place.previous)
    ciphertext, public, _, _ = _STEP.unpack(part)
    try:
        secret = XWingPrivateKey.from_seed(state.seed).decapsulate(ciphertext)
    except KemRefused as error:
        raise NotAuthentic("expected a ciphertext for our key, got another") from error
    root, chain = _mix(state.root, secret.reveal(), mix, place.epoch, part)
    oldest = place.epoch - MAX_EPOCHS_BEHIND
    return msgspec.structs.replace(
        state,
        root=root,
        peer_public=public,
        receiving=Chain(place.epoch, chain),
        skipped=tuple(each for each in state.skipped if each.epoch >= oldest),
    )


def _skip_to(state: Ratchet, number: int) -> Ratchet:
    """Keep the keys of the messages before `number` that have not come."""
    assert state.receiving is not None  # who calls has taken the first step
    chain: Chain = state.receiving
    missing = number - chain.number
    if missing <= 0:
        return state
    if missing > MAX_SKIP:
        raise TooManySkipped(f"expected at most {MAX_SKIP} messages missing, got {missing}")
    kept = list(state.skipped)
    for at in range(chain.number, number):
        chain, key = _advance(chain)
        kept.append(Skipped(chain.epoch, at, key))
    return msgspec.structs.replace(state, receiving=chain, skipped=tuple(kept[-MAX_SKIPPED:]))


def _late(state: Ratchet, place: Place) -> tuple[Ratchet, bytes]:
    """The kept key of a message that others overtook."""
    for at, each in enumerate(state.skipped):
        if (each.epoch, each.number) == (place.epoch, place.number):
            rest = state.skipped[:at] + state.skipped[at + 1 :]
            return msgspec.structs.replace(state, skipped=rest), each.key
    raise Replayed(
        f"expected a message that has not come yet, got number {place.number} of epoch "
        f"{place.epoch} again, or too late"
    )


def _advance(chain: Chain) -> tuple[Chain, bytes]:
    okm = hkdf(chain.key, info=CHAT_CHAIN, length=2 * KEY_BYTES)
    return Chain(chain.epoch, okm[:KEY_BYTES], chain.number + 1), okm[KEY_BYTES:]


def _mix(
    root: bytes, secret: bytes, mix: Slice | None, epoch: int, part: bytes
) -> tuple[bytes, bytes]:
    """The next root, and the chain of the new epoch."""
    pad = bytes(MIX_BYTES) if mix is None else mix.key.reveal()
    info = CHAT_STEP + epoch.to_bytes(4, "big") + part
    okm = hkdf(secret + pad, salt=root, info=info, length=2 * KEY_BYTES)
    return okm[:KEY_BYTES], okm[KEY_BYTES:]
