"""The list of people: its order, what its rows say, and how typing narrows it."""

from dataclasses import replace
from pathlib import Path

from tests.cli.chat_screen.windows import Seat, at_window
from textual.widgets import TextArea

from bellwire.chat.messenger.views import Conversation, Line, LineState, Mode
from bellwire.chat.pads import Policy
from bellwire.chat.store.work import NO_PROTECTION
from bellwire.cli.chat_screen.people import in_order, meant, next_protection


def entry(name: str, latest: int = 0, unread: int = 0, *, is_notes: bool = False) -> Conversation:
    line = Line(
        latest, name.encode(), b"", False, "", 0, LineState.RECEIVED, None, None, False,
        NO_PROTECTION,
    )  # fmt: skip
    return Conversation(
        name.encode(), name, is_notes, unread, line if latest else None, 0, 0, Policy.PREFER,
        Mode.FRESH, False, 0, False, True,
    )  # fmt: skip


def test_unread_come_first_then_who_was_talked_with_last_and_notes_come_last() -> None:
    notes = entry("Notes", 99, is_notes=True)
    old, new, silent = entry("Old", 3), entry("New", 8), entry("Silent")
    waits, waits_more = entry("Waits", 1, 2), entry("Waits more", 2, 1)
    given = [notes, silent, old, waits, new, waits_more]
    assert in_order(given) == [waits_more, waits, new, old, silent, notes]
    read = replace(waits_more, unread=0)
    given[-1] = read
    assert in_order(given, kept=read.contact) == [read, waits, new, old, silent, notes]
    assert in_order(given) == [waits, new, old, read, silent, notes]


def test_who_is_meant_has_all_words_that_were_typed_in_their_name() -> None:
    entries = [entry("Ann Miller"), entry("Miriam ANNE"), entry("Bob [x]")]
    assert meant(entries, "") == entries
    assert meant(entries, "an mi") == entries[:2]
    assert meant(entries, "MILLER") == entries[:1]
    assert meant(entries, "[x") == entries[2:]
    assert meant(entries, ".*") == []


def test_the_protection_of_the_next_message_is_what_mode_policy_and_stock_make_it() -> None:
    fresh = entry("Bob")
    pool = replace(fresh, mode=Mode.POOL)
    assert next_protection(fresh) == ("own", True)
    assert next_protection(replace(fresh, policy=Policy.OFF)) == ("AES", False)
    assert next_protection(replace(pool, pad_messages=1)) == ("pool", True)
    assert next_protection(pool) == ("AES", False)
    assert next_protection(replace(pool, policy=Policy.REQUIRE)) == ("pool", False)
    assert next_protection(entry("Notes", is_notes=True)) == ("", True)


def test_typing_in_the_list_narrows_it_and_enter_opens(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.press("ctrl+o", *"self")
        await seat.sees(lambda: seat.shown("filter") == "find self")
        assert [each.split()[1] for each in seat.contacts()] == ["Notes"]
        await seat.press("x")
        await seat.sees(lambda: seat.shown("filter") == "find selfx: nobody")
        assert seat.contacts() == []
        await seat.press("enter", "backspace", "enter")
        await seat.sees(lambda: "Notes" in seat.shown("who"))
        assert seat.window.focused is seat.window.query_one("#composer", TextArea)
        await seat.sees(lambda: len(seat.contacts()) == 2)
        assert seat.shown("filter") == ""
        await seat.press("ctrl+o", *"bo", "escape")
        assert seat.window.focused is seat.window.query_one("#contacts")
        await seat.press("escape")
        assert seat.window.focused is seat.window.query_one("#composer", TextArea)
        assert seat.window.query_one("#composer", TextArea).text == ""

    at_window(tmp_path, story)


def test_a_narrow_terminal_has_the_list_while_one_chooses(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        people = seat.window.query_one("#people")
        assert people.region.width == 0
        await seat.press("ctrl+o")
        await seat.sees(lambda: people.region.width == 40)
        await seat.press(*"self", "enter")
        await seat.sees(lambda: "Notes" in seat.shown("who"))
        assert people.region.width == 0

    at_window(tmp_path, story, size=(40, 15))


def test_the_list_says_protection_and_how_many_are_unread(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.sees(lambda: seat.contacts()[0].endswith("Bob              own"))
        await seat.says("/policy off")
        await seat.sees(lambda: seat.contacts()[0].endswith("AES"))
        await seat.says("/to me")
        await seat.sees(lambda: "notes" in seat.shown("facts"))
        await seat.bob.messenger.send(await seat.bob.peer(), "hello")
        await seat.sees(lambda: seat.contacts()[0].endswith("AES 1"))

    at_window(tmp_path, story)


def test_who_has_nobody_is_told_what_to_do(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.sees(lambda: "/link FILE" in seat.shown("welcome"))
        assert "/add @HANDLE" in seat.shown("welcome")
        await seat.bob.messenger.add(await seat.alice.messenger.invite())
        await seat.sees(lambda: seat.shown("welcome") == "")

    at_window(tmp_path, story, meet=False)
