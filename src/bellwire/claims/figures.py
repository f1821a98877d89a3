"""Figures that do not depend on how fast the machine is, and, with time, the benchmarks.

Sizes and efficiencies must be those of the performance page. Rates cannot be held to anything:
where there is time, the benchmarks are run, and told beside what ran in the same minutes.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

from bellwire.base.detections import Protocol
from bellwire.bench.catalogue import BENCHES, NEEDS_ROOT
from bellwire.bench.ends import KnownEnds
from bellwire.bench.model import Figure
from bellwire.bench.stored import lagging
from bellwire.chat.pads import OVERHEAD_BYTES as PAD_OVERHEAD_BYTES
from bellwire.claims.model import Attacker, Claim, Ground, require
from bellwire.lab.experiment import Experiment, run

HANDSHAKE_BYTES: Final = 4_758
RESUMPTION_BYTES: Final = 2_494
RECORD_BYTES: Final = 20
EFFICIENCY: Final = 1.06
"""Leaked bits over Shannon's limit at 2 %, for keys of half a million bits and more."""

PULSES: Final = 2_000_000


def _channel(_ground: Ground) -> str:
    ends = KnownEnds()
    whole = ends.shake_hands()
    text = bytes(1_000)
    record = whole.device.seal(text)
    require(whole.cloud.open(record) == text, "the cloud reads something else")
    resumed = ends.resume(whole)
    found = whole.handshake_bytes, resumed.handshake_bytes, len(record) - len(text)
    wanted = HANDSHAKE_BYTES, RESUMPTION_BYTES, RECORD_BYTES
    words = (
        f"handshake {found[0]:,} B, resumption {found[1]:,} B, record {found[2]} B more than text"
    )
    require(found == wanted, f"{words}; the page says {wanted}")
    return f"{words}; one-time pad {PAD_OVERHEAD_BYTES} B more than text"


def _efficiency(ground: Ground) -> str:
    seed = ground.number("efficiency")
    result = run(Experiment(protocol=Protocol.BB84, pulses=PULSES, seed=seed))
    require(result.reconciliation is not None, f"no key: {result.reason}")
    efficiency = (result.reconciliation or {})["efficiency"]
    words = f"f = {efficiency:.3f} at {result.qber:.2%} in a key of {result.sifted_bits:,} bits"
    require(1.0 < efficiency <= EFFICIENCY and result.keys_match is True, words)
    return words


def _bench(name: str) -> Callable[[Ground], str]:
    def claim(_ground: Ground) -> str:
        figures: Sequence[Figure] = import_module(BENCHES[name]).run(quick=True)
        require(bool(figures), "no figure came")
        compared = [each for each in figures if each.ratio is not None]
        behind = [f"behind what is stored: {each}" for each in lagging(name, figures)]
        return "; ".join([*(_told(each) for each in compared or figures), *behind])

    return claim


def _told(figure: Figure) -> str:
    ratio = "" if figure.ratio is None else f", {figure.ratio:.3g} times {figure.against}"
    return f"{figure.name} {figure.value:.4g} {figure.unit}{ratio}"


CLAIMS: Final = (
    Claim(
        name="figures.channel",
        attacker=Attacker.FIGURES,
        says="Handshakes and records of the channel have the size that is told",
        run=_channel,
    ),
    Claim(
        name="figures.reconciliation",
        attacker=Attacker.FIGURES,
        says=f"Reconciliation at 2 % leaks at most {EFFICIENCY} times what Shannon asks for",
        run=_efficiency,
    ),
    *(
        Claim(
            name=f"figures.bench-{name}",
            attacker=Attacker.FIGURES,
            says=f"`bellwire bench {name} --quick` runs; its figures beside their alternatives",
            run=_bench(name),
            long=True,
        )
        for name in BENCHES
        if name not in NEEDS_ROOT  # `guard.kernel` is that one
    ),
)
