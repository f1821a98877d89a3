"""Hidden variables agree as entangled pairs do, and never pass S = 2."""

import math

import numpy as np
import pytest

from bellwire import lab
from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES, CHSH_TERMS
from bellwire.base.detections import Protocol
from bellwire.base.errors import UsageError
from bellwire.lab import dispatch
from bellwire.lab.engines import Engine, Player
from bellwire.lab.experiment import Experiment, run
from bellwire.lab.hidden import outcomes
from bellwire.link import theory
from bellwire.link.config import LinkConfig


def test_no_pair_has_answers_beyond_two() -> None:
    carried = np.linspace(0.0, 2.0 * math.pi, 5000)
    s = sum(
        sign * (1.0 - 2.0 * (outcomes(ALICE_ANGLES[a], carried) ^ outcomes(BOB_ANGLES[b], carried)))
        for a, b, sign in CHSH_TERMS
    )
    assert set(np.unique(s)) <= {-2.0, 2.0}


@pytest.mark.parametrize("misalignment", [0.0, 0.05])
def test_a_block_of_them_shows_two_and_no_key(misalignment: float) -> None:
    link = LinkConfig(misalignment=misalignment)
    what = Experiment(
        protocol=Protocol.E91, pulses=100_000, config=link, player=Player(Engine.HIDDEN), seed=1
    )
    found, expected = run(what), lab.predict(what)
    assert expected.chsh == pytest.approx(2.0 - 4.0 * misalignment)
    assert expected.chsh is not None
    assert found.chsh is not None
    assert found.chsh_stderr is not None
    assert abs(found.chsh - expected.chsh) < 5.0 * found.chsh_stderr
    entangled = theory.e91_chsh(link)
    assert entangled - found.chsh > 20.0 * found.chsh_stderr
    assert (found.verdict, found.secret_bits, found.engine) == ("abort", 0, "hidden-variables")


def test_they_agree_at_equal_settings() -> None:
    found = lab.run("e91", engine="hidden-variables", pulses=20_000, misalignment=0.0, seed=2)
    same = [each for each in found.correlations if each["alice_deg"] == each["bob_deg"]]
    assert all(each["value"] == 1.0 for each in same)
    assert found.verdict == "abort"


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ("bb84", {}),
        ("bbm92", {}),
        ("e91", {"eve": "ghz"}),
        ("e91", {"km": 1.0}),
        ("e91", {"dark": 1e-6}),
        ("e91", {"until": "estimate"}),
    ],
)
def test_what_they_lack_is_refused(protocol: str, words: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        dispatch.experiment(protocol, {**words, "engine": "hidden-variables"})
