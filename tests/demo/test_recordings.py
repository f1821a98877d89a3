"""The demo on recorded light: blocks while there is light, Eve left out and said so."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.demo.example import story
from tests.demo.runs import Place
from tests.simulators.recordings import changed, recorded

from bellwire.base.detections import Protocol
from bellwire.base.errors import UsageError
from bellwire.demo import run as demo_run
from bellwire.demo import words
from bellwire.demo.page import render
from bellwire.demo.recordings import EVE_LEFT_OUT, Recordings
from bellwire.demo.run import DemoOptions, run_demo
from bellwire.demo.stages import to_stage
from bellwire.demo.story import Verdict
from bellwire.keys.model import KeySourceKind
from bellwire.keys.status import Status
from bellwire.link.timetags.generator import Scene
from bellwire.node.settings import load

SCENE = Scene(protocol=Protocol.BBM92, pairs_hz=5e5, seconds=1.3, clock_offset_s=0.02)


def test_the_demo_runs_from_recordings_until_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    # A block of three quarters of the recording; what is left gives no whole one, and no key.
    monkeypatch.setattr(demo_run, "E91_PAIRS", 32_000)
    with Place.fresh() as place:
        recorded(place.root / "tags", SCENE, search_s=0.1)
        recordings = Recordings.load(f"timetags:{place.root / 'tags'}")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(place.root / "home"))
        settings = load(None, {"state": {"dir": place.state}})
        options = DemoOptions(None, place.report, 3, settings, None, recordings)
        told = asyncio.run(run_demo(options, lambda _, sentence: said.append(sentence)))
        document = json.loads((place.report / "report.json").read_text())
        page = (place.report / "index.html").read_text()
        logs = {path.stem for path in (place.state / "demo" / "logs").iterdir()}
        matched = (place.state / "demo" / "logs" / "node-a.log").read_text()
    assert told.succeeded
    (stage,) = told.stages
    assert (stage.name, stage.verdict) == ("bbm92", Verdict.ACCEPT)
    assert stage.step("coincidences") == 32_000
    assert abs((stage.qber or 0.0) - 0.02) < 4.5 * (stage.qber_stderr or 0.0)
    assert stage.qber_expected is None
    assert any(sentence.startswith("the recordings end: ") for sentence in said)
    assert EVE_LEFT_OUT in said
    assert told.device.intact
    assert told.source is KeySourceKind.SIMULATED
    assert "generated" in told.honesty
    assert document["eve_left_out"] == EVE_LEFT_OUT
    assert list(document["assumptions"]) == ["bbm92"]
    assert [process["name"] for process in document["processes"]] == [
        "node-a", "node-b", "cloud", "device"
    ]  # fmt: skip
    assert logs == {"node-a", "node-b", "cloud", "device"}
    assert "Eve is left out" in page
    assert "not tried, Eve is left out" in page
    assert '"event": "tags matched"' in matched


def test_a_story_without_eve_succeeds_only_if_she_was_left_out() -> None:
    whole = story()
    quiet = replace(whole, stages=tuple(stage for stage in whole.stages if stage.eve is None))
    assert not replace(quiet, device=replace(quiet.device, refused_while_red=False)).succeeded
    without = replace(
        quiet, eve_left_out=EVE_LEFT_OUT, device=replace(quiet.device, refused_while_red=False)
    )
    assert without.succeeded
    assert words.headline(without) == "Key made from recorded time tags, data delivered."
    assert (True, EVE_LEFT_OUT) in words.findings(without)
    assert "Eve is noticed" not in words.caption("timeline", without).seen
    assert EVE_LEFT_OUT in render(without, {})
    assert words.headline(whole) == "Key made, Eve caught, data delivered."


def test_of_recorded_light_the_visibility_is_that_of_its_s() -> None:
    report = {
        "protocol": "e91", "accepted": False, "message": "x", "qber": 0.02, "qber_stderr": 0.001,
        "chsh": 2.0**1.5 * 0.9, "chsh_stderr": 0.01, "secret_bits": 0, "epsilon": None,
        "epsilon_secrecy": None, "epsilon_correctness": None, "epsilon_authentication": None,
        "pulses": 10, "detected": 9, "sifted_bits": 2, "key_bits": 0, "leaked_bits": 0,
        "verification_bits": 0, "extracted_bits": 0, "authentication_bits": 0,
        "correlations": [
            {"alice_deg": 45.0, "bob_deg": 45.0, "value": 0.9, "stderr": 0.01, "pairs": 3}
        ],
    }  # fmt: skip
    stage = to_stage(report, None, None, name="e91", title="x", wall_s=1.0, status=Status.GREEN)
    assert stage.correlations[0].ideal == pytest.approx(0.9)
    assert stage.chsh_expected is None


def test_recordings_that_cannot_be_a_demo_are_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    short = replace(SCENE, seconds=0.01)
    recordings = recorded(tmp_path / "tags", short)
    good = f"timetags:{tmp_path / 'tags'}"
    assert Recordings.load(good).generated
    assert Recordings.load(good).source("b") == f"timetags:{(tmp_path / 'tags' / 'b').resolve()}"
    changed(recordings["b"], window_ps=700)
    with pytest.raises(UsageError, match=r"expected one window_ps in both .* got 1000 and 700"):
        Recordings.load(good)
    a, b, c = (tmp_path / "tags" / site for site in "abc")
    a.rename(c)
    with pytest.raises(UsageError, match="expected the description of a recording"):
        Recordings.load(good)
    b.rename(a)
    c.rename(b)
    with pytest.raises(UsageError, match=r"expected a recording of site a in .*, got one of b"):
        Recordings.load(good)
    with pytest.raises(UsageError, match="expected --source as timetags:DIR, got link"):
        Recordings.load("link")
