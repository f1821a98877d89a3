"""Write docs/explanation/one-block.md and its pictures anew, from runs of the code.

    .venv/bin/python tools/one_block.py

A test compares the page with what is run then: whatever changes a number of it is seen.
"""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from bellwire.base.style import save
from bellwire.lab import dispatch
from bellwire.lab.experiment import Experiment
from bellwire.lab.follow import Followed, follow
from bellwire.lab.follow_figure import figures
from bellwire.lab.follow_page import markdown, wrap
from bellwire.lab.follow_story import story

PAGE = ROOT / "docs" / "explanation" / "one-block.md"
IMAGES = ROOT / "docs" / "images"

BB84 = {"pulses": 600_000, "km": 10.0, "efficiency": 0.5, "seed": 5}
E91 = {"pulses": 200_000, "seed": 5}

OF_E91 = ("announced", "tested", "decided", "length", "tagged")
"""Where E91 goes another way; the rest is as in BB84."""


def run() -> dict[str, Followed]:
    """Both blocks of the page."""
    planned = {name: dispatch.experiment(name, words) for name, words in _blocks().items()}
    return {name: follow(each) for name, each in planned.items() if isinstance(each, Experiment)}


def page(blocks: dict[str, Followed]) -> str:
    """The page."""
    bb84, e91 = blocks["bb84"], blocks["e91"]
    chosen = [each for each in story(e91) if each.name in OF_E91]
    return "\n".join(
        (
            "# One block, from light to key",
            "",
            "<!-- written by tools/one_block.py; edit that, and run it -->",
            wrap(
                "This page follows one block of BB84 through all steps of [the classical channel]"
                "(../../spec/classical-channel.md), then E91 where it goes another way. **The "
                "program wrote it**: both sides’ real sessions ran over a wire that kept a copy, "
                "and every number is of that run. Numbers come from the sessions’ reports and from "
                "the copy; where both know one, they must agree, or there is no page. Whatever is "
                "read off the copy, Eve could read as well: slots, bases, opened bits, parities, "
                "and where the errors are. The key is not among it. Why each step is as it is: "
                "[From detections to a secret key](distillation.md)."
            ),
            "",
            "The same for a block of your own:",
            "",
            "```console",
            f"$ {_command('bb84')}",
            f"$ {_command('e91')}",
            "```",
            "",
            wrap(
                "`--eve intercept-resend` shows where such a block ends, `--json` gives every "
                "round, `--markdown FILE` a page like this one."
            ),
            "",
            markdown(
                story(bb84),
                level=2,
                figures={name: f"../images/one-block-{name}.svg" for name in ("bits", "rounds")},
            ),
            "## The same for E91",
            "",
            wrap(
                "Each side measures its photon of a pair at one of three angles. Neither prepares "
                "anything, and the outcomes of different angles are not dropped: they test. "
                f"{e91.report.pulses:,} pairs, seed {e91.experiment.seed}. Reconciliation and what "
                f"follows are as above: {e91.rounds[-1].found:,} errors in "
                f"{len(e91.rounds)} rounds."
            ),
            "",
            markdown(chosen, level=3, figures={"bits": "../images/one-block-e91-bits.svg"}),
            "## Read on",
            "",
            "- [Reconciliation, verification, amplification](reconciliation.md)",
            "- [How much key, and how sure](finite-keys.md)",
            "- [Authentication of the classical channel](authentication.md)",
            "",
        )
    )


def _blocks() -> dict[str, dict[str, Any]]:
    return {"bb84": BB84, "e91": E91}


def _command(protocol: str) -> str:
    words = _blocks()[protocol].items()
    return " ".join(
        ["bellwire lab follow", protocol, *(f"--{name} {value:g}" for name, value in words)]
    )


def main() -> None:
    """Write page and pictures."""
    blocks = run()
    PAGE.write_text(page(blocks))
    drawn = {f"one-block-{name}": each for name, each in figures(blocks["bb84"]).items()}
    drawn["one-block-e91-bits"] = figures(blocks["e91"])["bits"]
    save(drawn, IMAGES)


if __name__ == "__main__":
    main()
