"""Circuits on IBM's quantum computers, or on their fakes here. Needs qiskit_ibm_runtime.

A backend called `fake_…` is a snapshot of a real one, with its couplings and its noise, simulated
on this machine. Any other name is asked of IBM's service, with the account that the library finds:
in the environment variable QISKIT_IBM_TOKEN, or saved (`QiskitRuntimeService.save_account`). No
token passes through here.

Circuits are transpiled for the backend and sampled by the library's client-side `Sampler`, which
has the interface SamplerV2. A real backend gets one job for each thing that Eve may do, whose
settings all have as many shots: what is over is not used. A local one gets one for each circuit,
since it gives every circuit of a job the same seed, and they would not be independent.
"""

import itertools
from collections.abc import Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_ibm_runtime import QiskitRuntimeService, fake_provider
from qiskit_ibm_runtime.accounts import AccountNotFoundError
from qiskit_ibm_runtime.executor_sampler import Sampler
from requests import RequestException

from bellwire.lab.circuit.as_qiskit import translate
from bellwire.lab.circuit.halves import Bits, Task
from bellwire.lab.errors import AccountMissing, BackendUnknown, BackendUnreachable

FAKE = "fake_"

_TRANSPILER_SEED = 1
"""Where qubits are placed must not change from run to run."""


class Backend:
    """Samples circuits on one backend."""

    def __init__(self, backend: BackendV2, *, local: bool) -> None:
        self._backend = backend
        self._local = local
        self._passes = generate_preset_pass_manager(
            optimization_level=3, backend=backend, seed_transpiler=_TRANSPILER_SEED
        )

    @classmethod
    def named(cls, name: str) -> "Backend":
        """The backend of that name.

        Raises:
            BackendUnknown: there is none.
            AccountMissing: it is not a local one, and there is no account.
            BackendUnreachable: IBM's service does not answer, or not to this account.
        """
        if name.startswith(FAKE):
            return cls(_fake(name), local=True)
        try:
            return cls(QiskitRuntimeService().backend(name), local=False)
        except AccountNotFoundError as error:
            raise AccountMissing(name) from error
        except QiskitBackendNotFoundError as error:
            raise BackendUnknown(name) from error
        except (QiskitError, RequestException) as error:
            raise BackendUnreachable(name, error) from error

    def transpiled(self, task: Task) -> QuantumCircuit:
        """The circuit of a task in the backend's own gates, on its own qubits."""
        return self._passes.run(translate(task.circuit))

    def __call__(self, tasks: Sequence[Task]) -> list[Bits]:
        """The bits of every task.

        Raises:
            BackendUnreachable: IBM's service does not answer, or ended a job.
        """
        if self._local:
            return [_bits(task, self._run([task], task.shots, task.seed)[0]) for task in tasks]
        found = []
        for _, jobs in itertools.groupby(tasks, lambda task: (task.circuit.eve, task.circuit.axis)):
            alike = list(jobs)
            results = self._run(alike, max(task.shots for task in alike), None)
            found += [_bits(task, data) for task, data in zip(alike, results, strict=True)]
        return found

    def _run(self, tasks: Sequence[Task], shots: int, seed: int | None) -> list[Any]:
        sampler = Sampler(mode=self._backend, options={"simulator": {"seed_simulator": seed}})
        circuits = [self.transpiled(task) for task in tasks]
        try:
            return [each.data for each in sampler.run(circuits, shots=shots).result()]
        except (QiskitError, RequestException) as error:
            raise BackendUnreachable(self._backend.name, error) from error


def _fake(name: str) -> BackendV2:
    kinds = {getattr(kind, "backend_name", None): kind for kind in vars(fake_provider).values()}
    if name not in kinds:
        raise BackendUnknown(name, sorted(known for known in kinds if known))
    return kinds[name]()


def _bits(task: Task, data: Any) -> Bits:
    return {bit: data[bit].array[: task.shots, 0] for bit in task.circuit.bits}
