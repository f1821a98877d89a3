"""A followed block tells what the sessions report and what the wire carries, and no key bit."""

import dataclasses
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.simulators import halves as simulated

from bellwire import lab
from bellwire.base.angles import KEY_PAIRS
from bellwire.base.detections import Detections, Half, Side
from bellwire.cli import output
from bellwire.distill.errors import ParameterError
from bellwire.lab import dispatch
from bellwire.lab import follow as module
from bellwire.lab.experiment import Experiment, distil_halves, halves, seeds
from bellwire.lab.follow import Followed, follow
from bellwire.lab.follow_figure import figures
from bellwire.lab.follow_page import markdown, write
from bellwire.lab.follow_story import story
from bellwire.lab.pair import PairOutcome

ACCEPTED: dict[str, dict[str, Any]] = {
    "bb84": {"pulses": 60_000, "km": 1.0, "seed": 1},
    "bbm92": {"pulses": 60_000, "seed": 1},
    "e91": {"pulses": 80_000, "seed": 1},
}


def experiment(protocol: str, **words: Any) -> Experiment:
    planned = dispatch.experiment(protocol, words)
    assert isinstance(planned, Experiment)
    return planned


@cache
def followed(protocol: str) -> Followed:
    return follow(experiment(protocol, **ACCEPTED[protocol]))


@pytest.mark.parametrize("protocol", ACCEPTED)
def test_it_is_the_block_of_lab_run_with_the_same_seed(protocol: str) -> None:
    found, plain = followed(protocol), lab.run(protocol, **ACCEPTED[protocol])
    assert isinstance(plain, lab.Result)
    assert found.report.secret_bits == plain.secret_bits > 0
    assert (found.report.qber, found.report.chsh) == (plain.qber, plain.chsh)
    assert found.keys_match is plain.keys_match is True
    assert found.stages[-1].left == plain.secret_bits


@pytest.mark.parametrize("protocol", ACCEPTED)
def test_messages_make_the_transcript_and_are_numbered_as_in_the_specification(
    protocol: str,
) -> None:
    found = followed(protocol)
    told = sum(12 + each.alice_bytes + each.bob_bytes for each in found.messages[:-1])
    assert told == found.report.transcript_bytes, "Stored comes after the report is made"
    assert [each.step for each in found.messages] == list(range(found.report.steps + 1))
    names = [each.name for each in found.messages]
    assert names[:5] == ["Open", "Received", "Announced", "Tested", "Decided"]
    assert names[-3:] == ["Proof", "Tagged", "Stored"]
    assert set(names[5:-3]) == {"parities"}
    assert len(names[4:-3]) == len(found.rounds) == found.report.rounds


@pytest.mark.parametrize("protocol", ACCEPTED)
def test_a_listener_finds_as_many_errors_parities_and_bits_as_the_sessions(protocol: str) -> None:
    found = followed(protocol)
    report, errors = found.report, sum(part.errors for part in found.parts)
    assert sum(each.parities for each in found.rounds) == report.leaked_bits
    assert found.rounds[-1].found == errors
    known = errors + sum(each.errors for each in found.compared)
    bits = report.key_bits + sum(each.bits for each in found.compared)
    assert report.qber == known / bits
    assert sum(part.bits for part in found.parts) == report.key_bits
    growth = [each.found for each in found.rounds]
    assert growth == sorted(growth)
    assert all((each.different or 0) <= each.parities for each in found.rounds)


@pytest.mark.parametrize("protocol", ACCEPTED)
def test_first_slots_are_those_of_both_halves_and_only_test_slots_are_open(protocol: str) -> None:
    planned, found = experiment(protocol, **ACCEPTED[protocol]), followed(protocol)
    alice, bob = halves(planned, seeds(planned.seed))
    uses = set()
    for first in found.first_slots:
        at = np.array([first.slot], np.int64)
        mine, theirs = alice.at(at), bob.at(at)
        assert (int(mine.settings[0]), int(theirs.settings[0])) == (first.alice, first.bob)
        outcomes = int(mine.outcomes[0]), int(theirs.outcomes[0])
        assert first.opened == (outcomes if first.use == "test" else None)
        if protocol == "e91":
            assert (first.use == "key") == ((first.alice, first.bob) in KEY_PAIRS)
        else:
            assert (first.use == "dropped") == (first.alice != first.bob)
        uses.add(first.use)
    assert "key" in uses
    assert len(found.first_slots) == module.SHOWN_SLOTS


@pytest.mark.parametrize("protocol", ACCEPTED)
def test_terms_of_the_length_add_up_and_parts_of_epsilon_to_the_reports(protocol: str) -> None:
    found = followed(protocol)
    report = found.report
    left = sum(part.left for part in found.parts)
    taken = report.leaked_bits + report.verification_bits + found.amplification_cost
    assert math.floor(left - taken) == report.extracted_bits
    assert [part.phase_error for part in found.parts] == list(report.phase_errors)
    assert all(part.observed < part.phase_error for part in found.parts)
    assert sum(each.epsilon for each in found.epsilon) == pytest.approx(report.epsilon, rel=1e-12)
    stages = [each.left for each in found.stages]
    assert stages == sorted(stages, reverse=True)


def test_of_the_key_nothing_is_told_but_the_parities_of_the_opening(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(7)
    pair = simulated.e91(60_000, 0.96, rng)
    first, second = (pair[side].at(np.arange(60_000)) for side in Side)
    key = np.zeros(60_000, np.bool_)
    for a, b in KEY_PAIRS:
        key |= (first.settings == a) & (second.settings == b)
    other = np.where(key, rng.integers(0, 2, 60_000), 0).astype(np.uint8)

    def turned(by: np.ndarray) -> dict[str, Any]:
        both: tuple[Half, Half] = tuple(  # type: ignore[assignment]
            Detections(each.slots, each.settings, each.outcomes ^ by) for each in (first, second)
        )
        monkeypatch.setattr(module, "halves", lambda *_: both)
        document = follow(experiment("e91", pulses=60_000, seed=3)).to_dict()
        assert document["report"]["accepted"]
        return document

    one, another = turned(np.zeros_like(other)), turned(other)
    assert one.pop("first_parities") != another.pop("first_parities")
    assert one == another


def test_a_page_that_would_tell_other_numbers_than_the_sessions_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = distil_halves

    def wrong(*given: Any) -> PairOutcome:
        outcome = honest(*given)
        for side, report in outcome.reports.items():
            leaked = report.leaked_bits - 1
            outcome.reports[side] = dataclasses.replace(report, leaked_bits=leaked)
        return outcome

    monkeypatch.setattr(module, "distil_halves", wrong)
    with pytest.raises(RuntimeError, match="leaked bits: the wire says"):
        follow(experiment("bb84", **ACCEPTED["bb84"]))


def test_a_rejected_block_is_followed_to_its_verdict() -> None:
    found = follow(experiment("bb84", pulses=20_000, seed=1, eve="intercept-resend"))
    assert [each.name for each in found.stages] == ["sent", "detected", "sifted"]
    assert not found.rounds
    assert found.keys_match is None
    sections = {each.name: each for each in story(found)}
    assert list(sections) == [
        "light", "open", "received", "announced", "tested", "decided", "wire",
    ]  # fmt: skip
    (verdict,) = sections["decided"].text
    assert str(found.report.message) in str(verdict)
    assert figures(found) == {}


def test_a_block_whose_tags_cost_more_than_it_gives_is_followed_to_its_length() -> None:
    found = follow(experiment("bb84", pulses=16_000, misalignment=0.05, seed=3))
    assert found.report.reason == "no net key"
    assert found.stages[-1].left == 0
    told = {each.name: each for each in story(found)}
    assert "proof" not in told
    assert "rejected" in str(told["length"].text[-1])
    assert set(figures(found)) == {"bits", "rounds"}


def test_a_block_that_its_whole_error_rate_rejects_is_followed_to_there() -> None:
    words = {"pulses": 40_000, "misalignment": 0.11, "sample_share": 0.1, "seed": 3}
    found = follow(experiment("bb84", **words))
    assert found.report.reason == "qber above limit"
    assert found.rounds
    last = [each for each in story(found) if each.name != "wire"][-1]
    assert last.name == "reconciliation"
    assert f"rejected: {found.report.message}" in str(last.text[-1])


def test_a_key_too_short_for_cascade_is_said_bit_by_bit() -> None:
    words = {"pulses": 4000, "sample_share": 0.99, "misalignment": 0.05, "seed": 1}
    found = follow(experiment("bb84", **words))
    assert found.layout is None
    assert found.first_parities is None
    assert [each.number for each in found.rounds] == [1]
    told = {each.name: each for each in story(found)}
    assert "bit by bit" in str(told["reconciliation"].text[0])


def test_a_block_without_light_and_one_of_a_preferred_basis_are_followed() -> None:
    dark = follow(experiment("e91", pulses=100, efficiency=1e-6, seed=1))
    assert dark.report.detected == 0
    assert dark.first_slots == ()
    assert "rejected" in markdown(story(dark), level=2, figures={})
    biased = follow(experiment("bb84", pulses=100_000, rectilinear=0.8, seed=1))
    assert [part.name for part in biased.parts] == ["rectilinear basis"]
    assert [each.name for each in biased.compared] == ["rectilinear basis", "diagonal basis"]
    assert biased.report.accepted


def test_an_eve_in_the_middle_makes_two_blocks_of_it_and_is_refused() -> None:
    with pytest.raises(ParameterError, match="in the middle"):
        follow(experiment("e91", pulses=1000, eve="man-in-the-middle"))


def test_a_page_names_its_pictures_and_every_section(tmp_path: Path) -> None:
    found = followed("bb84")
    path = tmp_path / "made" / "block.md"
    written = write(found, path)
    assert [each.name for each in written] == [
        "block.md",
        *(f"block-{name}.{kind}" for name in ("bits", "rounds") for kind in ("svg", "png")),
    ]
    text = path.read_text()
    assert "](block-bits.svg)" in text
    assert "](block-rounds.svg)" in text
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [
        each.title for each in story(found)
    ]


def test_the_document_is_plain_json() -> None:
    document = json.loads(json.dumps(followed("e91").to_dict(), default=output._plain))
    assert document["report"]["accepted"] is True
    assert document["experiment"] == {
        "protocol": "e91", "pulses": 80_000, "seed": 1, "misalignment": 0.02, "km": 0.0,
        "sample_share": 0.2, "epsilon": 1e-10, "eve": None,
    }  # fmt: skip


def test_of_codes_a_listener_hears_the_checks_and_at_last_how_many_bits_were_wrong() -> None:
    found = follow(experiment("bb84", pulses=100_000, seed=1, reconciliation="ldpc"))
    report = found.report
    assert report.accepted
    assert found.keys_match is True
    assert (found.method, found.layout, found.first_parities) == ("ldpc", None, None)
    assert sum(each.parities for each in found.rounds) == report.leaked_bits
    assert len(found.rounds) == report.rounds
    assert {each.different for each in found.rounds} == {None}
    known = found.rounds[-1].found + sum(each.errors for each in found.compared)
    assert report.qber == known / report.sifted_bits
    assert sum(part.errors for part in found.parts) == found.rounds[-1].found
    told = {each.name: each for each in story(found)}
    assert "low-density code" in str(told["reconciliation"].text[0])
    assert set(figures(found)) == {"bits"}
