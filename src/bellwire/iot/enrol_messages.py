"""The three messages of enrolment by a code, sealed under keys of the code; see spec/enrolment.md.

Each has a header of the channel, with kinds of its own. The answer and the refusal are bound to the
request byte for byte, and nothing here asks who may do what.
"""

import hashlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bellwire.base.secret import Secret
from bellwire.channel.messages import HEADER_BYTES
from bellwire.crypto.aead import NONCE_BYTES, TAG_BYTES, open_sealed, seal
from bellwire.crypto.errors import AuthenticationFailed, KemRefused
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.kem import PUBLIC_BYTES, check_public
from bellwire.crypto.labels import ENROLMENT
from bellwire.iot.code import ID_BYTES, KEY_BYTES, Code
from bellwire.iot.errors import EnrolmentFailed

VERSION: Final = 1
SALT_BYTES: Final = 32
MAX_NAME_BYTES: Final = 240

_HEADER: Final = struct.Struct(">BBH")
_NONCE: Final = bytes(NONCE_BYTES)  # each key seals one message

REQUEST_BODY: Final = ID_BYTES + SALT_BYTES + PUBLIC_BYTES + TAG_BYTES
REFUSAL_BODY: Final = SALT_BYTES + 1 + TAG_BYTES
MIN_ANSWER_BODY: Final = SALT_BYTES + PUBLIC_BYTES + 2 * 2 + TAG_BYTES
MAX_ANSWER_BODY: Final = SALT_BYTES + PUBLIC_BYTES + 2 * (1 + MAX_NAME_BYTES) + TAG_BYTES

Random = Callable[[int], bytes]


class EnrolKind(IntEnum):
    """First byte of the messages; a handshake has none of these."""

    REQUEST = 32
    ANSWER = 33
    REFUSAL = 34


class Reason(IntEnum):
    """Why a cloud that knows the code refuses it."""

    USED = 1
    EXPIRED = 2
    SPENT = 3


@dataclass(frozen=True, slots=True)
class Request:
    """What a device sent: the whole message, in its parts."""

    message: bytes

    @property
    def id(self) -> bytes:
        """Of the invitation, 16 bytes."""
        return self.message[HEADER_BYTES : HEADER_BYTES + ID_BYTES]

    def open(self, key: Secret) -> bytes:
        """The device's public key.

        Raises:
            EnrolmentFailed: it was not sealed under the code of this key, or is no public key.
        """
        salt = self.message[HEADER_BYTES + ID_BYTES : HEADER_BYTES + ID_BYTES + SALT_BYTES]
        cut = HEADER_BYTES + ID_BYTES + SALT_BYTES
        try:
            public = open_sealed(
                _derive(key, salt, b"request"), _NONCE, self.message[cut:], self.message[:cut]
            )
            check_public(public)
        except (AuthenticationFailed, KemRefused):
            raise EnrolmentFailed("expected a public key sealed under the code, got another") from (
                None
            )
        return public


@dataclass(frozen=True, slots=True)
class Answer:
    """What the cloud says to a device that it admits.

    Attributes:
        public: The cloud's public key.
        cloud: What the cloud is called; 1 to 240 bytes of UTF-8.
        device: What it calls the device; the same.
    """

    public: bytes
    cloud: str
    device: str


def is_request(message: bytes) -> bool:
    """Whether a message of the channel's form wants to enrol."""
    return message[:1] == bytes([EnrolKind.REQUEST])


def make_request(code: Code, public: bytes, random: Random = os.urandom) -> bytes:
    """Step 1: the device's public key, sealed under the code."""
    salt = random(SALT_BYTES)
    head = _header(EnrolKind.REQUEST, REQUEST_BODY) + code.id + salt
    return head + seal(_derive(code.key, salt, b"request"), _NONCE, public, head)


def read_request(message: bytes) -> Request:
    """Step 2: take a request apart; EnrolmentFailed unless its form is right."""
    if message[:HEADER_BYTES] != _header(EnrolKind.REQUEST, REQUEST_BODY) or (
        len(message) != HEADER_BYTES + REQUEST_BODY
    ):
        raise EnrolmentFailed(
            f"expected a request of version {VERSION} and {REQUEST_BODY} bytes, got another"
        )
    return Request(message)


def make_answer(request: bytes, key: Secret, answer: Answer, random: Random = os.urandom) -> bytes:
    """Step 4: the cloud's public key and both names, sealed under the code for this request."""
    names = b"".join(bytes([len(each)]) + each for each in _encoded(answer))
    size = SALT_BYTES + PUBLIC_BYTES + len(names) + TAG_BYTES
    head = _header(EnrolKind.ANSWER, size) + random(SALT_BYTES)
    return _sealed(head, answer.public + names, key, b"answer", request)


def make_refusal(request: bytes, key: Secret, reason: Reason, random: Random = os.urandom) -> bytes:
    """Step 4: why not, sealed under the code for this request."""
    head = _header(EnrolKind.REFUSAL, REFUSAL_BODY) + random(SALT_BYTES)
    return _sealed(head, bytes([reason]), key, b"refusal", request)


def make_noise(random: Random = os.urandom) -> bytes:
    """Step 4: what looks like a refusal, to whoever has no code that we know."""
    return _header(EnrolKind.REFUSAL, REFUSAL_BODY) + random(REFUSAL_BODY)


def read_answer(message: bytes, request: bytes, code: Code) -> Answer | Reason | None:
    """Step 5: what the cloud said to our request.

    Args:
        message: As received.
        request: As sent.
        code: Ours.

    Returns:
        Its answer, or why it refuses; None for a refusal by somebody who does not know the code.

    Raises:
        EnrolmentFailed: neither answer nor refusal, or an answer that is not under our code.
    """
    kind, version, length = _HEADER.unpack_from(message.ljust(HEADER_BYTES, b"\0"))
    sizes = {
        EnrolKind.ANSWER: range(MIN_ANSWER_BODY, MAX_ANSWER_BODY + 1),
        EnrolKind.REFUSAL: range(REFUSAL_BODY, REFUSAL_BODY + 1),
    }
    wanted = sizes.get(kind, range(0))
    if version != VERSION or length not in wanted or len(message) != HEADER_BYTES + length:
        raise EnrolmentFailed("expected an answer or a refusal of the cloud, got another message")
    cut = HEADER_BYTES + SALT_BYTES
    label = b"answer" if kind == EnrolKind.ANSWER else b"refusal"
    key = _derive(code.key, message[HEADER_BYTES:cut], label, request)
    try:
        text = open_sealed(key, _NONCE, message[cut:], message[:cut])
    except AuthenticationFailed:
        if kind == EnrolKind.REFUSAL:
            return None
        raise EnrolmentFailed(
            "expected an answer of the cloud that gave the code, got another's",
            hint="Somebody who has not the code answers at this address.",
        ) from None
    return _read_names(text) if kind == EnrolKind.ANSWER else _read_reason(text)


def _encoded(answer: Answer) -> tuple[bytes, bytes]:
    names = (answer.cloud.encode(), answer.device.encode())
    assert all(1 <= len(each) <= MAX_NAME_BYTES for each in names)
    return names


def _read_names(text: bytes) -> Answer:
    public, rest = text[:PUBLIC_BYTES], text[PUBLIC_BYTES:]
    first = rest[1 : 1 + rest[0]]
    rest = rest[1 + len(first) :]
    try:
        if not first or not rest or len(rest) != 1 + rest[0] or not rest[0]:
            raise EnrolmentFailed("expected two names in the answer, got others")
        check_public(public)
        return Answer(public, first.decode(), rest[1:].decode())
    except (KemRefused, UnicodeDecodeError):
        raise EnrolmentFailed("expected a public key and two names, got malformed ones") from None


def _read_reason(text: bytes) -> Reason:
    try:
        return Reason(text[0])
    except ValueError:
        raise EnrolmentFailed(f"expected a reason from 1 to 3, got {text[0]}") from None


def _sealed(head: bytes, text: bytes, key: Secret, label: bytes, request: bytes) -> bytes:
    """A message of the cloud: header and salt, and a text under the key that they give."""
    salt = head[HEADER_BYTES:]
    return head + seal(_derive(key, salt, label, request), _NONCE, text, head)


def _derive(key: Secret, salt: bytes, label: bytes, request: bytes | None = None) -> bytes:
    """The key of one message: bound to its salt, and to the request that it answers."""
    bound = b"" if request is None else hashlib.sha256(request).digest()
    return hkdf(key.reveal(), salt=salt, info=ENROLMENT + label + bound, length=KEY_BYTES)


def _header(kind: EnrolKind, length: int) -> bytes:
    return _HEADER.pack(kind, VERSION, length)
