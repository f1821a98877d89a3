"""A demo's story with numbers as a run gives them, for the tests of the report."""

import math

from bellwire.base.angles import ALICE_ANGLES, BOB_ANGLES
from bellwire.base.detections import Protocol
from bellwire.demo.story import (
    Authentication,
    Correlation,
    Device,
    Eve,
    Event,
    EventKind,
    Process,
    Stage,
    Story,
    Verdict,
    key_budget,
    preview,
)
from bellwire.keys.status import Status

V = 0.96
DIGEST = "5f1d9f0c3e1b7c58a1c6c7c2a8b8d6ad7e21b6f47dc0c8f0f3c2a9a1d4e5b6c7"
WOBBLE = (0.8, -1.1, 0.3, 1.6, -0.4, -0.9, 0.2, 1.2, -1.7)


def correlations(contrast_x: float, contrast_z: float) -> tuple[Correlation, ...]:
    """Nine pairs: the X and Z parts of V·cos(a − b) shrunk as an attack along an axis does."""
    rows = []
    settings = [(a, b) for a in ALICE_ANGLES for b in BOB_ANGLES]
    for (a, b), wobble in zip(settings, WOBBLE, strict=True):
        true = V * (contrast_z * math.cos(a) * math.cos(b) + contrast_x * math.sin(a) * math.sin(b))
        stderr = math.sqrt((1 - true * true) / 22_222)
        rows.append(
            Correlation(
                math.degrees(a),
                math.degrees(b),
                true + wobble * stderr,
                stderr,
                22_222,
                V * math.cos(a - b),
            )
        )
    return tuple(rows)


def stage(
    name: str,
    title: str,
    protocol: Protocol,
    *,
    qber: float,
    expected: float,
    status: Status,
    eve: Eve | None = None,
    chsh: float | None = None,
    chsh_expected: float | None = None,
    reason: str | None = None,
    table: tuple[Correlation, ...] = (),
) -> Stage:
    accepted = reason is None
    e91 = protocol is Protocol.E91
    budget = key_budget(
        protocol=protocol,
        accepted=accepted,
        pulses=200_000 if e91 else 400_000,
        detected=199_000 if e91 else 81_920,
        sifted=44_300 if e91 else 40_912,
        left=(39_870 if e91 else 32_730) if accepted else 0,
        leaked=5_960 if e91 else 5_010,
        verification=64,
        extracted=20_710 if e91 else 19_400,
        authentication=512,
    )
    return Stage(
        name=name,
        title=title,
        verdict=Verdict.ACCEPT if accepted else Verdict.ABORT,
        reason=reason,
        protocol=protocol,
        eve=eve,
        qber=qber,
        qber_stderr=math.sqrt(qber * (1 - qber) / (44_300 if accepted else 8_000)),
        qber_expected=expected,
        chsh=chsh,
        chsh_stderr=None if chsh is None else 0.0098,
        chsh_expected=chsh_expected,
        secret_bits=budget[-1].bits,
        epsilon=1e-10 if accepted else None,
        wall_s=0.7,
        status=status,
        budget=budget,
        correlations=table,
    )


IR = "intercept-resend"


def stages() -> tuple[Stage, ...]:
    e91, bb84 = Protocol.E91, Protocol.BB84
    s0, cut = V * 2 * math.sqrt(2), V * math.sqrt(2)
    quiet = correlations(1, 1)
    low = "S = 1.361 ± 0.010, lower limit 1.302: below the limit 2.2"
    return (
        stage("e91", "E91, nobody on the line", e91, qber=0.0204, expected=0.02,
              status=Status.GREEN, chsh=2.7191, chsh_expected=s0, table=quiet),
        stage("bb84", "BB84, nobody on the line", bb84, qber=0.0197, expected=0.02,
              status=Status.GREEN),
        stage("bb84-eve", "BB84, Eve intercepts and resends", bb84, qber=0.2513, expected=0.255,
              status=Status.RED, eve=Eve(IR, 1.0),
              reason="QBER 25.13% ± 0.48%: limit 11%"),
        stage("e91-eve", "E91, Eve intercepts and resends", e91, qber=0.1301, expected=0.13,
              status=Status.RED, eve=Eve(IR, 1.0), chsh=1.361, chsh_expected=cut, reason=low,
              table=correlations(0.5, 0.5)),
        stage("e91-ghz", "E91, Eve entangles herself (GHZ)", e91, qber=0.3795, expected=0.38,
              status=Status.RED, eve=Eve("ghz", 1.0), chsh=1.3605, chsh_expected=cut, reason=low,
              table=correlations(0, 1)),
        stage("recovery-1", "Eve gone: first clean block", bb84, qber=0.0211, expected=0.02,
              status=Status.RED),
        stage("recovery-2", "Eve gone: second clean block", bb84, qber=0.0189, expected=0.02,
              status=Status.RED),
        stage("recovery-3", "Eve gone: third clean block", e91, qber=0.0199, expected=0.02,
              status=Status.GREEN, chsh=2.7083, chsh_expected=s0, table=quiet),
    )  # fmt: skip


def timeline() -> tuple[Event, ...]:
    kind, green, red = EventKind, Status.GREEN, Status.RED
    return (
        Event(0.0, kind.NOTE, "link, node A and node B started", None),
        Event(2.4, kind.BLOCK_ACCEPTED, "E91: 20,198 secret bits", green),
        Event(3.3, kind.BLOCK_ACCEPTED, "BB84: 18,888 secret bits", green),
        Event(3.9, kind.SENT, "24 readings reached the cloud", green),
        Event(4.2, kind.EVE_ON, "Eve: intercept-resend, every photon", green),
        Event(5.1, kind.BLOCK_REJECTED, "BB84 rejected: QBER 25 %", red),
        Event(5.3, kind.REFUSED, "device refused: link is RED", red),
        Event(6.0, kind.BLOCK_REJECTED, "E91 rejected: S = 1.36", red),
        Event(6.2, kind.EVE_OFF, "Eve stops", red),
        Event(6.3, kind.EVE_ON, "Eve: GHZ entangling", red),
        Event(7.1, kind.BLOCK_REJECTED, "E91 rejected: S = 1.36", red),
        Event(7.3, kind.EVE_OFF, "Eve leaves", red),
        Event(8.2, kind.BLOCK_ACCEPTED, "BB84: first clean block", red),
        Event(9.0, kind.BLOCK_ACCEPTED, "BB84: second clean block", red),
        Event(9.9, kind.BLOCK_ACCEPTED, "E91: third clean block", green),
        Event(10.4, kind.SENT, "24 more readings reached the cloud", green),
    )


def story() -> Story:
    readings = (
        b'{"t": "2026-11-21T12:00:00Z", "cpu_percent": 12.5, "memory_percent": 41.2}\n'
        b'{"t": "2026-11-21T12:00:01Z", "cpu_percent": 9.1, "memory_percent": 41.2}\n'
        b'{"note": "<script>alert(1)</script> & more"}\n'
    )
    return Story(
        stages=stages(),
        device=Device(
            origin="live readings of this machine",
            sent=48,
            received=48,
            sha256_in=DIGEST,
            sha256_out=DIGEST,
            refused_while_red=True,
            refusal="The link is RED: nothing was sent.",
            readings_preview=preview(readings),
        ),
        timeline=timeline(),
        authentication=Authentication(
            consumed_bits=4_096, refilled_bits=2_560, first_contact="pre-placed key"
        ),
        processes=tuple(
            Process(name, 4000 + i)
            for i, name in enumerate(("link", "node-a", "node-b", "cloud", "device"))
        ),
        wall_s=11.2,
        versions={"bellwire": "0.1.0", "python": "3.11.2", "numpy": "2.4.0"},
        report="report/index.html",
        assumptions={
            "e91": ("each side measures a qubit in the stated plane", "fair sampling"),
            "bb84": ("the source emits single photons in the stated states",),
        },
    )
