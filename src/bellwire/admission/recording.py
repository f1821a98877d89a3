"""What a register tells a log: who was admitted under which public keys, and whose hold no more.

Who waits, or was refused, was never known by the name, and is not told: a log forgets nobody.

Times are in seconds since the epoch.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bellwire.admission.assessment import Verdict
from bellwire.database.cursor import Cursor
from bellwire.ledger.entries.codec import decode
from bellwire.ledger.entries.fields import KeyAlgorithm, PublicKey
from bellwire.ledger.entries.model import Registration as Registered
from bellwire.ledger.entries.model import Revocation
from bellwire.ledger.outbox.outbox import UNNUMBERED, put

if TYPE_CHECKING:  # it calls us
    from bellwire.admission.register import Registration


def admitted(cursor: Cursor, one: "Registration") -> None:
    """Put that somebody was admitted, within that transaction."""
    entry = Registered(
        **UNNUMBERED,
        at=1000 * one.changed,
        handle=one.handle,
        keys=tuple(PublicKey(KeyAlgorithm(kind), key) for kind, key in sorted(one.keys.items())),
        verdict="secure" if one.verdict is Verdict.SECURE else "insecure",
    )
    put(cursor, [entry])


def revoked(cursor: Cursor, handle: str, keys: Mapping[str, bytes], at: int) -> None:
    """Put that an operator took an admission back, within that transaction."""
    entry = Revocation(
        **UNNUMBERED,
        at=1000 * at,
        handle=handle,
        keys=tuple(sorted(hashlib.sha256(key).hexdigest() for key in keys.values())),
        reason="operator",
    )
    put(cursor, [entry])


def noted(cursor: Cursor, entries: Sequence[bytes], numbers: Sequence[int]) -> None:
    """Keep under which numbers a log has registrations, within that transaction."""
    for encoded, number in zip(entries, numbers, strict=True):
        entry = decode(encoded)
        if isinstance(entry, Registered):
            cursor.execute(
                "UPDATE registrations SET number = ? WHERE handle = ?", (number, entry.handle)
            )
