"""How somebody is reached: relay, the right to drop into a mailbox there, and SAE.

A card travels inside a session (content 21), and in a contact link beside a bundle. The link is
handed over in person or by a way that both trust: whoever can change it on the way can put another
identity into it, which the safety number then shows. Whoever has the link may write to its maker
once a session begins by it, so it is given to one person. Layouts are in spec/chat.md, 7.
"""

import base64
import struct
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec

from bellwire.channel.errors import ChannelMisuse
from bellwire.channel.places import Place
from bellwire.chat.errors import BundleRefused, ContentMalformed, LinkRefused
from bellwire.chat.prekeys import Bundle, read_bundle
from bellwire.chat.relay.frames import RIGHT_BYTES

MAX_WORD_BYTES: Final = 255
MAX_HINTS: Final = 4
"""Places of a relay that a card names beside its home."""

RELAY_ID_BYTES: Final = 32
MAX_CARD_BYTES: Final = RIGHT_BYTES + (3 + MAX_HINTS) * (1 + MAX_WORD_BYTES) + RELAY_ID_BYTES + 1
SCHEME: Final = "bellwire-contact:"
_MAGIC: Final = b"bwcl\x01"
_FINGERPRINT: Final = 32
_LENGTH: Final = struct.Struct(">H")
MAX_LINK_CHARACTERS: Final = 24_000


class Card(msgspec.Struct, frozen=True, array_like=True):
    """How somebody is reached; its repr shows nothing.

    Attributes:
        right: To drop into their mailbox for us, 32 bytes. Secret.
        relay: `ws://HOST:PORT` or `wss://…`, where that mailbox is.
        sae: Their client's id at their site's key server; empty: they have no key server.
        name: What they call themselves.
        relay_id: Who that relay is, if it has moved: fingerprint of its identity, 32 bytes; or
            empty.
        hints: Where it was then, 1 to `MAX_HINTS` URLs; empty as `relay_id`. Nobody vouches for
            them: they are where who never met the relay may ask for its notice.
    """

    right: bytes
    relay: str
    sae: str
    name: str
    relay_id: bytes = b""
    hints: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Card()"

    def encode(self) -> bytes:
        """As spec/chat.md, 7.1 has it."""
        card = self.right + _told(self.relay, self.sae, self.name)
        if not self.hints:
            return card
        return card + self.relay_id + bytes([len(self.hints)]) + _told(*self.hints)


def read_card(data: bytes) -> Card:
    """Undo `Card.encode`.

    Raises:
        ContentMalformed: it is no card.
    """
    relay_id, hints = b"", list[str]()
    try:
        (relay, sae, name), at = _read(data, RIGHT_BYTES, 3)
        if at < len(data):
            relay_id, at = data[at : at + RELAY_ID_BYTES], at + RELAY_ID_BYTES
            hints, at = _read(data, at + 1, data[at])
    except (IndexError, UnicodeDecodeError):
        raise _no_card() from None
    if at != len(data) or not _is_good(relay, sae, name) or not _are_good(relay_id, hints):
        raise _no_card()
    return Card(data[:RIGHT_BYTES], relay, sae, name, relay_id, tuple(hints))


def _told(*words: str) -> bytes:
    return b"".join(bytes([len(each)]) + each for each in (word.encode() for word in words))


def _read(data: bytes, at: int, count: int) -> tuple[list[str], int]:
    words = []
    for _ in range(count):
        end = at + 1 + data[at]
        words.append(data[at + 1 : end].decode())
        at = end
    return words, at


def _is_good(relay: str, sae: str, name: str) -> bool:
    printable = all(each.isprintable() for each in (relay, sae, name))
    return printable and len(name) > 0 and is_relay(relay)


def _are_good(relay_id: bytes, hints: list[str]) -> bool:
    if len(hints) > MAX_HINTS or len(set(hints)) < len(hints) or bool(relay_id) != bool(hints):
        return False
    try:
        return all(Place.of_url(each).url == each for each in hints)
    except ChannelMisuse:
        return False


def _no_card() -> ContentMalformed:
    return ContentMalformed("expected a card of this version, got another content")


def is_relay(url: str) -> bool:
    """Whether it is the address of a relay."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    bare = parts.path in {"", "/"} and not (parts.query or parts.fragment or parts.username)
    # An empty fragment leaves its sign in the text, which divides names of relays from ids.
    return (
        parts.scheme in {"ws", "wss"}
        and bool(parts.hostname)
        and port != 0
        and bare
        and "#" not in url
    )


@dataclass(frozen=True, slots=True)
class ContactLink:
    """What a link says: whose it is, their keys, verified, and their card."""

    bundle: Bundle
    card: Card


def make_link(bundle: Bundle, card: Card) -> str:
    """`bellwire-contact:…`: "bwcl" ‖ 01 ‖ fingerprint 32 ‖ length of card 2 ‖ card ‖ bundle."""
    told = card.encode()
    whole = _MAGIC + bundle.identity.fingerprint + _LENGTH.pack(len(told)) + told + bundle.encode()
    return SCHEME + base64.urlsafe_b64encode(whole).decode().rstrip("=")


def read_link(text: str, now: float) -> ContactLink:
    """Undo `make_link`; white space within it does not count. `now`: seconds since the epoch.

    Raises:
        LinkRefused: it is none, was cut, or its keys are not of who it says, or have expired.
    """
    bare = "".join(text[:MAX_LINK_CHARACTERS].split())
    if len(text) > MAX_LINK_CHARACTERS or not bare.startswith(SCHEME):
        raise LinkRefused(f"expected a contact link, {SCHEME}…, got something else")
    try:
        packed = bare.removeprefix(SCHEME)
        whole = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        at = len(_MAGIC) + _FINGERPRINT
        (length,) = _LENGTH.unpack_from(whole, at)
        magic, fingerprint = whole[: len(_MAGIC)], whole[len(_MAGIC) : at]
        at += _LENGTH.size
        card = read_card(whole[at : at + length])
        bundle = read_bundle(whole[at + length :], fingerprint, now)
    except (ValueError, struct.error, ContentMalformed, BundleRefused) as error:
        raise _refusal() from error
    if magic != _MAGIC:
        raise _refusal()
    return ContactLink(bundle, card)


def _refusal() -> LinkRefused:
    return LinkRefused(
        "expected a whole contact link whose keys are valid now, got one that was cut, changed, "
        "or has expired",
        hint="Ask for a new one: bellwire chat link.",
    )
