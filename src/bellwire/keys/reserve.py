"""The authentication reserve: what the tags of the classical channel are made from.

A pre-placed key, brought to both nodes by hand or agreed on at first contact, is laid out as

    mac key (32) ‖ hash key Alice to Bob (16) ‖ hash key Bob to Alice (16) ‖ pad sets (64 each)

Pad set i belongs to block number i, so that both sides address the same pads without a word, and a
number that is never used again is a pad that is never used again. A set is four pads of 16 bytes:

    Alice to Bob: RECEIVED ‖ TRANSCRIPT ‖ Bob to Alice: RECEIVED ‖ TRANSCRIPT

Each block that becomes ready pays new sets out of its own bits (`refill_sets`); they are numbered
on from the last one. Source of the scheme: Wegman and Carter, 1981 (see `crypto.one_time_mac`).
"""

from dataclasses import dataclass
from enum import StrEnum

from bellwire.base.detections import Side
from bellwire.base.secret import Secret
from bellwire.keys.errors import PreplacedKeyInvalid

PAD_BYTES = 16
SET_BYTES = 4 * PAD_BYTES
MAC_KEY_BYTES = 32
HASH_KEY_BYTES = 16
FIXED_BYTES = MAC_KEY_BYTES + 2 * HASH_KEY_BYTES

MAX_PREPLACED_SETS = 65_536
"""4 MiB: more than any link needs before its first block pays."""

TARGET_SETS = 64
"""Sets ahead of a block at which it only replaces its own: so many blocks may fail in a row."""

MAX_SHARE = 4
"""A block pays at most one part in so many, so that distilling is worth its while."""


class TagPurpose(StrEnum):
    """What a tag is over: Bob's list of received slots, or the block's whole transcript."""

    RECEIVED = "received"
    TRANSCRIPT = "transcript"


_PLACES = {
    (Side.ALICE, TagPurpose.RECEIVED): 0,
    (Side.ALICE, TagPurpose.TRANSCRIPT): 1,
    (Side.BOB, TagPurpose.RECEIVED): 2,
    (Side.BOB, TagPurpose.TRANSCRIPT): 3,
}


@dataclass(frozen=True, slots=True)
class Pads:
    """The four tag pads of one block, burnt: the store will not return them again.

    Attributes:
        block: Block number.
        data: 64 bytes. Secret.
    """

    block: int
    data: Secret

    def pad(self, direction: Side, purpose: TagPurpose) -> Secret:
        """The pad, 16 bytes, of the tag that `direction` sends for `purpose`."""
        start = PAD_BYTES * _PLACES[direction, purpose]
        return Secret(self.data.reveal()[start : start + PAD_BYTES])


@dataclass(frozen=True, slots=True)
class AuthenticationKeys:
    """The part of the pre-placed key that stays.

    Attributes:
        mac_key: 32 bytes, for the computational MAC of single messages. Secret.
        alice_to_bob: 16 bytes, hash key of the tags that Alice sends. Secret.
        bob_to_alice: 16 bytes, hash key of the tags that Bob sends. Secret.
    """

    mac_key: Secret
    alice_to_bob: Secret
    bob_to_alice: Secret

    @classmethod
    def from_bytes(cls, data: bytes) -> "AuthenticationKeys":
        """Cut the first 64 bytes of a pre-placed key."""
        second = MAC_KEY_BYTES + HASH_KEY_BYTES
        return cls(
            Secret(data[:MAC_KEY_BYTES]),
            Secret(data[MAC_KEY_BYTES:second]),
            Secret(data[second:FIXED_BYTES]),
        )

    def hash_key(self, direction: Side) -> Secret:
        """The hash key of the tags that `direction` sends."""
        return self.alice_to_bob if direction is Side.ALICE else self.bob_to_alice


def preplaced_bytes(sets: int) -> int:
    """Bytes of a pre-placed key with `sets` pad sets."""
    return FIXED_BYTES + SET_BYTES * sets


def cut_preplaced(key: Secret) -> tuple[bytes, list[bytes]]:
    """Cut a pre-placed key into its fixed part and its pad sets.

    Raises:
        PreplacedKeyInvalid: not 64 bytes and 1 to `MAX_PREPLACED_SETS` whole sets.
    """
    sets, rest = divmod(len(key) - FIXED_BYTES, SET_BYTES)
    if rest or not 1 <= sets <= MAX_PREPLACED_SETS:
        raise PreplacedKeyInvalid(
            f"expected a pre-placed key of {FIXED_BYTES} bytes and 1 to {MAX_PREPLACED_SETS} sets "
            f"of {SET_BYTES}, got {len(key)} bytes"
        )
    data = key.reveal()
    return data[:FIXED_BYTES], cut_sets(data[FIXED_BYTES:], sets)


def cut_sets(data: bytes, sets: int) -> list[bytes]:
    """The first `sets` pad sets of `data`."""
    return [data[SET_BYTES * i : SET_BYTES * (i + 1)] for i in range(sets)]


def refill_sets(secret_bits: int, sets_ahead: int) -> int:
    """Pad sets that a block pays on becoming ready; both sides must come to the same number.

    `sets_ahead` is the number of the last set less the number of this block. It follows from the
    pre-placed key and from which blocks became ready before this one, in ascending order: things
    on which the two sides agree anyway, or their pads would differ already. It does not depend on
    what a side has burnt meanwhile, which may differ after a crash. With two sets a block while
    under the target and one above, the reserve makes up for failed blocks and then stays level.

    Args:
        secret_bits: Length of the block.
        sets_ahead: Sets numbered above this block, before it pays.

    Returns:
        0 to 2; never more than a quarter of the block.
    """
    wanted = 2 if sets_ahead < TARGET_SETS else 1
    return min(wanted, secret_bits // (MAX_SHARE * 8 * SET_BYTES))
