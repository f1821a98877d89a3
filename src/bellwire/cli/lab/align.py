"""`bellwire lab align`: do two recordings of time tags go together, and how well."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bellwire.cli import output
from bellwire.cli.lab.options import measured
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.lab.tags import Comparison


def command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="With DIR/a, Alice's recording, and DIR/b, Bob's.")
    ],
    figure: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write alignment.svg and .png there."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Find the clocks' offset and drift, match coincidences, and say what they show.

    Reads both sites' files, which only the lab does, and uses no tag up.
    """
    from bellwire.lab.tags import compare

    with output.progress(f"aligning {folder}"):
        comparison = compare(folder)
        files = [] if figure is None else _draw(comparison, figure)
    document = _document(comparison)
    if json:
        output.emit(document | {"files": files})
        return
    _tell(comparison, document)
    for file in files:
        output.stdout().print(f"figure: {file}", soft_wrap=True)


def _draw(comparison: "Comparison", folder: Path) -> list[Path]:
    from bellwire.base.style import save
    from bellwire.lab.errors import FileUnusable
    from bellwire.lab.tag_figures import draw

    try:
        folder.mkdir(parents=True, exist_ok=True)
        return save({"alignment": draw(comparison)}, folder)
    except OSError as error:
        raise FileUnusable(
            folder, "a folder to write in at", error.strerror or str(error)
        ) from None


def _document(comparison: "Comparison") -> dict[str, Any]:
    found, matched, counts = comparison.alignment, comparison.matched, comparison.correlations
    return {
        "protocol": comparison.about.protocol,
        "generated": comparison.about.generated,
        "window_ps": comparison.about.window_ps,
        "seconds": comparison.seconds,
        "alice_events": matched.alice_events,
        "bob_events": matched.bob_events,
        "coincidences": matched.coincidences,
        "by_chance": matched.by_chance,
        "offset_ps": round(found.clock.offset_ps),
        "offset_at_ps": found.clock.origin_ps,
        "drift_ppm": found.clock.drift * 1e6,
        "log10_false_alarm": max(found.log10_false_alarm, -1e9),
        "jitter_ps": comparison.jitter_ps,
        "qber": comparison.qber.value,
        "qber_stderr": comparison.qber.stderr,
        "chsh": None if counts is None else counts.chsh,
        "chsh_stderr": None if counts is None else counts.chsh_stderr,
    }


def _tell(comparison: "Comparison", document: dict[str, Any]) -> None:
    made = "generated" if document["generated"] else "recorded"
    out = output.stdout()
    out.print(f"{document['protocol'].upper()}, {made}, {document['seconds']:.3f} s matched")
    out.print(
        f"clocks: Alice's less Bob's {document['offset_ps'] / 1e12:+.12f} s at "
        f"{document['offset_at_ps'] / 1e12:.3f} s of Bob's, drift {document['drift_ppm']:+.6f} "
        f"ppm; false alarm below 10^{document['log10_false_alarm']:.0f}"
    )
    out.print(
        f"coincidences: {document['coincidences']:,} of {document['alice_events']:,} and "
        f"{document['bob_events']:,} events, {document['by_chance']:,.1f} by chance; "
        f"window {document['window_ps']} ps, spread {document['jitter_ps']:.0f} ps"
    )
    s = (
        ""
        if document["chsh"] is None
        else (f", S {measured('chsh', document['chsh'], document['chsh_stderr'])}")
    )
    out.print(f"QBER {measured('qber', document['qber'], document['qber_stderr'])}{s}")
