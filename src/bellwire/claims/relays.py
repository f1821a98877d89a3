"""Claims about relays: of people's messages, and of keys."""

import random
from dataclasses import dataclass, field
from typing import Final

from bellwire.base.secret import Secret
from bellwire.chat.content import Content, ContentKind
from bellwire.chat.errors import MessageRefused, PadSpent
from bellwire.chat.identity import Identity
from bellwire.chat.opening import accept, begin
from bellwire.chat.pads import POINT_BYTES, Policy, Slice
from bellwire.chat.prekeys import Bundle, PrekeyKind, PrekeySecret, make_prekey
from bellwire.chat.safety import safety_number
from bellwire.chat.session import Opened, Session, open_message, seal_message
from bellwire.claims.model import Attacker, Claim, Ground, refused, require
from bellwire.network.shares import combine, draw_share, is_unaltered, share_tag

SEED_BYTES: Final = 64
PAD_BYTES: Final = 1 << 15
MESSAGES: Final = 40
FULL_MESSAGES: Final = 500
LATER: Final = 1 << 33
BLOCK_BYTES: Final = 1_000
ROUTES: Final = (2, 3, 5)


@dataclass
class _Pads:
    """Pads in memory: those that one side sends under, and those of the other."""

    ours: dict[bytes, bytes] = field(default_factory=dict)
    theirs: dict[bytes, bytes] = field(default_factory=dict)
    reached: dict[bytes, int] = field(default_factory=dict)
    spent: set[tuple[bytes, int]] = field(default_factory=set)

    def spend(self, length: int, *, mix: bool = False) -> Slice | None:
        """See `chat.pads.Pads`."""
        for pad_id, pad in self.ours.items():
            at = self.reached.get(pad_id, POINT_BYTES)
            if at + length <= len(pad):
                self.reached[pad_id] = at + length
                return _slice(pad_id, pad, at, length)
        return None

    def look(self, pad_id: bytes, offset: int, length: int) -> Slice:
        """See `chat.pads.Pads`."""
        if any((pad_id, at) in self.spent for at in range(offset, offset + length)):
            raise PadSpent("expected bytes of this pad that have not served, got others")
        return _slice(pad_id, self.theirs[pad_id], offset, length)

    def erase(self, spent: tuple[Slice, ...]) -> int:
        """Mark bytes as spent; how many of them had been before."""
        places = {(part.pad_id, part.offset + at) for part in spent for at in range(len(part.key))}
        again = len(places & self.spent)
        self.spent |= places
        return again


def _slice(pad_id: bytes, pad: bytes, at: int, length: int) -> Slice:
    return Slice(pad_id, at, Secret(pad[:POINT_BYTES]), Secret(pad[at : at + length]), "simulated")


class _Person:
    """One of two who talk, as a store would keep them."""

    def __init__(self, session: Session, pads: _Pads) -> None:
        self.session, self.pads = session, pads

    def say(self, text: str, number: int) -> bytes:
        """The payload of a message."""
        content = Content(
            kind=ContentKind.TEXT,
            content_id=number.to_bytes(16, "big"),
            sent_ms=0,
            text=text.encode(),
        )
        sealed = seal_message(self.session, content, self.pads, Policy.PREFER)
        self.session = sealed.session
        return sealed.payload

    def hear(self, payload: bytes) -> Opened:
        """Open a payload; its pad is spent.

        Raises:
            MessageRefused: it is not the next that the other one said, or not at all.
        """
        opened = open_message(self.session, payload, self.pads)
        require(not self.pads.erase(opened.spent), "a byte of pad served twice")
        self.session = opened.session
        return opened


def _two(ground: Ground) -> tuple[_Person, _Person]:
    """Alice, and Bob whom she has reached."""
    alice, bob = (Identity(Secret(ground.draw(SEED_BYTES))) for _ in range(2))
    lasting, once = (make_prekey(bob, kind, LATER) for kind in PrekeyKind)
    known = {each.prekey.prekey_id: each for each in (lasting, once)}
    one_time = next(each for each in known.values() if each.prekey.kind is PrekeyKind.ONE_TIME)
    usual = next(each for each in known.values() if each.prekey.kind is PrekeyKind.LASTING)
    pads = _Pads(), _Pads()
    for ours, theirs in (pads, pads[::-1]):
        pad_id = ground.draw(16)
        ours.ours[pad_id] = theirs.theirs[pad_id] = ground.draw(PAD_BYTES)
    first = _Person(begin(alice, Bundle(bob.public, usual.prekey, one_time.prekey)), pads[0])

    def lookup(prekey_id: bytes) -> PrekeySecret | None:
        return known.get(prekey_id)

    payload = first.say("first", 0)
    second = _Person(accept(bob, payload, lookup).session, pads[1])
    second.hear(payload)
    return first, second


def _messages(ground: Ground) -> str:
    alice, bob = _two(ground)
    drawn = random.Random(ground.number("chat"))  # noqa: S311 - who speaks, and which bit is altered
    wanted = FULL_MESSAGES if ground.full else MESSAGES
    for number in range(1, wanted + 1):
        speaks, hears = (alice, bob) if drawn.random() < 0.5 else (bob, alice)
        text = f"message {number}, of nobody else's business"
        payload = speaks.say(text, number)
        require(text.encode() not in payload, "a payload shows its words")
        at = drawn.randrange(8 * len(payload))
        altered = bytearray(payload)
        altered[at // 8] ^= 1 << at % 8
        with refused("an altered payload", MessageRefused):
            hears.hear(bytes(altered))
        opened = hears.hear(payload)
        require(opened.content.text.decode() == text, "another text was read")
        with refused("a payload that came again", MessageRefused):
            hears.hear(payload)
    padded = len(alice.pads.spent) + len(bob.pads.spent)
    return (
        f"{wanted} messages under {padded:,} bytes of pad, each once; each altered or again refused"
    )


def _safety(ground: Ground) -> str:
    alice, bob, mallory = (Identity(Secret(ground.draw(SEED_BYTES))).public for _ in range(3))
    honest = safety_number(alice.fingerprint, bob.fingerprint)
    require(
        honest == safety_number(bob.fingerprint, alice.fingerprint),
        "two honest people see two numbers",
    )
    seen = (
        safety_number(alice.fingerprint, mallory.fingerprint),
        safety_number(mallory.fingerprint, bob.fingerprint),
    )
    require(honest not in seen and seen[0] != seen[1], "somebody in between is not seen")
    return "equal for two who talk, different at both when somebody is in between"


def _shares(ground: Ground) -> str:
    altered_seen = 0
    for routes in ROUTES:
        shares = [draw_share(BLOCK_BYTES, ground.draw) for _ in range(routes)]
        block, meeting = combine(shares)
        ground.keep(block)
        ground.keep(meeting)
        require(combine(shares[::-1])[0] == block, "the order of shares matters")
        for missing in range(routes):
            seen = [share for at, share in enumerate(shares) if at != missing]
            require(combine(seen)[0] != block, "a block came of all shares but one")
        point = Secret(ground.draw(16))
        for share in shares:
            told = share_tag(share, point)
            require(is_unaltered(share, point, told), "an unaltered share is refused")
            data = bytearray(share.reveal())
            data[len(data) // 3] ^= 1
            require(not is_unaltered(Secret(data), point, told), "an altered share is believed")
            altered_seen += 1
    return f"blocks over {', '.join(map(str, ROUTES))} routes; {altered_seen} altered shares found"


CLAIMS: Final = (
    Claim(
        name="relays.messages",
        attacker=Attacker.RELAY,
        says="What a relay alters or repeats is refused, and each byte of pad serves one message",
        run=_messages,
    ),
    Claim(
        name="relays.safety-numbers",
        attacker=Attacker.RELAY,
        says="Two people between whom somebody sits see different safety numbers",
        run=_safety,
    ),
    Claim(
        name="relays.shares",
        attacker=Attacker.RELAY,
        says="A key over several routes needs each share, and a share that was altered is found",
        run=_shares,
    ),
)
