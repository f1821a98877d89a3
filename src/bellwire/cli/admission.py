"""`bellwire admission`: how newcomers are judged."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.cli import output
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.admission.assessment import Assessment
    from bellwire.admission.circuit import Angles
    from bellwire.admission.evidence import Claim, Measured
    from bellwire.admission.model import ModelAssessor

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def group() -> None:
    """How newcomers are judged by what they claim and what is measured."""


@app.command()
def assess(
    ping: Annotated[float, typer.Option(metavar="MS", help="The ping that is claimed.")],
    jitter: Annotated[float, typer.Option(metavar="MS", help="The jitter that is claimed.")],
    address: Annotated[str, typer.Option(help="The address that is claimed.")],
    echo: Annotated[
        list[float],
        typer.Option("--echo", metavar="MS", help="A time there and back as measured; again."),
    ],
    seen: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="As seen. Default: as claimed.")
    ] = None,
    model_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask a model there, too (OpenAI's chat interface)."),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Its name there.")] = None,
    model_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its key, in a file that only you can read.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Judge one connection by the rules, and by a model if one is named. Nobody is admitted.

    Exits 0 for either verdict, 4 if the model gave no clear answer.
    """
    import asyncio

    from bellwire.admission.assessment import assess as by_rules
    from bellwire.admission.circuit import angles, drawn, probabilities
    from bellwire.admission.evidence import Claim, measured, read_address
    from bellwire.admission.fingerprint import colour

    claim = Claim(ping, jitter, read_address(address))
    found = measured(echo, read_address(seen) if seen else claim.address)
    assessor = _assessor(model_url, model, model_key)
    judged = by_rules(claim, found)
    if assessor is not None:
        judged = asyncio.run(assessor.assess(claim, found, judged))
    turns = angles(claim.ping_ms, claim.jitter_ms, claim.address)
    if json:
        output.emit(
            {
                "verdict": judged.verdict,
                "reasons": judged.reasons,
                "assessor": judged.assessor,
                "distance": judged.distance,
                "colour": str(colour(claim.address)),
                "angles": turns,
                "probabilities": probabilities(turns),
                "measured": {
                    "ping_ms": found.ping_ms,
                    "jitter_ms": found.jitter_ms,
                    "echoes": found.echoes,
                },
            }
        )
    else:
        _show(judged, claim, found, turns, drawn(turns))


def _show(
    judged: "Assessment", claim: "Claim", found: "Measured", turns: "Angles", circuit: str
) -> None:
    from rich.text import Text

    from bellwire.admission.assessment import Verdict
    from bellwire.admission.circuit import probabilities
    from bellwire.admission.fingerprint import colour

    screen = output.stdout()
    good = judged.verdict is Verdict.SECURE
    screen.print(
        Text.assemble((judged.verdict, "bold green" if good else "bold red"), " by ")
        + Text(judged.assessor)
    )
    for reason in judged.reasons:
        screen.print(Text(f"  against: {reason}"))
    jitter = "unknown" if found.jitter_ms is None else f"{found.jitter_ms:.1f} ms"
    screen.print(
        f"claimed   ping {claim.ping_ms:.1f} ms, jitter {claim.jitter_ms:.1f} ms\n"
        f"measured  ping {found.ping_ms:.1f} ms, jitter {jitter}, {found.echoes} echoes"
    )
    shade = colour(claim.address)
    screen.print(Text.assemble("colour    ", (f" {shade} ", f"on {shade}"), " (decoration)"))
    screen.print(Text(f"\n{circuit}\n"))
    numbers = [f"{number:04b} {share:.3f}" for number, share in enumerate(probabilities(turns))]
    for first in range(0, 16, 4):
        screen.print("  ".join(numbers[first : first + 4]))
    screen.print(
        f"\nclaim and measurement differ by {judged.distance:.3f} (0 to 1). The circuit is a map "
        "of these\nnumbers; it proves nothing about who sends them."
    )


def _assessor(url: str | None, model: str | None, key: Path | None) -> "ModelAssessor | None":
    from bellwire.admission.model import ModelAssessor, read_key
    from bellwire.base.errors import UsageError

    if url is None:
        if model is not None or key is not None:
            raise UsageError("expected --model-url together with --model and --model-key")
        return None
    if model is None:
        raise UsageError("expected --model together with --model-url")
    import ssl

    return ModelAssessor(
        url, model, None if key is None else read_key(key), ssl.create_default_context()
    )
