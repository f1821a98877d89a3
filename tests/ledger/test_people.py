"""Whose keys a handle has: by the whole log, and by what was found before."""

import hashlib
from pathlib import Path

import pytest
from tests.ledger.logs import ORIGIN, SmallLog
from tests.ledger.test_monitor import files_of, reader_of

from bellwire.ledger.entries.codec import encode
from bellwire.ledger.entries.errors import EntryMalformed
from bellwire.ledger.entries.fields import KEY_BYTES, KeyAlgorithm, PublicKey
from bellwire.ledger.entries.model import Entry, Registration, Revocation
from bellwire.ledger.errors import (
    ConsistencyMismatch,
    HandleAbsent,
    KeysChanged,
    LogAltered,
    PinDamaged,
)
from bellwire.ledger.people import find
from bellwire.ledger.pins import Pins, require_grown, require_same
from bellwire.ledger.reading import LogReader

KINDS = (KeyAlgorithm.ED25519, KeyAlgorithm.ML_DSA_65)


def key(kind: KeyAlgorithm, seed: int) -> PublicKey:
    return PublicKey(kind, bytes([seed]) * KEY_BYTES[kind])


def digest(kind: KeyAlgorithm, seed: int) -> str:
    return hashlib.sha256(key(kind, seed).key).hexdigest()


def joined(number: int, handle: str, seed: int, verdict: str = "secure") -> Registration:
    return Registration(
        v=1,
        at=1_800_000_000_000 + number,
        writer="admission-b" if handle == "other" else "admission-a",
        epoch="00112233445566ff",
        sequence=number + 1,
        handle="ada" if handle == "other" else handle,
        keys=tuple(key(kind, seed) for kind in KINDS),
        verdict="secure" if verdict == "secure" else "insecure",
    )


def revoked(number: int, handle: str, *seeds: int) -> Revocation:
    return Revocation(
        v=1,
        at=1_800_000_000_000 + number,
        writer="admission-a",
        epoch="00112233445566ff",
        sequence=number + 1,
        handle=handle,
        keys=tuple(sorted(digest(KeyAlgorithm.ED25519, seed) for seed in seeds)),
        reason="compromised",
    )


def log_of(*entries: Entry) -> SmallLog:
    return SmallLog([encode(each) for each in entries])


def reader(log: SmallLog) -> LogReader:
    return reader_of(files_of(log))


def found(*entries: Entry, writers: tuple[str, ...] = ()) -> int:
    log = log_of(*entries)
    return find(reader(log), log.checkpoint(), "ada", writers).number


def test_the_newest_registration_counts_whose_keys_were_not_revoked() -> None:
    one, two, three = (joined(at, "ada", at + 1) for at in range(3))
    assert found(one) == 0
    assert found(one, two, three) == 2
    assert found(one, joined(1, "bob", 9), joined(2, "ada", 2, "insecure")) == 0
    assert found(one, two, three, revoked(3, "ada", 3)) == 1
    assert found(one, revoked(1, "ada", 2), two) == 0  # revoked before it was registered again
    assert found(one, two, revoked(2, "bob", 2)) == 1  # another's keys
    assert found(one, joined(1, "other", 5), writers=("admission-a",)) == 0
    assert found(one, joined(1, "other", 5)) == 1


@pytest.mark.parametrize(
    "entries",
    [
        (),
        (joined(0, "bob", 1),),
        (joined(0, "ada", 1, "insecure"),),
        (joined(0, "ada", 1), joined(1, "ada", 2), revoked(2, "ada", 1, 2)),
    ],
)
def test_who_is_not_there_or_has_no_keys_left_is_not_found(entries: tuple[Entry, ...]) -> None:
    with pytest.raises(HandleAbsent):
        found(*entries)


def test_what_else_was_said_of_a_handle_is_told() -> None:
    entries = joined(0, "ada1", 7), joined(1, "adai", 8), joined(2, "adal", 9), joined(3, "adal", 3)
    log = log_of(*entries, revoked(4, "adal", 3))
    known = find(reader(log), log.checkpoint(), "adal")
    assert (known.number, known.earlier, known.revocations) == (2, (3,), (4,))
    assert known.alike == ("ada1", "adai")
    assert known.digests["ed25519"] == digest(KeyAlgorithm.ED25519, 9)


def test_a_log_that_hides_or_alters_an_entry_tells_nothing() -> None:
    log = log_of(joined(0, "ada", 1), revoked(1, "ada", 1), joined(2, "bob", 4))
    checkpoint = log.checkpoint()
    other = log_of(joined(0, "ada", 1), joined(1, "bob", 5), joined(2, "bob", 4))
    with pytest.raises(LogAltered, match="other entries"):
        find(reader(other), checkpoint, "ada")
    files = files_of(log)
    (bundle,) = (name for name in files if "entries" in name)
    files[bundle] = files_of(other)[bundle]
    with pytest.raises(LogAltered, match="entry 1 altered"):
        find(reader_of(files), checkpoint, "ada")
    unread = SmallLog([*log.entries, b"{}"])
    with pytest.raises(EntryMalformed):
        find(reader(unread), unread.checkpoint(), "ada")


def test_keys_that_changed_are_noticed_and_a_log_that_went_back(tmp_path: Path) -> None:
    log = log_of(joined(0, "ada", 1), joined(1, "bob", 2))
    pins = Pins(tmp_path)
    assert pins.get(ORIGIN, "ada") is None
    pins.keep(log.checkpoint(), find(reader(log), log.checkpoint(), "ada"))
    pin = pins.get(ORIGIN, "ada")
    assert pin is not None
    assert pins.get("log.example/other", "ada") is None

    log.append([encode(joined(2, "ada", 1))])
    require_grown(pin, log.checkpoint(), reader(log))
    require_same(pin, find(reader(log), log.checkpoint(), "ada"))
    log.append([encode(joined(3, "ada", 9))])
    with pytest.raises(KeysChanged, match="ed25519, ml-dsa-65"):
        require_same(pin, find(reader(log), log.checkpoint(), "ada"))
    with pytest.raises(LogAltered, match="2 entries that it had"):
        require_grown(pin, log.checkpoint(1), reader(log))
    other = log_of(joined(0, "ada", 8), joined(1, "bob", 2), joined(2, "ada", 1))
    with pytest.raises(ConsistencyMismatch):
        require_grown(pin, other.checkpoint(), reader(other))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b'"ada"', b'"eve"'))
    with pytest.raises(PinDamaged):
        pins.get(ORIGIN, "ada")
    path.write_bytes(b"{")
    with pytest.raises(PinDamaged):
        pins.get(ORIGIN, "ada")
