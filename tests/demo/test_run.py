"""The whole story through the real command, as the person who runs it sees it."""

import hashlib
import math
import os
import re
import stat
from pathlib import Path

import pytest
from tests.demo.runs import Told

V = 0.96
"""Visibility of the default link: 2 % misalignment."""

THEORY = {
    "e91": (0.02, 2 * math.sqrt(2) * V),
    "bb84": (0.02, None),
    "eve-bb84-intercept": (0.26, None),
    "eve-e91-intercept": ((1 - 0.75 * V) / 2, math.sqrt(2) * V),
    "eve-e91-ghz": ((1 - 0.75 * V) / 2, math.sqrt(2) * V),
}
"""QBER and S, worked out by hand from the axes that Eve takes."""


def test_the_demo_succeeds_with_one_document_on_standard_output(told: Told) -> None:
    assert told.code == 0, told.err
    assert told.out.count("\n") == 1
    assert told.document["report"] == str(told.place.report / "index.html")


def test_every_stage_has_what_scripts_build_on_and_agrees_with_theory(told: Told) -> None:
    stages = {stage["name"]: stage for stage in told.document["stages"]}
    assert list(stages)[: len(THEORY)] == list(THEORY)
    assert all(name.startswith("recovery-") for name in list(stages)[len(THEORY) :])
    for name, stage in stages.items():
        qber, chsh = THEORY.get(name, THEORY["e91"])
        assert abs(stage["qber"] - qber) <= 4 * stage["qber_stderr"], name
        if chsh is None:
            assert stage["chsh"] is None
        else:
            assert abs(stage["chsh"] - chsh) <= 4 * stage["chsh_stderr"], name
        assert stage["wall_s"] > 0
        if stage["verdict"] == "accept":
            parts = [stage[f"epsilon_{part}"] for part in ("secrecy", "correctness")]
            parts.append(stage["epsilon_authentication"])
            assert 0 < stage["epsilon"] == sum(parts) <= 1e-10


def test_eve_is_caught_each_time_on_red_and_nothing_is_distilled_from_her_blocks(
    told: Told,
) -> None:
    for stage in told.document["stages"]:
        attacked = stage["name"].startswith("eve-")
        assert stage["verdict"] == ("abort" if attacked else "accept")
        assert not attacked or stage["status"] == "RED"
        assert (stage["secret_bits"] == 0) == attacked
        assert bool(stage["reason"]) == attacked
    assert told.document["stages"][-1]["status"] == "GREEN"


def test_every_reading_arrives_as_it_was_read(told: Told) -> None:
    device, data = told.document["device"], told.data.read_bytes()
    assert device["sent"] == device["received"] == data.count(b"\n")
    assert device["sha256_in"] == device["sha256_out"] == hashlib.sha256(data).hexdigest()
    (kept,) = told.place.state.glob("demo/cloud/devices/*/*.readings")
    assert kept.read_bytes() == data
    assert device["refused_while_red"]
    assert "the link is RED" in device["refusal"]
    assert "qkd (simulated)" in device["protections"]


def test_the_report_is_there_and_says_what_the_document_says(told: Told) -> None:
    page = (told.place.report / "index.html").read_text()
    assert told.document["device"]["sha256_out"] in page
    assert (told.place.report / "report.json").stat().st_size > 1000
    assert len(list((told.place.report / "figures").glob("*.svg"))) >= 4


def test_five_processes_did_the_work_and_none_is_left(told: Told) -> None:
    pids = {process["name"]: process["pid"] for process in told.document["processes"]}
    assert set(pids) == {"link", "node-a", "node-b", "cloud", "device"}
    assert len(set(pids.values())) == 5


def test_a_second_demo_in_the_same_state_folder_is_refused_and_the_first_goes_on(
    told: Told,
) -> None:
    code, err = told.second
    assert code == 2
    assert err.startswith("error: another demo is running with the state folder")
    assert "--state" in err
    assert told.code == 0


def test_nothing_is_written_outside_state_and_report(told: Told) -> None:
    caches = re.compile(r"home/\.(cache|config)/(matplotlib|numba|fontconfig)(/|$)")
    strays = {
        str(path.relative_to(told.root))
        for folder in told.place.outside
        for path in folder.rglob("*")
        if not path.is_dir() and not caches.match(str(path.relative_to(told.root)))
    }
    assert strays == set()
    top = {path.name for path in Path(told.root).iterdir()}
    assert top == {"s", "report", "home", "tmp", "work", "data.csv", "secrets", "other"}
    left = {path.name for path in told.place.report.iterdir()}
    assert left == {"index.html", "report.json", "figures"}


def test_state_is_its_owners_alone_and_no_pre_placed_key_is_left_lying_about(told: Told) -> None:
    assert stat.S_IMODE(told.place.state.stat().st_mode) == 0o700
    demo = told.place.state / "demo"
    assert stat.S_IMODE(demo.stat().st_mode) == 0o700
    assert list(demo.rglob("authentication*")) == []
    for node in ("node-a", "node-b"):
        for path in (demo / node).iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            assert path.stat().st_uid == os.geteuid()


def test_progress_goes_to_standard_error_in_the_order_of_the_story(told: Told) -> None:
    story = (
        "starting the link",
        "everybody is there",
        "E91: entangled pairs",
        "BB84: single photons",
        "device to cloud",
        "Eve is on the fibre",
        "block rejected, RED",
        "the device may not send",
        "Eve is gone",
        "GREEN",
        "device to cloud",
        "drawing the pictures",
    )
    at = 0
    for words in story:
        at = told.err.find(words, at)
        assert at >= 0, words


@pytest.mark.parametrize("log", ["link", "node-a", "node-b", "cloud", "device"])
def test_no_log_has_a_traceback_and_the_one_error_is_the_refusal_on_red(
    told: Told, log: str
) -> None:
    text = (told.place.state / "demo" / "logs" / f"{log}.log").read_text()
    assert "Traceback" not in text
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    assert errors == ([f"error: {told.document['device']['refusal']}"] if log == "device" else [])
