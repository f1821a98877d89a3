"""The window of `bellwire chat`, by its keys, on real messengers over a real relay."""

import asyncio
import stat
import time
from pathlib import Path

import pytest
from tests.chat.messenger.pairs import until
from tests.chat.messenger.servers import Link
from tests.chat.store.people import open_person
from tests.cli.chat_screen.windows import Seat, at_window
from textual.events import Paste
from textual.widgets import TextArea
from textual.worker import WorkerFailed

from bellwire.base.detections import Side
from bellwire.chat.messenger.views import Conversation, LineState, Mode
from bellwire.chat.transfer.code import read_code
from bellwire.chat.transfer.taking import take
from bellwire.cli.chat_screen.lists import Contacts, Messages
from bellwire.cli.chat_screen.opening import theme_of
from bellwire.cli.chat_screen.window import ChatWindow
from bellwire.node.overheard import Message

HOSTILE = "\x1b[31mred\x07 [bold]not bold[/] \u202egnp.exe\u202c שלום 👩\u200d👩\u200d👧 e\u0301"


def test_what_is_said_is_sent_delivered_and_read_and_shows_its_protection(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        assert "Alice → Bob" in seat.shown("who")
        await seat.says("/mode pool")
        await seat.says("hello Bob")
        await seat.message("hello Bob", "pool pad", "✓✓ delivered")
        await seat.bob.messenger.mark_read(await seat.bob.peer())
        await seat.message("hello Bob", "✓✓ read")
        assert "pad left " in seat.shown("facts")
        assert " B, " in seat.shown("facts")
        await seat.sees(lambda: "● Bob" in seat.contacts()[0])
        await seat.sees(lambda: "relay ✓ up  link GREEN (simulated)" in seat.shown("corner"))

    at_window(tmp_path, story)


def test_what_was_said_long_ago_is_no_sign_that_somebody_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(seat: Seat) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(seat.bob.messenger, "_now", lambda: time.time() - 300)
            await seat.bob.messenger.send(await seat.bob.peer(), "I was here")
        await seat.message("I was here")
        assert "○ Bob" in seat.contacts()[0]
        await seat.bob.messenger.send(await seat.bob.peer(), "and am again")
        await seat.sees(lambda: "● Bob" in seat.contacts()[0])

    at_window(tmp_path, story)


def test_unread_messages_are_counted_until_their_conversation_is_open(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.press("ctrl+p")
        await seat.sees(lambda: "notes" in seat.shown("facts"))
        for text in ("one", "two"):
            await seat.bob.messenger.send(await seat.bob.peer(), text)
        await seat.sees(lambda: seat.contacts()[0].endswith(" 2"))
        assert await seat.bob.states() != ["read", "read"]
        await seat.press("ctrl+n")
        await seat.message("two")
        await seat.sees(lambda: not seat.contacts()[0].endswith("2"))

        async def read() -> bool:
            return await seat.bob.states() == ["read", "read"]

        await until(read)

    at_window(tmp_path, story)


def test_the_code_of_an_exported_history_is_shown_until_it_is_put_away(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.says("/mode pool")
        await seat.says("hello Bob")
        await seat.message("hello Bob", "✓✓ delivered")
        await seat.says(f"/history export {tmp_path / 'history'}")
        await seat.sees(lambda: "1 messages and 1 people exported" in seat.panel())
        (row,) = [each.strip() for each in seat.panel().splitlines() if each.count("-") == 7]
        await seat.press("escape")
        person = open_person(tmp_path / "laptop")
        taken = take(person, tmp_path / "history", read_code(row), time.time())
        assert (taken.messages, taken.people) == (1, 1)
        person.close()
        await seat.says("/history 20")
        await seat.sees(lambda: "expected /history export FILE" in seat.shown("notice"))

    at_window(tmp_path, story)


def test_eve_cannot_be_missed_what_was_kept_goes_by_one_key_and_the_session_is_shown(
    tmp_path: Path,
) -> None:
    async def story(seat: Seat) -> None:
        peer = await seat.alice.peer()
        assert "a pad for each message" in seat.shown("facts")
        seat.link.eve = True
        await seat.says("secret")
        await seat.sees(lambda: "EVE MAY BE LISTENING" in seat.shown("alert"))
        assert "S = 1.360 ± 0.011, QBER 14.0%" in seat.shown("alert")
        assert "Ctrl+R" in seat.shown("alert")
        assert seat.window.query_one("#alert").has_class("-eve")
        await seat.message("secret", "✗ NOT SENT", "the pairs were disturbed")
        assert "✗ S 1.360 ± 0.011 · QBER 14.0%" in seat.shown("session")
        assert await seat.bob.texts() == []
        await seat.says("/eve")
        assert "with Bob: S 1.360 ± 0.011 · QBER 14.0%" in seat.panel()
        await seat.press("escape")

        seat.link.eve = False
        await seat.press("ctrl+r")
        await seat.message("secret", "own session", "✓✓ delivered")
        await seat.sees(lambda: "CLEAR AGAIN" in seat.shown("alert"))
        assert "✓ S 2.720 ± 0.011 · QBER 2.0% · 150,000 pairs" in seat.shown("session")
        await seat.press("escape", "escape")
        assert seat.shown("alert") == ""
        await seat.says("/session")
        await seat.sees(lambda: "accepted" in seat.panel())
        (record,) = await seat.alice.messenger.session(
            peer, (await seat.alice.lines())[-1].message_id
        )
        assert record.session in seat.panel()

    at_window(tmp_path, story)


def test_who_is_written_to_under_eve_is_told_and_the_alert_goes_when_the_message_comes(
    tmp_path: Path,
) -> None:
    async def story(seat: Seat) -> None:
        peer = await seat.bob.peer()
        await seat.bob.messenger.set_mode(peer, Mode.FRESH)
        seat.link.eve = True
        said = await seat.bob.messenger.send(peer, "to Alice")
        await seat.sees(lambda: "Bob could not send to you" in seat.shown("alert"))
        assert "nothing that you must do" in seat.shown("alert")
        seat.link.eve = False
        await seat.bob.messenger.resend(peer, said.message_id)
        await seat.message("to Alice", "own session")
        await seat.sees(lambda: seat.shown("alert") == "")

    at_window(tmp_path, story)


def test_without_pad_the_window_says_so_before_and_after(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.says("/mode pool")
        await seat.says("/policy require")
        await seat.says("kept")
        await seat.message("kept", "✗ NOT SENT")
        await seat.sees(lambda: "not sent to Bob" in seat.shown("alert"))
        assert "pad left 0 B, 0 messages" in seat.shown("facts")
        assert "never without pad" in seat.shown("facts")
        await seat.says("/policy prefer")
        await seat.message("kept", "AES only", "✓✓ delivered")

    at_window(tmp_path, story, link=Link(stock_bytes=0))


def test_keys_alone_reply_edit_and_take_back(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.bob.messenger.send(await seat.bob.peer(), "lunch?")
        await seat.message("lunch?")
        await seat.press("up", "r")
        assert "Replying to “lunch?”" in seat.shown("about")
        await seat.press(*"yse", "enter")
        await seat.message("↳ “lunch?” yse", "✓✓ delivered")
        await seat.press("up", "e", "backspace", "backspace", *"es", "enter")
        await seat.message("↳ “lunch?” yes (edited)")
        assert seat.shown("about") == ""

        async def edited() -> bool:
            return await seat.bob.texts() == ["yes"]

        await until(edited)
        await seat.press("up", "d")
        assert "once more" in seat.shown("notice")
        assert (await seat.alice.lines())[-1].state is not LineState.DELETED
        await seat.press("d")
        await seat.message("taken back")
        await seat.press("up", "d")
        assert "of yours to take back" in seat.shown("notice"), "their message is not ours"

    at_window(tmp_path, story)


def test_words_are_found_in_all_conversations_and_the_message_is_opened(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.alice.messenger.send(seat.alice.messenger.me, "buy NEEDLES")
        for number in range(130):
            await seat.alice.messenger.send(seat.alice.messenger.me, f"hay {number}")
        await seat.says("/search needles")
        await seat.sees(lambda: "buy NEEDLES" in seat.panel())
        await seat.press("enter")
        await seat.sees(lambda: seat.window.focused is seat.window.query_one(Messages))
        option = seat.window.query_one(Messages).highlighted_option
        assert option is not None
        assert "buy NEEDLES" in str(option.prompt)
        await seat.says("/search nothing like it")
        assert "words of some message" in seat.shown("notice")

    at_window(tmp_path, story)


def test_nothing_of_others_moves_the_terminal_and_their_scripts_stay(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.bob.messenger.send(await seat.bob.peer(), HOSTILE)
        row = await seat.message("not bold")
        assert "␛[31mred␇ [bold]not bold[/] <U+202E>gnp.exe<U+202C> שלום 👩\u200d👩" in row
        drawn = seat.window.export_screenshot()
        assert "\x1b" not in drawn
        assert "\u202e" not in drawn
        await seat.press("up", "s")
        await seat.sees(lambda: seat.panel() != "")
        assert "[bold]not" in str(seat.window.screen.query_one(".panel").border_title)

    at_window(tmp_path, story)


def test_a_paste_keeps_its_lines_and_brings_no_control_along(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        composer = seat.window.query_one("#composer", TextArea)
        seat.window.post_message(Paste("one\x1b[2J\r\ntwo\u00a0three"))
        await seat.sees(lambda: composer.text == "one[2J\ntwo three")
        await seat.press("ctrl+j", *"four", "enter")
        await seat.message("one[2J\ntwo three\nfour")

    at_window(tmp_path, story)


def test_the_safety_number_is_shown_and_counts_as_compared_only_when_one_says_so(
    tmp_path: Path,
) -> None:
    async def story(seat: Seat) -> None:
        peer = await seat.alice.peer()
        number = (await seat.alice.messenger.safety(peer)).number
        await seat.says("/verify")
        await seat.sees(lambda: number.split()[0] in seat.panel())
        assert all(group in seat.panel() for group in number.split())
        assert "▀" in seat.panel()
        await seat.press("escape")
        assert not (await seat.alice.messenger.conversation(peer)).verified
        await seat.says("/verify")
        await seat.sees(lambda: seat.panel() != "")
        await seat.press("y")
        await seat.sees(lambda: " verified" in seat.shown("facts").replace("not verified", ""))
        assert (await seat.alice.messenger.conversation(peer)).verified

    at_window(tmp_path, story)


def test_people_meet_by_a_link_from_window_to_window(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        file = tmp_path / "link"
        await seat.says(f"/link {file}")
        await seat.sees(lambda: "one person" in seat.shown("notice"))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        await seat.says(f"/link {file}")
        assert "new file" in seat.shown("notice")
        await seat.bob.messenger.add(await asyncio.to_thread(file.read_text))
        await seat.sees(lambda: "Bob has used your contact link" in seat.shown("alert"))
        other = tmp_path / "another"
        await asyncio.to_thread(other.write_text, await seat.bob.messenger.invite())
        await seat.says(f"/add {other}")
        await seat.sees(lambda: "Alice → Bob" in seat.shown("who"))
        await seat.says("/rename Robert")
        await seat.sees(lambda: "Robert" in seat.contacts()[0])

    at_window(tmp_path, story, meet=False)


REFUSED = (
    ("/nonsense", "a command of /help"),
    ("/re", "a command of /help"),
    ("/mode", "/mode pool|fresh, got nothing"),
    ("/mode sideways", "pool or /mode fresh"),
    ("/policy never", "require, prefer or off"),
    ("/timer -1", "seconds"),
    ("/timer 99999999999", "seconds"),
    ("/help me", "/help alone"),
    ("/to nobody", "one contact, got that of 0"),
    ("/add /no/such/file", "a contact link, or a file"),
    ("/add bellwire-contact:AAAA", "link"),
    ("/eve active ghz", "a link of the lab"),
    ("/eve ghz", "/eve off, /eve passive"),
    ("/reply hm", "of theirs to reply to"),
    ("/delete", "of yours to take back"),
    ("/theme pink", "dark or /theme light"),
    ("x" * 70_000, "an attachment"),
)


def test_what_cannot_be_done_is_said_and_nothing_of_it_is_sent(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        for line, said in REFUSED:
            await seat.says(line)
            await seat.sees(lambda said=said: said in seat.shown("notice"))  # type: ignore[misc]
        assert seat.messages() == []
        assert seat.window.query_one("#composer", TextArea).text == REFUSED[-1][0], "it stays"

    at_window(tmp_path, story, meet=False)


def test_what_may_be_typed_has_an_effect(tmp_path: Path) -> None:
    class Lab:
        def __init__(self) -> None:
            self.asked: list[tuple[str | None, float]] = []

        async def eve(self, kind: str | None, share: float) -> str:
            self.asked.append((kind, share))
            return "as you wish"

        async def overheard(self) -> list[Message]:
            return [Message(1, "0" * 36, Side.ALICE, 2, "settings", 4000, bytes(range(32)))]

    lab = Lab()

    async def story(seat: Seat) -> None:
        await seat.says("//hello")
        await seat.message("/hello")
        await seat.says("/timer 60")
        await seat.sees(lambda: "gone in 60 s" in seat.shown("facts"))
        await seat.says("/eve active ghz:0.5")
        await seat.says("/eve off")
        await seat.sees(lambda: seat.shown("notice") == "as you wish")
        assert lab.asked == [("ghz", 0.5), (None, 1.0)]
        await seat.says("/eve passive")
        await seat.sees(lambda: "4,000 B  0001020304050607" in seat.panel())
        await seat.press("escape")
        await seat.says("/status")
        await seat.sees(lambda: "reachable" in seat.panel())
        await seat.press("escape")
        await seat.says("/theme light")
        assert not seat.window.current_theme.dark
        await seat.press("f1")
        assert "/resend" in seat.panel()
        await seat.press("escape")
        await seat.says("/to notes")
        await seat.sees(lambda: "Notes" in seat.shown("who"))
        await seat.says("/quit")
        await seat.sees(lambda: not seat.window.is_running)

    at_window(tmp_path, story, lab=lab)


def test_any_size_has_the_messages_and_the_input_line(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.says("a long one " * 30)
        await seat.message("a long one", "✓✓ delivered")
        while seat.shown("alert"):  # that Bob used the link, if the window was there in time
            await seat.press("escape")
        composer = seat.window.query_one("#composer")
        messages, contacts = (seat.window.query_one(name) for name in ("#messages", "#contacts"))
        for width, height in ((20, 8), (200, 60), (80, 24)):

            def fits(width: int = width, height: int = height) -> bool:
                return (
                    composer.region.bottom <= height
                    and composer.region.height >= 1
                    and messages.region.height >= 3
                    and (contacts.region.width > 0) == (width >= 64)
                    and seat.window.size == (width, height)
                )

            await seat.pilot.resize_terminal(width, height)
            await seat.sees(fits)

    at_window(tmp_path, story)


def test_typing_is_told_and_seen(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.sees(lambda: seat.alice.messenger.link.sending)
        await seat.press(*"hel")

        async def typing() -> bool:
            return (await seat.bob.messenger.conversation(await seat.bob.peer())).typing

        await until(typing)
        await seat.sees(lambda: True)

        async def theirs() -> bool:
            await seat.bob.messenger.typing(await seat.bob.peer())
            return "typing" in seat.contacts()[0]

        await until(theirs)
        assert "is typing" in seat.shown("who")

    at_window(tmp_path, story)


def test_what_is_typed_before_a_conversation_is_open_is_said_to_nobody(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        messenger, may_begin = seat.alice.messenger, asyncio.Event()
        contacts = messenger.contacts

        async def slow() -> list[Conversation]:
            await may_begin.wait()
            return await contacts()

        messenger.contacts = slow  # type: ignore[method-assign]
        window = ChatWindow(messenger)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(window.run_async(headless=True, size=(80, 24)))
            while not window.is_running:
                await asyncio.sleep(0.01)
            for key in ("h", "i", "enter", "ctrl+n", "ctrl+o", "f2", "up"):
                window.simulate_key(key)
            may_begin.set()
            while window.focused is None:
                await asyncio.sleep(0.01)
            assert window.query_one("#composer", TextArea).text == ""
            assert window.query_one(Contacts).typed == ""
            window.exit()
            await running
        assert await messenger.history(messenger.me) == []
        assert await seat.alice.lines() == []

    at_window(tmp_path, story)


def test_a_failure_ends_the_window_without_printing_what_is_in_memory(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        async def broken(*_: object) -> None:
            raise RuntimeError("the disk is gone")

        seat.alice.messenger.conversation = broken  # type: ignore[assignment, method-assign]
        await seat.bob.messenger.send(await seat.bob.peer(), "hello")
        await seat.sees(lambda: seat.window.failure is not None)
        assert str(seat.window.failure) == "the disk is gone"
        assert seat.window._exit_renderables == []

    with pytest.raises(WorkerFailed):
        at_window(tmp_path, story)


def test_the_theme_follows_what_the_terminal_says_of_its_background() -> None:
    assert [theme_of(each) for each in ("0;15", "0;default;7", "15;0", "")] == [
        "light", "light", "dark", "dark",
    ]  # fmt: skip
