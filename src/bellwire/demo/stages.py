"""A block of the demo as a stage of its story, and in one line for people who watch."""

import math
from typing import Any

from bellwire.base.detections import Protocol
from bellwire.demo.story import Correlation, Eve, Stage, Verdict, key_budget, measured
from bellwire.distill.verdict import TSIRELSON
from bellwire.keys.status import Status
from bellwire.link import theory
from bellwire.link.config import LinkConfig
from bellwire.link.eve import Eve as EveOnLink


def to_stage(
    report: dict[str, Any],
    config: LinkConfig | None,
    eve: EveOnLink | None,
    *,
    name: str,
    title: str,
    wall_s: float,
    status: Status,
) -> Stage:
    """A stage from what a node reported of a block, with what theory says beside it.

    Args:
        report: `BlockReport` as plain values.
        config: The link; None of recorded light, of which theory knows nothing.
        eve: Who was on it.
        name: Short and stable, for scripts.
        title: For people.
        wall_s: Duration.
        status: Of the link afterwards.
    """
    protocol = Protocol(report["protocol"])
    # Of recorded light the block's own S says the visibility.
    visibility = (report["chsh"] or 0.0) / TSIRELSON if config is None else config.visibility
    return Stage(
        name=name,
        title=title,
        verdict=Verdict.ACCEPT if report["accepted"] else Verdict.ABORT,
        reason=report["message"],
        protocol=protocol,
        eve=None if eve is None else Eve(eve.kind.value, eve.share),
        qber=report["qber"],
        qber_stderr=report["qber_stderr"],
        qber_expected=None if config is None else theory.qber(protocol, config, eve),
        chsh=report["chsh"],
        chsh_stderr=report["chsh_stderr"],
        chsh_expected=None if config is None else theory.chsh(protocol, config, eve),
        secret_bits=report["secret_bits"],
        epsilon=report["epsilon"],
        epsilon_secrecy=report["epsilon_secrecy"],
        epsilon_correctness=report["epsilon_correctness"],
        epsilon_authentication=report["epsilon_authentication"],
        wall_s=wall_s,
        status=status,
        budget=key_budget(
            protocol=protocol,
            accepted=report["accepted"],
            pulses=report["pulses"],
            detected=report["detected"],
            sifted=report["sifted_bits"],
            left=report["key_bits"],
            leaked=report["leaked_bits"],
            verification=report["verification_bits"],
            extracted=report["extracted_bits"],
            authentication=report["authentication_bits"],
        ),
        correlations=tuple(
            Correlation(**row, ideal=_ideal(row, visibility)) for row in report["correlations"]
        ),
    )


def sentence(stage: Stage) -> str:
    """One block in one line, for people who watch."""
    s = (
        ""
        if stage.chsh is None
        else f"S = {measured(stage.chsh, stage.chsh_stderr, percent=False)}, "
    )
    qber = f"QBER {measured(stage.qber, stage.qber_stderr, percent=True)}"
    if stage.accepted:
        return f"{stage.title}: {s}{qber} → {stage.secret_bits:,} secret bits, {stage.status}"
    return f"{stage.title}: {s}{qber} → block rejected, {stage.status}, no key leaves"


def _ideal(row: dict[str, float], visibility: float) -> float:
    return visibility * math.cos(math.radians(row["alice_deg"] - row["bob_deg"]))
