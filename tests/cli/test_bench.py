"""`bellwire bench` names what it has, and prints one table or one document."""

import json
from types import SimpleNamespace

import pytest
from tests.docs.examples import ROOT

from bellwire.bench.catalogue import BENCHES
from bellwire.bench.machine import cpu
from bellwire.bench.model import Figure
from bellwire.bench.stored import lagging, stored
from bellwire.cli import bench, output

FIGURES = [
    Figure("cascade_rate", 2.5e7, "bit/s", "textbook Cascade in Python", 41.25),
    Figure("cascade_efficiency", 1.036, "× Shannon limit"),
]
LARGE = Figure("e91_pairs_per_s", 2.874e9, "pairs/s, 2 cores", "circuits, one by one", 2.0512e8)


@pytest.fixture(autouse=True)
def _stand_in_benches(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(run=lambda quick=False: FIGURES[:1] if quick else FIGURES)
    monkeypatch.setattr(bench, "import_module", lambda name: module)
    output.forget()


def test_one_bench_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    bench.command(["distill"], json=True)
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["bench", "results", "cpu", "versions"]
    assert document["bench"] == "distill"
    assert document["results"][0] == {
        "name": "cascade_rate",
        "value": 2.5e7,
        "unit": "bit/s",
        "against": "textbook Cascade in Python",
        "ratio": 41.25,
    }
    assert document["results"][1]["ratio"] is None
    assert document["cpu"]
    assert {"python", "numpy", "numba", "bellwire"} <= set(document["versions"])


def test_several_benches_are_a_list_in_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    bench.command(None, json=True, quick=True)
    document = json.loads(capsys.readouterr().out)
    assert [one["bench"] for one in document["benches"]] == list(BENCHES)
    assert all(len(one["results"]) == 1 for one in document["benches"])


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    bench.command(["distill"])
    text = capsys.readouterr().out
    assert "25,000,000" in text
    assert "41.2×" in text
    assert "1.036" in text


@pytest.mark.parametrize("width", ["80", "200"])
def test_no_figure_is_cut_off_however_narrow_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    bench._show("link", [LARGE, Figure("x", 5.0, "s", "y", 12_345.6), *FIGURES])
    text = capsys.readouterr().out
    for said in ("e91_pairs_per_s", "2.87e9", "2.05e8×", "12,300×", "25,000,000", "41.2×"):
        assert said in text, said
    assert "…" not in text


def test_an_unknown_bench_is_wrong_usage_and_names_those_that_exist() -> None:
    with pytest.raises(
        bench.UnknownBench, match="keys, channel, chat, guard, ledger, got 'nope'"
    ) as error:
        bench.command(["distill", "nope"])
    assert error.value.exit_code == 2


def test_the_processor_is_named_where_the_system_has_no_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pathlib.Path.exists", lambda path: False)
    assert cpu()


def test_a_ratio_far_behind_the_stored_one_is_told_and_fails_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        Figure("pairs_per_s_32", 900.0, "pairs/s", "plain", 0.5),
        Figure("closed_p50_ms", 9.0, "ms", "plain", 2.0),
        Figure("cpu_us_a", 90.0, "µs", "plain", 0.5),
        Figure("keys_per_s_batched", 1e5, "keys/s", "plain", 1.31),
        Figure("cpu_us_b", 90.0, "µs", "no plain alternative"),
        Figure("not_stored", 90.0, "µs", "plain", 100.0),
    ]
    module = SimpleNamespace(run=lambda quick=False: found)
    monkeypatch.setattr(bench, "import_module", lambda name: module)
    bench.command(["keys"], json=True)
    said = capsys.readouterr()
    told = [line.split(": ")[1] for line in said.err.splitlines() if line.startswith("behind")]
    assert told == ["pairs_per_s_32", "closed_p50_ms"]
    assert json.loads(said.out)["bench"] == "keys"
    assert lagging("link", found) == []


def test_what_is_stored_is_of_figures_that_there_are() -> None:
    told = (ROOT / "docs" / "reference" / "commands.md").read_text()
    for kept in stored().values():
        assert {name for name in kept.ratios if f"`{name}`" not in told} == set()
