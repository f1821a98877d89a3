"""Wegman–Carter authentication: no computing power forges it, and key is spent slowly.

The tag of a message is Poly1305's hash of it under a secret point r, plus a secret pad s. r serves
for many messages as long as each has a pad of its own: the pads hide the hashes, so that nothing of
r is ever learnt. A pad used twice gives r away. What must hold, and who calls sees to it: r and
every s are uniform, independent and unknown to Eve, and each s is used for one message only.

Source: Bernstein, "The Poly1305-AES message-authentication code", FSE 2005 (hash and bound);
Wegman and Carter, "New hash functions and their use in authentication and set equality", 1981
(one hash with fresh pads); RFC 8439, 2.5 (encoding).
"""

from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.poly1305 import Poly1305

from bellwire.base.secret import Secret
from bellwire.crypto.errors import LengthError, TagMismatch, require_length

Message = bytes | Sequence[bytes | memoryview]

HASH_KEY_BYTES = 16
PAD_BYTES = 16
TAG_BYTES = 16


def _poly1305(hash_key: Secret, pad: Secret) -> Poly1305:
    if len(hash_key) != HASH_KEY_BYTES:
        raise LengthError("a hash key", f"{HASH_KEY_BYTES} bytes", len(hash_key))
    if len(pad) != PAD_BYTES:
        raise LengthError("a pad", f"{PAD_BYTES} bytes", len(pad))
    return Poly1305(hash_key.reveal() + pad.reveal())


def _hashed(hash_key: Secret, pad: Secret, message: Message) -> Poly1305:
    mac = _poly1305(hash_key, pad)
    for piece in (message,) if isinstance(message, bytes) else message:
        mac.update(piece)
    return mac


def tag(hash_key: Secret, pad: Secret, message: Message) -> bytes:
    """Tag `message` with 16 bytes.

    Args:
        hash_key: 16 bytes, r; may serve again. 22 of its bits are cleared by Poly1305.
        pad: 16 bytes, s; must never serve again.
        message: Any length, in one piece or several that follow each other; `forgery_bound` says
            what the length costs.

    Raises:
        LengthError: hash key or pad has another length.
    """
    return _hashed(hash_key, pad, message).finalize()


def verify_tag(hash_key: Secret, pad: Secret, message: Message, tag: bytes) -> None:
    """Return only if `tag` is that of `message`; compared in constant time.

    Raises:
        LengthError: hash key, pad or tag has another length.
        TagMismatch: message or tag was altered, or the keys are not those of the tag.
    """
    require_length("a tag", tag, TAG_BYTES)
    mac = _hashed(hash_key, pad, message)
    try:
        mac.verify(tag)
    except InvalidSignature as error:
        raise TagMismatch("expected the tag of this message, got another") from error


def forgery_bound(message_bytes: int) -> float:
    """Upper limit of the probability that one forged message of this length, or less, passes.

    Args:
        message_bytes: L, of the longer of the tagged and the forged message.

    Returns:
        8·⌈L/16⌉ / 2^106; an empty message counts as one block.

    Raises:
        LengthError: message_bytes is negative.

    Source: Bernstein, FSE 2005, section 3. That it also holds when r serves for many messages,
    each with a fresh uniform pad, is Wegman and Carter's argument of 1981.
    """
    if message_bytes < 0:
        raise LengthError("a message", "at least 0 bytes", message_bytes)
    return 8 * max(1, -(-message_bytes // 16)) / 2.0**106
