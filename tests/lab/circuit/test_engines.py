"""Engines in the lab's other verbs: sweeps, comparisons, results as Python has them."""

import pytest

from bellwire import lab
from bellwire.lab.errors import RangeError


def test_a_sweep_by_circuits_stands_beside_theory() -> None:
    curve = lab.sweep("bb84", "eve=0:1:3", pulses=4000, seed=1, engine="qiskit")
    for row in curve.rows:
        assert isinstance(row, lab.Row)
        assert row.engine == "qiskit"
        assert row.qber is not None
        assert row.qber_stderr is not None
        assert row.qber_theory is not None
        assert abs(row.qber - row.qber_theory) < 4 * row.qber_stderr + 0.001


def test_a_sweep_on_a_backend_is_refused_as_theory_knows_not_its_noise() -> None:
    with pytest.raises(RangeError, match="backend"):
        lab.sweep("e91", "eve=0:1:3", engine="qiskit", backend="fake_manila", pulses=100)


def test_two_engines_are_compared_in_standard_errors() -> None:
    words = {"protocol": "e91", "pulses": 20_000}
    both = (lab.configuration(name, {**words, "engine": name}) for name in ("fast", "qiskit"))
    found = {each.quantity: each.in_stderrs for each in lab.compare(*both, seed=5).differences}
    assert found["chsh"] is not None
    assert found["qber"] is not None
    assert 0 < abs(found["chsh"]) < 4
    assert abs(found["qber"]) < 4


def test_the_circuits_of_an_experiment_are_at_hand_in_python() -> None:
    names = [each.name for each in lab.circuits("bbm92", eve="ghz:0.5", setting="0,1")]
    assert names == ["bbm92-0-1", "bbm92-0-1-ghz-0"]
    made = lab.circuits("e91", eve="cloner")[4]
    assert (made.alice, made.bob) == (1, 1)
    assert made.to_qiskit().num_qubits == len(made.qubits) == 4
    assert made.figure().get_size_inches()[0] > 5
