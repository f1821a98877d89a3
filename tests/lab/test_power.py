"""Eve's power: every place, its blocks, the files, the figure, and what is refused."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.container import ErrorbarContainer

from bellwire import lab
from bellwire.base.errors import UsageError
from bellwire.distill.errors import ParameterError
from bellwire.lab import power_figure
from bellwire.lab.dispatch import experiment
from bellwire.lab.errors import FileUnusable, RangeError, UnknownParameter
from bellwire.lab.experiment import Experiment
from bellwire.lab.odds import odds
from bellwire.lab.power import FILES, PowerResult, interval

SIZES = (512, 16_384)


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures with fewer points to their lines."""
    monkeypatch.setattr(power_figure, "_LINE_POINTS", 9)
    monkeypatch.setattr(power_figure, "_SIZE_POINTS", 5)


@pytest.fixture(scope="module")
def curve() -> PowerResult:
    return lab.power("bb84", shares="0:0.8:5", pulses=SIZES, runs=6, seed=1)


def test_every_place_has_its_odds_and_its_blocks(curve: PowerResult) -> None:
    assert curve.sizes == SIZES
    assert [point.share for point in curve.of_size(512)] == [0.0, 0.2, 0.4, 0.6, 0.8]
    for point in curve.points:
        words = {"pulses": point.pulses, "eve": f"intercept-resend:{point.share}"}
        what = experiment("bb84", words)
        assert isinstance(what, Experiment)
        expected = odds(what)
        assert (point.caught, point.withheld, point.key) == (
            expected.caught,
            expected.withheld,
            expected.key,
        )
        assert curve.odds(point.share, point.pulses) == expected
        assert point.runs_caught + point.runs_withheld + point.runs_key == point.runs == 6
        for count, probability in (
            (point.runs_caught, point.caught),
            (point.runs_withheld, point.withheld),
        ):
            error = math.sqrt(6 * probability * (1.0 - probability))
            assert abs(count - 6 * probability) <= 4.0 * error + 0.2
    large = curve.of_size(16_384)
    assert (large[0].runs_caught, large[-1].runs_caught) == (0, 6)
    assert all(point.runs_withheld == 6 for point in curve.of_size(512))


def test_a_seed_repeats_the_blocks_and_entropy_comes_without_one() -> None:
    words: dict[str, Any] = {"shares": "0.35:0.35:1", "pulses": 16_384, "runs": 12}
    one, same = (lab.power("bb84", seed=3, **words) for _ in range(2))
    assert one == same
    assert lab.power("bb84", **words).seed != lab.power("bb84", **words).seed
    none = lab.power("bb84", seed=3, **{**words, "runs": 0})
    assert (none.points[0].runs, none.points[0].caught) == (0, one.points[0].caught)


def test_words_of_the_link_and_the_attack_change_the_odds() -> None:
    def caught(**words: Any) -> float:
        result = lab.power("e91", shares="0.4:0.4:1", pulses=20_000, runs=0, **words)
        assert result.eve == words.get("eve", "intercept-resend")
        return result.points[0].caught

    usual = caught()
    assert caught(eve="substitution") > usual
    assert caught(misalignment=0.0) < usual
    assert caught(efficiency=0.3) == 0.0, "too few coincidences to decide"


def test_files_hold_what_the_result_holds(curve: PowerResult, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    paths = curve.save(folder)
    assert sorted(path.name for path in paths) == sorted(FILES)
    rows = list(csv.DictReader((folder / "power.csv").read_text().splitlines()))
    assert [float(row["caught"]) for row in rows] == [point.caught for point in curve.points]
    document = json.loads((folder / "power.json").read_text())
    assert {"numba", "numpy"} < set(document.pop("versions"))
    assert document == json.loads(curve.to_json())
    assert document["parameters"]["misalignment"] == 0.02
    assert "pulses" not in document["parameters"]
    pandas = pytest.importorskip("pandas")
    frame = curve.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["runs_caught"].tolist() == [point.runs_caught for point in curve.points]
    (tmp_path / "file").write_text("")
    with pytest.raises(FileUnusable, match="write into"):
        curve.save(tmp_path / "file")


def test_the_figure_shows_lines_of_theory_and_marks_of_blocks(curve: PowerResult) -> None:
    figure = curve.figure()
    caught, without, sizes = figure.axes
    lines = {str(line.get_label()): line for line in caught.lines}
    line = lines["16,384 pulses"]
    for share, probability in np.asarray(line.get_xydata()):
        assert probability == pytest.approx(curve.odds(float(share), 16_384).caught)
    marks = [bar for bar in caught.containers if isinstance(bar, ErrorbarContainer)]
    drawn = np.asarray(marks[1].lines[0].get_xydata())
    assert drawn[:, 1].tolist() == [p.runs_caught / p.runs for p in curve.of_size(16_384)]
    assert "No key" in without.get_title(loc="left")
    assert sizes.get_xscale() == "log"
    one = curve.plot()
    assert one.get_ylabel() == "probability"
    assert curve.plot(ax=one) is one
    bare = lab.power("e91", shares="0:1:2", pulses=512, runs=0)
    assert not [bar for bar in bare.plot().containers if isinstance(bar, ErrorbarContainer)]
    assert len(power_figure.draw(bare).axes) == 3


@given(runs=st.integers(1, 1000), data=st.data())
def test_an_interval_holds_its_share_and_is_never_empty(runs: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, runs))
    low, high = interval(count, runs)
    assert 0.0 <= low <= count / runs <= high <= 1.0
    assert high - low > 0.0
    # Its ends are the shares from which the count is one standard error away.
    for end in (low, high):
        if 0.0 < end < 1.0:
            off = abs(count / runs - end)
            assert off == pytest.approx(math.sqrt(end * (1.0 - end) / runs), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ({"shares": "0:2:3"}, ParameterError, "share"),
        ({"shares": "all"}, RangeError, "FROM:TO:N"),
        ({"shares": "0:1:2000", "pulses": (1, 2)}, RangeError, "2000 places"),
        ({"pulses": ()}, RangeError, "1 to 6 different sizes"),
        ({"pulses": (512, 512)}, RangeError, "different sizes"),
        ({"pulses": tuple(range(1, 8))}, RangeError, "1 to 6"),
        ({"pulses": 0}, ParameterError, "pulses"),
        ({"runs": -1}, RangeError, "0 to 10000 runs"),
        ({"runs": 10**9}, RangeError, "0 to 10000 runs"),
        ({"seed": -1}, ParameterError, "seed"),
        ({"eve": "man-in-the-middle"}, UsageError, "who has a share"),
        ({"until": "estimate"}, UnknownParameter, "sample-share|sample_share"),
        ({"mean_pairs": 0.1}, UnknownParameter, "expected one of the parameters"),
        ({"backend": "fake_manila"}, UnknownParameter, "expected one of the parameters"),
        ({"visibility": 1}, UnknownParameter, "misalignment"),
        ({"km": math.nan}, UsageError, "fibre_km"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    words: dict[str, Any], error: type[Exception], said: str
) -> None:
    every: dict[str, Any] = {"runs": 1, "pulses": 512, "shares": "0:1:2"} | words
    with pytest.raises(UsageError, match=said) as caught:
        lab.power("bb84", **every)
    if error is not ParameterError:
        assert isinstance(caught.value, error)
