"""While a chat runs, the record is looked at: whose keys changed is told, and nobody switched."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from tests.chat.messenger.pairs import until_true
from tests.chat.store.people import open_person
from tests.ledger.logs import LOG as LOG_KEYS
from tests.ledger.logs import SmallLog
from tests.ledger.test_monitor import files_of
from tests.ledger.test_people import joined
from tests.patience import PATIENCE_S

from bellwire.base.secret import Secret
from bellwire.chat.identity import Identity
from bellwire.chat.messenger.account import expect
from bellwire.chat.messenger.engine import Messenger
from bellwire.chat.messenger.looking import Setup
from bellwire.chat.messenger.recorded import Change, Following, Record
from bellwire.chat.messenger.views import Alert, AlertKind
from bellwire.chat.store.person import Person
from bellwire.cli import main
from bellwire.ledger.checkpoint import Checkpoint
from bellwire.ledger.entries.codec import encode
from bellwire.ledger.entries.fields import KeyAlgorithm, PublicKey
from bellwire.ledger.entries.model import Registration, Revocation
from bellwire.ledger.errors import ConsistencyMismatch, LogAbsent, LogAltered
from bellwire.ledger.monitor import key_digest
from bellwire.ledger.policy import of_witnesses
from bellwire.ledger.reading import LogReader

TRUST = of_witnesses([each.verifier for each in LOG_KEYS], [], 0)
BOB, NEW_BOB = (Identity(Secret(bytes([seed]) * 64)).public for seed in (1, 2))


def registered(number: int, handle: str, public: bytes) -> Registration:
    like = joined(number, handle, 1)
    return Registration(
        v=1,
        at=like.at,
        writer=like.writer,
        epoch=like.epoch,
        sequence=like.sequence,
        handle=handle,
        keys=(
            PublicKey(KeyAlgorithm.ED25519, public[:32]),
            PublicKey(KeyAlgorithm.ML_DSA_65, public[32:]),
        ),
        verdict="secure",
    )


def revoked(number: int, one: Registration) -> Revocation:
    return Revocation(
        v=1,
        at=one.at,
        writer=one.writer,
        epoch=one.epoch,
        sequence=number + 1,
        handle=one.handle,
        keys=tuple(sorted(key_digest(each) for each in one.keys)),
        reason="compromised",
    )


class Place:
    """A log as it is served now."""

    def __init__(self, *entries: Registration) -> None:
        self.log = SmallLog([encode(each) for each in entries])
        self.files = files_of(self.log)
        self.away = False

    def add(self, entry: Registration | Revocation) -> None:
        self.log.append([encode(entry)])
        self.files = files_of(self.log)

    def fetch(self, path: str) -> bytes:
        if self.away:
            raise LogAbsent("the log does not answer")
        return self.files[path]

    @property
    def record(self) -> Record:
        return Record(LogReader(self.fetch), TRUST, every_s=3600.0)


def test_other_keys_and_revoked_ones_are_a_change_and_the_same_ones_are_none() -> None:
    first = registered(0, "bobby", BOB.public_bytes)
    place = Place(first, joined(1, "carol", 3))
    following = Following(place.record)
    known = {"bobby": BOB.fingerprint, "carol": bytes(32), "dave": bytes(32)}
    assert following.look(known)[0] == []  # carol never had here what we know
    place.add(registered(2, "bobby", BOB.public_bytes))
    assert following.look(known)[0] == []
    place.add(registered(3, "bobby", NEW_BOB.public_bytes))
    assert following.look(known)[0] == [Change("bobby", BOB.fingerprint, 3)]
    again = Following(place.record)
    assert again.look({})[0] == []
    assert again.look(known)[0] == [Change("bobby", BOB.fingerprint, 3)]
    alone = Place(first)
    alone.add(revoked(1, first))
    assert Following(alone.record).look(known)[0] == [Change("bobby", BOB.fingerprint, None)]


def test_a_record_that_went_back_or_was_altered_says_nothing_of_keys() -> None:
    place = Place(registered(0, "bobby", BOB.public_bytes), joined(1, "carol", 3))
    known = {"bobby": BOB.fingerprint}
    before = place.log.checkpoint()
    older = Place(registered(0, "bobby", BOB.public_bytes))
    with pytest.raises(LogAltered):
        Following(older.record, before).look(known)
    other = Place(registered(0, "bobby", NEW_BOB.public_bytes), joined(1, "carol", 3))
    altered = files_of(other.log)
    other.add(joined(2, "carol", 3))
    with pytest.raises(ConsistencyMismatch):
        Following(other.record, before).look(known)
    following = Following(place.record)
    (bundle,) = (name for name in place.files if "entries" in name)
    whole = place.files[bundle]
    place.files[bundle] = altered[bundle]
    with pytest.raises(LogAltered, match="entry 0 altered"):
        following.look(known)
    place.files[bundle] = whole
    assert following.look(known)[0] == []


def size_seen(person: Person) -> int:
    """How many entries the record had when it was looked at last."""
    kept = person.kept("record")
    return 0 if kept is None else msgspec.msgpack.decode(kept, type=Checkpoint).size


def test_a_running_chat_is_told_once_and_whom_it_talks_with_stays(tmp_path: Path) -> None:
    place = Place(registered(0, "bobby", BOB.public_bytes))

    async def story() -> list[Alert]:
        person = await asyncio.to_thread(open_person, tmp_path / "ann")
        expect(person, "bobby", BOB.fingerprint, replace=False)
        setup = Setup("Ann", "ws://127.0.0.1:1", None, place.record)
        alerts: list[Alert] = []
        try:
            async with Messenger(person, setup) as messenger:
                queue = messenger.subscribe()
                watching = messenger._watching
                assert watching is not None

                def told(count: int) -> bool:
                    while not queue.empty():
                        event = queue.get_nowait()
                        if isinstance(event, Alert):
                            alerts.append(event)
                    return len(alerts) == count

                await until_true(lambda: size_seen(person) == 1)
                place.add(registered(1, "bobby", NEW_BOB.public_bytes))
                watching.again()
                await until_true(lambda: told(1))
                place.away = True
                watching.again()
                await until_true(lambda: told(2))
                place.away = False
                place.add(joined(2, "carol", 3))
                watching.again()
                await until_true(lambda: size_seen(person) == 3)
                assert told(2)  # not again
                assert messenger.account.handles() == {"bobby": BOB.fingerprint}
        finally:
            await asyncio.to_thread(person.close)
        return alerts

    changed, away = asyncio.run(asyncio.wait_for(story(), PATIENCE_S))
    assert (changed.kind, changed.contact) == (AlertKind.IDENTITY, BOB.fingerprint)
    assert "@bobby has other keys in entry 1 of the record" in changed.words
    assert "Nothing was switched" in changed.words
    assert (away.kind, "not seen now" in away.words) == (AlertKind.ACCOUNT, True)


def test_a_log_is_named_with_whom_it_must_be_signed_by(tmp_path: Path) -> None:
    state = ("--state", str(tmp_path), "--plain")
    assert main.run(["chat", "--log", str(tmp_path), *state]) == 2
    assert main.run(["chat", "--log-policy", str(tmp_path / "none"), *state]) == 2
