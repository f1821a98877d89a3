"""The fields of entries: each with its form and its bounds, none that could hold a secret.

Numbers are integers, so that each has one way to be written: fractions are counted in millionths,
times in milliseconds. Texts are bounded and have no control characters.
"""

import re
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

MAX_SAFE: Final = 2**53 - 1
"""Integers up to it are the same to every reader of JSON (RFC 7493, 2.2)."""

NAME: Final = r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?"
"""The form of a name, as a regular expression."""

_DIGEST: Final = r"[0-9a-f]{64}"

Name: TypeAlias = Annotated[str, Meta(max_length=64, pattern=rf"\A{NAME}\Z")]
"""Of a machine or a service: a site's node, a link, a guard, a log's writer."""

Handle: TypeAlias = Annotated[str, Meta(max_length=32, pattern=r"\A[a-z][a-z0-9_-]{2,31}\Z")]
"""A public pseudonym, as accounts have it."""

Digest: TypeAlias = Annotated[str, Meta(max_length=64, pattern=rf"\A{_DIGEST}\Z")]
"""SHA-256 in hexadecimal digits."""

Commitment: TypeAlias = Annotated[str, Meta(max_length=65, pattern=rf"\A#{_DIGEST}\Z")]
"""Stands for what is personal: `commitments`."""

Party: TypeAlias = Annotated[str, Meta(max_length=65, pattern=rf"\A(?:{NAME}|#{_DIGEST})\Z")]
"""Who takes part: by a public name, or by a commitment to one that is not public."""

KeyId: TypeAlias = Annotated[
    str, Meta(max_length=36, pattern=r"\A[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
]
"""Of a key: a UUID, as ETSI GS QKD 014 has it."""

Epoch: TypeAlias = Annotated[str, Meta(max_length=16, pattern=r"\A[0-9a-f]{16}\Z")]
"""Of a writer's outbox: drawn when it is made, and when it was put back to an earlier state."""

Words: TypeAlias = Annotated[
    str, Meta(max_length=200, pattern="\\A[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}\\Z")
]
"""A reason, in a program's own words; never what a person typed."""

_UNPRINTED: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_MAX_WORDS: Final = 200


def one_line(text: str) -> str:
    """A program's words as `Words` has them: without control characters, and cut where too long."""
    return _UNPRINTED.sub(" ", text)[:_MAX_WORDS] or "-"


Number: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_SAFE)]
Time: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_SAFE)]
"""Milliseconds since the epoch, by the writer's clock."""

Qber: TypeAlias = Annotated[int, Meta(ge=0, le=10**6)]
"""An error rate, in millionths."""

Chsh: TypeAlias = Annotated[int, Meta(ge=-4 * 10**6, le=4 * 10**6)]
"""S, in millionths."""

Source: TypeAlias = Literal["simulated", "recorded", "hardware", "vendor", "local"]
"""Where a key's bits came from (glossary)."""

ProtocolName: TypeAlias = Literal["bb84", "bbm92", "e91", "decoy-bb84"]
Packets: TypeAlias = Literal["pass", "stop"]


class KeyAlgorithm(StrEnum):
    """What a public key is for; each has one length."""

    ED25519 = "ed25519"
    P256 = "p-256"
    X25519 = "x25519"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_KEM_768 = "ml-kem-768"


KEY_BYTES: Final = {
    KeyAlgorithm.ED25519: 32,
    KeyAlgorithm.P256: 65,
    KeyAlgorithm.X25519: 32,
    KeyAlgorithm.ML_DSA_44: 1312,
    KeyAlgorithm.ML_DSA_65: 1952,
    KeyAlgorithm.ML_KEM_768: 1184,
}
"""Bytes of a public key: RFC 8032, SEC 1 (uncompressed), RFC 7748, FIPS 204, FIPS 203."""


class PublicKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A public key; whoever registered it has shown that the private one is theirs.

    Attributes:
        algorithm: Which.
        key: Its bytes, as many as the algorithm has.
    """

    algorithm: KeyAlgorithm
    key: Annotated[bytes, Meta(max_length=2048)]

    def __post_init__(self) -> None:
        wanted = KEY_BYTES[self.algorithm]
        if len(self.key) != wanted:
            raise ValueError(
                f"expected {wanted} bytes of {self.algorithm.value}, got {len(self.key)}"
            )
