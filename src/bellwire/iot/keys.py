"""Where a device and its cloud get QKD keys from: what they ask of a source, and no more.

`bellwire.node.key_source` has the source that asks a node.
"""

from typing import Protocol

from bellwire.channel.handshake import QkdKey

QKD_KEY_BITS = 256


class KeySource(Protocol):
    """One end of a link's keys: what one end draws, the other fetches by its id, once."""

    async def draw(self, bits: int) -> QkdKey:
        """A new key of `bits` bits.

        Raises:
            KeyRefused: no key leaves, for security (link RED).
            KeyUnavailable: the source does not answer, or has no key now.
        """

    async def fetch(self, key_id: bytes) -> QkdKey:
        """The key that the other end drew under this id of 16 bytes.

        Raises:
            KeyRefused: no key leaves, or this one was never there or has left.
            KeyUnavailable: the source does not answer.
        """
