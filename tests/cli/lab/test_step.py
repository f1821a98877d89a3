"""`bellwire lab step`: the window by its keys, and the same as text."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.patience import PATIENCE_S
from textual.pilot import Pilot
from textual.widgets import Static

from bellwire import lab
from bellwire.cli.lab.walker import Walker, scale
from bellwire.cli.main import run
from bellwire.lab import dispatch
from bellwire.lab.experiment import Experiment
from bellwire.lab.walk import Walk

Keys = Callable[[Pilot[None], Walker], Awaitable[None]]


def window(
    keys: Keys, protocol: str = "e91", size: tuple[int, int] = (80, 24), **words: object
) -> None:
    """Open the window on a walk, and press keys in it."""
    planned = dispatch.experiment(protocol, {"pulses": 3000, "seed": 1, **words})
    assert isinstance(planned, Experiment)

    async def pressed() -> None:
        async with asyncio.timeout(PATIENCE_S):
            app = Walker(Walk(planned))
            async with app.run_test(size=size) as pilot:
                await keys(pilot, app)

    asyncio.run(pressed())


def shown(app: Walker, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).content)


def test_each_key_lets_as_many_photons_pass_as_it_says() -> None:
    async def keys(pilot: Pilot[None], app: Walker) -> None:
        assert "Space lets the first one pass" in shown(app, "photon")
        await pilot.press("space", "right", "n")
        assert "12 of 3,000" in shown(app, "head")
        assert "Alice draws the setting" in shown(app, "photon")
        assert "Bob draws the setting" in shown(app, "photon")
        await pilot.press("N", "m")
        assert "1,112 of 3,000" in shown(app, "head")
        assert "S 0 … 3" in shown(app, "figures")
        await pilot.press("m", "m", "space")
        assert "3,000 of 3,000" in shown(app, "head")
        assert "The block is over" in shown(app, "verdict")

    window(keys)


def test_eve_comes_changes_and_goes() -> None:
    async def keys(pilot: Pilot[None], app: Walker) -> None:
        assert "Eve: nobody" in shown(app, "head")
        await pilot.press("e", "space")
        assert "Eve: intercept-resend, 100%" in shown(app, "head")
        assert "Eve takes the photon" in shown(app, "photon")
        await pilot.press("minus", "minus", "space")
        assert "Eve: intercept-resend, 80%" in shown(app, "head")
        assert "whether this one, only she knows" in shown(app, "photon")
        await pilot.press("plus", "k")
        assert "Eve: breidbart, 90%" in shown(app, "head")
        await pilot.press("e", "space")
        assert "Eve: nobody" in shown(app, "head")
        assert "Eve" not in shown(app, "photon")

    window(keys, "bb84")


def test_the_verdict_is_the_sessions_own() -> None:
    async def keys(pilot: Pilot[None], app: Walker) -> None:
        await pilot.press("e", "m", "m", "m", "v")
        await app.workers.wait_for_complete()
        await pilot.pause()
        expected = lab.run("bb84", pulses=3000, seed=1, eve="intercept-resend")
        assert shown(app, "verdict") == f"After 3,000: abort: {expected.reason}"

    window(keys, "bb84")


def test_restart_repeats_the_photons_and_auto_plays_until_it_is_stopped() -> None:
    async def keys(pilot: Pilot[None], app: Walker) -> None:
        await pilot.press("n")
        first = shown(app, "photon")
        await pilot.press("r")
        assert "0 of 3,000" in shown(app, "head")
        await pilot.press("n")
        assert shown(app, "photon") == first
        await pilot.press("a")
        assert "plays" in shown(app, "head")
        app._play()
        assert "11 of 3,000" in shown(app, "head")
        await pilot.press("a")
        assert "plays" not in shown(app, "head")
        await pilot.press("question_mark")
        assert app.query_one("#help").display
        await pilot.press("q")
        assert not app.is_running

    window(keys, "bbm92")


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 60)])
@pytest.mark.parametrize("protocol", ["e91", "bb84"])
def test_the_latest_photons_fit_any_terminal(protocol: str, size: tuple[int, int]) -> None:
    async def keys(pilot: Pilot[None], app: Walker) -> None:
        await pilot.press("N")
        rows = shown(app, "track").splitlines()
        assert [row.split()[0] for row in rows] == ["Alice", "Bob", "use"]
        assert max(map(len, rows)) <= size[0] - 4

    window(keys, protocol, size, km=5)


def test_a_bar_marks_value_error_and_limits_where_they_are() -> None:
    assert scale(0.5, 0.2, 0.0, 1.0, (1.0,), width=11) == "···──●──··¦"[:3] + "──●──··¦"
    assert scale(0.0, 0.5, 0.0, 1.0, (), width=11) == "●─────·····"
    assert scale(2.0, 0.0, 0.0, 1.0, (), width=3) == "··●", "beyond the end it stands there"


def text(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert run(["lab", "step", *words]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def test_a_pipe_gets_the_steps_the_statistics_and_the_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = text(capsys, "bb84", "--pulses", "3000", "--seed", "1", "--eve", "ghz", "--show", "2")
    assert out.startswith("BB84, Eve: ghz, 100%, seed 1\nphoton 1\n  Alice draws the ")
    assert [line for line in out.splitlines() if line.startswith("photon ")] == [
        "photon 1", "photon 2",
    ]  # fmt: skip
    counts = [line.split(",")[0] for line in out.splitlines() if line.startswith("photons ")]
    assert counts == ["photons 2", "photons 10", "photons 100", "photons 1", "photons 3"]
    expected = lab.run("bb84", pulses=3000, seed=1, eve="ghz")
    assert out.endswith(f"Verdict: abort: {expected.reason}\n")


def test_a_walk_to_the_end_of_e91_ends_in_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    out = text(capsys, "e91", "--plain", "--seed", "2", "--show", "0")
    assert "photon 1" not in out
    expected = lab.run("e91", pulses=60_000, seed=2)
    assert out.endswith(
        f"Verdict: accept: {expected.secret_bits:,} secret bits "
        f"from {expected.sifted_bits:,} sifted ones\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("decoy-bb84",), "e91, bbm92 or bb84"),
        (("e91", "--pulses", "1e6"), "1 to 262144"),
        (("e91", "--eve", "man-in-the-middle"), "on the light"),
        (("e91", "--km", "-1"), "fibre_km"),
        (("e91", "--show", "-1"), "show"),
    ],
)
def test_what_cannot_be_walked_is_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert said in text(capsys, *words, code=2)
