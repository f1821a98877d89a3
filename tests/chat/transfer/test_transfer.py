"""What one device of a person has comes to another: all that may, once, and in its order."""

import io
import os
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.chat.store.people import NOW, Two, know, open_person

from bellwire.base.secret import Secret
from bellwire.chat.content import Content, ContentKind
from bellwire.chat.errors import HistoryRefused, HistoryUnusable
from bellwire.chat.identity import Identity
from bellwire.chat.pads import Policy
from bellwire.chat.store.contacts import NOTES
from bellwire.chat.store.files import FileState
from bellwire.chat.store.messages import State
from bellwire.chat.store.person import Person
from bellwire.chat.store.work import NO_PROTECTION
from bellwire.chat.transfer import taking
from bellwire.chat.transfer.giving import Given, give
from bellwire.chat.transfer.records import About, End, Record, Said, Somebody, decode, encode
from bellwire.chat.transfer.sealed import SealedWriter, read_sealed
from bellwire.chat.transfer.taking import Taken, take
from bellwire.etsi014.record import SessionRecord


class Devices:
    """Alice's first device, which talks with Bob, and her second one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.two = Two(folder, pad=4000)
        self.two.send("alice", ContentKind.TYPING)  # so that Bob, too, may begin
        self.two.settle()
        self.first, self.bob = self.two.alice, self.two.ids["bob"]
        self.second = open_person(folder / "second")
        self.files = 0

    def give(self, now: float = NOW) -> tuple[Path, Given]:
        self.files += 1
        path = self.folder / f"history {self.files}"
        return path, give(self.first, path, now)

    def carry(self, now: float = NOW) -> Taken:
        path, given = self.give(now)
        return take(self.second, path, given.code, now)

    def texts(self, contact: bytes | None = None) -> list[str]:
        return [each.text for each in self.second.entries(contact)]

    def close(self) -> None:
        self.second.close()
        self.two.close()


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[Devices]:
    made = Devices(tmp_path)
    yield made
    made.close()


def talk(devices: Devices, count: int = 3) -> None:
    for number in range(count):
        devices.two.say("alice", f"from Alice {number}")
        devices.two.say("bob", f"from Bob {number}")
        devices.two.settle()


def records_of(path: Path, given: Given) -> list[bytes]:
    return list(read_sealed(io.BytesIO(path.read_bytes()), given.code))


def stores(person: Person) -> dict[str, list[tuple[object, ...]]]:
    """All rows of a store."""
    with person.working() as work:
        names = [
            name
            for (name,) in work.cursor.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            ).fetchall()
        ]
        return {name: work.cursor.execute(f"SELECT * FROM {name}").fetchall() for name in names}


def test_a_second_device_has_the_words_their_order_and_what_protected_them(
    devices: Devices,
) -> None:
    talk(devices)
    reply = devices.two.say("bob", "the last")
    devices.two.send("bob", ContentKind.REPLY, b"about it", target=reply)
    devices.two.settle()
    with devices.first.contacts() as contacts:
        contacts.set_verified(devices.bob, verified=True)
        contacts.set_policy(devices.bob, Policy.REQUIRE)
        contacts.set_mode(devices.bob, "pool")
    taken = devices.carry()
    assert taken == Taken(people=1, messages=8)
    there, here = devices.first.entries(devices.bob), devices.second.entries(devices.bob)
    assert [(e.text, e.ours, e.state, e.content_id, e.target) for e in here] == [
        (e.text, e.ours, e.state, e.content_id, e.target) for e in there
    ]
    assert all(each.protection.pad_source == "simulated" for each in here)
    assert all(each.brought for each in here)
    assert not any(each.brought for each in there)
    with devices.second.history() as history:
        assert [each.text for each in history.search("ALICE 1")] == ["from Alice 1"]
        assert history.unread(devices.bob) == 5
    with devices.second.contacts() as contacts:
        known = contacts.get(devices.bob)
        assert contacts.get(devices.second.identity.public.fingerprint).name == NOTES
    # Safety numbers are those of this device's own identity, and were never compared.
    assert (known.name, known.policy, known.mode, known.verified) == (
        "Bob",
        Policy.REQUIRE,
        "pool",
        False,
    )


def test_the_same_file_again_changes_nothing_and_a_later_one_adds_what_is_new(
    devices: Devices,
) -> None:
    talk(devices, 2)
    path, given = devices.give()
    assert take(devices.second, path, given.code, NOW).messages == 4
    before = stores(devices.second)
    assert take(devices.second, path, given.code, NOW) == Taken(known=4)
    assert stores(devices.second) == before
    devices.two.say("alice", "later")
    devices.two.settle()
    assert devices.carry() == Taken(messages=1, known=4)
    assert devices.texts()[-1] == "later"


def test_what_was_not_sent_was_taken_back_or_has_disappeared_is_not_in_it(
    devices: Devices,
) -> None:
    two = devices.two
    gone = two.say("alice", "taken back")
    two.settle()
    two.send("alice", ContentKind.DELETE, target=gone)
    two.say("alice", "short-lived", timer_s=60)
    two.say("alice", "long-lived", timer_s=6000)
    two.settle()
    devices.first.say(
        devices.bob, Content(ContentKind.TEXT, os.urandom(16), int(NOW * 1000), b"waits")
    )
    path, given = devices.give(NOW + 61)
    assert (given.messages, given.not_sent) == (1, 1)
    assert take(devices.second, path, given.code, NOW + 61).messages == 1
    assert devices.texts() == ["long-lived"]
    records = records_of(path, given)
    for words in (b"taken back", b"short-lived", b"waits"):
        assert not any(words in each for each in records)


def test_timers_go_on_counting_on_the_way_and_on_the_second_device(devices: Devices) -> None:
    devices.two.say("alice", "ours", timer_s=100)
    devices.two.say("bob", "read before", timer_s=100)
    devices.two.settle()
    devices.first.mark_read(devices.bob, NOW)
    devices.two.say("bob", "not read", timer_s=100)
    devices.two.settle()
    path, given = devices.give(NOW + 50)
    late = open_person(devices.folder / "late")
    assert take(late, path, given.code, NOW + 101) == Taken(people=1, messages=1, expired=2)
    late.close()
    take(devices.second, path, given.code, NOW + 50)
    assert devices.second.disappear(NOW + 99) == 0
    assert devices.second.disappear(NOW + 101) == 2
    # What nobody has read begins to count once it is read, and the other side hears nothing of it.
    assert devices.second.mark_read(devices.bob, NOW + 200) == []
    assert devices.second.outbox() == []
    assert devices.second.disappear(NOW + 299) == 0
    assert devices.second.disappear(NOW + 300) == 1
    assert devices.texts() == ["", "", ""]


def test_no_key_pad_session_or_way_is_in_it(devices: Devices) -> None:
    talk(devices)
    with devices.first.working() as work:
        route = work.routes.ensure(devices.bob, NOW)
        invited = work.routes.invite(NOW)
        (_, session), *_ = work.sessions.of(devices.bob)
    with devices.first.prekeys() as ring:
        ring.renew(2, NOW)
    path, given = devices.give()
    whole = b"".join(records_of(path, given))
    assert devices.first.identity.public.fingerprint in whole
    secrets = [
        devices.first.identity.seed.reveal()[:32],
        devices.first.identity.seed.reveal()[32:],
        route.box.mailbox,
        route.box.right,
        invited.mailbox,
        invited.right,
        *(pad[at : at + 16] for pad in devices.two.pads.values() for at in range(0, 4000, 16)),
        *(each for each in _bytes_in(msgspec.to_builtins(session)) if len(each) >= 16),
    ]
    assert len(secrets) > 500
    known = {devices.bob, devices.two.ids["alice"]}
    names = {each for entry in devices.first.entries() for each in entry.protection.pad_ids}
    for each in secrets:
        assert each in known | names or each not in whole
    sealed = path.read_bytes()
    assert b"from Alice" not in sealed
    assert given.code.reveal() not in sealed
    assert path.stat().st_mode & 0o777 == 0o600
    taken = take(devices.second, path, given.code, NOW)
    assert taken.people == 1
    rows = stores(devices.second)
    for table in ("sessions", "routes", "invitations", "pads", "offers", "waiting", "outbox"):
        assert rows[table] == []


def _bytes_in(value: object) -> list[bytes]:
    import base64

    found: list[bytes] = []
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list | tuple):
        for each in value:
            found += _bytes_in(each)
    elif isinstance(value, str):
        try:
            found.append(base64.b64decode(value, validate=True))
        except ValueError:
            return found
    return found


def test_attachments_are_named_and_said_to_be_elsewhere(devices: Devices) -> None:
    small = bytes([4]) + b"plan" + b"words" * 100
    devices.two.send("bob", ContentKind.FILE, small)
    devices.two.settle()
    path, given = devices.give()
    assert given.attachments == 1
    assert take(devices.second, path, given.code, NOW).attachments == 1
    (entry,) = devices.second.entries()
    assert (entry.text, entry.is_file) == ("plan", True)
    with devices.second.working() as work:
        file = work.files.get(devices.bob, entry.content_id, ours=False)
        assert file is not None
        assert (file.state, file.size, file.about.name) == (FileState.ELSEWHERE, 500, "plan")
        assert work.files.coming() == []
        assert work.files.has_room(devices.bob, 1)
    assert not any(b"wordswords" in each for each in records_of(path, given))


def test_records_of_sessions_come_along(devices: Devices) -> None:
    talk(devices, 1)
    (entry, *_) = devices.first.entries()
    (name,) = entry.protection.pad_ids
    record = session_record("0" * 36)
    with devices.first.working() as work:
        work.records.keep(devices.bob, name, record)
    devices.carry()
    with devices.second.working() as work:
        assert work.records.get(name) == record


def session_record(session: str) -> SessionRecord:
    return SessionRecord(
        session, "app-a", "app-b", "simulated", NOW, "accept", None, None, 160_000, 160_000,
        35_000, 124_000, 2.73, 0.011, 2.7, 0.02, 0.001, 6000, 64, 632, 1e-9, 12_000, [], 86.6,
    )  # fmt: skip


def test_what_both_devices_heard_stands_in_one_order_and_a_false_clock_does_not_upset_it(
    devices: Devices,
) -> None:
    def at(second: int, text: str, sender: str = "alice") -> None:
        content = Content(
            ContentKind.TEXT, random.randbytes(16), int((NOW + second) * 1000), text.encode()
        )
        devices.two.people[sender].send(devices.two.ids[devices.two.other(sender)], content)
        devices.two.settle()

    at(10, "first 10")
    at(10**8, "Bob's clock is wrong", "bob")
    at(30, "first 30")
    at(40, "from Bob 40", "bob")
    know(devices.second, "Bob", devices.two.bob.identity.public)
    with devices.second.working() as work:
        known = work.contacts.get(devices.bob)
        for second in (5, 20, 35, 100):
            content = Content(
                ContentKind.TEXT, random.randbytes(16), (int(NOW) + second) * 1000,
                f"second {second}".encode(),
            )  # fmt: skip
            work.apply(known, content, NO_PROTECTION, NOW, ours=True, state=State.SENT)
    assert devices.carry(NOW + 200).messages == 4
    assert devices.texts() == [
        "second 5",
        "first 10",
        "second 20",
        "Bob's clock is wrong",
        "first 30",
        "second 35",
        "from Bob 40",
        "second 100",
    ]
    with devices.second.working() as work:
        newest = work.history.latest(devices.bob, 2)
        content = Content(ContentKind.TEXT, bytes(16), int(NOW + 300) * 1000, b"and then")
        work.apply(known, content, NO_PROTECTION, NOW + 300, ours=True, state=State.SENT)
    assert [each.text for each in newest] == ["from Bob 40", "second 100"]
    assert devices.texts()[-1] == "and then"


def test_a_device_that_knows_somebody_keeps_what_it_calls_them_and_tells_names_apart(
    devices: Devices,
) -> None:
    talk(devices, 1)
    know(devices.second, "Robert", devices.two.bob.identity.public)
    with devices.second.contacts() as contacts:
        contacts.set_verified(devices.bob, verified=True)
    assert devices.carry() == Taken(messages=2)
    with devices.second.contacts() as contacts:
        known = contacts.get(devices.bob)
    assert (known.name, known.verified) == ("Robert", True)
    other = open_person(devices.folder / "third")
    namesake = Identity(Secret(bytes([9]) * 64)).public
    know(other, "bob", namesake)
    path, given = devices.give()
    take(other, path, given.code, NOW)
    with other.contacts() as contacts:
        assert contacts.get(namesake.fingerprint).name == "bob"
        assert contacts.get(devices.bob).name == f"Bob ({devices.bob.hex()[:8]})"
    other.close()


def test_notes_come_to_the_notes_and_what_devices_said_to_each_other_is_left_out(
    devices: Devices,
) -> None:
    me = devices.first.identity.public.fingerprint
    second = devices.second.identity.public
    know(devices.first, "my other device", second)
    with devices.first.working() as work:
        for contact, words in ((me, b"a note"), (second.fingerprint, b"to myself")):
            known = (
                work.contacts.keep(NOTES, devices.first.identity.public)
                if contact == me
                else work.contacts.get(contact)
            )
            content = Content(ContentKind.TEXT, random.randbytes(16), int(NOW * 1000), words)
            work.apply(known, content, NO_PROTECTION, NOW, ours=True, state=State.READ)
    assert devices.carry() == Taken(people=1, messages=1, left_out=1)
    assert devices.texts(second.fingerprint) == ["a note"]


def test_who_is_blocked_stays_blocked_and_who_waits_is_no_contact(devices: Devices) -> None:
    talk(devices, 1)
    stranger = Identity(Secret(bytes([8]) * 64)).public
    with devices.first.working() as work:
        work.strangers.block(devices.bob)
        work.contacts.meet(stranger)
        work.strangers.admit(stranger.fingerprint, NOW)
    path, given = devices.give()
    assert given.people == 1
    with devices.second.working() as work:
        work.contacts.meet(devices.two.bob.identity.public)
        work.strangers.admit(devices.bob, NOW)
    # Here he waits to be accepted: his words do not pass for a contact's.
    assert take(devices.second, path, given.code, NOW) == Taken(left_out=2)
    with devices.second.working() as work:
        work.contacts.forget(devices.bob)
    take(devices.second, path, given.code, NOW)
    with devices.second.working() as work:
        assert work.strangers.is_blocked(devices.bob)
        assert not work.contacts.knows(stranger.fingerprint)


def test_a_file_that_is_there_stays_and_a_folder_that_is_not_is_said(devices: Devices) -> None:
    path = devices.folder / "there"
    path.write_text("mine")
    with pytest.raises(HistoryUnusable, match="got one that is there"):
        give(devices.first, path, NOW)
    assert path.read_text() == "mine"
    with pytest.raises(HistoryUnusable, match="No such file"):
        give(devices.first, devices.folder / "nowhere" / "file", NOW)
    with pytest.raises(HistoryUnusable, match="plain file"):
        take(devices.second, devices.folder, Secret(bytes(16)), NOW)
    with pytest.raises(HistoryUnusable, match="No such file"):
        take(devices.second, devices.folder / "none", Secret(bytes(16)), NOW)
    huge = devices.folder / "huge"
    with huge.open("wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(HistoryRefused, match="at most 1024 MiB"):
        take(devices.second, huge, Secret(bytes(16)), NOW)
    assert {each.name for each in devices.folder.iterdir() if each.name.startswith(".")} == set()


def test_whatever_is_wrong_with_a_file_nothing_of_it_is_taken(devices: Devices) -> None:
    talk(devices, 3)
    path, given = devices.give()
    before = stores(devices.second)
    data = path.read_bytes()
    for spoilt in (data[:-1], data[:100], data[:-1] + bytes([data[-1] ^ 1]), data + b"\0"):
        path.write_bytes(spoilt)
        with pytest.raises(HistoryRefused):
            take(devices.second, path, given.code, NOW)
    path.write_bytes(data)
    with pytest.raises(HistoryRefused, match="the code of this file"):
        take(devices.second, path, Secret(bytes(16)), NOW)
    assert stores(devices.second) == before


def forged(devices: Devices, *records: Record | bytes) -> tuple[Path, Secret]:
    """A file that is sealed rightly and says what it should not."""
    devices.files += 1
    path, code = devices.folder / f"forged {devices.files}", Secret(os.urandom(16))
    with path.open("wb") as file:
        writer = SealedWriter(file, code)
        for each in records:
            writer.add(each if isinstance(each, bytes) else encode(each))
        writer.finish()
    return path, code


OWNER = bytes([1]) * 32
ABOUT = About(OWNER, 1)
NAMED = Somebody(bytes(1984), "Nobody", "off", "pool", 0, False)
NOTE = Said(
    OWNER, True, bytes(16), 3, 1, 1, "words", None, None, None, None, False, None, 0, None, (),
    None, (),
)  # fmt: skip


def but(record: Record, **fields: object) -> Record:
    return msgspec.structs.replace(record, **fields)


MALFORMED: list[list[Record | bytes]] = [
    [],
    [ABOUT],
    [ABOUT, NOTE],
    [NOTE, ABOUT, End(0, 1)],
    [ABOUT, ABOUT, End(0, 0)],
    [ABOUT, NOTE, End(0, 2)],
    [ABOUT, End(0, 0), NOTE],
    [ABOUT, End(0, 0), End(0, 0)],
    [ABOUT, NAMED, NAMED, End(2, 0)],
    [ABOUT, but(NAMED, name="two\nlines"), End(1, 0)],
    [ABOUT, but(NAMED, name="ä" * 200), End(1, 0)],
    [ABOUT, but(NAMED, name=""), End(1, 0)],
    [ABOUT, but(NAMED, identity=bytes(10)), End(1, 0)],
    [ABOUT, but(NAMED, policy="never"), End(1, 0)],
    [ABOUT, but(NAMED, timer_s=1 << 40), End(1, 0)],
    [ABOUT, but(NOTE, contact=bytes(32)), End(0, 1)],
    [ABOUT, but(NOTE, ours=False), End(0, 1)],
    [ABOUT, but(NOTE, state=5), End(0, 1)],
    [ABOUT, but(NOTE, state=0), End(0, 1)],
    [ABOUT, but(NOTE, kind=18), End(0, 1)],
    [ABOUT, but(NOTE, kind=2), End(0, 1)],
    [ABOUT, but(NOTE, target=bytes(16)), End(0, 1)],
    [ABOUT, but(NOTE, size=3), End(0, 1)],
    [ABOUT, but(NOTE, sent_ms=-1), End(0, 1)],
    [ABOUT, but(NOTE, gone_at=1 << 63), End(0, 1)],
    [ABOUT, but(NOTE, text="a" * 65_537), End(0, 1)],
    [ABOUT, but(NOTE, pad_ids=(bytes(16),)), End(0, 1)],
    [ABOUT, b"\x90", End(0, 0)],
    [ABOUT, b"", End(0, 0)],
    [ABOUT, b"\xff\xfe", End(0, 0)],
]


def test_what_is_sealed_rightly_and_no_history_is_refused_and_nothing_taken(
    devices: Devices,
) -> None:
    before = stores(devices.second)
    for records in MALFORMED:
        path, code = forged(devices, *records)
        with pytest.raises(HistoryRefused):
            take(devices.second, path, code, NOW)
    assert stores(devices.second) == before


def test_a_history_has_only_so_many_people_and_messages(
    devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "MAX_MESSAGES", 2)
    notes = [but(NOTE, content_id=bytes([n]) * 16) for n in range(3)]
    path, code = forged(devices, ABOUT, *notes[:2], End(0, 2))
    assert take(devices.second, path, code, NOW).messages == 2
    path, code = forged(devices, ABOUT, *notes, End(0, 3))
    with pytest.raises(HistoryRefused, match="2 messages"):
        take(devices.second, path, code, NOW)
    monkeypatch.setattr("bellwire.chat.transfer.giving.MAX_MESSAGES", 1)
    talk(devices, 1)
    with pytest.raises(HistoryUnusable, match="at most 1 messages"):
        devices.give()
    assert [each.name for each in devices.folder.glob("*history*")] == []


def test_a_crash_in_the_middle_leaves_what_was_before(devices: Devices) -> None:
    talk(devices, 2)
    path, given = devices.give()
    seen = 0

    class Crash(Exception):
        pass

    def die(_: int) -> None:
        nonlocal seen
        seen += 1
        raise Crash

    before = stores(devices.second)
    with pytest.raises(Crash):
        take(devices.second, path, given.code, NOW, die)
    assert seen == 1
    assert stores(devices.second) == before
    devices.second.close()
    devices.second = open_person(devices.folder / "second")
    assert take(devices.second, path, given.code, NOW).messages == 4


def test_records_show_nothing_of_what_was_said() -> None:
    assert repr(NOTE) == "Said()"
    assert decode(encode(NOTE)) == NOTE
