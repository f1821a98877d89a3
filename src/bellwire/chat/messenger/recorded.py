"""The keys of people we know, looked up in a record again and again while we talk.

A relay names identities, and a log records who registered which: where the log was told that a
person's keys are others now, or were revoked, we are told so at once, in their conversation.
Nothing is switched: whom we talk with stays who it was, and only we can say that other keys are
theirs.

Somebody counts as recorded if one of the registrations of their handle ever had the identity that
we know. A handle that is in the record with other keys alone is not said to have changed: a name at
a relay and one in a log are two things until somebody registers the identity of a chat.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from bellwire.base.errors import BellwireError, UnreachableError
from bellwire.chat.identity import IdentityPublic
from bellwire.chat.messenger.views import Alert, AlertKind
from bellwire.chat.store.person import Person
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.entries.fields import KeyAlgorithm
from bellwire.ledger.entries.model import Registration
from bellwire.ledger.errors import HandleAbsent, LogAltered
from bellwire.ledger.growing import Edge
from bellwire.ledger.people import Reading, follow
from bellwire.ledger.pins import require_grown
from bellwire.ledger.policy import Policy, verify_checkpoint
from bellwire.ledger.reading import LogReader

EVERY_S: Final = 300.0
"""How often the record is looked at; also whenever a line to the relay comes back."""


@dataclass(frozen=True, slots=True)
class Record:
    """A log, and who must have signed and cosigned it.

    Attributes:
        reader: Not trusted.
        trust: Whose signatures count.
        every_s: How often it is looked at.
    """

    reader: LogReader
    trust: Policy
    every_s: float = EVERY_S


@dataclass(frozen=True, slots=True)
class Change:
    """What the record says of somebody we know, and is not what we know.

    Attributes:
        handle: Theirs.
        known: Fingerprint of the identity that we know, 32 bytes.
        number: Of the entry with other keys; None: their keys were revoked, and there are no
            others.
    """

    handle: str
    known: bytes
    number: int | None

    @property
    def words(self) -> str:
        """For people, one line."""
        what = "has no keys that count in the record any more: they were revoked"
        if self.number is not None:
            what = f"has other keys in entry {self.number:,} of the record than those you talk with"
        return (
            f"@{self.handle} {what}. Nothing was switched. Ask them by another way before you say "
            "more."
        )


def identity_of(entry: Registration) -> bytes | None:
    """Fingerprint of the identity in chat that has these signing keys; None: both are not there."""
    keys = {each.algorithm: each.key for each in entry.keys}
    classical, lattice = keys.get(KeyAlgorithm.ED25519), keys.get(KeyAlgorithm.ML_DSA_65)
    if classical is None or lattice is None:
        return None
    return IdentityPublic(classical + lattice).fingerprint


class Following:
    """Reads a record as it grows, for the people we know; one thread at a time.

    Args:
        record: The log.
        before: What it signed when we looked last, in an earlier run; None: nothing is known.
    """

    def __init__(self, record: Record, before: Checkpoint | None = None) -> None:
        self._record = record
        self._before = before
        self._edge = Edge()
        self._readings: dict[str, Reading] = {}

    def look(self, known: Mapping[str, bytes]) -> tuple[list[Change], Checkpoint]:
        """Who has other keys in the record now, by handle; and the checkpoint that says so.

        Args:
            known: Fingerprint of each handle's identity.

        Raises:
            UnreachableError: the log does not answer.
            LogAltered: it has fewer entries than it had.
            BellwireError: it is not what it signed, or nobody whom we trust signed it.
        """
        reader = self._record.reader
        shown = verify_checkpoint(reader.note(), self._record.trust).checkpoint
        if self._before is not None:
            if self._before.origin != shown.origin:
                self._before = None
            else:
                require_grown(self._before, shown, reader)
        if set(known) - set(self._readings):
            # Somebody new: what was said of them before counts as well.
            self._edge = Edge()
            self._readings = {handle: Reading(handle) for handle in known}
        if shown.size < self._edge.size:
            raise LogAltered(
                f"expected {shown.origin} with the {self._edge.size:,} entries that it had, or "
                f"more, got {shown.size:,}"
            )
        try:
            self._edge = follow(reader, shown, self._edge, list(self._readings.values()))
        except BellwireError:
            # What was taken of a log that is not as signed is not believed later either.
            self._edge, self._readings = Edge(), {}
            raise
        self._before = shown
        return [
            change
            for handle, fingerprint in sorted(known.items())
            if (change := _change(handle, fingerprint, self._readings[handle])) is not None
        ], shown


def _change(handle: str, fingerprint: bytes, reading: Reading) -> Change | None:
    if all(identity_of(entry) != fingerprint for _, entry in reading.joined):
        return None
    try:
        counts = reading.known()
    except HandleAbsent:
        return Change(handle, fingerprint, None)
    if identity_of(counts.entry) == fingerprint:
        return None
    return Change(handle, fingerprint, counts.number)


class Watching:
    """Looks at a record from time to time, and tells what has changed: each change once a run.

    Args:
        person: Open.
        record: The log.
        known: Gives the fingerprint of the identity of each handle that we know; on any thread.
        tell: Takes an alert, in the event loop's thread.
    """

    def __init__(
        self,
        person: Person,
        record: Record,
        *,
        known: Callable[[], Mapping[str, bytes]],
        tell: Callable[[Alert], None],
    ) -> None:
        self._person = person
        self._record = record
        self._known = known
        self._tell = tell
        self._due = asyncio.Event()
        self._following: Following | None = None
        self._told: set[Change] = set()
        self._trouble = ""

    def again(self) -> None:
        """Look now: something may have been missed."""
        self._due.set()

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            self._due.clear()
            try:
                found = await asyncio.to_thread(self._look)
                self._trouble = ""
                for change in found:
                    if change not in self._told:
                        self._told.add(change)
                        self._tell(Alert(AlertKind.IDENTITY, change.known, change.words))
            except BellwireError as error:
                self._say_once(error)
            try:
                async with asyncio.timeout(self._record.every_s):
                    await self._due.wait()
            except TimeoutError:
                continue

    def _look(self) -> list[Change]:
        name = "record"
        if self._following is None:
            kept = self._person.kept(name)
            before = None if kept is None else msgspec.msgpack.decode(kept, type=Checkpoint)
            self._following = Following(self._record, before)
        changes, shown = self._following.look(self._known())
        self._person.keep(name, msgspec.msgpack.encode(shown))
        return changes

    def _say_once(self, error: BellwireError) -> None:
        """What stands in the way, once until it is another or gone."""
        if str(error) == self._trouble:
            return
        self._trouble = str(error)
        if isinstance(error, UnreachableError):
            words = f"changes of keys are not seen now: {error}"
            self._tell(Alert(AlertKind.ACCOUNT, None, words))
        else:
            words = f"the record cannot be believed, and says nothing of keys: {error}"
            self._tell(Alert(AlertKind.IDENTITY, None, words))
