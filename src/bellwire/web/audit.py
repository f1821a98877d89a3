"""What a door tells of each request for keys, for whoever keeps a record of it.

Names, ids and counts; never a key. An id is no secret: it crosses the network of the SAEs in the
clear, and gives its key to nobody but the SAEs that it was granted to, once.
"""

from typing import Protocol

import msgspec

from bellwire.keys.kme import KeyRequest


class Answered(msgspec.Struct, frozen=True, gc=False):
    """A request for keys, or one that was refused, and its answer.

    Attributes:
        sae: Whose certificate asked.
        address: From where: host and port.
        route: `enc_keys`, `dec_keys` or `status`, of SKIP `skip_key`, …; None where there is no
            such path.
        about: The slave, or the master, that the path names.
        code: Of HTTP; 0 if the client was gone, and its keys had left.
        asked: What was read of the request: new keys, or `KEY_ID_BYTES` of each id asked for.
        ids: Of the keys that left, `KEY_ID_BYTES` each.
        bits: Their length, where it is one.
        reason: Of a refusal, as it was told.
        error: Of a refusal, the class of what stood against it, where that says more.
    """

    sae: str
    address: tuple[str, int]
    route: str | None
    about: str | None
    code: int
    asked: KeyRequest | bytes | None
    ids: bytes
    bits: int | None
    reason: str | None
    error: str | None


class Audit(Protocol):
    """Keeps a record. Methods are called in the event loop's thread, and neither wait nor fail."""

    def answered(self, request: Answered) -> None:
        """A request was answered."""

    def turned_away(self, address: tuple[str, int], reason: str) -> None:
        """A connection ended before it was anybody's: no certificate, a foreign one, no TLS."""
