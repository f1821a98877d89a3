"""Circuits on IBM's backends: the local fakes here, and what is said where the real ones are not.

Nothing leaves this machine: where the library would call its service, a closed port is its proxy.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qiskit.providers import BackendV2
from qiskit_ibm_runtime.executor_sampler import Sampler
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from tests.link.laws import seeds

from bellwire import lab
from bellwire.base.detections import Detections, Protocol
from bellwire.lab.circuit import on_backend
from bellwire.lab.circuit.halves import Task, light
from bellwire.lab.circuit.on_backend import Backend
from bellwire.lab.circuit.protocols import branches, cells
from bellwire.lab.errors import AccountMissing, BackendUnknown, BackendUnreachable
from bellwire.link.eve import Eve, EveKind

TOKEN = "a-token-that-must-not-be-seen-anywhere-at-all"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No saved account, no token, no network."""
    for name in ("QISKIT_IBM_TOKEN", "QISKIT_IBM_CHANNEL", "QISKIT_IBM_INSTANCE", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(
        "qiskit_ibm_runtime.accounts.management._DEFAULT_ACCOUNT_CONFIG_JSON_FILE",
        str(tmp_path / "accounts.json"),
    )


def test_a_fake_backend_runs_e91_with_its_noise_and_bell_is_still_violated() -> None:
    result = lab.run("e91", engine="qiskit", backend="fake_manila", pulses=4000, seed=1)
    assert (result.engine, result.backend) == ("qiskit", "fake_manila")
    assert result.chsh is not None
    assert result.chsh_stderr is not None
    assert result.qber is not None
    assert 2.0 + 3 * result.chsh_stderr < result.chsh < 2.828 - result.chsh_stderr
    assert 0.01 < result.qber < 0.1


def test_the_transpiled_circuit_has_only_gates_of_the_backend() -> None:
    each = cells(Protocol.E91, branches(Protocol.E91, Eve(EveKind.CLONER))[0])[1]
    backend = FakeManilaV2()
    gates = set(Backend(backend, local=True).transpiled(Task(each, 1, 1)).count_ops())
    assert gates <= {*backend.operation_names, "barrier"}
    assert "cx" in gates


def test_a_seed_repeats_a_fake_run_and_another_does_not() -> None:
    each = cells(Protocol.BBM92, branches(Protocol.BBM92, None)[0])[0]
    backend = Backend.named("fake_manila")
    one, two, other = (backend([Task(each, 300, seed)])[0]["a"] for seed in (3, 3, 4))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_real_backend_gets_one_job_for_each_thing_that_eve_may_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library's own sampler runs the jobs, on a fake, under the rules of a real backend."""
    jobs = []

    class Watched(Sampler):  # type: ignore[misc] # it has no types
        def run(self, pubs: Sequence[Any], *, shots: int) -> Any:
            jobs.append((len(pubs), shots))
            return super().run(pubs, shots=shots)

    monkeypatch.setattr(on_backend, "Sampler", Watched)
    real = Backend(FakeManilaV2(), local=False)
    _, bob = light(real, Protocol.BBM92, 400, *seeds(4), Eve(EveKind.GHZ, 0.5))
    assert [circuits for circuits, _ in jobs] == [4, 4], "untouched, and touched"
    assert sum(circuits * shots for circuits, shots in jobs) < 600, "few shots are over"
    assert isinstance(bob, Detections)
    assert bob.outcomes.max() == 1


def test_a_fake_backend_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(BackendUnknown, match="fake_nowhere") as caught:
        Backend.named("fake_nowhere")
    assert caught.value.hint is not None
    assert "fake_manila" in caught.value.hint


@pytest.mark.usefixtures("nowhere")
def test_a_real_backend_without_an_account_says_where_to_put_the_token() -> None:
    with pytest.raises(AccountMissing, match="ibm_somewhere") as caught:
        Backend.named("ibm_somewhere")
    assert caught.value.exit_code == 2
    assert caught.value.hint is not None
    assert "QISKIT_IBM_TOKEN" in caught.value.hint


@pytest.mark.usefixtures("nowhere")
def test_a_service_that_does_not_answer_is_unreachable_and_the_token_stays_unsaid(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QISKIT_IBM_TOKEN", TOKEN)
    with pytest.raises(BackendUnreachable, match="ibm_somewhere") as caught:
        Backend.named("ibm_somewhere")
    assert caught.value.exit_code == 4
    error: BaseException | None = caught.value
    chain = [str(caught.value.hint)]
    while error is not None:
        chain.append(f"{error} {error!r}")
        error = error.__cause__ or error.__context__
    assert len(chain) > 2, "what the service said is kept for --debug"
    assert TOKEN not in "".join([*chain, *capfd.readouterr()])


def test_a_job_that_the_service_ends_is_told_as_unreachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from qiskit_ibm_runtime.exceptions import RuntimeJobFailureError

    class Failing:
        def __init__(self, mode: BackendV2, options: object) -> None:
            pass

        def run(self, pubs: object, *, shots: int) -> object:
            raise RuntimeJobFailureError("the device is being calibrated")

    monkeypatch.setattr(on_backend, "Sampler", Failing)
    with pytest.raises(BackendUnreachable, match="RuntimeJobFailureError"):
        light(Backend(FakeManilaV2(), local=False), Protocol.BB84, 10, *seeds(1))
