"""What two people compare to be sure that nobody is in between: sixty digits, or a code to scan.

Both show the same digits, made from both identities. Who wants to be taken for somebody else on
both sides needs two identities whose numbers agree: 60 digits are 199 bits, so about 2^99 tries.

Source: spec/chat.md, 6; the display in twelve groups of five follows Signal's safety numbers.
"""

import hashlib
from typing import Final

from bellwire.crypto.labels import CHAT_SAFETY

GROUPS: Final = 12
_MAGIC: Final = b"bwsn\x01"


def safety_number(one: bytes, other: bytes) -> str:
    """Twelve groups of five digits, the same whichever of the two fingerprints comes first."""
    text = CHAT_SAFETY + min(one, other) + max(one, other)
    digest = hashlib.sha512(text).digest()
    parts = (digest[at : at + 5] for at in range(0, 5 * GROUPS, 5))
    return " ".join(f"{int.from_bytes(each, 'big') % 100_000:05d}" for each in parts)


def safety_code(own: bytes, peer: bytes) -> bytes:
    """What our QR code says: who we are, and whom we take the other one for; 69 bytes.

    Who scans it expects the other one's view of the same two.
    """
    return _MAGIC + own + peer
