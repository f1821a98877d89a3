"""The code of the safety number: whole, with its quiet zone, or not at all."""

from pathlib import Path

from tests.cli.chat_screen.windows import Seat, at_window

from bellwire.chat.safety import safety_code
from bellwire.cli.chat_screen import qr


def test_the_code_has_four_light_modules_on_each_side() -> None:
    rows = qr.code(safety_code(bytes(32), bytes(range(32)))).plain.split("\n")
    assert (len(rows), {len(row) for row in rows}) == (qr.ROWS, {qr.CELLS})
    tops = [[cell in "▀█" for cell in row] for row in rows]
    bottoms = [[cell in "▄█" for cell in row] for row in rows]
    modules = [row for pair in zip(tops, bottoms, strict=True) for row in pair][: qr.CELLS]
    dark = [(y, x) for y, row in enumerate(modules) for x, cell in enumerate(row) if cell]
    for axis in (0, 1):
        places = [each[axis] for each in dark]
        assert (min(places), max(places)) == (4, qr.CELLS - 5)


def test_the_code_is_whole_in_80_by_24_and_a_smaller_terminal_says_what_to_do(
    tmp_path: Path,
) -> None:
    async def story(seat: Seat) -> None:
        await seat.says("/verify")
        await seat.sees(lambda: seat.panel() != "")
        code, wider = (seat.window.screen.query_one(each) for each in ("#code", "#wider"))
        await seat.sees(lambda: code.region.size == (qr.CELLS, qr.ROWS))
        assert seat.window.screen.region.contains_region(code.region)
        assert not wider.display
        for width, height in ((79, 22), (60, 24)):
            await seat.pilot.resize_terminal(width, height)
            await seat.sees(lambda: bool(wider.display))
            assert not code.display
        await seat.pilot.resize_terminal(80, 24)
        await seat.sees(lambda: bool(code.display))

    at_window(tmp_path, story)
