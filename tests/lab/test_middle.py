"""A man in the middle fails at authentication, and at nothing else."""

from typing import Any

import pytest

from bellwire import lab
from bellwire.base.detections import OF_PHOTONS, Protocol, Side
from bellwire.base.errors import UsageError
from bellwire.distill.errors import ParameterError
from bellwire.distill.verdict import Reason
from bellwire.lab import middle
from bellwire.lab.dispatch import experiment
from bellwire.lab.experiment import Experiment, Result
from bellwire.lab.middle import Interposed, Knows
from bellwire.link.eve import Eve, EveKind

PROTOCOLS = [protocol.value for protocol in OF_PHOTONS]


def run(protocol: str, knows: Knows = Knows.NOTHING, pulses: int = 40_000) -> Result:
    result = lab.run(protocol, pulses=pulses, eve=f"man-in-the-middle:{knows}", seed=1)
    assert isinstance(result, Result)
    return result


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("knows", "said"),
    [(Knows.NOTHING, "frame 0 from the peer"), (Knows.FRAME_KEY, "a tag does not fit")],
)
def test_both_honest_sides_refuse_who_lacks_a_key(protocol: str, knows: Knows, said: str) -> None:
    result = run(protocol, knows)
    assert (result.verdict, result.secret_bits, result.keys_match) == ("abort", 0, None)
    assert result.eve == {"kind": "man-in-the-middle", "share": 1.0, "knows": knows.value}
    assert result.sides is not None
    assert [side.side for side in result.sides] == ["alice", "bob"]
    for side in result.sides:
        assert (side.verdict, side.secret_bits, side.eve_holds_key) == ("abort", 0, None)
        assert side.reason is not None
        assert side.reason.startswith("authentication failed")
        assert said in side.reason
    # No basis was opened to her: neither side came to know a detection.
    assert (result.detections, result.sifted_bits, result.qber) == (0, 0, None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_with_every_key_she_holds_both_keys_and_nothing_shows(protocol: str) -> None:
    result, honest = run(protocol, Knows.ALL_KEYS), lab.run(protocol, pulses=40_000, seed=1)
    assert (result.verdict, result.reason) == ("accept", None)
    assert result.sides is not None
    assert all(side.eve_holds_key and side.secret_bits > 0 for side in result.sides)
    assert result.keys_match is False, "Alice and Bob share a key with her, not with each other"
    assert result.qber is not None
    assert honest.qber is not None
    assert abs(result.qber - honest.qber) < 4 * ((result.qber_stderr or 0) ** 2 * 2) ** 0.5


def interposed(knows: Knows, monkeypatch: pytest.MonkeyPatch) -> Interposed:
    """Both conversations of a block, as `lab run` has them."""
    held: list[Interposed] = []

    def spy(*args: Any) -> Interposed:
        held.append(middle.interpose(*args))
        return held[-1]

    monkeypatch.setattr("bellwire.lab.experiment.interpose", spy)
    run("bbm92", knows)
    return held[0]


def test_no_secret_is_handed_out_anywhere_unless_she_has_all_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for knows in (Knows.NOTHING, Knows.FRAME_KEY):
        with monkeypatch.context() as patch:
            met = interposed(knows, patch)
        assert all(not met.outcomes[side].secrets for side in Side)
        assert {met.report(side).reason for side in Side} == {Reason.AUTHENTICATION}
    met = interposed(Knows.ALL_KEYS, monkeypatch)
    alice, bob = (met.outcomes[side].secrets[side] for side in Side)
    assert alice == met.outcomes[Side.ALICE].secrets[Side.BOB]
    assert bob == met.outcomes[Side.BOB].secrets[Side.ALICE]
    assert alice != bob


def test_the_frames_stop_her_before_the_tags_are_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        early = interposed(Knows.NOTHING, patch)
    late = interposed(Knows.FRAME_KEY, monkeypatch)
    assert [early.report(side).steps for side in Side] == [0, 0]
    assert [late.report(side).steps for side in Side] == [2, 2]


def test_theory_promises_no_key_to_sides_that_talk_to_eve() -> None:
    words = {"eve": "man-in-the-middle"}
    expected = lab.predict(experiment("bb84", words))
    assert expected.qber == pytest.approx(0.02)
    assert expected.key == 0.0


def test_she_takes_no_share_no_axis_and_no_company() -> None:
    with pytest.raises(ParameterError, match="nothing, frame-key, all-keys"):
        lab.run("bb84", eve="man-in-the-middle:0.5")
    with pytest.raises(UsageError, match="no eve-axis with man-in-the-middle"):
        lab.run("bb84", eve="man-in-the-middle", eve_axis="45")
    with pytest.raises(ParameterError, match="one Eve"):
        Experiment(protocol=Protocol.BB84, eve=Eve(EveKind.GHZ), middle=Knows.NOTHING)
