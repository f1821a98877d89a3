"""E91 with Qiskit and Aer: a Bell pair, two rotations, two measurements.

Without noise, which favours it. One circuit a pair, transpiled and run by itself, is what tutorials
do; the best that circuits can do is one circuit for each of the nine pairs of settings, with many
shots in one job, of which only the counts are kept.
"""

import json
import random
import sys
import time

from qiskit import QuantumCircuit, transpile
from qiskit_aer import AerSimulator

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES


def circuit(a: float, b: float) -> QuantumCircuit:
    """Φ⁺, measured at Bloch angles a and b of the X–Z plane."""
    pair = QuantumCircuit(2, 2)
    pair.h(0)
    pair.cx(0, 1)
    pair.ry(-a, 0)
    pair.ry(-b, 1)
    pair.measure([0, 1], [0, 1])
    return pair


def one_by_one(pairs: int) -> dict[str, float]:
    """Send pairs, each with settings and a circuit of its own."""
    simulator, rng = AerSimulator(), random.Random(1)  # noqa: S311 - no key comes of it
    simulator.run(transpile(circuit(0.0, 0.0), simulator), shots=1).result()
    alike = compared = 0
    began = time.perf_counter()
    for _ in range(pairs):
        a, b = rng.choice(ALICE_ANGLES), rng.choice(BOB_ANGLES)
        done = simulator.run(transpile(circuit(a, b), simulator), shots=1).result()
        (seen,) = done.get_counts()
        compared += a == b
        alike += a == b and seen[0] == seen[1]
    seconds = time.perf_counter() - began
    return {"sent": pairs, "seconds": seconds, "sifted": compared, "wrong": compared - alike}


def batched(shots: int) -> dict[str, float]:
    """Send so many pairs for each pair of settings, in one job; S beside the rate."""
    simulator = AerSimulator(method="statevector")
    every = [circuit(a, b) for a in ALICE_ANGLES for b in BOB_ANGLES]
    ready = transpile(every, simulator)
    simulator.run(ready[:1], shots=1).result()
    began = time.perf_counter()
    result = simulator.run(ready, shots=shots).result()
    counts = [result.get_counts(k) for k in range(len(ready))]
    seconds = time.perf_counter() - began
    e = [
        sum(n if seen[0] == seen[1] else -n for seen, n in each.items()) / shots for each in counts
    ]
    chsh = e[0] - e[2] + e[6] + e[8]
    return {"sent": shots * len(every), "seconds": seconds, "chsh": chsh}


if __name__ == "__main__":
    sys.stdout.write(json.dumps([one_by_one(int(sys.argv[1])), batched(int(sys.argv[2]))]) + "\n")
