"""What the key store speaks of: a block's record, a key's id, a delivered key."""

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from bellwire.base.protocols import Protocol
from bellwire.base.secret import Secret
from bellwire.keys.errors import KeyIdMalformed, KeySizeUnsupported
from bellwire.keys.kme import KEY_ID_BYTES, MAX_KEY_BYTES

UNIT_BITS = 64
"""The pool's grain: keys take whole units."""

UNIT_BYTES = UNIT_BITS // 8

MAX_KEY_BITS = 8 * MAX_KEY_BYTES
"""Longest key of one id."""

MAX_BLOCK = 2**63 - 1
"""Block numbers are what an SQLite integer holds."""

MAX_SECRET_BITS = 2**31
"""Secret bits of one block: far above any block, and a unit number stays within four bytes."""

_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class KeySourceKind(StrEnum):
    """Where a key's randomness came from; shown wherever the key is."""

    SIMULATED = "simulated"
    RECORDED = "recorded"
    HARDWARE = "hardware"
    VENDOR = "vendor"
    LOCAL = "local"


class ContactMethod(StrEnum):
    """How two nodes came by their first authentication key."""

    PREPLACED = "pre-placed key"
    SIGNED = "ML-DSA-65 signed exchange"


@dataclass(frozen=True, slots=True)
class FirstContact:
    """Where the authentication key of a store came from; public.

    Attributes:
        method: Brought by hand, or agreed on by a signed exchange.
        peer: Fingerprint of the peer's identity (SIGNED), else empty.
        exchange: Name of the exchange (SIGNED), else empty.
    """

    method: ContactMethod = ContactMethod.PREPLACED
    peer: bytes = b""
    exchange: bytes = b""


class BlockState(StrEnum):
    """What a node holds of a block."""

    ABSENT = "absent"
    PENDING = "pending"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRecord:
    """What is known, in the open, of a block that gave secret bits.

    Attributes:
        block: Block number, from 1; the same at both nodes.
        protocol: What was run; None for keys of a vendor's box, which does not say.
        source: Where the light came from.
        secret_bits: Length after amplification, or of the vendor's keys together.
        qber: Error rate of the compared bits; None exactly without a protocol.
        chsh: Estimate of S; None where the protocol has none.
        epsilon: Total security parameter of the secret bits; None exactly without a protocol.
        decided_at: Seconds since the epoch, by this node's clock.
    """

    block: int
    protocol: Protocol | None
    source: KeySourceKind
    secret_bits: int
    qber: float | None
    chsh: float | None
    epsilon: float | None
    decided_at: float

    def __post_init__(self) -> None:
        if not 1 <= self.block <= MAX_BLOCK:
            raise ValueError(f"expected a block number from 1 to {MAX_BLOCK}, got {self.block}")
        if not 1 <= self.secret_bits <= MAX_SECRET_BITS:
            raise ValueError(f"expected 1 to {MAX_SECRET_BITS} secret bits, got {self.secret_bits}")
        if len({self.protocol is None, self.qber is None, self.epsilon is None}) != 1:
            raise ValueError("expected protocol, QBER and epsilon, or none of them")
        if self.qber is not None and not 0.0 <= self.qber <= 1.0:
            raise ValueError(f"expected a QBER from 0 to 1, got {self.qber}")
        if self.epsilon is not None and not 0.0 < self.epsilon < 1.0:
            raise ValueError(f"expected an epsilon between 0 and 1, got {self.epsilon}")
        if not math.isfinite(self.decided_at) or (
            self.chsh is not None and not math.isfinite(self.chsh)
        ):
            raise ValueError("expected a finite time and a finite S")


def check_key_bits(bits: int) -> None:
    """Let a key size pass.

    Raises:
        KeySizeUnsupported: not a multiple of 8, or not from 8 to `MAX_KEY_BITS`.
    """
    if bits % 8 or not 8 <= bits <= MAX_KEY_BITS:
        raise KeySizeUnsupported(bits, MAX_KEY_BITS)


@dataclass(frozen=True, slots=True)
class KeyId:
    """Names a key at both KMEs; it is not secret.

    Attributes:
        data: 16 bytes, those of a UUID; what they mean, only the two KMEs can tell (`key_ids`).

    Raises:
        KeyIdMalformed: another length.
    """

    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != KEY_ID_BYTES:
            raise KeyIdMalformed(f"expected a key id of {KEY_ID_BYTES} bytes, got {len(self.data)}")

    @classmethod
    def parse(cls, text: str) -> "KeyId":
        """Read the text form.

        Raises:
            KeyIdMalformed: not 32 lower-case hex digits in groups of 8-4-4-4-12.
        """
        if not _TEXT.fullmatch(text):
            raise KeyIdMalformed(
                "expected a key id of lower-case hex digits in groups of 8-4-4-4-12"
            )
        return cls(bytes.fromhex(text.replace("-", "")))

    def __str__(self) -> str:
        return str(UUID(bytes=self.data))


@dataclass(frozen=True, slots=True)
class DeliveredKey:
    """Bits that left the pool.

    Attributes:
        key_id: Names them, to the two KMEs of the link alone more than that.
        key: bits / 8 bytes. Secret.
        source: Where their randomness came from.
    """

    key_id: KeyId
    key: Secret
    source: KeySourceKind
