"""Whom a reader of a log trusts: which logs, which witnesses, and how many of them must agree.

A checkpoint holds if one of the logs signed it and the quorum has cosigned it. No key counts
twice, and none of a log counts as a witness: a log that watched itself would prove nothing.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...
    quorum <name>|none

Source: C2SP tlog-policy; signed-note, "Signatures".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bellwire.crypto.errors import SignatureInvalid
from bellwire.ledger.checkpoint import Checkpoint, parse_checkpoint
from bellwire.ledger.errors import (
    CheckpointUntrusted,
    PolicyUnusable,
    TooFewWitnesses,
    VerifierKeyUnusable,
)
from bellwire.ledger.note import Note
from bellwire.ledger.signing import verify_signature
from bellwire.ledger.verifier_keys import KeyKind, VerifierKey, parse_vkey

MAX_POLICY_BYTES: Final = 1 << 18
MAX_MEMBERS: Final = 64
"""Of logs, of witnesses and of groups; the specification recommends to support 32 of each."""
LOG_KINDS: Final = frozenset({KeyKind.ED25519, KeyKind.COSIGNATURE_MLDSA44})
WITNESS_KINDS: Final = frozenset({KeyKind.COSIGNATURE_ED25519, KeyKind.COSIGNATURE_MLDSA44})
NOBODY: Final = "none"
_PERMITTED: Final = re.compile(rb"[\t\n\x20-\x7e\x80-\xff]*")
_THRESHOLD: Final = re.compile(r"[1-9][0-9]{0,2}")


@dataclass(frozen=True, slots=True)
class Group:
    """A rule: at least `least` of `members`, which are names of witnesses and of groups."""

    least: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is trusted; nothing in it is secret.

    Attributes:
        logs: Keys of logs; each by itself suffices. A log's name is the origin it may speak for.
        witnesses: By their name in the policy.
        groups: By their name, those that a group names before it.
        quorum: Which witness or group must have cosigned; `none` for nobody.
        addresses: Where witnesses are asked, by their name in the policy; not looked at here.

    Raises:
        PolicyUnusable: a key has a kind that its holder cannot have, or is there twice; a name is
            unknown or taken; a threshold is out of range.
    """

    logs: tuple[VerifierKey, ...]
    witnesses: tuple[tuple[str, VerifierKey], ...] = ()
    groups: tuple[tuple[str, Group], ...] = ()
    quorum: str = NOBODY
    addresses: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        _check_keys(self)
        known: dict[str, None] = {NOBODY: None}
        for name, _ in self.witnesses:
            _take(known, name)
        placed: set[str] = set()
        for name, group in self.groups:
            _take(known, name)
            for member in group.members:
                if member not in known or member in {NOBODY, name} or member in placed:
                    raise PolicyUnusable(
                        f"group {name}: expected members that are defined before it, each in one"
                        f" group at most, got {member}"
                    )
                placed.add(member)
            if not 1 <= group.least <= len(group.members):
                raise PolicyUnusable(
                    f"group {name}: expected 1 to {len(group.members)} of its members,"
                    f" got {group.least}"
                )
        if self.quorum not in known:
            raise PolicyUnusable(f"quorum: expected a name that is defined, got {self.quorum}")

    def holds(self, cosigned: Iterable[str]) -> bool:
        """Whether the witnesses of these names, each of them verified, are enough."""
        met = {NOBODY, *cosigned}
        for name, group in self.groups:
            if len(met.intersection(group.members)) >= group.least:
                met.add(name)
        return self.quorum in met


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A witness that cosigned, and when in seconds since 1970; 0 where it did not say."""

    name: str
    key: VerifierKey
    time: int


@dataclass(frozen=True, slots=True)
class TrustedCheckpoint:
    """A checkpoint that a policy holds for, and by whom.

    Attributes:
        checkpoint: What was signed.
        log: The log's key.
        log_time: When the log signed, if its kind of signature says so; 0 where it did not.
        witnesses: The trusted witnesses that cosigned, in the policy's order.
    """

    checkpoint: Checkpoint
    log: VerifierKey
    log_time: int | None
    witnesses: tuple[Cosigned, ...]


def of_witnesses(
    logs: Iterable[VerifierKey], witnesses: Iterable[VerifierKey], least: int
) -> Policy:
    """The policy that `least` of these witnesses must have cosigned; each is named as its key.

    Raises:
        PolicyUnusable: there are fewer, or as `Policy`.
    """
    named = tuple((key.name, key) for key in witnesses)
    if not 0 <= least <= len(named):
        raise PolicyUnusable(f"quorum: expected 0 to {len(named)} of the witnesses, got {least}")
    if least == 0:
        return Policy(tuple(logs), named)
    group = Group(least, tuple(name for name, _ in named))
    # A witness's name has no space, so none is called this.
    return Policy(tuple(logs), named, (("the quorum", group),), "the quorum")


def parse_policy(data: bytes) -> Policy:
    """Read a policy file.

    Raises:
        PolicyUnusable: it is none, over 256 KiB, over 64 of a kind, or as `Policy`.
    """
    if len(data) > MAX_POLICY_BYTES or not _PERMITTED.fullmatch(data):
        raise PolicyUnusable(
            f"policy: expected at most {MAX_POLICY_BYTES:,} bytes of text, got {len(data):,} bytes"
            " or other characters"
        )
    found = _Found()
    for number, line in enumerate(data.split(b"\n"), start=1):
        words = [w.decode("utf-8", "surrogateescape") for w in re.split(rb"[ \t]+", line) if w]
        if not words or words[0].startswith("#"):
            continue
        try:
            found.take(words)
        except (PolicyUnusable, VerifierKeyUnusable) as error:
            raise PolicyUnusable(f"policy, line {number}: {error}") from error
    if found.quorum is None:
        raise PolicyUnusable("policy: expected a quorum line, got none")
    return Policy(
        tuple(found.logs),
        tuple(found.witnesses),
        tuple(found.groups),
        quorum=found.quorum,
        addresses=tuple(found.addresses),
    )


def verify_checkpoint(note: Note, policy: Policy) -> TrustedCheckpoint:
    """Return only if a log of the policy signed this checkpoint and its quorum cosigned it.

    Signatures of other keys are passed over; one in a trusted key's name that does not hold
    refuses the whole note.

    Raises:
        NoteMalformed: the text is no checkpoint.
        CheckpointUntrusted: no log of the policy signed it, or a signature does not hold.
        TooFewWitnesses: the quorum is not met.
    """
    checkpoint = parse_checkpoint(note.text)
    times = _times(note, checkpoint, [*policy.logs, *(key for _, key in policy.witnesses)])
    signed = [key for key in policy.logs if key in times and key.name == checkpoint.origin]
    if not signed:
        raise CheckpointUntrusted(
            f"expected the signature of a trusted log on {checkpoint.origin[:80]!r}, got none",
            hint="Compare the log's key with the one that its operator published.",
        )
    cosigned = tuple(
        Cosigned(name, key, times[key] or 0) for name, key in policy.witnesses if key in times
    )
    if not policy.holds(each.name for each in cosigned):
        names = ", ".join(each.name for each in cosigned) or "nobody"
        raise TooFewWitnesses(f"expected cosignatures that meet the quorum, got those of {names}")
    return TrustedCheckpoint(checkpoint, signed[0], times[signed[0]], cosigned)


def _times(
    note: Note, checkpoint: Checkpoint, keys: Iterable[VerifierKey]
) -> dict[VerifierKey, int | None]:
    """For each key that signed, when; the first of several signatures counts."""
    known = {(key.name, key.key_id): key for key in keys}
    times: dict[VerifierKey, int | None] = {}
    for line in note.signatures:
        if (key := known.get((line.name, line.key_id))) is None:
            continue
        try:
            time = verify_signature(key, line, checkpoint)
        except SignatureInvalid as error:
            raise CheckpointUntrusted(f"signature of {key.name}: {error}") from error
        times.setdefault(key, time)
    return times


def _check_keys(policy: Policy) -> None:
    for what, count in (
        ("logs", len(policy.logs)),
        ("witnesses", len(policy.witnesses)),
        ("groups", len(policy.groups)),
    ):
        if count > MAX_MEMBERS:
            raise PolicyUnusable(f"{what}: expected at most {MAX_MEMBERS}, got {count}")
    for key in policy.logs:
        if key.kind not in LOG_KINDS:
            raise PolicyUnusable(
                f"log {key.name}: expected a key of type 01 or 06, got {key.kind:02x}"
            )
    seen = {key.public for key in policy.logs}
    if len(seen) < len(policy.logs):
        raise PolicyUnusable("logs: expected each key once, got one twice")
    names = {key.name for key in policy.logs}
    for _, key in policy.witnesses:
        if key.kind not in WITNESS_KINDS:
            raise PolicyUnusable(
                f"witness {key.name}: expected a key of type 04 or 06, got {key.kind:02x}"
            )
        if key.public in seen or key.name in names:
            raise PolicyUnusable(
                f"witness {key.name}: expected a key and a name of its own, got those of a log or"
                " of another witness",
                hint="Of a witness with two keys, name the ML-DSA-44 one.",
            )
        seen.add(key.public)
        names.add(key.name)


def _take(known: dict[str, None], name: str) -> None:
    if name in known:
        raise PolicyUnusable(f"expected a name of its own for each witness and group, got {name}")
    known[name] = None


class _Found:
    """What the lines of a policy file have said so far."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: list[tuple[str, VerifierKey]] = []
        self.groups: list[tuple[str, Group]] = []
        self.quorum: str | None = None
        self.addresses: list[tuple[str, str]] = []

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self.logs.append(parse_vkey(vkey))
            case ["witness", name, vkey, *address] if len(address) <= 1:
                self.witnesses.append((name, parse_vkey(vkey)))
                self.addresses += [(name, each) for each in address]
            case ["group", name, least, *members] if members:
                for member in members:
                    self._require(member)
                self.groups.append((name, Group(_least(least, len(members)), tuple(members))))
            case ["quorum", name] if self.quorum is None:
                if name != NOBODY:
                    self._require(name)
                self.quorum = name
            case _:
                raise PolicyUnusable(
                    "expected log, witness, group or one quorum, and what belongs to it,"
                    f" got {' '.join(words)[:60]!r}"
                )

    def _require(self, name: str) -> None:
        if name not in {each for each, _ in (*self.witnesses, *self.groups)}:
            raise PolicyUnusable(f"expected a name that is defined before, got {name[:60]!r}")


def _least(text: str, members: int) -> int:
    words = {"any": 1, "all": members}
    if text in words:
        return words[text]
    if not _THRESHOLD.fullmatch(text):
        raise PolicyUnusable(f"expected all, any or a number from 1 to {members}, got {text[:20]}")
    return int(text)
