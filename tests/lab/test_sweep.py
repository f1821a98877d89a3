"""Sweeps fall on theory, whoever computes them, and survive an interruption."""

import json
import math
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.children import leaves_no_child

from bellwire import lab
from bellwire.base.errors import UsageError
from bellwire.lab.errors import FileUnusable, OtherSweep, RangeError, UnknownParameter, WorkerLost
from bellwire.lab.folder import opened
from bellwire.lab.parameters import SWEEPABLE
from bellwire.lab.quantities import Quantity
from bellwire.lab.results import FILES, SweepResult

SMALL = lab.Words(pulses=4000, seed=3)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished sweep; tests take copies."""
    folder = tmp_path_factory.mktemp("sweep")
    lab.sweep("bb84", "eve=0:1:2", out=folder, **SMALL)
    return folder


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    """A folder with a finished sweep, to be spoilt."""
    return Path(shutil.copytree(done, tmp_path / "copy"))


def pulls(result: SweepResult, quantity: Quantity) -> list[float]:
    """Distance from theory of every point, in standard errors."""
    return [
        (p.values[quantity] - getattr(result.theory(p.at), quantity)) / p.stderrs[quantity]
        for p in result.points()
    ]


def assert_on_theory(distances: list[float]) -> None:
    """All within four standard errors, and together as far as chance allows (chi-square, 1e-4).

    The limit is Wilson and Hilferty's; 3.72 is the normal quantile of 1e-4.
    """
    n = len(distances)
    assert max(map(abs, distances)) < 4.0
    k = 2.0 / (9.0 * n)
    limits = [n * (1.0 - k + sign * 3.72 * math.sqrt(k)) ** 3 for sign in (-1, 1)]
    assert limits[0] < sum(d * d for d in distances) < limits[1]


def test_the_qber_of_bb84_falls_on_its_line_over_eves_share() -> None:
    result = lab.sweep("bb84", "eve=0:1:21", pulses=60_000, seed=1)
    assert len(result.rows) == 21
    for row in result.rows:
        assert row.qber_theory == pytest.approx(0.02 + (1 - 2 * 0.02) * row.eve_share / 4)
    assert_on_theory(pulls(result, Quantity.QBER))
    assert [row.verdict for row in result.rows][-12:] == ["abort"] * 12


def test_s_of_e91_falls_on_its_line_over_eves_share() -> None:
    result = lab.sweep("e91", "eve=0:1:11", repeat=2, pulses=40_000, seed=2)
    for row in result.rows:
        expected = math.sqrt(2) * (1 - 2 * 0.02) * (2 - row.eve_share)
        assert isinstance(row, lab.Row)
        assert row.chsh_theory == pytest.approx(expected)
    assert_on_theory(pulls(result, Quantity.CHSH))
    assert_on_theory(pulls(result, Quantity.QBER))


def test_decoy_states_fall_on_theory_over_the_distance() -> None:
    result = lab.sweep(
        "decoy-bb84", "km=0:100:6", pulses=2e7, efficiency=0.5, dark=1e-6, dead_gates=20, seed=4
    )
    assert result.quantities[:3] == ("gain_signal", "gain_decoy", "gain_vacuum")
    for quantity in result.quantities:
        if quantity is not Quantity.GAIN_VACUUM:  # a handful of dark counts is not normal
            assert_on_theory(pulls(result, quantity))
    keys = [point.values[Quantity.KEY] for point in result.points()]
    assert keys == sorted(keys, reverse=True)
    assert keys[0] > 10 * keys[-1]


@pytest.mark.parametrize("eve", ["intercept-resend", "pns", "beam-splitting"])
def test_weak_pulses_fall_on_theory_over_eves_share(eve: str) -> None:
    result = lab.sweep("decoy-bb84", "eve=0:1:5", pulses=2e7, km=50, eve=eve, seed=4)
    assert {row.eve for row in result.rows} == {eve}
    for quantity in (Quantity.GAIN_SIGNAL, Quantity.GAIN_DECOY, Quantity.QBER):
        assert_on_theory(pulls(result, quantity))
    verdicts = {"intercept-resend": "abort", "pns": "abort", "beam-splitting": "accept"}
    assert result.rows[0].verdict == "accept"
    assert result.rows[-1].verdict == verdicts[eve]


def test_intensities_and_detectors_of_weak_pulses_may_be_swept(tmp_path: Path) -> None:
    words = lab.Words(pulses=10_000, seed=1)
    result = lab.sweep("decoy-bb84", ["signal=0.3:0.5:2", "decoy=0.1:0.2:2"], **words)
    assert [(r.signal, r.decoy, r.vacuum) for r in result.rows if isinstance(r, lab.WeakRow)] == [
        (mu, nu, 0.0) for mu in (0.3, 0.5) for nu in (0.1, 0.2)
    ]
    over = "signal=0.1:0.3:3"
    single = lab.sweep("wcp-bb84", over, out=tmp_path, pulses=1000, seed=1, intensities=0.4)
    assert single.fixed["intensities"] == "0.4"
    assert [row.swept("signal") for row in single.rows] == [0.1, 0.2, 0.3]
    again = lab.sweep("wcp-bb84", over, out=tmp_path, pulses=1000, seed=1, intensities="0.4")
    assert single == again
    late = lab.sweep("wcp-bb84", ["afterpulse=0:0.1:2", "dead-gates=0:20:2"], **words)
    assert [row.key_theory is None for row in late.rows] == [False, False, True, True]


def test_a_sweep_over_visibility_is_one_over_misalignment() -> None:
    result = lab.sweep("e91", "visibility=0.7:1:4", pulses=4000, seed=1)
    assert [row.misalignment for row in result.rows] == [0.15, 0.1, 0.05, 0.0]
    assert [point.at for point in result.points()] == [(0.7,), (0.8,), (0.9,), (1.0,)]
    theory = [row.chsh_theory for row in result.rows if isinstance(row, lab.Row)]
    assert theory == pytest.approx([2 * math.sqrt(2) * v for v in (0.7, 0.8, 0.9, 1.0)])


def test_two_parameters_make_a_grid_and_an_eve_keeps_her_kind() -> None:
    result = lab.sweep("e91", ["eve=0:1:3", "sample-share=0.1:0.2:2"], pulses=4000, eve="ghz")
    rows = [row for row in result.rows if isinstance(row, lab.Row)]
    assert [(r.eve, r.eve_share, r.sample_share) for r in rows] == [
        ("ghz", share, sample) for share in (0.0, 0.5, 1.0) for sample in (0.1, 0.2)
    ]


def test_results_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    seen: list[tuple[int, int, int]] = []
    for crew in (1, 2):
        lab.sweep(
            "bb84",
            "km=0:20:5",
            workers=crew,
            out=tmp_path / str(crew),
            progress=lambda *told: seen.append(told),
            **SMALL,
        )
    assert seen == [(n, 5, 4000) for n in range(1, 6)] * 2
    for name in FILES:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


class Stop(BaseException):
    """An interruption, at a moment of the test's choosing."""


@pytest.mark.parametrize("crew", [1, 2])
def test_an_interrupted_sweep_goes_on_where_it_was(tmp_path: Path, crew: int) -> None:
    def stop_after_three(done: int, _total: int, _pulses: int) -> None:
        if done == 3:
            raise Stop

    out = tmp_path / "cut"
    with leaves_no_child(), pytest.raises(Stop):
        lab.sweep("e91", "km=0:5:6", workers=crew, out=out, progress=stop_after_three, **SMALL)
    table = out / "sweep.csv"
    assert table.read_text().count("\n") == 4
    assert json.loads((out / "sweep.json").read_text())["complete"] is False
    with table.open("a") as file:
        file.write("e91,4000,ε")  # a crash in the middle of a line
    told: list[int] = []
    again = lab.sweep("e91", "km=0:5:6", out=out, progress=lambda n, *_: told.append(n), **SMALL)
    assert told == [4, 5, 6]
    assert again == lab.sweep("e91", "km=0:5:6", **SMALL)
    assert json.loads((out / "sweep.json").read_text())["complete"] is True


def test_a_finer_and_repeated_sweep_keeps_what_is_done(tmp_path: Path) -> None:
    told: list[tuple[int, int, int]] = []

    def note(*done: int) -> None:
        told.append((done[0], done[1], done[2]))

    first = lab.sweep("bb84", "eve=0:0.4:3", out=tmp_path, pulses=4000)
    finer = lab.sweep("bb84", "eve=0:0.4:5", repeat=2, out=tmp_path, pulses=4000, progress=note)
    assert [done for done, _, _ in told] == list(range(4, 11))
    assert finer.seed == first.seed, "the folder's seed, where none is asked for"
    assert set(first.rows) <= set(finer.rows)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"pulses": 5000}, "pulses"),
        ({"seed": 4}, "seed"),
        ({"misalignment": 0.03, "dark": 1e-5}, "dark, misalignment"),
        ({"protocol": "e91"}, "protocol"),
        ({"over": "km=0:1:2"}, "over"),
    ],
)
def test_a_folder_of_another_sweep_is_refused(
    copy: Path, change: dict[str, object], named: str
) -> None:
    asked = {"protocol": "bb84", "over": "eve=0:1:2", **SMALL}
    before = {name: (copy / name).read_bytes() for name in FILES}
    with pytest.raises(OtherSweep, match=named):
        lab.sweep(out=copy, **(asked | change))  # type: ignore[arg-type]  # one wrong at a time
    assert {name: (copy / name).read_bytes() for name in FILES} == before


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("sweep.json", "[1]", "description"),
        ("sweep.json", "{", "description"),
        ("sweep.json", " " * ((1 << 20) + 1), "at most"),
        ("sweep.csv", "a,b\n", "the columns"),
        ("sweep.csv", None, "both files or none"),
    ],
)
def test_a_folder_with_strange_files_is_refused(
    copy: Path, name: str, content: str | None, said: str
) -> None:
    if content is None:
        (copy / "sweep.json").unlink()
    else:
        (copy / name).write_text(content)
    with pytest.raises(FileUnusable, match=said):
        lab.sweep("bb84", "eve=0:1:2", out=copy, **SMALL)


def test_a_row_that_was_tampered_with_is_refused(copy: Path) -> None:
    table = copy / "sweep.csv"
    whole = table.read_text()
    for wrong in (
        whole.replace("bb84,", '"bb84,', 1),
        whole.replace("4000", str(1 << 63)),
        whole.replace("accept,,true", "accept,,maybe").replace("abort", "abort,"),
        whole.replace("bb84,4000", "bb84,"),
        whole.replace("4000", "four"),
        whole + "1,2\n",
    ):
        table.write_text(wrong)
        with pytest.raises(FileUnusable, match=r"sweep\.csv"):
            lab.sweep("bb84", "eve=0:1:2", out=copy, **SMALL)


def test_a_folder_that_cannot_be_or_is_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileUnusable, match=r"Not a directory|File exists"):
        lab.sweep("bb84", "eve=0:1:2", out=tmp_path / "file", **SMALL)
    with (
        opened(tmp_path / "busy", lab.Row),
        pytest.raises(FileUnusable, match="another sweep runs"),
    ):
        lab.sweep("bb84", "eve=0:1:2", out=tmp_path / "busy", **SMALL)
    (tmp_path / "odd" / "sweep.csv").mkdir(parents=True)
    (tmp_path / "odd" / "sweep.json").mkdir()
    with pytest.raises(FileUnusable, match="directory"):
        lab.sweep("bb84", "eve=0:1:2", out=tmp_path / "odd", **SMALL)


def test_a_full_disk_is_an_error_of_its_own() -> None:
    folder = opened(Path("/dev"), lab.Row)
    with folder as held:
        held._table = Path("/dev/full")
        with pytest.raises(FileUnusable, match="No space left"), held.appending():
            pass


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("eve", "PARAM=FROM:TO:N"),
        ("eve=0:1", "PARAM=FROM:TO:N"),
        ("eve=0:1:2:linear", "PARAM=FROM:TO:N"),
        ("eve=0:1:2:log:log", "PARAM=FROM:TO:N"),
        ("eve=a:1:2", "PARAM=FROM:TO:N"),
        ("eve=0:1:2.5", "PARAM=FROM:TO:N"),
        ("eve=0:1:0", "1 to 100000"),
        ("eve=0:1:100001", "1 to 100000"),
        ("eve=0:1:1", "1 different"),
        ("eve=0:nan:3", "finite"),
        ("eve=0:inf:3", "finite"),
        ("km=0:10:3:log", "above 0"),
        ("pulses=1:3:9", "9 different"),
        ([], "one or two"),
        (["eve=0:1:2", "km=0:1:2", "dark=0:0.1:2"], "one or two"),
        (["eve=0:1:2", "eve=0:1:3"], "one or two"),
        (["visibility=0.8:1:2", "misalignment=0:0.1:2"], "one or two"),
        (["eve=0:1:400", "km=0:1:400"], "at most 100000"),
    ],
)
def test_a_range_that_cannot_be_is_refused(over: str | list[str], said: str) -> None:
    with pytest.raises(RangeError, match=said):
        lab.sweep("bb84", over, **SMALL)


@pytest.mark.parametrize(
    ("over", "words", "said"),
    [
        ("eve=0:1.5:4", {}, r"share in \[0, 1\], got 1.5"),
        ("km=-1:5:3", {}, "fibre_km from 0 to"),
        ("misalignment=0:0.6:3", {}, "misalignment"),
        ("pulses=1:1e9:3", {}, "pulses"),
        ("epsilon=1e-30:1e-5:3:log", {}, "epsilon"),
        ("km=0:1:2", {"km": 4.0}, "either as a range or as a value"),
        ("visibility=0.9:1:2", {"misalignment": 0.1}, "either as a range or as a value"),
        ("visibility=0.9:1.2:2", {}, "misalignment"),
        ("km=0:1:2", {"seed": -1}, "seed"),
        ("km=0:1:2", {"repeat": 0}, "one repeat"),
        ("km=0:1:2", {"workers": 0}, "workers"),
        ("km=0:1:2", {"workers": 1000}, "workers"),
        ("km=0:1:2", {"eve": 3}, "eve as text"),
        ("km=0:1:2", {"dark": "low"}, "dark as a number"),
        ("km=0:1:2", {"pulses": 1.5}, "whole number"),
        ("km=0:1:2", {"pulses": True}, "as a number"),
    ],
)
def test_an_impossible_value_is_named_before_anything_runs(
    tmp_path: Path, over: str, words: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        lab.sweep("bb84", over, out=tmp_path / "new", **words)  # type: ignore[arg-type]  # wrong
    assert not (tmp_path / "new").exists()


def test_an_unknown_parameter_names_the_known_ones() -> None:
    with pytest.raises(UnknownParameter, match=r"sample-share.*got speed") as caught:
        lab.sweep("bb84", "speed=0:1:3")
    assert len(caught.value.known) == len(SWEEPABLE)
    with pytest.raises(UnknownParameter, match=r"insertion-loss.*got kms"):
        lab.run("bb84", kms=3)  # type: ignore[call-overload]  # what is tested
    with pytest.raises(UsageError, match=r"e91, .*bb84"):
        lab.run("b92")


def test_a_word_of_another_protocol_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"dead-time only with wcp-bb84 or decoy-bb84, .* bb84"):
        lab.run("bb84", dead_time="common")
    with pytest.raises(UsageError, match=r"epsilon only with .*, got it with wcp-bb84"):
        lab.run("wcp-bb84", until="estimate", epsilon=1e-9)
    with pytest.raises(UsageError, match=r"decoy only with decoy-bb84, got it with wcp-bb84"):
        lab.sweep("wcp-bb84", "decoy=0.1:0.2:2")
    with pytest.raises(UsageError, match=r"signal only with wcp-bb84 or decoy-bb84"):
        lab.sweep("e91", "signal=0.1:0.2:2")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([name for name, what in SWEEPABLE.items() if not what.whole]),
    st.floats(1e-9, 1e9),
    st.floats(1.001, 1e3),
    st.integers(2, 50),
    st.booleans(),
)
def test_a_range_runs_evenly_from_its_first_to_its_last_value(
    name: str, start: float, factor: float, count: int, logarithmic: bool
) -> None:
    values = lab.Axis(name, start, start * factor, count, logarithmic).values
    assert values[0] == pytest.approx(start)
    assert values[-1] == pytest.approx(start * factor)
    spread = [math.log(v) for v in values] if logarithmic else list(values)
    steps = [b - a for a, b in pairwise(spread)]
    assert steps == pytest.approx([(spread[-1] - spread[0]) / (count - 1)] * (count - 1), rel=1e-6)


def test_values_are_as_a_person_would_write_them() -> None:
    assert lab.Axis.parse("eve=0:1:11").values[3] == 0.3
    assert lab.Axis.parse("pulses=1e3:1e5:3:log").values == (1e3, 1e4, 1e5)
    assert lab.Axis.parse("km=20:0:3").values == (20.0, 10.0, 0.0)
    assert lab.Axis.parse("sample-share=0.5:0.5:1").values == (0.5,)


@pytest.mark.parametrize("program", ["/bin/false", "/bin/true"])
def test_a_worker_that_ends_early_is_an_error_not_a_wait(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with leaves_no_child(), pytest.raises(WorkerLost, match="expected a worker's result"):
        lab.sweep("bb84", "km=0:1:3", workers=2, **SMALL)
