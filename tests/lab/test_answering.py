"""What the lab answers those who do not load it: figures beside theory, and how to repeat them."""

import io
import json
import shlex
from typing import Any

import pytest

from bellwire import lab
from bellwire.base.errors import UsageError
from bellwire.cli.main import run
from bellwire.console.experiments import OFFERS, AskedExperiment
from bellwire.lab import dispatch, recipe
from bellwire.lab.answering import answer, serve
from bellwire.lab.enough import More, more
from bellwire.lab.quantities import Prediction

WORDS = {"pulses": 20_000, "misalignment": 0.03, "eve": "intercept-resend:0.2", "seed": 7}


def test_an_answer_is_what_the_lab_finds() -> None:
    found = answer("e91", WORDS)
    what = dispatch.experiment("e91", WORDS)
    result, expected = dispatch.run(what), lab.predict(what)
    assert isinstance(result, lab.Result)
    assert found["qber"] == {
        "value": result.qber,
        "stderr": result.qber_stderr,
        "theory": expected.qber,
    }
    assert found["chsh"]["theory"] == expected.chsh
    assert (found["verdict"], found["reason"]) == (result.verdict, result.reason)
    assert found["correlations"] == result.correlations


def test_the_command_and_the_python_repeat_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer("bb84", WORDS)
    said = shlex.split(found["command"])
    assert said[0] == "bellwire"
    assert run([*said[1:], "--json"]) == 0
    typed = capsys.readouterr().out
    exec(found["python"], {})
    for text in (typed, capsys.readouterr().out):
        again = json.loads(text)
        assert again["qber"] == found["qber"]["value"]
        assert again["secret_bits"] == found["secret_bits"]


def test_what_is_as_usual_is_not_said() -> None:
    usual = {"pulses": 1_000_000, "km": 0.0, "misalignment": 0.02, "seed": 3}
    assert recipe.command("e91", usual) == "bellwire lab run e91 --seed 3"
    assert recipe.command("decoy-bb84", {"km": 12.5}) == "bellwire lab run decoy-bb84 --km 12.5"


def test_refusals_are_answers_and_the_next_line_is_heard() -> None:
    asked = [
        {"protocol": "e91", "words": {"km": -1.0}},
        {"protocol": "wcp-bb84", "words": {"until": "estimate"}},
        {"protocol": "bb84", "words": {"pulses": 2000, "seed": 1}},
    ]
    told = io.BytesIO()
    serve(io.BytesIO(b"".join(json.dumps(each).encode() + b"\n" for each in asked)), told)
    first, second, third = map(json.loads, told.getvalue().splitlines())
    assert "km" in first["refused"] or "fibre" in first["refused"]
    assert "key" in second["refused"]
    assert third["verdict"] in {"accept", "abort"}


@pytest.mark.parametrize("offer", OFFERS, ids=lambda each: each.name)
def test_whatever_a_console_offers_the_lab_has(offer: Any) -> None:
    for eve in (None, *offer.eves):
        asked = AskedExperiment(offer.name, seed=1, pulses=offer.most_pulses, eve=eve, share=0.5)
        dispatch.experiment(offer.name, asked.words())
    hidden = AskedExperiment(offer.name, seed=1, hidden=True).words()
    if offer.bell:
        dispatch.experiment(offer.name, hidden)
    else:
        with pytest.raises(UsageError):
            dispatch.experiment(offer.name, hidden)


def test_more_photons_are_asked_for_where_errors_hide_the_limit() -> None:
    found = lab.run("e91", pulses=5000, seed=1)
    assert found.chsh is not None
    assert found.chsh_stderr is not None
    expected = Prediction(qber=0.02, chsh=found.chsh, key=0.1)
    near, far = found.chsh - 1.5 * found.chsh_stderr, found.chsh - 3.5 * found.chsh_stderr
    assert more(found, expected, 0.11, near) == More("chsh", 4 * 5000)
    assert more(found, expected, 0.11, far) != More("chsh", 4 * 5000)


def test_a_short_block_of_a_good_link_lacks_photons_and_a_bad_link_does_not() -> None:
    short = answer("bb84", {"pulses": 1000, "seed": 1})
    assert short["verdict"] == "abort"
    assert short["more"] == {"why": "key", "pulses": None}
    eve = answer("bb84", {"pulses": 50_000, "eve": "intercept-resend", "seed": 1})
    assert eve["more"] is None
    assert answer("bb84", {"pulses": 50_000, "seed": 1})["more"] is None
