"""The story in sentences: what page and terminal say about it, each sentence earned by the data.

Nothing here is said unconditionally about a run: a demo in which Eve went unseen or bytes differ
says so first.
"""

from dataclasses import dataclass

from bellwire.base.detections import Protocol
from bellwire.demo.story import Stage, Story, measured

KINDS = {"intercept-resend": "intercept-resend", "ghz": "GHZ entangling"}
"""Attacks as people call them; another name stands for itself."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What stands around a picture: title, what one sees, how it is measured, text instead."""

    title: str
    seen: str
    method: str
    alt: str


def headline(story: Story) -> str:
    """The verdict on the run in one sentence."""
    if story.succeeded and story.eve_left_out is not None:
        return "Key made from recorded time tags, data delivered."
    if story.succeeded:
        return "Key made, Eve caught, data delivered."
    if any(stage.accepted for stage in story.attacked):
        return "Eve was not caught: this run failed."
    return "This run did not show everything it should."


def findings(story: Story) -> list[tuple[bool, str]]:
    """What was found, in plain sentences, each with whether it is as it should be."""
    accepted = [stage for stage in story.stages if stage.accepted]
    caught = [stage for stage in story.attacked if not stage.accepted]
    device = story.device
    lines = [
        (
            story.secret_bits > 0,
            f"Two nodes that never saw each other's measurements agreed on "
            f"{story.secret_bits:,} secret bits from {counted(len(accepted), 'block')}.",
        )
    ]
    if story.attacked:
        lines.append(
            (
                len(caught) == len(story.attacked),
                f"Eve attacked {counted(len(story.attacked), 'time')} and was caught "
                f"{counted(len(caught), 'time')}; a rejected block gives no key.",
            )
        )
    if device.intact:
        text = f"All {device.received:,} readings reached the cloud exactly as the device read them"
        lines.append((True, f"{text} (SHA-256 equal)."))
    else:
        text = f"the cloud has {device.received:,} of {device.sent:,} readings"
        equal = device.sha256_in is not None and device.sha256_in == device.sha256_out
        lines.append((False, f"Data: {text}, hashes {'equal' if equal else 'differ'}."))
    if story.eve_left_out is not None:
        lines.append((True, story.eve_left_out))
    else:
        lines.append(_refused(story))
    if story.stages:
        status = story.stages[-1].status
        lines.append((status != "RED", f"At the end the link is {status}."))
    return lines


def _refused(story: Story) -> tuple[bool, str]:
    return (
        (True, "While the link was RED, the device's send was refused.")
        if story.device.refused_while_red
        else (False, "No send was seen to be refused while the link was RED.")
    )


def counted(number: int, noun: str) -> str:
    """`1 block`, `2 blocks`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def attack(stage: Stage) -> str:
    """Eve's attack in words, `–` without her."""
    if stage.eve is None:
        return "–"
    kind = KINDS.get(stage.eve.kind, stage.eve.kind)
    share = "all" if stage.eve.share >= 1 else f"{stage.eve.share:.0%} of"
    return f"{kind}, {share} pulses"


def caption(name: str, story: Story) -> Caption:
    """The words around the picture of that name (see `figures.draw`)."""
    limits = story.thresholds
    theory = (
        "Theory is that of the set-up link and attack. "
        if any(stage.qber_expected is not None for stage in story.stages)
        else ""
    )
    expected = "What you see: " if story.succeeded else "What one should see: "
    if name == "timeline":
        events = "; ".join(f"{event.t_s:.1f} s {event.title}" for event in story.timeline)
        return Caption(
            "The run in time",
            expected
            + (
                "the strip turns RED when Eve is noticed, GREEN after three clean blocks in a row."
                if story.eve_left_out is None
                else "the strip is GREEN from the first accepted block on."
            ),
            "Each mark is an event as its process reported it. A block above a limit turns the "
            "status RED at once; RED ends only after three accepted blocks in a row.",
            f"Timeline of the run. {events}.",
        )
    if name == "qber":
        return Caption(
            "Errors Eve cannot avoid",
            expected + "measuring a photon disturbs it; with Eve on the line the error rate jumps.",
            "QBER: the share of sifted bits in which both sides differ, from a random sample "
            "compared in the open and from the errors that were corrected. Bars are one standard "
            f"error; the mean of the last five blocks gives YELLOW from {limits.yellow_qber:.0%}, "
            f"and a block at {limits.red_qber:.0%} or more is RED. {theory}In E91 the "
            "QBER alone is no proof: an Eve who measures at 3π/8 causes only 7.3 %, which is why "
            "E91 is judged on S.",
            "QBER by block. "
            + "; ".join(
                f"{s.title}: {measured(s.qber, s.qber_stderr, percent=True)}, {s.verdict}ed"
                for s in story.stages
            )
            + ".",
        )
    if name == "chsh":
        return Caption(
            "Entanglement, or not",
            expected
            + "undisturbed pairs exceed what a classical explanation allows; touched ones do not.",
            "S = E(0°,45°) − E(0°,135°) + E(90°,45°) + E(90°,135°), from pairs measured at "
            "different settings; bars are one standard error (independent counts). Without "
            f"entanglement S stays at or below 2; quantum physics allows 2√2. Below "
            f"{limits.chsh_floor:g} the status is RED; a block whose lower limit of S does not "
            "exceed 2 gives no key in any case.",
            "S by E91 block. "
            + "; ".join(
                f"{s.title}: {measured(s.chsh, s.chsh_stderr, percent=False)}, {s.verdict}ed"
                for s in story.stages
                if s.chsh is not None
            )
            + ".",
        )
    if name == "correlations":
        quiet = next((s for s in story.stages if s.correlations and s.eve is None), None)
        values = "; ".join(
            f"{c.alice_deg:.0f}° and {c.bob_deg:.0f}°: {c.value:.3f} ± {c.stderr:.3f}"
            for c in (quiet.correlations if quiet else ())
        )
        return Caption(
            "How strongly the two sides agree",
            expected
            + "without Eve all nine pairs of angles follow the cosine law; with her they leave it.",
            "E(a, b) is the share of equal results less the share of different ones, per pair of "
            "angles on the Bloch sphere; V is the link's visibility. Equal angles (45°, 90°) make "
            "key, four other pairs make S. The lower panel shows deviation from theory in standard "
            "errors: about two in three belong within ±1, nearly all within ±2.",
            f"Correlation by pair of settings, undisturbed. {values}.",
        )
    protocol = Protocol(name.removeprefix("budget-"))
    stage = story.first(protocol)
    steps = "; ".join(f"{s.name} {s.bits:,}" for s in (stage.budget if stage else ()))
    return Caption(
        f"Where the bits go ({protocol.upper()})",
        expected + "most of the raw bits are spent to mend errors and to leave Eve with nothing.",
        "Every bit that crossed the classical channel counts as known to Eve, and so does all that "
        "the measured disturbance could have told her; Toeplitz hashing shortens the key by that "
        "much. A part replaces the key that authenticated the messages.",
        f"Key budget. {steps}.",
    )
