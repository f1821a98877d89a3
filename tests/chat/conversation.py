"""Two people who talk, with pads that both have, and a relay that may do what it likes."""

import random
from dataclasses import dataclass, field

from bellwire.base.secret import Secret
from bellwire.chat.content import Content, ContentKind
from bellwire.chat.errors import PadMissing, PadSpent
from bellwire.chat.identity import Identity
from bellwire.chat.opening import accept, begin
from bellwire.chat.pads import POINT_BYTES, Policy, Slice
from bellwire.chat.prekeys import (
    Bundle,
    PrekeyKind,
    PrekeySecret,
    make_prekey,
)
from bellwire.chat.session import Opened, Sealed, Session, open_message, seal_message

NOW = 1_800_000_000.0
LATER = 1_900_000_000


@dataclass
class PlainPads:
    """Pads in memory: those of one side, under which it sends, and those of the other."""

    ours: dict[bytes, bytes] = field(default_factory=dict)
    theirs: dict[bytes, bytes] = field(default_factory=dict)
    reached: dict[bytes, int] = field(default_factory=dict)
    spent: set[tuple[bytes, int]] = field(default_factory=set)

    def spend(self, length: int, *, mix: bool = False) -> Slice | None:
        for pad_id, pad in self.ours.items():
            at = self.reached.get(pad_id, POINT_BYTES)
            if at + length <= len(pad):
                self.reached[pad_id] = at + length
                return part_of(pad_id, pad, at, length)
        return None

    def look(self, pad_id: bytes, offset: int, length: int) -> Slice:
        if pad_id not in self.theirs:
            raise PadMissing(pad_id)
        pad = self.theirs[pad_id]
        used = any((pad_id, at) in self.spent for at in range(offset, offset + length))
        if used or offset < POINT_BYTES or offset + length > len(pad):
            raise PadSpent("expected bytes of this pad that have not served, got others")
        return part_of(pad_id, pad, offset, length)

    def erase(self, spent: tuple[Slice, ...]) -> None:
        for each in spent:
            places = range(each.offset, each.offset + len(each.key))
            self.spent |= {(each.pad_id, at) for at in places}

    @property
    def left(self) -> int:
        return sum(
            len(pad) - self.reached.get(pad_id, POINT_BYTES) for pad_id, pad in self.ours.items()
        )


def part_of(pad_id: bytes, pad: bytes, at: int, length: int) -> Slice:
    return Slice(pad_id, at, Secret(pad[:POINT_BYTES]), Secret(pad[at : at + length]), "simulated")


def share_pad(sender: PlainPads, receiver: PlainPads, length: int, seed: int = 1) -> bytes:
    """Give both a pad that `sender` sends under."""
    drawn = random.Random(seed)
    pad_id, pad = drawn.randbytes(16), drawn.randbytes(length)
    sender.ours[pad_id] = receiver.theirs[pad_id] = pad
    return pad_id


@dataclass
class Person:
    """One side: what it keeps, and what it does with it."""

    session: Session
    pads: PlainPads
    policy: Policy = Policy.PREFER

    def seal(self, content: Content) -> Sealed:
        sealed = seal_message(self.session, content, self.pads, self.policy)
        self.session = sealed.session
        return sealed

    def say(self, text: str) -> bytes:
        return self.seal(words(text)).payload

    def open(self, payload: bytes) -> Opened:
        opened = open_message(self.session, payload, self.pads)
        self.session = opened.session
        self.pads.erase(opened.spent)
        return opened

    def hear(self, payload: bytes) -> str:
        return self.open(payload).content.text.decode()


def words(text: str, **more: object) -> Content:
    fields: dict[str, object] = {"content_id": bytes(15) + b"\x01", "sent_ms": 1_800_000_000_000}
    return Content(kind=ContentKind.TEXT, text=text.encode(), **(fields | more))  # type: ignore[arg-type]


def receipt(content_id: bytes = bytes(16)) -> Content:
    return Content(ContentKind.DELIVERED, bytes(16), 0, content_id)


def identity(number: int) -> Identity:
    return Identity(Secret(bytes([number]) * 64))


ALICE, BOB, MALLORY = identity(1), identity(2), identity(3)


@dataclass
class Prekeys:
    """Bob's, as he keeps them."""

    lasting: PrekeySecret
    one_time: PrekeySecret

    def bundle(self, *, once: bool = True) -> Bundle:
        return Bundle(BOB.public, self.lasting.prekey, self.one_time.prekey if once else None)

    def lookup(self, prekey_id: bytes) -> PrekeySecret | None:
        both = {each.prekey.prekey_id: each for each in (self.lasting, self.one_time)}
        return both.get(prekey_id)


def make_prekeys() -> Prekeys:
    return Prekeys(
        make_prekey(BOB, PrekeyKind.LASTING, LATER), make_prekey(BOB, PrekeyKind.ONE_TIME, LATER)
    )


def meet(
    *, pad: int = 0, policy: Policy = Policy.PREFER, once: bool = True
) -> tuple[Person, Person]:
    """Alice and Bob, after Alice's first words have come to Bob."""
    prekeys = make_prekeys()
    alice = Person(begin(ALICE, prekeys.bundle(once=once)), PlainPads(), policy)
    bob_pads = PlainPads()
    if pad:
        share_pad(alice.pads, bob_pads, pad, seed=1)
        share_pad(bob_pads, alice.pads, pad, seed=2)
    payload = alice.say("first")
    bob = Person(accept(BOB, payload, prekeys.lookup).session, bob_pads, policy)
    assert bob.hear(payload) == "first"
    return alice, bob
