"""What can go wrong between a node and the keys it keeps.

BellwireError
├── StoreError                the store could not do it; nothing was half done
│   ├── StoreCorrupt          the file is not what this store wrote; it is left as it is
│   ├── StoreBusy             another process has the store open
│   ├── StoreUnusable         the database cannot be read or written     (also a UsageError)
│   ├── StoreRefused          wrong key, side or program                 (also a RefusedError)
│   ├── BlockConflict         a block is not in the state that this step needs
│   └── BlockNumberUsed       a block number at or below the last one burnt
├── ReserveExhausted          no authentication key is left for this block number
├── NotEnoughKey              the pool cannot make a key of that size now
├── KeyGone                   these bits left before, or never were here
├── KeyNotReady               these bits are here, and the block is not agreed ready yet
├── PeeringBroken             what the peer's KME sent is not what the peering allows
├── DeliveryFailed            the node answered that it failed, or not as the protocol says
├── SlaveUnknown              (UsageError) no KME that we reach has this SAE
├── KeySizeUnsupported        (UsageError) not a multiple of 8 bits, or too many
├── KeyIdMalformed            (UsageError) not a key id
├── StatusRulesInvalid        (UsageError) thresholds that contradict each other
├── PreplacedKeyInvalid       (UsageError) pre-placed key of the wrong size, or placed twice
├── LinkRed                   (RefusedError) no key leaves while the link is not trusted
├── SaeUnknown                (RefusedError) the caller is none of this KME's SAEs
├── KeyNotGranted             (RefusedError) a key was granted to others
├── SessionAborted            (RefusedError) a session was made for a pad, and gave none
├── QuotaReached              (RefusedError) an SAE has had what it may have for now
├── PeerAbsent                (UnreachableError) the peer's KME is needed and does not answer
└── NodeUnreachable           (UnreachableError) no node answers on the delivery socket
"""

from collections.abc import Mapping

from bellwire.base.errors import BellwireError, RefusedError, UnreachableError, UsageError


class StoreError(BellwireError):
    """The key store could not do what was asked; what it held before, it still holds."""


class StoreCorrupt(StoreError):
    """The file is not a store of ours, or was changed or damaged; nothing in it was touched."""


class StoreBusy(StoreError):
    """Another process has the store open; a store has one user at a time."""


class StoreUnusable(StoreError, UsageError):
    """SQLite cannot open, read or write the file of the store."""


class StoreRefused(StoreError, RefusedError):
    """The store does not open with this key-encryption key, or is another side's or program's."""


class BlockConflict(StoreError):
    """A block is not in the state that this step needs."""

    def __init__(self, block: int, message: str) -> None:
        super().__init__(f"block {block}: {message}")
        self.block = block


class BlockNumberUsed(StoreError):
    """A block number may be burnt once, and only upwards."""

    def __init__(self, block: int, last: int) -> None:
        super().__init__(f"expected a block number above {last}, got {block}")
        self.block = block
        self.last = last


class ReserveExhausted(BellwireError):
    """No set of tag pads is left for this block number, so it cannot be authenticated."""

    def __init__(self, block: int, last_set: int) -> None:
        super().__init__(
            f"expected tag pads for block {block}, got none: the authentication reserve ends at "
            f"{last_set}",
            hint="Run bellwire keys fence at both nodes, then place a new authentication key.",
        )
        self.block = block
        self.last_set = last_set


class NotEnoughKey(BellwireError):
    """The pool cannot make a key of this size now.

    Attributes:
        wanted: Bits asked for.
        there: Bits that could be had now: of one key its longest, of several those of that size.
        coming: Whether there are more that the peer is about to agree to.
    """

    def __init__(self, wanted: int, there: int, *, coming: bool = False) -> None:
        super().__init__(
            f"expected {wanted} secret bits, got {there}",
            hint="Wait until the link has distilled more, or ask for less.",
        )
        self.wanted = wanted
        self.there = there
        self.coming = coming


class KeyGone(BellwireError):
    """The bits of this key id left before, or never were here for the peer to hand out."""

    def __init__(self, key_id: str, why: str) -> None:
        super().__init__(f"key {key_id} cannot be fetched: {why}")
        self.key_id = key_id
        self.why = why


class KeyNotReady(BellwireError):
    """The block of this key id is stored, and not yet agreed ready; the same call may succeed."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"key {key_id} lies in a block that is still pending", hint="Ask again.")
        self.key_id = key_id


class PeeringBroken(BellwireError):
    """The connection between the two KMEs carries something else than it should; it ends."""


class DeliveryFailed(BellwireError):
    """The node answered that it failed, or its answer was not of this protocol."""


class KeySizeUnsupported(UsageError):
    """Keys are whole bytes, up to 65,536 bits."""

    def __init__(self, bits: int, limit: int) -> None:
        super().__init__(f"expected a multiple of 8 from 8 to {limit} bits, got {bits}")
        self.bits = bits


class KeyIdMalformed(UsageError):
    """The bytes or the text are not a key id."""


class StatusRulesInvalid(UsageError):
    """The thresholds of the link status are out of range or contradict each other."""


class PreplacedKeyInvalid(UsageError):
    """The pre-placed authentication key has the wrong size, or one is there already."""


class LinkRed(RefusedError):
    """No key leaves: the link is RED, or nothing recent says that it is not."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="Keys flow again by themselves when the link has recovered.")


class NodeUnreachable(UnreachableError):
    """No node answers on the delivery socket."""


class SlaveUnknown(UsageError):
    """No KME that we reach has this SAE, or it cannot be a slave here."""


class SaeUnknown(RefusedError):
    """The caller is none of the SAEs that this KME serves."""


class KeyNotGranted(RefusedError):
    """A key that was asked for by its id was not granted to the caller."""


class QuotaReached(RefusedError):
    """An SAE has had as much as it may have for now; it may ask again later."""


class SessionAborted(RefusedError):
    """A session gave no pad, and nothing is left of its bits; the next one may.

    Attributes:
        extension: The session's record, under the name of the extension that asks for sessions.
    """

    def __init__(self, message: str, extension: Mapping[str, object]) -> None:
        super().__init__(message, hint="Sessions succeed again by themselves when Eve has left.")
        self.extension = extension


class PeerAbsent(UnreachableError):
    """The peer's KME must agree first, and does not answer."""
