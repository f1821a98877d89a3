"""Ids of relayed keys: random, and known again by the KME that made them.

A KME must answer 401 to an SAE that asks for a key which was granted to others (ETSI GS QKD 014
V1.1.1, clause 5.3), also for keys that it did not keep, because all their slaves are elsewhere. So
an id carries a tag that its maker alone can check; to everybody else it is a random UUID.

    id = 74 random bits, and version and variant of RFC 9562 ‖ 48 bits of
         HMAC-SHA256(key, ("1" if some slave is of this site, else "0") ‖ the first 80 bits)
"""

import hmac
import secrets
from enum import Enum
from typing import Final

from bellwire.base.secret import Secret
from bellwire.keys.kme import KEY_ID_BYTES

_RANDOM_BYTES: Final = 10


class Made(Enum):
    """What an id says to its maker."""

    HERE_FOR_HERE = b"1"
    HERE_FOR_ELSEWHERE = b"0"
    ELSEWHERE = b""


class MarkedIds:
    """The ids of one KME.

    Args:
        key: 32 bytes, the same for the life of the store. Secret.
    """

    def __init__(self, key: Secret) -> None:
        self._key = key

    def make(self, count: int, *, for_here: bool) -> bytes:
        """New ids, one after the other.

        Args:
            count: How many.
            for_here: Whether some slave is an SAE of this site.
        """
        made = Made.HERE_FOR_HERE if for_here else Made.HERE_FOR_ELSEWHERE
        return b"".join(self._one(made) for _ in range(count))

    def read(self, key_id: bytes) -> Made:
        """Who made an id, and for whom."""
        head, tail = key_id[:_RANDOM_BYTES], key_id[_RANDOM_BYTES:]
        for made in (Made.HERE_FOR_HERE, Made.HERE_FOR_ELSEWHERE):
            if hmac.compare_digest(self._tag(made, head), tail):
                return made
        return Made.ELSEWHERE

    def _one(self, made: Made) -> bytes:
        head = bytearray(secrets.token_bytes(_RANDOM_BYTES))
        head[6] = head[6] & 0x0F | 0x40
        head[8] = head[8] & 0x3F | 0x80
        return bytes(head) + self._tag(made, bytes(head))

    def _tag(self, made: Made, head: bytes) -> bytes:
        found = hmac.digest(self._key.reveal(), made.value + head, "sha256")
        return found[: KEY_ID_BYTES - _RANDOM_BYTES]
