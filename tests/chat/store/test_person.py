import contextlib
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chat.store.people import NOW, Two, begin, keep_pad, know, open_person

from bellwire.base.secret import Secret
from bellwire.chat.content import MAX_TEXT_BYTES, ContentKind
from bellwire.chat.errors import (
    ChatMisuse,
    ContactUnknown,
    MessageRefused,
    NotAuthentic,
    OpeningRefused,
    PadExhausted,
    PadMissing,
    Replayed,
    StoreCorrupt,
    StoreUnusable,
)
from bellwire.chat.store.messages import State
from bellwire.chat.store.person import Person
from bellwire.chat.store.schema import SCHEMAS
from bellwire.crypto.kek.errors import KekRefused
from bellwire.crypto.kek.given import Given
from bellwire.crypto.kek.passphrase import Passphrase


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path, pad=4000)
    yield made
    made.close()


def test_words_arrive_and_receipts_come_back(two: Two) -> None:
    said = two.say("alice", "hello")
    (entry,) = two.alice.entries()
    assert entry.state is State.QUEUED
    (received,) = two.carry("alice")
    assert received.content is not None
    assert received.content.text == b"hello"
    assert received.protection.is_one_time
    assert two.alice.entries()[0].state is State.SENT
    two.settle()
    assert two.alice.entries()[0].state is State.DELIVERED
    two.bob.mark_read(two.ids["alice"], NOW)
    two.settle()
    assert two.alice.entries()[0].state is State.READ
    assert two.bob.entries()[0].content_id == said


def test_everything_is_there_after_a_restart(two: Two) -> None:
    two.say("alice", "before")
    two.settle()
    for name in ("alice", "bob"):
        two.restart(name)
    assert two.ids["alice"] == two.alice.identity.public.fingerprint
    two.say("bob", "after")
    two.settle()
    assert two.texts("alice") == ["after"]
    assert two.texts("bob") == ["before"]
    assert [each.protection.is_one_time for each in two.bob.entries()] == [True, True]


def test_a_stranger_is_known_by_the_beginning_of_the_fingerprint(tmp_path: Path) -> None:
    two = Two(tmp_path)
    with open_person(tmp_path / "carol") as carol:
        know(carol, "Bob", two.bob.identity.public)
        with two.bob.prekeys() as ring:
            begin(carol, ring.bundle(NOW))
        two.people["alice"].close()
        two.people["alice"] = carol
        two.ids["alice"] = carol.identity.public.fingerprint
        two.say("alice", "who am I?")
        (out,) = carol.outbox()
        assert two.bob.receive(out.payload, NOW).contact == carol.identity.public.fingerprint
        with two.bob.contacts() as contacts:
            names = {each.name for each in contacts.all()}
        assert names == {"Alice", carol.identity.public.fingerprint.hex()[:16]}
        two.close()


def files_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_pad_that_has_served_is_in_no_file_of_either_side(tmp_path: Path) -> None:
    two = Two(tmp_path)
    pad_id = two.share_pad("alice", 4000)
    pad = two.pads["alice"]
    rested = {
        name: (folder / "pads" / f"{pad_id.hex()}.pad").read_bytes()
        for name, folder in two.folders.items()
    }
    two.say("alice", "x" * 984)
    two.settle()
    for name, folder in two.folders.items():
        kept = files_of(folder)
        for at in range(0, 3984, 16):
            assert pad[at : at + 16] not in kept
            served = 16 <= at < 1016
            assert (rested[name][at : at + 16] in kept) is not served
    two.close()


def test_a_pad_that_is_used_up_leaves_no_file(two: Two) -> None:
    two.say("alice", "x" * (two.pad_left("alice") - 16))
    two.settle()
    assert two.pad_left("alice") == 0
    for folder in two.folders.values():
        assert len(list((folder / "pads").iterdir())) == 1


def test_no_words_and_no_names_are_in_any_file(two: Two) -> None:
    two.say("alice", "attack at dawn, with umbrellas")
    two.settle()
    for name, folder in two.folders.items():
        kept = files_of(folder)
        assert b"umbrellas" not in kept
        assert two.people[two.other(name)].identity.public.public_bytes[:32] not in kept
        assert two.people[name].identity.seed.reveal()[:16] not in kept


def test_what_was_taken_of_a_pad_is_never_taken_again_after_a_crash(two: Two) -> None:
    two.say("alice", "once")
    (before,) = two.alice.outbox()
    two.crash("alice")
    (after,) = two.alice.outbox()
    assert after == before
    two.say("alice", "twice")
    assert len(two.carry("alice")) == 2
    assert two.texts("bob") == ["once", "twice"]


def test_a_crash_between_taking_and_overwriting_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = Two(tmp_path)
    pad_id = two.share_pad("alice", 4000)
    path = Path("pads") / f"{pad_id.hex()}.pad"
    with monkeypatch.context() as patch:
        patch.setattr("bellwire.chat.store.pads.PadShelf.overwrite", lambda _: None)
        two.say("alice", "x" * 100)
        assert (two.folders["alice"] / path).read_bytes()[16:132] != bytes(116)
        (two.folders["alice"] / "pads" / f"{bytes(16).hex()}.pad").write_bytes(b"never taken in")
        two.crash("alice")
    assert (two.folders["alice"] / path).read_bytes()[16:132] == bytes(116)
    assert [each.name for each in (two.folders["alice"] / "pads").iterdir()] == [path.name]
    two.close()


def test_a_failure_in_the_middle_of_a_message_changes_nothing(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = two.pad_left("alice")
    with monkeypatch.context() as patch:
        patch.setattr("bellwire.chat.store.work.Work.apply", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            two.say("alice", "lost")
    assert two.pad_left("alice") == before
    assert two.alice.outbox() == []
    two.say("alice", "kept")
    two.settle()
    assert two.texts("bob") == ["kept"]


def test_a_payload_counts_once_whoever_repeats_it(two: Two) -> None:
    two.say("alice", "once")
    (out,) = two.alice.outbox()
    two.carry("alice")
    for _ in range(2):
        with pytest.raises(Replayed):
            two.bob.receive(out.payload, NOW, two.ids["alice"])
        two.crash("bob")
    assert two.texts("bob") == ["once"]


def test_an_opening_begins_one_session_even_when_that_one_is_gone(tmp_path: Path) -> None:
    two = Two(tmp_path)
    two.say("alice", "first")
    (out,) = two.alice.outbox()
    two.carry("alice")
    for _ in range(4):
        two.begin("alice")
        two.say("alice", "again")
        two.carry("alice")
    with pytest.raises(OpeningRefused, match="again"):
        two.bob.receive(out.payload, NOW)
    two.close()


def test_an_opening_in_another_contacts_mailbox_is_refused(two: Two) -> None:
    two.say("alice", "to Bob")
    (out,) = two.alice.outbox()
    with pytest.raises(OpeningRefused, match="mailbox"):
        two.bob.receive(out.payload, NOW, bytes(32))
    assert two.carry("alice")[0].is_new


def test_altered_payloads_change_nothing(two: Two) -> None:
    two.say("alice", "first")
    two.settle()
    two.say("alice", "genuine")
    (out,) = two.alice.outbox()
    for at in range(0, len(out.payload), 7):
        altered = bytearray(out.payload)
        altered[at] ^= 1
        with pytest.raises(MessageRefused):
            two.bob.receive(bytes(altered), NOW, two.ids["alice"])
    two.carry("alice")
    assert two.texts("bob") == ["first", "genuine"]


def test_both_may_begin_at_once_and_come_to_one_session(tmp_path: Path) -> None:
    two = Two(tmp_path, begin=False)
    two.begin("alice")
    two.begin("bob")
    two.say("alice", "me first")
    two.say("bob", "no, me")
    two.settle()
    for turn in range(4):
        two.say("alice", f"a {turn}")
        two.say("bob", f"b {turn}")
        two.settle()
    assert two.texts("bob") == ["me first", *(f"a {n}" for n in range(4))]
    assert two.texts("alice") == ["no, me", *(f"b {n}" for n in range(4))]
    two.close()


def test_under_require_nothing_is_sent_or_shown_without_pad(tmp_path: Path) -> None:
    two = Two(tmp_path)
    two.require("bob")
    two.say("alice", "without pad")
    (received,) = two.carry("alice")
    assert received.refused
    assert received.content is None
    assert two.texts("bob") == []
    two.settle()
    assert two.alice.entries()[0].state is State.REFUSED
    with pytest.raises(PadExhausted):
        two.say("bob", "nor this")
    assert two.texts("bob", ours=True) == []
    two.share_pad("bob", 100)
    two.say("bob", "but this")
    two.settle()
    assert two.texts("alice") == ["but this"]
    two.close()


def test_a_message_before_its_pad_opens_once_the_pad_is_there(tmp_path: Path) -> None:
    two = Two(tmp_path)
    keep_pad(two.alice, two.ids["bob"], b"p" * 16, Secret(b"k" * 99), "local", ours=True)
    two.say("alice", "early")
    (out,) = two.alice.outbox()
    with pytest.raises(PadMissing):
        two.bob.receive(out.payload, NOW, two.ids["alice"])
    keep_pad(two.bob, two.ids["alice"], b"p" * 16, Secret(b"k" * 99), "local", ours=False)
    assert two.carry("alice")[0].protection.pad_source == "local"
    two.close()


@pytest.mark.parametrize(
    ("pad_id", "length", "source"),
    [
        (bytes(16), 99, "local"),
        (b"p" * 15, 99, "local"),
        (b"p" * 16, 31, "local"),
        (b"p" * 16, 99, "moon"),
    ],
)
def test_what_is_no_pad_is_refused(two: Two, pad_id: bytes, length: int, source: str) -> None:
    with pytest.raises(ChatMisuse):
        keep_pad(two.alice, two.ids["bob"], pad_id, Secret(bytes(length)), source, ours=True)


def test_a_pad_is_taken_in_once_also_when_it_is_used_up(two: Two) -> None:
    pad_id = two.share_pad("alice", 32)
    for _ in range(2):
        with pytest.raises(ChatMisuse, match="never here"):
            keep_pad(two.alice, two.ids["bob"], pad_id, Secret(bytes(32)), "local", ours=True)
        two.say("alice", "x" * 3900)
        two.say("alice", "")
        two.say("alice", "")


def test_a_text_of_64_kib_comes_whole_and_a_longer_one_is_refused(tmp_path: Path) -> None:
    two = Two(tmp_path)
    text = "ß" * (MAX_TEXT_BYTES // 2)
    two.say("alice", text)
    outgoing = two.alice.outbox()
    random.Random(4).shuffle(outgoing)
    for each in outgoing:
        two.bob.receive(each.payload, NOW, two.ids["alice"])
    assert two.texts("bob") == [text]
    with pytest.raises(ChatMisuse):
        two.say("alice", text + "x")
    two.close()


def test_what_was_said_can_be_edited_and_taken_back_by_who_said_it(two: Two) -> None:
    said = two.say("alice", "thsi")
    two.send("alice", ContentKind.EDIT, b"this", target=said)
    gone = two.say("alice", "oops")
    two.send("alice", ContentKind.DELETE, target=gone)
    two.settle()
    for name in ("alice", "bob"):
        first, second = two.people[name].entries()
        assert (first.text, first.edited) == ("this", True)
        assert (second.text, second.state) == ("", State.DELETED)
    two.send("bob", ContentKind.DELETE, target=said)
    two.send("bob", ContentKind.EDIT, b"forged", target=said)
    two.settle()
    assert [each.text for each in two.alice.entries()] == ["this", ""]
    two.send("alice", ContentKind.EDIT, b"back", target=gone)
    two.settle()
    assert [each.text for each in two.bob.entries()] == ["this", ""]


def test_replies_are_kept(two: Two) -> None:
    said = two.say("alice", "question")
    two.settle()
    two.send("bob", ContentKind.REPLY, b"answer", target=said)
    two.settle()
    _, answer = two.alice.entries()
    assert answer.target == said


def test_messages_disappear_after_their_time_on_both_sides(two: Two) -> None:
    two.say("alice", "stays")
    two.send("alice", ContentKind.TIMER, timer_s=60)
    two.say("alice", "goes")
    two.settle()
    assert two.bob.disappear(NOW + 1000) == 0  # not read yet
    two.bob.mark_read(two.ids["alice"], NOW + 1000)
    assert two.bob.disappear(NOW + 1059) == 0
    assert two.bob.disappear(NOW + 1060) == 1
    assert two.alice.disappear(NOW + 60) == 1
    assert two.texts("bob") == two.texts("alice", ours=True) == ["stays", ""]


def test_unread_messages_are_counted_until_they_are_read(two: Two) -> None:
    for text in ("one", "two"):
        two.say("alice", text)
    two.settle()
    with two.bob.history() as history:
        assert history.unread(two.ids["alice"]) == 2
    assert len(two.bob.mark_read(two.ids["alice"], NOW)) == 1
    assert two.bob.mark_read(two.ids["alice"], NOW) == []
    with two.bob.history() as history:
        assert history.unread(two.ids["alice"]) == 0


def test_history_is_searched_in_any_case_and_script(two: Two) -> None:
    for text in ("Straße", "STRASSE", "strasbourg", "Привет"):
        two.say("alice", text)
    two.settle()
    with two.bob.history() as history:
        assert [each.text for each in history.search("strasse")] == ["Straße", "STRASSE"]
        assert [each.text for each in history.search("ПРИВ")] == ["Привет"]
        assert history.search("strasse", bytes(32)) == []


def test_somebody_unknown_is_not_written_to(two: Two) -> None:
    with pytest.raises(ContactUnknown):
        two.alice.mark_read(bytes(32), NOW)
    two.ids["bob"] = bytes(32)
    with pytest.raises(ContactUnknown):
        two.say("alice", "anybody?")


def test_without_a_session_nothing_is_said(tmp_path: Path) -> None:
    two = Two(tmp_path, begin=False)
    assert not two.alice.has_session(two.ids["bob"])
    with pytest.raises(ContactUnknown, match="session"):
        two.say("alice", "hello")
    two.close()


def test_nobody_is_their_own_contact(two: Two) -> None:
    know(two.alice, "me", two.alice.identity.public)  # as notes to self are kept
    with two.alice.prekeys() as ring:
        bundle = ring.invitation(NOW)
    with pytest.raises(ChatMisuse, match="our own"):
        begin(two.alice, bundle)


@pytest.mark.parametrize("name", ["", "x" * 241, "bell\a", "\x1b[31mred"])
def test_a_name_is_printable_and_short(two: Two, name: str) -> None:
    with pytest.raises(ChatMisuse, match="name"):
        know(two.alice, name, two.bob.identity.public)


def test_a_contact_is_renamed_verified_and_given_a_policy(two: Two) -> None:
    know(two.alice, "Robert", two.bob.identity.public)
    with two.alice.contacts() as contacts:
        contacts.set_verified(two.ids["bob"], verified=True)
    two.require("alice")
    two.restart("alice")
    with two.alice.contacts() as contacts:
        (bob,) = contacts.all()
    assert (bob.name, bob.verified, bob.policy.value) == ("Robert", True, "require")


def test_prekeys_are_renewed_when_half_of_their_time_has_passed(two: Two) -> None:
    day = 86_400
    with two.alice.prekeys() as ring:
        assert len(ring.renew(3, NOW)) == 4
        assert ring.renew(3, NOW + 10 * day) == []
        assert len(ring.renew(3, NOW + 16 * day)) == 1
        assert len(ring.renew(3, NOW + 30.5 * day)) == 3
        with pytest.raises(ChatMisuse):
            ring.renew(1001, NOW)


def test_a_one_time_prekey_that_has_served_is_destroyed(two: Two) -> None:
    with two.bob.prekeys() as ring:
        before = ring.bundle(NOW).one_time
    two.say("alice", "hello")
    two.carry("alice")
    with two.bob.prekeys() as ring:
        assert len(ring.renew(2, NOW)) == 1
        assert before is not None
        assert ring.find(before.prekey_id, NOW) is None


def test_a_store_is_open_once(two: Two) -> None:
    with pytest.raises(StoreUnusable, match="in use"):
        open_person(two.folders["alice"])


def test_a_wrong_passphrase_opens_nothing(tmp_path: Path) -> None:
    def protection(text: bytes) -> Passphrase:
        path = tmp_path / text.hex()
        path.touch(mode=0o600)
        path.write_bytes(text)
        return Passphrase(
            Given("passphrase", str(path), "none"), memory_kib=8 << 10, iterations=1, lanes=1
        )

    with Person(tmp_path / "store", protection(b"correct horse battery")) as person:
        who = person.identity.public
    with pytest.raises(KekRefused):
        Person(tmp_path / "store", protection(b"incorrect horse battery"))
    with Person(tmp_path / "store", protection(b"correct horse battery")) as person:
        assert person.identity.public == who


def test_without_its_key_a_store_is_not_opened_nor_replaced(tmp_path: Path) -> None:
    open_person(tmp_path / "store").close()
    (tmp_path / "store" / "key.wrapped").unlink()
    with pytest.raises(KekRefused):
        open_person(tmp_path / "store")


def test_a_row_that_was_moved_or_altered_is_noticed(two: Two) -> None:
    two.say("alice", "genuine")
    two.alice.close()
    path = two.folders["alice"] / "chat.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE history SET content_id = ?", (bytes(16),))
    connection.close()
    two.people["alice"] = open_person(two.folders["alice"])
    with pytest.raises(StoreCorrupt, match="history"):
        two.alice.entries()


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    path = folder / "chat.sqlite"
    path.touch(mode=0o600)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(KekRefused):
        open_person(folder)
    open_person(tmp_path / "other").close()
    for name in ("key.wrapped", "keks"):
        (tmp_path / "other" / name).rename(folder / name)
    with pytest.raises(StoreCorrupt, match=f"version {len(SCHEMAS)}"):
        open_person(folder)


def test_a_message_of_nobody_is_refused(two: Two) -> None:
    with pytest.raises(NotAuthentic):
        two.bob.receive(b"\x02" + bytes(511), NOW)


def test_through_crashes_losses_and_repetitions_all_is_shown_once_and_in_order(
    tmp_path: Path,
) -> None:
    """What is in the outbox is sent until it is handed over; what came before is refused."""
    two = Two(tmp_path, pad=3000)
    drawn = random.Random(8)
    said: dict[str, list[str]] = {"alice": [], "bob": []}
    two.say("alice", "begin")
    said["alice"].append("begin")
    two.settle()
    for number in range(60):
        name = drawn.choice(["alice", "bob"])
        other = two.other(name)
        match drawn.randrange(4):
            case 0:
                two.crash(name)
            case 1:
                said[name].append(f"{name} {number}")
                two.say(name, said[name][-1])
            case 2:  # carried, and the word that it is safe gets lost
                for each in two.people[name].outbox():
                    try:
                        two.people[other].receive(each.payload, NOW, two.ids[name])
                    except Replayed:
                        continue
            case _:
                for each in two.people[name].outbox():
                    with contextlib.suppress(Replayed):
                        two.people[other].receive(each.payload, NOW, two.ids[name])
                    two.people[name].handed_over(each.number)
    for _ in range(3):
        for name in ("alice", "bob"):
            for each in two.people[name].outbox():
                with contextlib.suppress(Replayed):
                    two.people[two.other(name)].receive(each.payload, NOW, two.ids[name])
                two.people[name].handed_over(each.number)
    assert two.texts("bob") == said["alice"]
    assert two.texts("alice") == said["bob"]
    two.close()
