"""`bellwire lab circuit`, and circuits in the place of the fast engine of `lab run`."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image
from qiskit import qasm3
from qiskit.quantum_info import Operator

from bellwire import lab
from bellwire.cli.main import run
from bellwire.lab.circuit.model import Circuit

LAYERS = ("as_qiskit", "on_aer", "on_backend", "on_pennylane")


def hide(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """As if the library were not installed."""
    monkeypatch.setitem(sys.modules, library, None)
    for layer in LAYERS:
        monkeypatch.delitem(sys.modules, f"bellwire.lab.circuit.{layer}", raising=False)


def gates(circuit: Circuit, program: str | None = None) -> Operator:
    """The unitary of a circuit, its own or as read from an OpenQASM program."""
    made = circuit.to_qiskit() if program is None else qasm3.loads(program)
    made.data = [each for each in made.data if each.operation.name not in {"measure", "barrier"}]
    return Operator(made)


@pytest.mark.parametrize("protocol", ["e91", "bbm92", "bb84"])
@pytest.mark.parametrize("eve", ["none", "intercept-resend", "ghz", "cloner"])
def test_exported_programs_read_back_as_the_same_circuits(protocol: str, eve: str) -> None:
    circuits = lab.circuits(protocol, eve=eve)
    for each in (circuits[1], circuits[-1]):
        program = each.to_qasm3()
        assert program.startswith("OPENQASM 3.0;\n")
        assert each.name in program
        assert gates(each, program).equiv(gates(each))
        read = qasm3.loads(program)
        measured = [
            (read.find_bit(one.qubits[0]).index, read.find_bit(one.clbits[0]).index)
            for one in read.data
            if one.operation.name == "measure"
        ]
        assert len(measured) == len(each.bits)
        assert sorted(bit for _, bit in measured) == list(range(len(each.bits)))


def test_all_circuits_of_a_protocol_are_drawn_in_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["lab", "circuit", "e91"]) == 0
    shown = capsys.readouterr().out
    assert [f"e91-{a}-{b}\n" in shown for a in range(3) for b in range(3)] == [True] * 9
    assert "alice: ┤ H ├──■──" in shown


def test_one_setting_is_exported_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["lab", "circuit", "e91", "--eve", "ghz", "--setting", "0,1", "--format", "qasm3"]
    assert run(words) == 0
    program = capsys.readouterr().out
    assert qasm3.loads(program).num_qubits == 3
    assert "cx bob[0], eve_0[0];" in program


def test_files_are_programs_drawings_and_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "circuits"
    words = ["bb84", "--setting", "1,0", "--draw", "mpl", "--format", "qasm3", "--out", str(out)]
    assert run(["lab", "circuit", *words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    names = {each["name"] for each in answer["circuits"]}
    assert names == {"bb84-1-0-bit0", "bb84-1-0-bit1"}
    kinds = ("qasm", "svg", "png")
    assert {path.name for path in out.iterdir()} == {f"{n}.{k}" for n in names for k in kinds}
    assert {Path(path).name for path in answer["written"]} == {path.name for path in out.iterdir()}
    assert "<svg" in (out / "bb84-1-0-bit1.svg").read_text()
    with Image.open(out / "bb84-1-0-bit1.png") as picture:
        assert picture.width > 300


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["e91", "--setting", "3,0"], "setting as ALICE,BOB, each 0 to 2"),
        (["bb84", "--setting", "0"], "setting as ALICE,BOB, each 0 to 1"),
        (["bb84", "--eve", "substitution"], "source sends pairs"),
        (["e91", "--eve", "ghz", "--eve-axis", "uniform"], "axes in degrees"),
        (["e91", "--draw", "mpl"], "--out DIR"),
        (["b92"], "protocols"),
        (["decoy-bb84"], "circuits of qubits"),
    ],
)
def test_what_has_no_circuit_is_refused_by_name(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lab", "circuit", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    words = ["bb84", "--setting", "0,0", "--out", str(tmp_path / "file" / "under")]
    assert run(["lab", "circuit", *words]) == 2
    assert "under" in capsys.readouterr().err


@pytest.mark.parametrize("protocol", ["e91", "bbm92", "bb84"])
def test_qiskit_plays_a_whole_experiment_to_equal_secret_bits(
    protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lab", "run", protocol, "--engine", "qiskit", "--pulses", "60000", "--seed", "1"]
    answers = []
    for _ in range(2):
        assert run([*words, "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    one, two = ({**each, "wall_s": 0} for each in answers)
    assert one == two, "a seed repeats it"
    assert (one["engine"], one["backend"], one["detections"]) == ("qiskit", None, 60_000)
    assert (one["verdict"], one["keys_match"]) == ("accept", True)
    assert one["secret_bits"] > 1000
    assert abs(one["qber"] - 0.02) < 4 * one["qber_stderr"]
    fast = lab.run(protocol, pulses=60_000, seed=1)
    assert fast.sifted_bits == one["sifted_bits"], "the choices are the same"
    assert fast.qber != one["qber"], "the photons are not"


def test_eve_among_the_circuits_is_caught_and_the_table_names_the_engine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["bb84", "--engine", "qiskit", "--pulses", "20000", "--seed", "1"]
    assert run(["lab", "run", *words, "--eve", "intercept-resend"]) == 0
    shown = capsys.readouterr().out
    assert "abort" in shown
    assert "engine qiskit" in shown


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--km", "5"], "km"),
        (["--loss", "0.3"], "loss"),
        (["--insertion-loss", "1"], "insertion-loss"),
        (["--efficiency", "0.5"], "efficiency"),
        (["--dark", "1e-6"], "dark"),
        (["--eve", "intercept-resend", "--eve-axis", "uniform"], "axes"),
        (["--eve", "man-in-the-middle"], "fast"),
        (["--mean-pairs", "0.1"], "fast"),
        (["--backend", "fake_manila"], "pulses in 1 … 100000"),
        (["--backend", "fake_manila", "--pulses", "9", "--misalignment", "0.1"], "misalignment"),
        (["--backend", "fake_nowhere", "--pulses", "9"], "fake_nowhere"),
    ],
)
def test_options_that_circuits_have_not_are_refused_by_name(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lab", "run", "e91", "--engine", "qiskit", *words]) == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["e91", "--engine", "cirq"], "fast, qiskit, pennylane"),
        (["e91", "--backend", "fake_manila"], "only with engine qiskit"),
        (["e91", "--engine", "qiskit", "--until", "estimate"], "engine fast with --until"),
        (["wcp-bb84", "--until", "estimate", "--engine", "qiskit"], "engine only with"),
    ],
)
def test_engines_that_do_not_fit_are_refused(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lab", "run", *words]) == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "library", "extra"),
    [
        (["run", "e91", "--engine", "qiskit"], "qiskit", "qiskit"),
        (["run", "e91", "--engine", "qiskit"], "qiskit_aer", "qiskit"),
        (
            ["run", "e91", "--engine", "qiskit", "--backend", "fake_manila", "--pulses", "9"],
            "qiskit_ibm_runtime",
            "qiskit",
        ),
        (["run", "e91", "--engine", "pennylane"], "pennylane", "pennylane"),
        (["circuit", "e91"], "qiskit", "qiskit"),
    ],
)
def test_without_its_library_an_engine_says_how_to_get_it(
    words: list[str],
    library: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hide(monkeypatch, library)
    assert run(["lab", *words]) == 2
    said = capsys.readouterr().err
    assert f"library {library}, which is not installed" in said
    assert "./bellwire extras" in said
    assert f"pip install 'bellwire[{extra}]'" in said


def test_figures_of_circuits_need_no_qiskit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "qiskit")
    words = ["e91", "--setting", "0,1", "--draw", "mpl", "--out", str(tmp_path)]
    assert run(["lab", "circuit", *words]) == 0
    assert (tmp_path / "e91-0-1.svg").exists()
