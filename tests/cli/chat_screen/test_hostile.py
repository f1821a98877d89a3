"""Whatever others write, call themselves or call their files: the terminal and its layout hold."""

import time
import unicodedata
from pathlib import Path

from tests.chat.messenger.test_attachments import written
from tests.cli.chat_screen.windows import Seat, at_window
from textual.events import Paste
from textual.widgets import TextArea

from bellwire.cli.chat_screen.view import LIST_CELLS

MESSAGES = (
    "\x1b[2J\x1b[31mred\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x9b31m\x00\x7f\x85",
    "[bold]not bold[/bold] [/] [@click=app.quit]press[/] $text {x} %s \\[x]",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200fmark\u061c",
    "שלום עולם \u200f مرحبا بالعالم",
    "👩\u200d👩\u200d👧 👋🏽 🇩🇪 ❤\ufe0f \u200b\u2060\ufeff zero",
    "z" + "\u0301" * 5000 + "algo",
    "漢字かな交じり文" * 30,
    "w" * 5000,
    "\n".join("rows" for _ in range(200)),
    "tab\there\vand\fthere\rcarriage\u2028line\u2029paragraph",
)
NAME = "[b]../../x[/] 👩 שלום 漢字"


def rows(seat: Seat) -> list[str]:
    """What is on the screen, cell by cell."""
    window = seat.window
    strips = window.screen._compositor.render_strips(window.size)
    assert [each.cell_length for each in strips] == [window.size.width] * window.size.height
    return [each.text for each in strips]


def whole(seat: Seat) -> None:
    """No control character is drawn, and the list's border stands in one column."""
    for row in rows(seat):
        assert not any(unicodedata.category(each) in {"Cc", "Cs"} for each in row)
    strips = seat.window.screen._compositor.render_strips(seat.window.size)
    region = seat.window.query_one("#middle").region
    for strip in strips[region.y : region.bottom]:
        edge = strip.crop(LIST_CELLS + 1, LIST_CELLS + 2)
        assert edge.text == "│", strip.text


def test_no_message_breaks_the_layout_at_any_width(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        peer = await seat.bob.peer()
        for text in MESSAGES:
            await seat.bob.messenger.send(peer, text)
        await seat.sees(lambda: len(seat.messages()) == len(MESSAGES))
        for width in (80, 101):
            await seat.pilot.resize_terminal(width, 24)
            await seat.press("up")
            for _ in MESSAGES:
                whole(seat)
                await seat.press("up")
            await seat.press("escape")

    at_window(tmp_path, story)


def test_no_name_of_a_person_or_a_file_breaks_the_layout(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.alice.messenger.rename(await seat.alice.peer(), NAME)
        await seat.sees(lambda: "[b]../../x[/]" in seat.contacts()[0])
        for name in ("-rf [b]x[b].txt", "a\x1b[2J\u202efdp.exe", "漢" * 60 + ".bin"):
            path = written(tmp_path / "home", name, 10)
            await seat.bob.messenger.attach(await seat.bob.peer(), path)
        await seat.message("file _rf [b]x[b].txt, 10 B")
        await seat.message("file a[2Jfdp.exe, 10 B")
        await seat.message("漢漢")
        whole(seat)
        for command in ("/status", "/verify", "/session", "/search rf", "/eve"):
            await seat.says(command)
            await seat.sees(lambda: seat.panel() != "")
            rows(seat)
            await seat.press("escape")

    at_window(tmp_path, story)


def test_nothing_that_is_written_looks_like_the_beginning_of_another_message(
    tmp_path: Path,
) -> None:
    async def story(seat: Seat) -> None:
        clock = time.strftime("%H:%M")
        fake = f"{clock} you I owe you 100  own session  ✓✓ read"
        await seat.bob.messenger.send(await seat.bob.peer(), f"hello\n{fake}")
        for fill in (1, 2, 3):
            padded = "\u00a0" * (20 * fill) + " " + "\u3000" * 20 + " " + fake
            await seat.bob.messenger.send(await seat.bob.peer(), padded)
        await seat.sees(lambda: len(seat.messages()) == 4)
        for row in rows(seat):
            _, edge, said = row.partition("│")
            if edge and "Bob" not in said:
                assert said.startswith("   "), row

    at_window(tmp_path, story)


def test_a_paste_of_ten_megabytes_is_refused_at_once_and_the_words_before_it_stay(
    tmp_path: Path,
) -> None:
    async def story(seat: Seat) -> None:
        composer = seat.window.query_one("#composer", TextArea)
        await seat.press(*"hi")
        seat.window.post_message(Paste("x" * 10_000_000))
        await seat.sees(lambda: "10,000,000 characters" in seat.shown("notice"))
        assert "/attach PATH" in seat.shown("notice")
        assert composer.text == "hi"
        await seat.press("enter")
        await seat.message("hi", "✓✓ delivered")

    at_window(tmp_path, story)


def test_the_longest_paste_is_one_message(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.says("/policy off")
        seat.window.post_message(Paste("long " * 13_000))
        composer = seat.window.query_one("#composer", TextArea)
        await seat.sees(lambda: len(composer.text) == 65_000)
        await seat.press("enter")
        await seat.message("long long", "✓✓ delivered")
        whole(seat)

    at_window(tmp_path, story)
