"""`bellwire lab circuit`: the experiments as circuits of qubits, drawn or exported."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwire.base.errors import UsageError
from bellwire.cli import output
from bellwire.cli.options import JsonFlag

if TYPE_CHECKING:
    from bellwire.lab.circuit.model import Circuit

PAGE = 120
"""Characters in a line, where no terminal says how many."""


class Drawing(StrEnum):
    """How circuits are drawn."""

    TEXT = "text"
    MPL = "mpl"


class Format(StrEnum):
    """As what circuits are exported."""

    QASM3 = "qasm3"


def command(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help="e91, bbm92 or bb84.")],
    eve: Annotated[
        str,
        typer.Option(
            metavar="KIND[:SHARE]",
            help="none, intercept-resend, breidbart, ghz, cloner or substitution.",
        ),
    ] = "none",
    eve_axis: Annotated[
        str | None, typer.Option(metavar="AXES", help="Where she measures: degrees (45,90).")
    ] = None,
    setting: Annotated[
        str | None,
        typer.Option(metavar="ALICE,BOB", help="Only of these settings, such as 0,1."),
    ] = None,
    draw: Annotated[
        Drawing | None,
        typer.Option(help="text, as without options; or mpl for figures (SVG and PNG) in --out."),
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="Export as OpenQASM 3 programs.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for files; one circuit, one name."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Show the circuits that `lab run --engine qiskit` runs, or write them to files."""
    from bellwire.lab.circuit.choose import circuits

    chosen = circuits(protocol, eve=eve, eve_axis=eve_axis, setting=setting)
    if draw is Drawing.MPL and out is None:
        raise UsageError("expected --out DIR with --draw mpl, got none")
    written = [] if out is None else _write(chosen, out, draw, form)
    if json:
        output.emit(
            {
                "protocol": protocol,
                "circuits": [_described(each) for each in chosen],
                "written": [str(path) for path in written],
            }
        )
    elif out is not None:
        output.stdout().print(f"{len(written)} files in {out}", highlight=False)
    else:
        screen = output.stdout()
        width = screen.width if screen.is_terminal else PAGE
        for each in chosen:
            shown = each.to_qasm3() if form else f"{each.name}\n{each.to_text(width)}\n"
            screen.out(shown, highlight=False)


def _write(
    circuits: "tuple[Circuit, ...]", folder: Path, draw: Drawing | None, form: Format | None
) -> list[Path]:
    """Files of everything that was asked for; drawings in characters unless something was."""
    from bellwire.base import style
    from bellwire.lab.errors import FileUnusable

    texts: dict[str, str] = {}
    if form is Format.QASM3:
        texts |= {f"{each.name}.qasm": each.to_qasm3() for each in circuits}
    if draw is Drawing.TEXT or (draw is None and form is None):
        texts |= {f"{each.name}.txt": each.to_text(PAGE) + "\n" for each in circuits}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        figures = circuits if draw is Drawing.MPL else ()
        pictures = style.save({each.name: each.figure() for each in figures}, folder)
    except OSError as error:
        raise FileUnusable(folder, "to write", error.strerror or str(error)) from error
    return [folder / name for name in texts] + pictures


def _described(circuit: "Circuit") -> dict[str, object]:
    return {
        "name": circuit.name,
        "settings": [circuit.alice, circuit.bob],
        "bit": circuit.bit,
        "eve": circuit.eve,
        "axis": circuit.axis,
        "qubits": list(circuit.qubits),
        "bits": list(circuit.bits),
        "qasm3": circuit.to_qasm3(),
    }
