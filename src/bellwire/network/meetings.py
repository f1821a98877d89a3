"""Keys by which ends that have met know each other again: cut from blocks that no relay knew.

After a split transfer both ends hold 32 more bytes that no single relay has: a meeting key of the
two. Each then takes control messages of the other only under such a key, beside the signature.

The last word of a transfer can be lost, so that one end does not know whether the other goes on
with the newest key. Hence an end takes any of the last few, and says first what it knows the other
to have. Signatures alone are taken until the other end has used a meeting key once, and later for
transfers that were begun before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bellwire.base.decoding import UNDECODABLE
from bellwire.base.secret import Secret
from bellwire.keys.errors import StoreCorrupt
from bellwire.network.control import Heard, meeting_id
from bellwire.network.errors import NotAuthentic
from bellwire.network.identity import NodeName
from bellwire.network.model import MEETING_BYTES

Meeting = Secret | None
"""A meeting key; None where signatures alone are taken."""

KEPT: Final = 4
"""Transfers between two nodes that may be under way at once, each under the key it began with."""


@dataclass(frozen=True, slots=True)
class _Held:
    strangers: bool
    certain: Meeting
    keys: tuple[Secret, ...]


_STRANGERS = _Held(True, None, ())


class _Kept(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    peer: NodeName
    strangers: bool
    certain: Annotated[bytes, Meta(max_length=MEETING_BYTES)] | None
    keys: Annotated[
        tuple[Annotated[bytes, Meta(min_length=MEETING_BYTES, max_length=MEETING_BYTES)], ...],
        Meta(max_length=KEPT),
    ]


_decoder = msgspec.msgpack.Decoder(list[_Kept])


class Meetings:
    """The meeting keys of one node; bounded by the members it has met.

    Args:
        kept: What `keep` was given last, by an earlier life of the node; secret.
        keep: Makes all keys durable, secret as they are, before anybody is told of the newest.

    Raises:
        StoreCorrupt: `kept` is something else.
    """

    def __init__(
        self, kept: bytes | None = None, keep: Callable[[bytes], None] | None = None
    ) -> None:
        self._keep = keep
        self._held: dict[str, _Held] = {}
        try:
            for each in _decoder.decode(kept) if kept is not None else ():
                certain = None if each.certain is None else Secret(each.certain)
                keys = tuple(Secret(key) for key in each.keys)
                self._held[each.peer] = _Held(each.strangers, certain, keys)
        except UNDECODABLE as error:
            raise StoreCorrupt("expected the keys of earlier blocks, got something else") from error

    def certain(self, peer: str) -> Meeting:
        """The newest key that `peer` is known to have."""
        return self._of(peer).certain

    def check(self, heard: Heard, begun: tuple[Meeting, ...] = ()) -> Meeting:
        """The key under which a message came, if it is one that may be used now.

        Args:
            heard: The message.
            begun: What the transfer that it belongs to was begun under, which stays good for it.

        Raises:
            NotAuthentic: it came without the key that both ends have, or under another.
        """
        held = self._of(heard.sender)
        if not heard.meeting and (held.strangers or None in begun):
            return None
        for key in held.keys:
            if heard.meeting == meeting_id(key):
                heard.check_meeting(key)
                self.settled(heard.sender, key)
                return key
        raise NotAuthentic(
            f"expected {heard.sender} to have the key of an earlier block",
            hint="If that node lost its state, let this one forget it.",
        )

    def offered(self, peer: str, key: Secret) -> None:
        """We hold a new key, and `peer` may or may not."""
        held = self._of(peer)
        self._hold(peer, _Held(held.strangers, held.certain, (*held.keys, key)[-KEPT:]))

    def agreed(self, peer: str, key: Secret) -> None:
        """Both hold a new key, and `peer` may not know that we do."""
        held = self._of(peer)
        self._hold(peer, _Held(held.strangers, key, (*held.keys, key)[-KEPT:]))

    def settled(self, peer: str, key: Secret) -> None:
        """`peer` has shown that it has `key`; nothing, if we have forgotten it meanwhile."""
        held = self._of(peer)
        if key in held.keys:
            certain = held.certain if held.certain == held.keys[-1] else key
            self._hold(peer, _Held(False, certain, held.keys))

    def forget(self, peer: str) -> None:
        """Meet `peer` as a stranger again, by its identity alone."""
        if self._held.pop(peer, None) is not None:
            self._save()

    def _hold(self, peer: str, held: _Held) -> None:
        if held != self._held.get(peer):
            self._held[peer] = held
            self._save()

    def _save(self) -> None:
        if self._keep is None:
            return
        kept = [
            _Kept(
                peer,
                held.strangers,
                None if held.certain is None else held.certain.reveal(),
                tuple(key.reveal() for key in held.keys),
            )
            for peer, held in self._held.items()
        ]
        self._keep(msgspec.msgpack.encode(kept))

    def _of(self, peer: str) -> _Held:
        return self._held.get(peer, _STRANGERS)
