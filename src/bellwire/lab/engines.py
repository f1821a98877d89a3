"""What can play the photons: the fast engine, circuits of qubits, or no quantum physics at all.

Circuits and hidden variables lose nothing on the way, and no detector clicks by itself: what they
lack is refused by name. Libraries of circuits are imported when an experiment runs, not before.
"""

from dataclasses import dataclass
from enum import StrEnum

from bellwire.base.detections import Half, Protocol
from bellwire.base.errors import UsageError
from bellwire.lab import hidden, libraries
from bellwire.lab.circuit import halves
from bellwire.lab.circuit.protocols import branches
from bellwire.link.config import LinkConfig
from bellwire.link.errors import ParameterError
from bellwire.link.eve import Eve
from bellwire.link.simulate import simulate


class Engine(StrEnum):
    """Who plays the photons."""

    FAST = "fast"
    QISKIT = "qiskit"
    PENNYLANE = "pennylane"
    HIDDEN = "hidden-variables"


MAX_BACKEND_PULSES = 100_000
"""A real backend is paid by the second; a local one does some thousands a second."""

_LOSSES = {
    "fibre_km": "km",
    "loss_db_per_km": "loss",
    "insertion_loss_db": "insertion-loss",
    "detector_efficiency": "efficiency",
    "dark_count_probability": "dark",
}
"""What all but the fast engine lack: field of `LinkConfig` → its name on the command line."""


@dataclass(frozen=True, slots=True)
class Player:
    """An engine, with the backend that is to run its circuits.

    Attributes:
        engine: Which.
        backend: Name of a backend of IBM's, `fake_…` for a local one; None for the simulator.
    """

    engine: Engine = Engine.FAST
    backend: str | None = None

    def check(self, protocol: Protocol, config: LinkConfig, pulses: int, eve: Eve | None) -> None:
        """Refuse what this engine has not.

        Raises:
            ParameterError: an option that it lacks, by name.
        """
        if self.backend is not None and self.engine is not Engine.QISKIT:
            raise ParameterError("a backend", "only with engine qiskit", f"one with {self.engine}")
        if self.engine is Engine.FAST:
            return
        if self.engine is Engine.HIDDEN and (protocol is not Protocol.E91 or eve is not None):
            raise ParameterError(
                f"engine {self.engine}",
                "with e91 and without Eve",
                protocol if eve is None else f"{protocol} with {eve.kind}",
            )
        usual = LinkConfig()
        for name, word in _LOSSES.items():
            if getattr(config, name) != getattr(usual, name):
                raise ParameterError(
                    word,
                    f"at its default of {getattr(usual, name):g} with engine {self.engine}, which "
                    "loses and adds no photons",
                    getattr(config, name),
                )
        if config.detectors != usual.detectors:
            raise ParameterError(
                "dead-gates, afterpulse, jitter and gate",
                f"at their defaults with engine {self.engine}, which knows no time",
                config.detectors,
            )
        branches(protocol, eve)  # refuses what has no circuit
        if self.backend is None:
            return
        if config.misalignment not in {0.0, usual.misalignment}:
            raise ParameterError(
                "misalignment",
                "at its default with a backend, whose own noise takes its place",
                config.misalignment,
            )
        if pulses > MAX_BACKEND_PULSES:
            raise ParameterError("pulses", f"in 1 … {MAX_BACKEND_PULSES} with a backend", pulses)

    def photons(  # noqa: PLR0917 - all that a block depends on
        self,
        protocol: Protocol,
        config: LinkConfig,
        pulses: int,
        alice_seed: bytes,
        bob_seed: bytes,
        noise_seed: bytes,
        eve: Eve | None,
        rectilinear: float = 0.5,
    ) -> tuple[Half, Half]:
        """Both halves of a block; arguments and results are those of `link.simulate.simulate`.

        Raises:
            LibraryMissing: the engine's library is not installed.
            UnreachableError: the backend does not answer.
        """
        if self.engine is Engine.FAST:
            seeds = alice_seed, bob_seed, noise_seed
            return simulate(protocol, config, pulses, *seeds, eve, rectilinear=rectilinear)
        sample = self._sampler(config)
        return halves.light(sample, protocol, pulses, alice_seed, bob_seed, noise_seed, eve)

    def _sampler(self, config: LinkConfig) -> halves.Sampler:
        sampler: halves.Sampler
        if self.engine is Engine.HIDDEN:
            sampler = hidden.HiddenVariables(config.misalignment)
        elif self.engine is Engine.PENNYLANE:
            lane = libraries.load("bellwire.lab.circuit.on_pennylane", "pennylane")
            sampler = lane.PennyLane(config.misalignment)
        elif self.backend is None:
            aer = libraries.load("bellwire.lab.circuit.on_aer", "qiskit", "qiskit_aer")
            sampler = aer.Aer(config.misalignment)
        else:
            runtime = libraries.load(
                "bellwire.lab.circuit.on_backend", "qiskit", "qiskit_ibm_runtime", "qiskit_aer"
            )
            sampler = runtime.Backend.named(self.backend)
        return sampler


def parse_engine(text: str) -> Engine:
    """The engine of that name; UsageError if there is none."""
    try:
        return Engine(text)
    except ValueError:
        raise UsageError(f"expected one of the engines {', '.join(Engine)}, got {text}") from None
