"""What one side can say in public about a block; the secret itself is never part of it."""

from dataclasses import asdict, dataclass, field
from typing import Any

from bellwire.base.detections import Protocol
from bellwire.distill.reconciliation import Method
from bellwire.distill.verdict import Reason

ASSUMPTIONS = {
    Protocol.E91: (
        "each side measures a qubit in the stated plane",
        "fair sampling: lost pairs are as those detected",
        "Eve treats every pair alike and independently (collective attacks)",
        "choices are computationally random until they are announced",
    ),
    Protocol.BBM92: (
        "each side measures a qubit (a double click gives a random bit)",
        "each basis detects with the same efficiency, at both sides",
        "choices are computationally random until they are announced",
    ),
    Protocol.BB84: (
        "the source emits single photons in the stated states",
        "Bob measures a qubit (a double click gives a random bit)",
        "each basis detects with the same efficiency",
        "Alice's bits and both sides' choices are computationally random, for as long as the key "
        "is to be secret",
    ),
    Protocol.DECOY: (
        "the phase of every pulse is random, and its intensity shows in nothing but its photons",
        "intensities and their shares are as stated",
        "Bob measures a qubit of every single photon (a double click gives a random bit)",
        "each basis detects with the same efficiency, and a click blinds both detectors",
        "Bob's detectors answer to single photons: nobody holds them blind",
        "Alice's bits and both sides' choices are computationally random, for as long as the key "
        "is to be secret",
    ),
}


SUPPLY_ASSUMPTIONS = (
    "the vendor's boxes, and the link between them, keep what they claim: nothing is measured here",
    "each box is at its node's site, and nobody else has the node's private key for it",
)
"""Of keys that a vendor's boxes gave."""


SIGNED_CONTACT_ASSUMPTION = (
    "the first authentication key came from a signed exchange: ML-DSA-65 held when it was made, "
    "and X25519 or ML-KEM-768 until this block ended"
)
"""Of blocks whose nodes met by signatures."""


@dataclass(frozen=True, slots=True)
class BlockReport:
    """How a block went.

    Attributes:
        number: Block number; probes are counted apart.
        probe: True for a block that watches and never yields key.
        protocol: E91, BBM92, BB84 or decoy states; None for keys of a vendor's boxes: nothing is
            measured of them here.
        accepted: Whether it became key (a probe: whether it would have been let through).
        reason: Why not, None if accepted.
        message: The same in words, with the numbers.
        pulses: Pulses, or pairs, sent.
        detected: Common slots: Bob's detections in BB84, coincidences of pairs.
        sifting_bytes: What both sides sent to say which slots clicked, and how they were set.
        sifted_bits: Bits with equal bases (BB84, BBM92), or of key settings (E91).
        sample_bits: Of these, opened to estimate; all of them if the block was opened.
        key_bits: What went into reconciliation, 0 if it came to none.
        qber: Error rate of all sifted bits that were compared or reconciled, with its error.
        qber_stderr: See above.
        qber_limits: Between them the source's error rate lies, each wrong with probability ε/8 if
            errors are independent (Hoeffding).
        chsh: S, with its standard error and lower limit; E91, else None.
        chsh_stderr: See above.
        chsh_lower: See above.
        correlations: E91: E(a, b) of each setting pair (`Correlations.table`).
        phase_errors: Upper limit of each key part's phase error rate; of decoy states that of the
            single photons.
        intensities: Decoy states: what each intensity showed (`DecoySample.table`).
        vacuum_bits: Decoy states: at least so many key bits came from empty pulses.
        single_photon_bits: Decoy states: at least so many came from single photons, which alone
            give key.
        reconciliation: By which method; None if it came to none. Where a code was asked for and
            there is none for so short a key, it is Cascade.
        leaked_bits: What reconciliation announced about the key.
        efficiency: Leaked bits over n·h(QBER); None without errors.
        rounds: Of reconciliation.
        verification_bits: Of the hash that crossed the channel.
        extracted_bits: What amplification gave, or a vendor's boxes.
        authentication_bits: Pre-shared key that the block's tags used up.
        first_contact: How the two sides came by the first of that key, in words; None of a probe,
            which uses none, and in the lab.
        secret_bits: Net: extracted less used up; 0 unless accepted.
        epsilon: Upper limit of the probability that anything stated fails; None unless it is key.
        epsilon_secrecy: Part of it: how far the key is from one that Eve knows nothing of.
        epsilon_correctness: Part of it: probability that both sides accepted different keys.
        epsilon_authentication: Part of it: probability that a forged tag passed.
        transcript_bytes: What both sides sent inside the block.
        steps: Messages that each side sent.
        assumptions: What the security statement rests on.
    """

    number: int
    probe: bool
    protocol: Protocol | None
    pulses: int
    accepted: bool = False
    reason: Reason | None = None
    message: str | None = None
    detected: int = 0
    sifting_bytes: int = 0
    sifted_bits: int = 0
    sample_bits: int = 0
    key_bits: int = 0
    qber: float | None = None
    qber_stderr: float | None = None
    qber_limits: tuple[float, float] | None = None
    chsh: float | None = None
    chsh_stderr: float | None = None
    chsh_lower: float | None = None
    correlations: list[dict[str, float]] = field(default_factory=list)
    phase_errors: tuple[float, ...] = ()
    intensities: list[dict[str, float]] = field(default_factory=list)
    vacuum_bits: float | None = None
    single_photon_bits: float | None = None
    reconciliation: Method | None = None
    leaked_bits: int = 0
    efficiency: float | None = None
    rounds: int = 0
    verification_bits: int = 0
    extracted_bits: int = 0
    authentication_bits: int = 0
    first_contact: str | None = None
    secret_bits: int = 0
    epsilon: float | None = None
    epsilon_secrecy: float | None = None
    epsilon_correctness: float | None = None
    epsilon_authentication: float | None = None
    transcript_bytes: int = 0
    steps: int = 0
    assumptions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)
