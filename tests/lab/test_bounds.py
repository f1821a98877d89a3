"""Bounds by the size of a block: what they are held against, how they grow, and what is refused."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reference import theorems as reference

from bellwire import lab
from bellwire.base.errors import UsageError
from bellwire.distill.errors import ParameterError
from bellwire.lab.bound_references import APART, Reference, references
from bellwire.lab.bounds import FILES, BoundsResult, sizes_of
from bellwire.lab.errors import FileUnusable, RangeError, UnknownParameter
from bellwire.link.errors import ParameterError as LinkParameterError

SIZES = (10**3, 10**5, 10**8, 10**12)
FOUND = references()


@pytest.fixture(scope="module", params=["bb84", "bbm92", "e91", "decoy-bb84"])
def result(request: pytest.FixtureRequest) -> BoundsResult:
    return lab.bounds(request.param, pulses=SIZES)


@pytest.mark.parametrize("each", FOUND, ids=lambda each: f"{each.theorem}: {each.quantity}")
def test_ours_is_the_reference(each: Reference) -> None:
    print(  # noqa: T201 - pytest -rA shows the table
        f"{each.theorem}: {each.quantity}: {each.stated:.10g} ({each.origin}), ours "
        f"{each.ours:.10g}, difference {each.difference:+.2g}"
    )
    assert abs(each.difference) <= each.tolerance
    if "not reproduced" in each.quantity:
        assert each.ours < each.stated  # the safe side


DECOYS = {
    "lim-2014": (
        reference.lim_2014,
        (0.45, 0.2, 2e-4, 0.5, 0.35, 0.15, 14_370_800, 4_477_800, 2_900, 898_200, 279_900, 200,
         9_100, 2_900, 0, 2e6, 1e-10, 1e-12),
    ),
    "rusca-2018": (
        reference.rusca_2018,
        (0.45, 0.15, 0.7, 0.3, 20_119_200, 2_879_800, 203_400, 29_700, 1_257_400, 180_000, 12_700,
         1_900, 2e6, 1e-10, 1e-12),
    ),
    "tomamichel-2012": (reference.tomamichel_2012, (1e5, 2e4, 0.02, 16_000, 1e-10, 1e-12)),
    "acin-2007": (reference.acin_2007, (0.02, 2.7)),
    "arnon-friedman-2018": (
        reference.arnon_friedman_2018, (1e7, 0.05, 0.84, 5e5, 1e6, 1e-10, 1e-12, 0.83, 1e-4)
    ),
}  # fmt: skip


def test_what_is_called_evaluated_apart_is() -> None:
    apart = {each.theorem: each for each in FOUND if each.origin == APART}
    assert set(apart) == set(DECOYS)
    for name, (formula, given) in DECOYS.items():
        assert apart[name].stated == pytest.approx(float(formula(*given)), rel=1e-15)


def test_every_theorem_has_a_reference() -> None:
    curves = {
        each.theorem for p in ("bb84", "bbm92", "e91", "decoy-bb84")
        for each in lab.bounds(p, pulses=1000).curves
    }  # fmt: skip
    assert curves - {each.theorem for each in FOUND} == {"block", "e91-correlations"}


def test_more_pulses_prove_more_and_endless_ones_the_limit(result: BoundsResult) -> None:
    for curve in result.curves:
        points = result.of(curve.theorem)
        if curve.length is None:
            assert not points
            continue
        assert [point.pulses for point in points] == list(SIZES)
        rates = [point.rate for point in points]
        assert rates[0] == 0.0
        assert rates == sorted(rates)
        assert 0.97 < (points[-1].share or 0.0) <= 1.0
        assert points[-1].rate == pytest.approx((points[-1].share or 0.0) * curve.limit)
        assert [point.secret_bits for point in points] == [curve.length(n) for n in SIZES]


def test_a_block_of_ours_is_what_two_sides_distil() -> None:
    for protocol, pulses in (("bb84", 100_000), ("bbm92", 100_000), ("e91", 200_000)):
        proved = lab.bounds(protocol, pulses=pulses)
        ours = next(p for p in proved.points if p.theorem in {"block", "e91-correlations"})
        distilled = lab.run(protocol, pulses=pulses, seed=1).to_dict()["secret_bits"]
        # Reconciliation is taken at 1.1; the rest is the scatter of one block's errors.
        assert ours.secret_bits == pytest.approx(distilled, rel=0.08)


def test_an_error_rate_may_be_given_in_the_place_of_a_link() -> None:
    by_link = lab.bounds("e91", pulses=10**6, misalignment=0.03)
    by_rate = lab.bounds("e91", pulses=10**6, qber=0.03)
    assert [p.secret_bits for p in by_link.points] == [p.secret_bits for p in by_rate.points]
    assert by_link.chsh == pytest.approx(2 * math.sqrt(2) * 0.94)
    none = lab.bounds("bb84", pulses=10**9, qber=0.5)
    assert all(point.secret_bits == 0 and point.share is None for point in none.points)
    assert lab.bounds("bb84", pulses=10**6, qber=0.0).points[0].secret_bits > 400_000


def test_without_trust_losses_count() -> None:
    near, far = (lab.bounds("e91", pulses=10**9, km=km) for km in (0.0, 3.0))
    for name, of in (("e91-correlations", 0.85), ("arnon-friedman-2018", 0.0)):
        found = far.of(name)[0].secret_bits / near.of(name)[0].secret_bits
        assert found == pytest.approx(of, abs=0.03)
    limits = {each.theorem: each.limit for each in far.curves}
    assert limits["acin-2007"] == limits["arnon-friedman-2018"] == 0.0


def test_one_decoy_is_better_in_small_blocks_and_two_in_large_ones() -> None:
    result = lab.bounds("decoy-bb84", pulses="1e8,1e12")
    one, two = result.of("rusca-2018"), result.of("lim-2014")
    assert one[0].secret_bits > two[0].secret_bits > 0
    assert two[1].secret_bits > one[1].secret_bits


@pytest.mark.parametrize("epsilon", [1e-20, 1e-3])
def test_every_epsilon_of_a_block_has_its_bounds(epsilon: float) -> None:
    for protocol in ("bb84", "bbm92", "e91", "decoy-bb84"):
        assert lab.bounds(protocol, pulses=10**10, epsilon=epsilon).points[0].secret_bits > 0


def test_files_and_figure_say_what_the_result_says(result: BoundsResult, tmp_path: Path) -> None:
    written = result.save(tmp_path)
    assert {path.name for path in written} == set(FILES)
    rows = list(csv.DictReader((tmp_path / "bounds.csv").read_text().splitlines()))
    assert [int(row["secret_bits"]) for row in rows] == [p.secret_bits for p in result.points]
    document = json.loads((tmp_path / "bounds.json").read_text())
    assert {**json.loads(result.to_json()), "versions": document["versions"]} == document
    assert all((tmp_path / name).stat().st_size > 5_000 for name in FILES[3:])
    upper, lower = result.figure().axes
    drawn = [np.asarray(line.get_ydata()).tolist() for line in upper.lines]
    for curve in result.curves:
        assert [point.rate for point in result.of(curve.theorem) if point.secret_bits] in drawn
        assert [curve.limit, curve.limit] in drawn
    assert len(lower.lines) == len(result.curves)
    assert result.plot().get_xlabel() == lower.get_xlabel()


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileUnusable, match="to write into"):
        lab.bounds("bb84", pulses=1000).save(tmp_path / "file" / "under")


def test_progress_is_told_once_for_each_size_of_each_finite_theorem() -> None:
    told: list[int] = []
    lab.bounds("bb84", pulses="1e3:1e6:4:log", progress=lambda: told.append(1))
    assert len(told) == 8


def test_sizes_are_read_as_ranges_lists_and_numbers() -> None:
    assert sizes_of("1e3:1e5:3:log") == sizes_of("1e3,1e4,1e5") == (1000, 10_000, 100_000)
    assert sizes_of(7) == sizes_of([7]) == sizes_of("7") == (7,)


@pytest.mark.parametrize("text", ["", "0", "1.5", "x", "1e19", "1:2", "1e3:1e5:1000:log", "-4"])
def test_sizes_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(RangeError):
        sizes_of(text)


@pytest.mark.parametrize(
    ("protocol", "words", "kind"),
    [
        ("b92", {}, UsageError),
        ("wcp-bb84", {}, UsageError),
        ("bb84", {"qber": 0.6}, UsageError),
        ("bb84", {"qber": math.nan}, UsageError),
        ("bb84", {"rectilinear": 0.9}, UsageError),
        ("bb84", {"intensities": "0.5,0.1,0"}, UsageError),
        ("decoy-bb84", {"qber": 0.02}, UsageError),
        ("bb84", {"epsilon": 0.1}, ParameterError),
        ("bb84", {"km": -1.0}, LinkParameterError),
        ("decoy-bb84", {"intensities": "0.1,0.5,0"}, LinkParameterError),
        ("e91", {"eve": "ghz"}, UnknownParameter),
    ],
)
def test_words_that_cannot_be_are_refused(
    protocol: str, words: dict[str, Any], kind: type[UsageError]
) -> None:
    with pytest.raises(kind):
        lab.bounds(protocol, pulses=1000, **words)
