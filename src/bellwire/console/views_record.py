"""What a console shows of its site's log; times are seconds since the epoch, hashes base64."""

from typing import Any

import msgspec

from bellwire.console.views import Count


class WitnessView(msgspec.Struct, frozen=True):
    """Who cosigned the checkpoint, by the policy's name; `time` is 0 where the witness says none.

    Attributes:
        name: In the policy.
        time: When.
    """

    name: str
    time: float


class RecordView(msgspec.Struct, frozen=True):
    """The site's log: its checkpoint, which the console has verified, and a page can verify again.

    Attributes:
        origin: Name of the log.
        size: Entries.
        root: Hash of its tree.
        checkpoint: The signed note as the log gave it (C2SP tlog-checkpoint).
        policy: Whom this site trusts (C2SP tlog-policy).
        witnesses: Who cosigned.
    """

    origin: str
    size: Count
    root: str
    checkpoint: str
    policy: str
    witnesses: list[WitnessView]


class RecordEntry(msgspec.Struct, frozen=True):
    """An entry, and the proof that it is in the tree.

    Attributes:
        number: From 0.
        kind: `registration`, `key-exchange`, …
        at: When it happened.
        writer: Who says so.
        handle: About whom, where it is about somebody.
        content: All its fields, as the log has them.
        leaf: Its bytes in the log, whose hash the proof begins with.
        proof: From its sibling up (RFC 6962, 2.1.1).
    """

    number: Count
    kind: str
    at: float
    writer: str
    handle: str | None
    content: dict[str, Any]
    leaf: str
    proof: list[str]


class RecordEntries(msgspec.Struct, frozen=True):
    """Entries of the tree of `size`, ascending.

    Attributes:
        size: Of the tree that the proofs are for.
        root: Its hash.
        entries: Those that the filters let pass.
        first: The first number that was looked at.
        end: One more than the last.
    """

    size: Count
    root: str
    entries: list[RecordEntry]
    first: Count
    end: Count


class RecordConsistency(msgspec.Struct, frozen=True):
    """The proof that the tree of `size` entries begins with the `old` ones (RFC 6962, 2.1.2).

    Attributes:
        old: Entries of the older tree.
        size: Entries of the newer tree.
        proof: Hashes.
    """

    old: Count
    size: Count
    proof: list[str]
