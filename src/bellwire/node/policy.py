"""What a node proposes, or accepts, of a block, and where its choices come from."""

from dataclasses import dataclass, field

from bellwire.base.decoys import Decoys
from bellwire.base.detections import Protocol
from bellwire.base.limits import MAX_PULSES
from bellwire.crypto.kdf import hkdf
from bellwire.crypto.randomness.source import OperatingSystem, RandomSource
from bellwire.crypto.stream import SEED_BYTES
from bellwire.distill.choice import Conditions, choose
from bellwire.distill.messages import TICKET_BYTES, VERSION, Open
from bellwire.distill.reconciliation import Method


@dataclass(frozen=True, slots=True)
class Policy:
    """What this node proposes, or accepts, of a block.

    Attributes:
        sample_share: Share of sifted bits compared in BB84 and BBM92.
        epsilon: Total ε of a block.
        red_qber: Blocks from this QBER on are rejected.
        chsh_floor: Blocks with S below this are rejected.
        decoys: What Alice's laser sends in blocks of decoy states.
        decoy_rectilinear: Probability of the rectilinear basis in them.
        rectilinear: The same in blocks of BB84 and BBM92.
        max_pulses: Longest block.
        reconciliation: How keys are made equal; None for either, chosen by the channel's latency.
        lab_seed: Makes choices reproducible, in the lab and the demo only.
        random: What choice seeds and tickets are drawn from without it.
    """

    sample_share: float = 0.2
    epsilon: float = 1e-10
    red_qber: float = 0.11
    chsh_floor: float = 2.2
    decoys: Decoys = field(default_factory=Decoys)
    decoy_rectilinear: float = 0.7
    rectilinear: float = 0.5
    max_pulses: int = MAX_PULSES
    reconciliation: Method | None = None
    lab_seed: bytes | None = field(default=None, repr=False)
    random: RandomSource = field(default_factory=OperatingSystem, repr=False, compare=False)

    def choice_seed(self, opening: Open) -> bytes:
        """The seed of this side's choices in a block: fresh, or of the lab's making.

        Raises:
            RandomnessFailed: there are no random bytes.
        """
        if self.lab_seed is None:
            return self.random.draw(SEED_BYTES)
        return hkdf(self.lab_seed, info=b"choices" + opening.ticket, length=SEED_BYTES)

    def ticket(self, number: int, *, probe: bool) -> bytes:
        """What names a block of ours to the link: fresh, or of the lab's making.

        Raises:
            RandomnessFailed: there are no random bytes.
        """
        if self.lab_seed is None:
            return self.random.draw(TICKET_BYTES)
        label = f"{'probe' if probe else 'block'} {number}".encode()
        return hkdf(self.lab_seed, info=b"ticket" + label, length=TICKET_BYTES)

    def opening(
        self,
        number: int,
        protocol: Protocol,
        pulses: int,
        ticket: bytes,
        conditions: Conditions,
        *,
        probe: bool,
    ) -> Open:
        """The first message of a block of ours."""
        return Open(
            VERSION,
            number,
            probe,
            protocol,
            pulses,
            ticket,
            self.sample_share,
            self.epsilon,
            self.red_qber,
            self.chsh_floor,
            *self._light(protocol),
            reconciliation=self.reconciliation or choose(conditions),
        )

    def _light(self, protocol: Protocol) -> tuple[float, Decoys | None]:
        """Probability of the rectilinear basis, and decoys: as this node tells its source."""
        if protocol.weak:
            return self.decoy_rectilinear, self.decoys
        return (0.5 if protocol.judged_on_chsh else self.rectilinear), None

    def accepts(self, opening: Open) -> bool:
        """Whether a block that the peer opens is as this node is set."""
        ours = (VERSION, self.sample_share, self.epsilon, self.red_qber, self.chsh_floor)
        theirs = (
            opening.version,
            opening.sample_share,
            opening.epsilon,
            opening.red_qber,
            opening.chsh_floor,
        )
        light = opening.rectilinear, opening.decoys
        same = ours == theirs and light == self._light(opening.protocol)
        equal = self.reconciliation in (None, opening.reconciliation)
        return same and equal and opening.pulses <= self.max_pulses
