"""Claims about the quantum channel: simulated light beside closed forms, and each Eve caught."""

from dataclasses import replace
from typing import Final

from bellwire.base.detections import OF_PHOTONS, Protocol
from bellwire.claims.model import Attacker, Claim, Ground, near, require
from bellwire.lab import decoys, weak
from bellwire.lab.decoys import DecoyExperiment
from bellwire.lab.engines import Engine, Player
from bellwire.lab.experiment import Experiment, Result, predict, run
from bellwire.lab.monitors import USUAL
from bellwire.lab.weak import WeakExperiment
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Axes, Eve, EveKind
from bellwire.link.weak import WeakConfig, WeakEve, WeakEveKind

PULSES: Final = 200_000
FULL_PULSES: Final = 4_000_000
SHARES: Final = (0.05, 0.1, 0.2)
E91_ATTACKS: Final = tuple(EveKind)
LOWEST: Final = Eve(EveKind.INTERCEPT_RESEND, 1.0, Axes.degrees(67.5))
"""The one whose errors on E91, 7 %, are below every limit of QBER."""

DECOYS: Final = WeakConfig(
    link=LinkConfig(fibre_km=40.0),
    intensities=(0.5, 0.2, 0.0),
    shares=(0.3, 0.4, 0.3),
    rectilinear=0.7,
)
BLINDED: Final = WeakConfig(
    link=LinkConfig(fibre_km=50.0, detector_efficiency=0.2, dark_count_probability=1e-6)
)
BLINDED_PULSES: Final = 300_000_000

CLASSICAL: Final = 2.0
"""S that nothing exceeds without entanglement."""


def _measure(ground: Ground, what: Experiment) -> tuple[Result, list[str]]:
    """An experiment, and its QBER and S beside theory."""
    eve = "nobody" if what.eve is None else f"{what.eve.kind} {what.eve.share}"
    pulses = FULL_PULSES if ground.full else PULSES
    what = replace(what, pulses=pulses, seed=ground.number(f"{what.protocol} {eve}"))
    result, theory = run(what), predict(what)
    words = [near("QBER", result.qber, result.qber_stderr, theory.qber)]
    if what.protocol.judged_on_chsh:
        words.append(near("S", result.chsh, result.chsh_stderr, theory.chsh))
    return result, words


def _clean(protocol: Protocol) -> "Claim":
    def claim(ground: Ground) -> str:
        result, words = _measure(ground, Experiment(protocol=protocol))
        key = f"{result.secret_bits:,} secret bits of {result.pulses:,} slots"
        require(result.verdict == "accept" and result.secret_bits > 0, f"{key}: {result.reason}")
        require(result.keys_match is True, "the two sides' keys differ")
        require(result.epsilon is not None and result.epsilon <= 1e-10, f"epsilon {result.epsilon}")
        return "; ".join([*words, f"{key}, equal at both sides"])

    return Claim(
        name=f"light.{protocol}-clean",
        attacker=Attacker.QUANTUM,
        says=f"Without Eve, {protocol.upper()} measures what theory says and gives both one key",
        run=claim,
    )


def _e91_attacks(ground: Ground) -> str:
    found = []
    for kind in E91_ATTACKS:
        result, words = _measure(ground, Experiment(protocol=Protocol.E91, eve=Eve(kind, 1.0)))
        assert result.chsh is not None
        assert result.chsh_stderr is not None
        seen = f"{kind}: {words[1]}"
        require(result.verdict == "abort" and result.secret_bits == 0, f"{seen}, and a key")
        require(result.chsh <= CLASSICAL + 5 * result.chsh_stderr, f"{seen}: a violation is left")
        found.append(seen)
    return "; ".join(found)


def _below_qber_limits(ground: Ground) -> str:
    result, words = _measure(ground, Experiment(protocol=Protocol.E91, eve=LOWEST))
    require(result.qber is not None and result.qber < 0.11, f"{words[0]} is no harmless QBER")
    require(result.verdict == "abort", f"{'; '.join(words)}: accepted")
    require((result.reason or "").startswith("S"), f"rejected for another reason: {result.reason}")
    return "; ".join(words)


def _intercepted(protocol: Protocol) -> "Claim":
    def claim(ground: Ground) -> str:
        eve = Eve(EveKind.INTERCEPT_RESEND, 1.0)
        result, words = _measure(ground, Experiment(protocol=protocol, eve=eve))
        require(result.verdict == "abort" and result.secret_bits == 0, f"{words[0]}, accepted")
        return words[0]

    return Claim(
        name=f"light.{protocol}-intercepted",
        attacker=Attacker.QUANTUM,
        says=f"Who measures and resends all of {protocol.upper()} makes errors of a quarter, and is"
        " rejected",
        run=claim,
    )


def _shares(ground: Ground) -> str:
    clean, _ = _measure(ground, Experiment(protocol=Protocol.BB84))
    found, before = [], clean.secret_bits
    for share in SHARES:
        eve = Eve(EveKind.INTERCEPT_RESEND, share)
        result, words = _measure(ground, Experiment(protocol=Protocol.BB84, eve=eve))
        bits = f"{share:.0%}: {words[0]}, {result.secret_bits:,} bits"
        require(result.secret_bits < before, f"{bits}, and no fewer than before: {before:,}")
        require(result.keys_match is not False, f"{bits}, keys differ")
        found.append(bits)
        before = result.secret_bits
    return f"nobody: {clean.secret_bits:,} bits; " + "; ".join(found)


def _hidden_variables(ground: Ground) -> str:
    player = Player(Engine.HIDDEN)
    result, words = _measure(ground, Experiment(protocol=Protocol.E91, player=player))
    assert result.chsh is not None
    assert result.chsh_stderr is not None
    require(result.chsh <= CLASSICAL + 5 * result.chsh_stderr, words[1])
    require(result.verdict == "abort", f"{words[1]}, accepted")
    return words[1]


def _photon_numbers(ground: Ground) -> str:
    said = []
    for eve in (None, WeakEve(WeakEveKind.PHOTON_NUMBER_SPLITTING)):
        seed = ground.number(f"decoys {eve is None}")
        what = DecoyExperiment(pulses=4_000_000, config=DECOYS, eve=eve, seed=seed)
        result = decoys.run(what)
        said.append(f"{'nobody' if eve is None else 'Eve'}: {result.secret_bits:,} secret bits")
        wanted = "accept" if eve is None else "abort"
        require(result.verdict == wanted, f"{said[-1]}, {result.verdict}: {result.reason}")
    return "; ".join([*said, "decoy states show that no single photons arrive"])


def _blinding(ground: Ground) -> str:
    eve, found = WeakEve(WeakEveKind.BLINDING), []
    for monitors in ((), USUAL):
        seed = ground.number(f"blinding {len(monitors)}")
        what = WeakExperiment(
            pulses=BLINDED_PULSES, config=BLINDED, eve=eve, monitors=monitors, seed=seed
        )
        found.append(weak.estimate(what))
    bare, watched = found
    require(watched.verdict == "abort", "monitors see nothing of blinded detectors")
    known = f"{bare.eve_known_bits:,} of {bare.sifted_bits:,} bits"
    require(bare.verdict == "accept" and bare.eve_known_bits == bare.sifted_bits, known)
    return f"with monitors: abort; without, Eve knows {known} and nothing shows"


CLAIMS: Final = (
    *(_clean(protocol) for protocol in OF_PHOTONS),
    Claim(
        name="light.e91-attacks",
        attacker=Attacker.QUANTUM,
        says="Each attack on all pairs of E91 leaves no violation of Bell's inequality, and no key",
        run=_e91_attacks,
    ),
    Claim(
        name="light.e91-harmless-qber",
        attacker=Attacker.QUANTUM,
        says="An Eve whose error rate is below every limit falls on S",
        run=_below_qber_limits,
    ),
    _intercepted(Protocol.BB84),
    _intercepted(Protocol.BBM92),
    Claim(
        name="light.shares",
        attacker=Attacker.QUANTUM,
        says="Eve on a share of the photons makes errors as theory says, and costs key",
        run=_shares,
    ),
    Claim(
        name="light.hidden-variables",
        attacker=Attacker.QUANTUM,
        says="Without entanglement, S never exceeds 2 and no key is made",
        run=_hidden_variables,
    ),
    Claim(
        name="light.photon-numbers",
        attacker=Attacker.QUANTUM,
        says="Who splits photon numbers is seen by decoy states, and the block is rejected",
        run=_photon_numbers,
    ),
    Claim(
        name="light.blinding",
        attacker=Attacker.QUANTUM,
        says="Monitors see detectors that are blinded; without monitors Eve has the whole key",
        run=_blinding,
    ),
)
