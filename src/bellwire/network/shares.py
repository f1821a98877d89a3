"""A block as shares: random texts whose sum it is, and a tag of each that shows who altered it.

    share i  =  text of the block's length ‖ 32 bytes of the meeting key ‖ mask of 16 bytes
    block ‖ meeting key  =  sum of all texts

Any set of shares that lacks one says nothing about the block: all are uniform and independent. The
tag of share i is Poly1305 of its text at a point, plus its mask. The point is drawn by the origin
and told only after the target holds the shares: whoever altered one did so not knowing it, and the
tag shows it but for a chance of 2^-91 (65,536 bytes). Told to everybody, a tag says nothing about
its text, whose mask is used this once.

Source: `bellwire.crypto.one_time_mac`, whose bound is on differences of hashes, for any point that
is independent of both texts.
"""

from collections.abc import Callable, Sequence

from bellwire.base.secret import Secret
from bellwire.crypto.errors import TagMismatch
from bellwire.crypto.one_time_mac import tag, verify_tag
from bellwire.network.hop import xor
from bellwire.network.model import MASK_BYTES, MEETING_BYTES, SHARE_OVERHEAD


def draw_share(block_bytes: int, random: Callable[[int], bytes]) -> Secret:
    """One uniform share of a block of this length."""
    return Secret(random(block_bytes + SHARE_OVERHEAD))


def share_tag(share: Secret, point: Secret) -> bytes:
    """The tag of a share, 16 bytes."""
    text, mask = _cut(share)
    return tag(point, mask, text)


def is_unaltered(share: Secret, point: Secret, expected: bytes) -> bool:
    """Whether a share that arrived is the one that was sent; either answer has consequences."""
    text, mask = _cut(share)
    try:
        verify_tag(point, mask, text, expected)
    except TagMismatch:
        return False
    return True


def combine(shares: Sequence[Secret]) -> tuple[Secret, Secret]:
    """Block and meeting key of all shares."""
    total, _ = _cut(shares[0])
    for share in shares[1:]:
        total = xor(total, _cut(share)[0])
    return Secret(total[:-MEETING_BYTES]), Secret(total[-MEETING_BYTES:])


def _cut(share: Secret) -> tuple[bytes, Secret]:
    data = share.reveal()
    return data[:-MASK_BYTES], Secret(data[-MASK_BYTES:])
