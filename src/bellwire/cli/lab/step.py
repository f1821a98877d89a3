"""`bellwire lab step`: a block photon by photon, in the terminal or as text."""

import secrets
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.lab.options import takes_words_of_photons

if TYPE_CHECKING:
    from bellwire.lab.walk import Walk

PULSES = 60_000
"""Enough for a key of any protocol, unless said otherwise."""


@takes_words_of_photons
def command(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help="e91, bbm92 or bb84.")],
    words: dict[str, Any],
    plain: Annotated[
        bool, typer.Option("--plain", help="Print the steps as text; so does a pipe.")
    ] = False,
    show: Annotated[
        int, typer.Option(metavar="N", min=0, max=1000, help="Photons that the text tells of.")
    ] = 5,
) -> None:
    """Follow a block photon by photon: choices, Eve, outcomes, what is kept, and the verdict."""
    from bellwire.base.detections import OF_PHOTONS
    from bellwire.lab import dispatch
    from bellwire.lab.experiment import Experiment
    from bellwire.lab.walk import Walk

    if protocol not in OF_PHOTONS:
        raise UsageError(f"expected single photons or pairs, e91, bbm92 or bb84, got {protocol}")
    seeded = {"pulses": PULSES, "seed": secrets.randbits(63), **words}
    planned = dispatch.experiment(protocol, seeded)
    assert isinstance(planned, Experiment)
    walk = Walk(planned)
    if plain or not (sys.stdin.isatty() and sys.stdout.isatty()):
        _tell(walk, show)
        return
    from bellwire.cli.lab.walker import Walker

    Walker(walk).run()


def _tell(walk: "Walk", show: int) -> None:
    from bellwire.lab import narration

    def say(text: str) -> None:
        output.stdout().print(text, soft_wrap=True)

    eve, seed = narration.eve_is(walk.eve), walk.experiment.seed
    say(f"{walk.protocol.upper()}, Eve: {eve}, seed {seed}")
    for number in range(walk.advance(show)):
        say(f"photon {number + 1}")
        for sentence in narration.tell(walk.protocol, walk.photon(number)):
            say(f"  {sentence}")
    while True:
        if walk.position:
            measured = narration.measured(walk.tally(), walk.now)
            told = (
                f"{name} {value}" + (f" (theory {theory})" if theory else "")
                for name, value, theory in measured
            )
            say(", ".join(told))
        if not walk.left:
            break
        walk.advance(10 ** len(str(walk.position)) - walk.position)
    say(f"Verdict: {narration.verdict(walk.distil())}")
