"""Two configurations side by side, and files that are none."""

import json
import math
from pathlib import Path

import pytest

from bellwire import lab
from bellwire.base.errors import UsageError
from bellwire.lab.compare import MAX_FILE
from bellwire.lab.errors import FileUnusable

QUIET = lab.configuration("quiet", {"protocol": "e91", "pulses": 1e5})
HEARD = lab.configuration(
    "heard", {"protocol": "e91", "pulses": 100_000, "eve": "ghz:0.2", "eve-axis": 45}
)


def test_a_difference_is_told_in_its_own_standard_errors() -> None:
    both = lab.compare(QUIET, HEARD, seed=1)
    found = {each.quantity: each for each in both.differences}
    s = found["chsh"]
    assert s.a is not None
    assert s.b is not None
    assert s.a_stderr is not None
    assert s.b_stderr is not None
    assert s.difference == s.b - s.a
    assert s.in_stderrs == pytest.approx((s.b - s.a) / math.hypot(s.a_stderr, s.b_stderr))
    assert (s.b - s.a) / math.hypot(s.a_stderr, s.b_stderr) < -4
    assert found["key_per_pulse"].in_stderrs is None
    assert found["detected"].in_stderrs is None, "everything was detected, without error"


def test_two_runs_of_one_configuration_agree_but_are_not_the_same() -> None:
    both = lab.compare(QUIET, QUIET, seed=2)
    assert both.a_result.seed != both.b_result.seed
    for each in both.differences:
        assert each.in_stderrs is None or 0 < abs(each.in_stderrs) < 4


def test_a_seed_repeats_a_comparison_and_files_seeds_count_without_it() -> None:
    one, two = (lab.compare(QUIET, HEARD, seed=3).differences for _ in range(2))
    assert one == two
    seeded = lab.configuration("seeded", {"protocol": "bb84", "pulses": 4000, "seed": 7})
    same = lab.compare(seeded, seeded)
    assert (same.a_result.seed, same.b_result.seed) == (7, 7)
    assert all(each.difference in {0.0, None} for each in same.differences)
    with pytest.raises(UsageError, match="seed"):
        lab.compare(QUIET, HEARD, seed=-1)


def test_what_one_protocol_lacks_has_no_difference() -> None:
    other = lab.configuration("other", {"protocol": "bb84", "pulses": 4000})
    found = {each.quantity: each for each in lab.compare(QUIET, other, seed=1).differences}
    assert (found["chsh"].b, found["chsh"].difference, found["chsh"].in_stderrs) == (None,) * 3


def test_a_comparison_is_plain_values_for_json_and_pandas() -> None:
    both = lab.compare(QUIET, HEARD, seed=1)
    document = json.loads(both.to_json())
    assert document["a"]["parameters"]["eve"] == "none"
    assert document["b"]["parameters"]["eve_axis"] == "45"
    assert [each["quantity"] for each in document["differences"]] == [
        "detected", "qber", "chsh", "key_per_pulse",
    ]  # fmt: skip
    assert both.to_pandas()["quantity"].tolist()[1] == "qber"


def test_a_file_says_the_words_of_lab_run(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('protocol = "bb84"\nsample-share = 0.3\ninsertion_loss = 1\nkm = 2\n')
    found = lab.read(path)
    assert (found.name, found.protocol) == ("a.toml", "bb84")
    experiment = found.experiment()
    assert isinstance(experiment, lab.Experiment)
    assert experiment.sample_share == 0.3
    assert (experiment.config.insertion_loss_db, experiment.config.fibre_km) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('protocol = "bb84"\nvisibility = 0.9', "one of the parameters protocol, pulses.*visibil"),
        ("pulses = 1000", "protocol as text"),
        ('protocol = "b92"', "one of the protocols"),
        ('protocol = "bb84"\nkm = "far"', 'km as a number, got "far"'),
        ('protocol = "bb84"\n[km]\nfrom = 1', "km as a number"),
        ('protocol = "bb84"\nkm = nan', "fibre_km"),
        ('protocol = "bb84"\ndark = 1.5', "dark_count_probability"),
        ("protocol = ", "TOML in"),
        ("\x00", "TOML in"),
        ("#" * (MAX_FILE + 1), "at most"),
    ],
)
def test_a_file_that_describes_no_experiment_is_refused_by_name(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(FileUnusable, match=said) as caught:
        lab.read(path)
    assert caught.value.path == path
    assert "wrong.toml" in str(caught.value)


def test_a_missing_file_and_one_of_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="No such file"):
        lab.read(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(FileUnusable, match="TOML"):
        lab.read(tmp_path / "bytes.toml")


def test_weak_pulses_are_compared_by_their_gains_and_with_other_protocols() -> None:
    words = {"protocol": "decoy-bb84", "until": "estimate", "pulses": 1e7, "km": 50}
    honest, split = (
        lab.configuration(eve, {**words, "eve": eve, "dead-gates": 5}) for eve in ("none", "pns")
    )
    found = {each.quantity: each for each in lab.compare(honest, split, seed=1).differences}
    assert abs(found["gain_signal"].in_stderrs or 9.0) < 4
    assert (found["gain_decoy"].in_stderrs or 0.0) < -20
    assert found["single_photon_yield"].b == 0.0
    assert list(found)[-1] == "key_per_pulse"
    other = lab.compare(QUIET, split, seed=1)
    both = {each.quantity: each for each in other.differences}
    assert (both["gain_signal"].a, both["chsh"].b) == (None, None)
    assert both["qber"].in_stderrs is not None
    assert json.loads(other.to_json())["b_result"]["until"] == "estimate"
    with pytest.raises(UsageError, match="until estimate"):
        lab.configuration("x", {"protocol": "wcp-bb84"})
