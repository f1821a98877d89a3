"""What a KME does for its SAEs, whatever the protocol they speak: the core behind every door.

Doors (ETSI GS QKD 014 over HTTPS, the local socket, others to come) say who asks, bound and parse
what is asked, and put answers and errors into their own words; keys, grants, links and durability
are behind this interface. Words are those of ETSI GS QKD 014 V1.1.1, clause 3: a master SAE gets
new keys, the slave SAEs that it names get the same ones by their ids at their own KMEs.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from bellwire.base.secret import Secret

KEY_ID_BYTES = 16
"""A key's id is a UUID (RFC 9562)."""

MAX_SAE_ID = 256
"""Characters of an SAE's or a KME's id."""

MAX_KEY_BYTES = 1024
"""Longest key of one id: what the length in an id can say."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may ask for; a door tells them and holds them.

    Attributes:
        key_bits: Size of a key where none is asked for.
        min_key_bits: Shortest key.
        max_key_bits: Longest key.
        max_keys_per_request: Keys of one request.
        max_key_count: Stock that is ever told.
        max_additional_slaves: Slaves beside the one that a request is about.
        sessions: Whether a key may be asked for that is made now (`KeyRequest.fresh`).
    """

    key_bits: int = 256
    min_key_bits: int = 8
    max_key_bits: int = 8 * MAX_KEY_BYTES
    max_keys_per_request: int = 1024
    max_key_count: int = 100_000_000
    max_additional_slaves: int = 16
    sessions: bool = False


class KeyRequest(msgspec.Struct, frozen=True):
    """What a master asks for; within `Limits`, sizes in whole bytes.

    Attributes:
        slaves: Who else gets the keys: distinct, in the order named, one at least.
        number: How many keys.
        bits: Length of each.
        fresh: Whether a session is to make the key now: one key, of up to `MAX_FRESH_BITS`, for one
            slave of another KME.
        mark: By what the session may be followed while it goes on; empty for none.
    """

    slaves: tuple[str, ...]
    number: int
    bits: int
    fresh: bool = False
    mark: str = ""


class Delivery(msgspec.Struct, frozen=True):
    """Keys that left the pool, durably marked so before this was made.

    Attributes:
        ids: `KEY_ID_BYTES` for each key, one after the other.
        keys: bits / 8 bytes for each key, in the order of `ids`. Secret.
        bits: Length of each key; keys fetched by id may differ in length, then None.
        lengths: Bytes of each key where they differ, else None.
        extension: What we say of all of them beyond the standard; None for nothing.
    """

    ids: bytes
    keys: Secret
    bits: int | None
    lengths: tuple[int, ...] | None = None
    extension: Mapping[str, object] | None = None

    def split(self, count: int) -> "list[Delivery]":
        """The same keys, of one length, as `count` deliveries of equally many; ours is wiped."""
        keys = self.keys.reveal()
        self.keys.wipe()
        named, bits = len(self.ids) // count, len(keys) // count
        return [
            Delivery(
                self.ids[at * named : (at + 1) * named],
                Secret(keys[at * bits : (at + 1) * bits]),
                self.bits,
            )
            for at in range(count)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStatus:
    """What there is between a master and a slave (ETSI GS QKD 014, table 9).

    Attributes:
        source_kme: The KME asked.
        target_kme: The slave's KME.
        master: Who asks.
        slave: About whom.
        stored_keys: Keys of `Limits.key_bits` that could be had now; at most `max_key_count`.
        extension: What we say beyond the standard: the link's status, its reason, the source.
    """

    source_kme: str
    target_kme: str
    master: str
    slave: str
    stored_keys: int
    extension: Mapping[str, object]


class KeyServer(Protocol):
    """A KME. Methods are called in the event loop's thread and never wait there.

    Errors, raised at once or by the future, are those of `keys.errors`:

    - `SaeUnknown`: the caller is none of this KME's SAEs.
    - `SlaveUnknown`: no KME that we reach has the slave, or it is the caller itself where that
      makes no sense.
    - `KeyNotGranted`: a key was not granted to the caller; no key of the request leaves.
    - `KeyGone`: an id that leads to no key, or to one that left; no key of the request leaves.
    - `SessionAborted`: a session was run for the key, and gave none.
    - `LinkRed`, `NotEnoughKey`, `KeyNotReady`, `QuotaReached`, `PeerAbsent`, `StoreError`: not now;
      nothing was consumed.
    """

    @property
    def kme_id(self) -> str:
        """Name of this KME."""

    @property
    def limits(self) -> Limits:
        """What requests may ask for."""

    def serves(self, sae: str) -> bool:
        """Whether an SAE is one of ours."""

    def status(self, caller: str, slave: str) -> PairStatus:
        """What there is between `caller` and `slave`."""

    def get_keys(self, caller: str, request: KeyRequest) -> "asyncio.Future[Delivery]":
        """New keys for `caller` as master."""

    def get_keys_with_ids(self, caller: str, master: str, ids: bytes) -> "asyncio.Future[Delivery]":
        """Keys that `master` got, for `caller` as slave; all of them or none, in the order asked.

        Args:
            caller: Who asks.
            master: Who got them.
            ids: `KEY_ID_BYTES` for each key, no id twice.
        """
