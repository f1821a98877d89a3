"""Files in the window: attached, shown with size and protection, saved; paths by Tab."""

import asyncio
from pathlib import Path

import pytest
from tests.chat.messenger.test_attachments import file_of, written
from tests.cli.chat_screen.windows import Seat, at_window
from textual.widgets import TextArea

from bellwire.chat.content import MAX_PADDED_BYTES
from bellwire.chat.messenger.views import AttachmentState
from bellwire.cli.chat_screen.completion import complete
from bellwire.cli.chat_screen.files import bar


def test_files_are_attached_with_their_size_progress_and_protection(tmp_path: Path) -> None:
    small = written(tmp_path / "home", "plan.pdf", 40_000)
    large = written(tmp_path / "home", "raw.h5", 1_500_000)

    async def story(seat: Seat) -> None:
        await seat.says(f"/attach {small}")
        row = await seat.message("file plan.pdf, 40.0 kB", "own session", "✓✓ delivered")
        assert "AES" not in row
        await seat.says(f"/attach {large}")
        await seat.message("file raw.h5, 1.5 MB", "AES-256-GCM, key under pad", "all with them")
        assert seat.shown("notice") == ""
        await seat.says(f"/attach {tmp_path / 'missing'}")
        await seat.sees(lambda: "✗ expected to read" in seat.shown("notice"))
        composer = seat.window.query_one("#composer", TextArea)
        await seat.sees(lambda: composer.text == f"/attach {tmp_path / 'missing'}")

    at_window(tmp_path, story)


def test_a_file_of_theirs_is_saved_where_one_says_and_over_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "x").write_text("was here before")

    async def story(seat: Seat) -> None:
        peer = await seat.bob.peer()
        for name, size in (("../../x", 5), ("data.bin", MAX_PADDED_BYTES + 1)):
            path = written(tmp_path / "home", Path(name).name, size)
            await seat.bob.messenger.attach(peer, path)
        await seat.message("file x, 5 B", "own session", "here: /save")
        await seat.message("file data.bin, 65.5 kB", "AES-256-GCM, key under pad", "here: /save")
        await seat.press("up", "w")
        assert "Folder or new file for “data.bin”" in seat.shown("about")
        composer = seat.window.query_one("#composer", TextArea)
        assert composer.text == "./"
        await seat.says(str(folder / "x"))
        await seat.sees(lambda: "is there already" in seat.shown("notice"))
        assert composer.text == str(folder / "x")
        assert "new file for" in seat.shown("about"), "another name may follow"
        await seat.says(str(folder / "y"))
        await seat.message("file data.bin", "saved")
        assert (folder / "y").read_bytes() == (tmp_path / "home" / "data.bin").read_bytes()
        await seat.sees(lambda: str(folder / "y") in seat.shown("notice"))
        await seat.says(f"/save {folder}")
        await seat.message("file x", "saved")
        assert sorted(each.name for each in folder.iterdir()) == ["x", "x (1)", "y"]
        assert (folder / "x").read_text() == "was here before"
        await seat.press("up", "w", "escape")
        assert seat.shown("about") == ""
        assert composer.text == ""

    at_window(tmp_path, story)


def test_a_file_for_another_conversation_is_told_of_when_it_is_here(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.says("/to me")
        await seat.sees(lambda: "notes" in seat.shown("facts"))
        path = written(tmp_path / "home", "[bold]x.bin", 200_000)
        await seat.bob.messenger.attach(await seat.bob.peer(), path)
        await seat.sees(lambda: "a file of Bob is here: [bold]x.bin" in seat.shown("notice"))
        await seat.press("up", "up", "w")
        await seat.says("/save")
        await seat.sees(lambda: "a file of theirs" in seat.shown("notice"))
        await file_of(seat.alice, AttachmentState.HERE)

    at_window(tmp_path, story)


def test_tab_completes_commands_people_and_paths_and_else_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    for name in ("one a.txt", "one b.txt", ".hidden"):
        (folder / name).touch()

    async def story(seat: Seat) -> None:
        composer = seat.window.query_one("#composer", TextArea)

        async def tab(typed: str, wanted: str) -> None:
            composer.focus()
            composer.load_text(typed)
            composer.move_cursor(composer.document.end)
            await seat.press("tab")
            await seat.sees(lambda: composer.text == wanted)

        await tab("/att", "/attach ")
        await tab(f"/attach {tmp_path}/de", f"/attach {folder}/")
        await tab(f"/attach {folder}/o", f"/attach {folder}/one ")
        await seat.sees(lambda: "one a.txt  one b.txt" in seat.shown("notice"))
        await tab("/to b", "/to Bob")
        await tab("words", "words")
        assert seat.window.focused is not composer

    at_window(tmp_path, story)


def test_completion_keeps_what_is_typed_and_shows_no_name_that_is_not_printable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "Größe").mkdir()
    (tmp_path / "Größe" / "x\x1b[2J").touch()
    (tmp_path / "Größe" / ".rc").touch()

    def line(typed: str) -> str | None:
        found = complete(typed, ["Bob"])
        return None if found is None else found.line

    assert line("/save 2 ~/gr") == "/save 2 ~/Größe/"
    assert line("/save ~/Größe/") == "/save ~/Größe/"
    assert line("/attach ~/Größe/.") == "/attach ~/Größe/.rc"
    assert line("/attach ~/none/x") == "/attach ~/none/x"
    assert line("/attach ~nobody-of-this-name/x") == "/attach ~nobody-of-this-name/x"
    assert line("/attach \0") == "/attach \0"
    for other in ("/add @bo", "/add bellwire-contact:A", "/timer 3", "//x", "words", "/a\nb"):
        assert line(other) is None
    found = complete("/re", [])
    assert found is not None
    assert list(found.choices) == ["rename", "requests", "reply", "resend"]


def test_a_bar_is_full_only_when_all_is_there() -> None:
    assert bar(0, 10) == "░░░░░░░░░░ 0 %"
    assert bar(9_999, 10_000) == "█████████░ 99 %"
    assert bar(10, 10) == "██████████ 100 %"
    assert bar(0, 0) == "██████████ 100 %"


def test_the_input_line_goes_on_while_a_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "home", "raw.h5", 300_000)

    async def story(seat: Seat) -> None:
        read = asyncio.Event()
        whole = seat.alice.messenger.attach

        async def slow(contact: bytes, path: Path, progress: object = None) -> object:
            await read.wait()
            return await whole(contact, path, progress)  # type: ignore[arg-type]

        monkeypatch.setattr(seat.alice.messenger, "attach", slow)
        await seat.says(f"/attach {path}")
        await seat.says("meanwhile")
        await seat.message("meanwhile", "✓✓ delivered")
        read.set()
        await seat.message("file raw.h5", "all with them")

    at_window(tmp_path, story)
