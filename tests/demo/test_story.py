import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.demo.example import story

from bellwire.base.detections import OF_PHOTONS, Protocol
from bellwire.demo.story import (
    PREVIEW_COLUMNS,
    PREVIEW_LINES,
    StepKind,
    StoryInconsistent,
    Verdict,
    key_budget,
    measured,
    preview,
)

COUNTS = {
    "pulses": 1000,
    "detected": 800,
    "sifted": 400,
    "left": 300,
    "leaked": 50,
    "verification": 64,
    "extracted": 100,
    "authentication": 20,
}


def test_the_document_has_every_promised_field_and_survives_json() -> None:
    document = story().to_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert {"stages", "device", "timeline", "thresholds", "source", "honesty"} <= set(document)
    assert {"name", "verdict", "qber", "chsh", "secret_bits", "epsilon", "wall_s"} <= set(
        document["stages"][0]
    )
    assert {"sent", "received", "sha256_in", "sha256_out", "refused_while_red"} <= set(
        document["device"]
    )
    assert document["stages"][2]["eve"] == {"kind": "intercept-resend", "share": 1.0}
    assert document["stages"][2]["verdict"] == "abort"
    assert document["report"] == "report/index.html"


def test_a_number_that_json_cannot_carry_is_refused() -> None:
    with pytest.raises(StoryInconsistent, match="finite"):
        dataclasses.replace(story(), wall_s=math.nan).to_dict()


def test_a_name_that_is_no_text_becomes_text() -> None:
    told = dataclasses.replace(story(), report="a\udcff")
    assert json.dumps(told.to_dict(), ensure_ascii=False).encode()


@given(st.data())
def test_the_budget_adds_up_from_pulses_to_secret_bits(data: st.DataObject) -> None:
    def below(top: int) -> int:
        return data.draw(st.integers(0, top))

    pulses = below(10**9)
    detected = below(pulses)
    sifted = below(detected)
    left = below(sifted)
    extracted = below(left)
    leaked = below(left - extracted)
    steps = key_budget(
        protocol=data.draw(st.sampled_from(OF_PHOTONS)),
        accepted=True,
        pulses=pulses,
        detected=detected,
        sifted=sifted,
        left=left,
        leaked=leaked,
        verification=below(left - extracted - leaked),
        extracted=extracted,
        authentication=below(extracted),
    )
    losses = sum(step.bits for step in steps if step.kind is StepKind.LOSS)
    assert steps[-1].kind is StepKind.NET
    assert steps[-1].bits == left - losses
    assert all(step.bits >= 0 and step.explanation for step in steps)


def test_a_rejected_block_gives_up_everything_it_had_left() -> None:
    steps = key_budget(protocol=Protocol.BB84, accepted=False, **COUNTS)
    assert [(s.name, s.bits) for s in steps[-2:]] == [("rejected", 300), ("secret", 0)]
    pairs = key_budget(protocol=Protocol.BBM92, accepted=False, **COUNTS)
    assert "coincidences" in [s.name for s in pairs]
    assert "random part" in next(s.explanation for s in pairs if s.name == "after sampling")
    opened = key_budget(protocol=Protocol.E91, accepted=False, **{**COUNTS, "left": 0})
    assert [s.name for s in opened] == [
        "pulses", "coincidences", "sifted", "after sampling", "secret",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"detected": 1001}, {"left": -1}, {"extracted": 290}, {"authentication": 101}]
)
def test_a_budget_that_contradicts_itself_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(StoryInconsistent, match="expected"):
        key_budget(protocol=Protocol.BB84, accepted=True, **{**COUNTS, **change})


def test_a_stage_cannot_claim_other_bits_than_its_budget_or_any_after_an_abort() -> None:
    first = story().stages[0]
    with pytest.raises(StoryInconsistent, match="budget"):
        dataclasses.replace(first, secret_bits=1)
    with pytest.raises(StoryInconsistent, match="aborted"):
        dataclasses.replace(first, verdict=Verdict.ABORT)


def test_a_stage_finds_its_steps_by_name() -> None:
    first = story().stages[0]
    assert first.step("sifted") == 44_300
    assert first.step("rejected") is None


def test_success_needs_key_intact_data_a_refusal_and_every_attack_caught() -> None:
    told = story()
    assert told.succeeded
    other = dataclasses.replace(told.device, sha256_out="0" * 64)
    blind = dataclasses.replace(told.stages[0], eve=told.stages[2].eve)
    for change in (
        {"device": other},
        {"device": dataclasses.replace(told.device, refused_while_red=False)},
        {"stages": (blind, *told.stages[1:])},
        {"stages": told.stages[:2]},
        {"stages": told.stages[:-1]},
    ):
        assert not dataclasses.replace(told, **change).succeeded


def test_a_value_is_shown_with_its_error_and_a_missing_one_as_a_dash() -> None:
    assert measured(0.0213, 0.0007, percent=True) == "2.1 ± 0.1 %"
    assert measured(2.7191, 0.0098, percent=False) == "2.719 ± 0.010"
    assert measured(2.7191, None, percent=False) == "2.719"
    assert measured(None, None, percent=True) == "–"


@given(st.binary(max_size=5000))
def test_a_preview_is_short_and_printable_whatever_the_bytes(data: bytes) -> None:
    lines = preview(data)
    assert len(lines) <= PREVIEW_LINES
    assert all(len(line) <= PREVIEW_COLUMNS and (not line or line.isprintable()) for line in lines)


def test_a_long_line_of_a_preview_is_cut_visibly() -> None:
    assert preview(b"x" * 500)[0].endswith("x…")
    assert preview(b"a\tb\x1b[31m\n")[0] == "a b�[31m"
