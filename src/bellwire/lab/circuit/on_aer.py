"""Circuits on Qiskit's simulator Aer. Needs the libraries qiskit and qiskit_aer.

Misaligned optics are a channel: Y with probability e on Bob's photon, which is what a turn on the
X–Z plane by θ or −θ does, either as likely, with cos θ = 1 − 2e. Density matrices take it in whole,
and measurements are deferred, so that Aer evolves each circuit once and draws all shots of it.
"""

from collections.abc import Sequence

import numpy as np
from qiskit_aer import AerSimulator
from qiskit_aer.noise import pauli_error
from qiskit_aer.primitives import SamplerV2

from bellwire.lab.circuit.as_qiskit import translate
from bellwire.lab.circuit.halves import SEED_BITS, Bits, Task

RUN_SHOTS = 1 << 20
"""Shots at a time: Aer makes a Python string of each."""


class Aer:
    """Samples circuits, Bob's photon misaligned with QBER `misalignment`."""

    def __init__(self, misalignment: float) -> None:
        self._way = (
            pauli_error([("Y", misalignment), ("I", 1.0 - misalignment)]).to_instruction()
            if misalignment
            else None
        )
        self._simulator = AerSimulator(method="density_matrix")

    def __call__(self, tasks: Sequence[Task]) -> list[Bits]:
        """The bits of every task."""
        return [self._run(task) for task in tasks]

    def _run(self, task: Task) -> Bits:
        made = translate(task.circuit.deferred(), self._way)
        shots = [min(RUN_SHOTS, task.shots - at) for at in range(0, task.shots, RUN_SHOTS)]
        # Aer gives all runs of a sampler the same seed.
        seeds = np.random.SeedSequence(task.seed).generate_state(len(shots)) >> (32 - SEED_BITS)
        data = [
            SamplerV2.from_backend(self._simulator, seed=int(seed))
            .run([(made, None, count)])
            .result()[0]
            .data
            for count, seed in zip(shots, seeds, strict=True)
        ]
        return {
            bit: np.concatenate([part[bit].array[:, 0] for part in data])
            for bit in task.circuit.bits
        }
