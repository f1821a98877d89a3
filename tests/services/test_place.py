"""The supervisor's place: one at a time, known to be held, with paths that sockets can have."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bellwire.services import control
from bellwire.services.control import look, stop
from bellwire.services.errors import NotStopped, PlanUnusable, ServicesUp
from bellwire.services.place import Place, place_of

HOLD = """
import sys
from pathlib import Path
from bellwire.services.place import Place
with Place(Path(sys.argv[1])).taken():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    # Relative: the folder of a test can be too long for sockets.
    monkeypatch.chdir(tmp_path)
    return Place(Path("s"))


def test_two_never_work_in_one_place(place: Place) -> None:
    assert not place.is_held()
    with place.taken():
        assert place.is_held()
        with pytest.raises(ServicesUp, match="another `bellwire up`"), place.taken():
            pass
    assert not place.is_held()
    with place.taken():
        pass


def test_a_holder_that_is_killed_holds_no_more(place: Place) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place.state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert place.is_held()
        holder.kill()
        holder.wait()
        assert not place.is_held()


def test_a_path_that_is_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(PlanUnusable, match="at most 86 bytes"),
        Place(tmp_path / ("x" * 99)).taken(),
    ):
        pass
    assert not any(tmp_path.iterdir())


def test_a_place_is_named_wholly_wherever_one_works(place: Place) -> None:
    assert place_of(place.state).state == Path.cwd() / "s"


def test_nobody_is_asked_where_nobody_works(place: Place) -> None:
    assert asyncio.run(look(place)) is None
    assert asyncio.run(stop(place)) is None


def test_a_holder_that_does_not_end_is_told_of(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "STOP_WITHIN_S", 0.0)
    with place.taken(), pytest.raises(NotStopped, match="it is still there"):
        asyncio.run(stop(place))
