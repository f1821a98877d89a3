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

from bellwire.chat.errors import BundleRefused, ContentMalformed, LinkRefused
from bellwire.chat.prekeys import Bundle, read_bundle
from bellwire.chat.relay.frames import RIGHT_BYTES

MAX_WORD_BYTES: Final = 255
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
    """

    right: bytes
    relay: str
    sae: str
    name: str

    def __repr__(self) -> str:
        return "Card()"

    def encode(self) -> bytes:
        """Right 32 ‖ relay ‖ SAE ‖ name, each with its length before it, 1 byte."""
        words = [each.encode() for each in (self.relay, self.sae, self.name)]
        return self.right + b"".join(bytes([len(each)]) + each for each in words)


def read_card(data: bytes) -> Card:
    """Undo `Card.encode`.

    Raises:
        ContentMalformed: it is no card.
    """
    at, words = RIGHT_BYTES, []
    try:
        for _ in range(3):
            end = at + 1 + data[at]
            words.append(data[at + 1 : end].decode())
            at = end
    except (IndexError, UnicodeDecodeError):
        at = -1
    if at != len(data) or not _is_good(*words):
        raise ContentMalformed("expected a card of this version, got another content")
    return Card(data[:RIGHT_BYTES], *words)


def _is_good(relay: str, sae: str, name: str) -> bool:
    printable = all(each.isprintable() for each in (relay, sae, name))
    return printable and len(name) > 0 and is_relay(relay)


def is_relay(url: str) -> bool:
    """Whether it is the address of a relay."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    bare = parts.path in {"", "/"} and not (parts.query or parts.fragment or parts.username)
    return parts.scheme in {"ws", "wss"} and bool(parts.hostname) and port != 0 and bare


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
    """Undo `make_link`; white space within it does not count.

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
